package statestore

import (
	"context"
	"errors"
	"io/fs"

	"cairn/checkpoint"
)

// Delete implements Inventory. The directories are synced once each, behind the last of their files.
func (l *Local) Delete(ctx context.Context, ids []checkpoint.ChunkID, keep func(checkpoint.ChunkID) bool) (deleted, refused int, err error) {
	if err := l.begin(); err != nil {
		return 0, 0, err
	}
	defer l.running.Done()
	var touched [numShards]bool
	var failures []error
	for _, id := range ids {
		kept, err := l.deleteOne(ctx, id, keep)
		switch {
		case ctx.Err() != nil:
			return deleted, refused, errors.Join(append(failures, l.syncShards(touched), ctx.Err())...)
		case err != nil:
			failures = append(failures, l.failed("delete chunk "+id.String(), err))
		case kept:
			refused++
		default:
			deleted++
			touched[id[0]] = true
		}
	}
	return deleted, refused, errors.Join(append(failures, l.syncShards(touched))...)
}

// deleteOne asks keep under the chunk's lock: a Put that is noted before it takes the lock is then either seen
// here, or finds the file gone and writes it anew.
func (l *Local) deleteOne(ctx context.Context, id checkpoint.ChunkID, keep func(checkpoint.ChunkID) bool) (kept bool, err error) {
	if err := l.locks.lock(ctx, id); err != nil {
		return false, err
	}
	defer l.locks.unlock(id)
	if keep(id) {
		return true, nil
	}
	if err := l.fs.Remove(l.chunk(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	return false, nil
}

func (l *Local) syncShards(touched [numShards]bool) error {
	var failures []error
	for n, was := range touched {
		if !was {
			continue
		}
		if err := l.syncShard(byte(n)); err != nil {
			failures = append(failures, l.failed("sync "+l.shard(byte(n)), err))
		}
	}
	return errors.Join(failures...)
}
