package statestore

import (
	"context"
	"fmt"

	"cairn/checkpoint"
)

// Placed reports whether the nodes that Put would store the chunk on hold it already. Then each of them has been asked to
// keep it, as if it had just been put (see Swept). A node that does not answer counts as one that lacks it; the error is
// ErrNoNodes, or ctx's.
func (r *Remote) Placed(ctx context.Context, ref checkpoint.ChunkRef) (bool, error) {
	if err := checkRef(ref); err != nil {
		return false, err
	}
	order := r.fan.candidates(ref.ID)
	if len(order) == 0 {
		return false, fmt.Errorf("chunk %s: %w", ref.ID, ErrNoNodes)
	}
	for _, p := range order[:min(r.fan.opts.Replicas, len(order))] {
		has, err := r.fan.has(ctx, p, ref)
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if err != nil || !has {
			return false, nil
		}
	}
	return true, nil
}
