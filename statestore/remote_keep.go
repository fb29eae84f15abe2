package statestore

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"cairn/checkpoint"
)

// keepers is how many chunks Keep asks for at a time.
const keepers = 16

// Keep asks every live node to keep the chunks that it holds of the given ones, so that no sweep that is under way
// deletes them (see Swept), and makes sure that each is held by a node. The error is an UnavailableError for the
// first chunk in order that no node has, and wraps ErrNoNodes when none is live.
func (r *Remote) Keep(ctx context.Context, refs []checkpoint.ChunkRef) error {
	errs := make([]error, len(refs)) // each element is written by the one worker that drew its index
	next := make(chan int, len(refs))
	for i := range refs {
		next <- i
	}
	close(next)
	var workers sync.WaitGroup
	for range min(keepers, len(refs)) {
		workers.Go(func() {
			for i := range next {
				errs[i] = r.keep(ctx, refs[i])
			}
		})
	}
	workers.Wait()
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return errs[i]
	}
	return nil
}

// keep asks all nodes, also behind one that has the chunk: each of its copies is to stay. Those that have failed of late
// are asked last, and only for as long as nobody is known to have it: what they hold is not asked for a thousand times.
func (r *Remote) keep(ctx context.Context, ref checkpoint.ChunkRef) error {
	order := r.fan.candidates(ref.ID)
	if len(order) == 0 {
		return fmt.Errorf("chunk %s: %w", ref.ID, ErrNoNodes)
	}
	held := false
	var failed NodeErrors
	healthy, failing := r.fan.gives.split(order)
	for i, p := range slices.Concat(healthy, failing) {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("chunk %s: %w", ref.ID, err)
		}
		if held && i >= len(healthy) {
			break
		}
		has, err := r.fan.has(ctx, p, ref)
		switch {
		case err != nil:
			failed = append(failed, NodeError{Node: p.ID, Err: err})
		case !has:
			failed = append(failed, NodeError{Node: p.ID, Err: ErrNotFound})
		}
		held = held || has
	}
	if !held {
		return &UnavailableError{Ref: ref, Tried: failed}
	}
	return nil
}
