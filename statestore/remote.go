package statestore

import (
	"context"
	"fmt"

	"cairn/checkpoint"
)

// Remote keeps chunks on the live task nodes, for a coordinator, which has no store of its own: manifests
// live beside the state that they name. It needs no closing.
type Remote struct {
	fan *fanout
}

// NewRemote returns a store on the nodes that peers knows.
func NewRemote(peers Peers, opts Options) *Remote {
	return &Remote{fan: newFanout(peers, "", opts)}
}

// Put stores data on Options.Replicas nodes, replacing nodes that fail by others as long as there are any. When
// every live node has been tried and fewer took it, Options.OnPut is told so, as it is by Replicated: a cluster
// that has shrunk goes on, with what copies it can make. Put returns ErrNoNodes when no node is live and a
// PlacementError when none took the chunk.
func (r *Remote) Put(ctx context.Context, data []byte) (checkpoint.ChunkRef, error) {
	ref, err := newRef(data)
	if err != nil {
		return checkpoint.ChunkRef{}, err
	}
	order := r.fan.candidates(ref.ID)
	if len(order) == 0 {
		return checkpoint.ChunkRef{}, fmt.Errorf("chunk %s: %w", ref.ID, ErrNoNodes)
	}
	want := min(r.fan.opts.Replicas, len(order))
	took, failed := r.fan.put(ctx, ref, Encode(data), order, want)
	if err := ctx.Err(); err != nil && len(took) < want {
		// The nodes failed because the caller gave up: that must not pass for "nobody could take it".
		return checkpoint.ChunkRef{}, fmt.Errorf("chunk %s: %d of %d copies made: %w", ref.ID, len(took), want, err)
	}
	if len(took) == 0 {
		return checkpoint.ChunkRef{}, &PlacementError{Ref: ref, Failed: failed}
	}
	r.fan.opts.OnPut(PutResult{Ref: ref, Nodes: took, Replicas: r.fan.opts.Replicas, Failed: failed})
	return ref, nil
}

// Get returns a verified chunk from the first live node that has it, in the order in which they should. It
// returns ErrNoNodes when none is live and an UnavailableError when none has a good copy.
func (r *Remote) Get(ctx context.Context, ref checkpoint.ChunkRef) ([]byte, error) {
	if err := checkRef(ref); err != nil {
		return nil, err
	}
	if len(r.fan.candidates(ref.ID)) == 0 {
		return nil, fmt.Errorf("chunk %s: %w", ref.ID, ErrNoNodes)
	}
	c, found, failed := r.fan.get(ctx, ref)
	if found {
		return c.data, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("chunk %s: %w", ref.ID, err)
	}
	return nil, &UnavailableError{Ref: ref, Tried: failed}
}
