package statestore

import (
	"context"

	"cairn/checkpoint"
)

// Keep reports whether the chunk is held durably by this node and by as many others as Put would make copies on. Then
// each of them has been asked to keep it, as if it had just been put (see Swept), and the chunk need not be read to be
// put again. It returns false when this node or too many others lack it; Put makes the copies that are missing. A peer that
// has failed of late is not asked: Put finds another. The error is the own store's, or ctx's.
func (r *Replicated) Keep(ctx context.Context, ref checkpoint.ChunkRef) (held bool, err error) {
	if held, err = r.local.Has(ctx, ref); err != nil || !held {
		return false, err
	}
	order := r.fan.candidates(ref.ID)
	want := min(r.fan.opts.Replicas-1, len(order))
	result := PutResult{Ref: ref, Replicas: r.fan.opts.Replicas, Nodes: []checkpoint.NodeID{r.fan.self}}
	healthy, _ := r.fan.gives.split(order)
	for _, p := range healthy {
		if len(result.Nodes) > want {
			break
		}
		has, err := r.fan.has(ctx, p, ref)
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if err == nil && has {
			result.Nodes = append(result.Nodes, p.ID)
		}
	}
	if len(result.Nodes) <= want {
		return false, nil
	}
	r.fan.opts.OnPut(result)
	return true, nil
}
