package statestore

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/semaphore"

	"cairn/checkpoint"
)

// Replicated keeps each chunk in the node's own store and on live peers. It is what the tasks of a node
// use. What a node serves to its peers is its own store, not this: two nodes that lack a chunk would ask
// each other for ever.
type Replicated struct {
	local Store
	fan   *fanout
	// reading bounds the bytes of files that are in memory to be sent to peers: hundreds of tasks may store theirs at the
	// same time.
	reading *semaphore.Weighted
}

// maxReading is that bound. One file of the largest size must fit.
const maxReading = 4 * MaxChunkSize

var (
	_ Store      = (*Replicated)(nil)
	_ FilePutter = (*Replicated)(nil)
)

// NewReplicated returns a store over local, which belongs to the node self. The caller keeps local open for
// as long as it uses the result, which needs no closing itself.
func NewReplicated(local Store, self checkpoint.NodeID, peers Peers, opts Options) *Replicated {
	return &Replicated{local: local, fan: newFanout(peers, self, opts), reading: semaphore.NewWeighted(maxReading)}
}

// Put implements Store. It returns when Options.Replicas nodes, or as many as are live, hold the chunk
// durably. A peer that fails or is slow is replaced by the next in order; when none is left, fewer copies
// are enough, and Options.OnPut is told. It fails when the node's own store does, or when ctx is done
// before the copies are made.
func (r *Replicated) Put(ctx context.Context, data []byte) (checkpoint.ChunkRef, error) {
	ref, err := newRef(data)
	if err != nil {
		return checkpoint.ChunkRef{}, err
	}
	return ref, r.replicate(ctx, ref, content{data: data})
}

// PutFile implements FilePutter. The file is read into memory only where there are peers to be sent it.
func (r *Replicated) PutFile(ctx context.Context, path string) (checkpoint.ChunkRef, error) {
	ref, err := newFileRef(path)
	if err != nil {
		return checkpoint.ChunkRef{}, err
	}
	return ref, r.replicate(ctx, ref, content{file: path})
}

// Write implements Store. It replicates as Put does.
func (r *Replicated) Write(ctx context.Context, ref checkpoint.ChunkRef, data []byte) error {
	if err := verify(ref, data); err != nil {
		return err
	}
	return r.replicate(ctx, ref, content{data: data})
}

// replicate writes the local copy and the remote ones at the same time. The content is known to match ref.
func (r *Replicated) replicate(ctx context.Context, ref checkpoint.ChunkRef, c content) error {
	order := r.fan.candidates(ref.ID)
	want := min(r.fan.opts.Replicas-1, len(order))
	if want > 0 {
		if c.file != "" {
			if err := r.reading.Acquire(ctx, ref.Size); err != nil {
				return fmt.Errorf("chunk %s: %w", ref.ID, err)
			}
			defer r.reading.Release(ref.Size)
		}
		room, err := c.encode(osFS{}, ref)
		if err != nil {
			return err
		}
		defer room.giveBack()
	}
	result := PutResult{Ref: ref, Replicas: r.fan.opts.Replicas, Nodes: []checkpoint.NodeID{r.fan.self}}

	remoteCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	var remote sync.WaitGroup
	var took []checkpoint.NodeID
	remote.Go(func() { took, result.Failed = r.fan.put(remoteCtx, ref, c.encoded, order, want) })
	err := writeVerified(ctx, r.local, ref, c)
	if err != nil {
		cancel() // without a local copy there is no ack, so the others are of no use
	}
	remote.Wait()
	if err != nil {
		return err
	}
	if len(took) < want && ctx.Err() != nil {
		// The peers failed because the caller gave up: that must not pass for "nobody could take it".
		return fmt.Errorf("chunk %s: %d of %d copies made: %w", ref.ID, 1+len(took), 1+want, ctx.Err())
	}
	result.Nodes = append(result.Nodes, took...)
	r.fan.opts.OnPut(result)
	return nil
}

// Get implements Store. A missing, damaged or unreadable local copy is replaced by a good one from a peer,
// as far as that can be done; a failure to do so is logged. When no node has a good copy the error is an
// UnavailableError.
func (r *Replicated) Get(ctx context.Context, ref checkpoint.ChunkRef) ([]byte, error) {
	if err := checkRef(ref); err != nil {
		return nil, err
	}
	data, localErr := r.local.Get(ctx, ref)
	if localErr == nil {
		return data, nil
	}
	c, found, failed := r.fan.get(ctx, ref)
	if found {
		r.heal(ctx, ref, c)
		return c.data, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("chunk %s: %w", ref.ID, err)
	}
	tried := append(NodeErrors{{Node: r.fan.self, Err: localErr}}, failed...)
	return nil, &UnavailableError{Ref: ref, Tried: tried}
}

// heal writes a verified copy from a peer to the node's own store.
func (r *Replicated) heal(ctx context.Context, ref checkpoint.ChunkRef, c content) {
	if err := writeVerified(ctx, r.local, ref, c); err != nil {
		r.fan.opts.Logger.Warn("a chunk read from a peer could not be stored here", "chunk", ref.ID, "error", err)
	}
}

// Has implements Store: it answers for this node's copy alone.
func (r *Replicated) Has(ctx context.Context, ref checkpoint.ChunkRef) (bool, error) {
	return r.local.Has(ctx, ref)
}

// Expect says that the chunks are to be read soon: one question to the Locator answers for all of them that are not
// here. It is for speed alone, and waits no longer than Options.SlowAfter.
func (r *Replicated) Expect(ctx context.Context, refs []checkpoint.ChunkRef) {
	if r.fan.opts.Locator == nil {
		return
	}
	var missing []checkpoint.ChunkID
	for _, ref := range refs {
		if has, err := r.local.Has(ctx, ref); err != nil || !has {
			missing = append(missing, ref.ID)
		}
	}
	r.fan.locate(ctx, missing)
}
