package statestore

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"cairn/checkpoint"
)

// maxDeletions is how many requests to delete are under way at a time.
const maxDeletions = 16

// Delete implements Inventory for the objects of this process. Those of others are not touched.
func (s *Shared) Delete(ctx context.Context, ids []checkpoint.ChunkID, keep func(checkpoint.ChunkID) bool) (deleted, refused int, err error) {
	var mu sync.Mutex
	var failures []error
	var all errgroup.Group
	all.SetLimit(maxDeletions)
	for _, id := range ids {
		if ctx.Err() != nil {
			break
		}
		all.Go(func() error {
			kept, err := s.deleteOne(ctx, id, keep)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				failures = append(failures, s.failed("delete chunk "+id.String(), err))
			case kept:
				refused++
			default:
				deleted++
			}
			return nil
		})
	}
	_ = all.Wait() // nothing fails there
	if err := ctx.Err(); err != nil {
		return deleted, refused, err
	}
	return deleted, refused, errors.Join(failures...)
}

// deleteOne asks keep under the chunk's lock: a Put that is noted before it takes the lock is then either seen here, or
// stores the chunk anew.
func (s *Shared) deleteOne(ctx context.Context, id checkpoint.ChunkID, keep func(checkpoint.ChunkID) bool) (kept bool, err error) {
	if err := s.locks.lock(ctx, id); err != nil {
		return false, err
	}
	defer s.locks.unlock(id)
	if keep(id) {
		return true, nil
	}
	o := s.owner.Load()
	var failures []error
	for _, n := range o.condemn(id) {
		if err := s.objects.Delete(ctx, n.key()); err != nil {
			failures = append(failures, err)
		} else {
			o.deleted(n)
		}
	}
	return false, errors.Join(failures...)
}
