package statestore

import (
	"context"
	"errors"
	"io/fs"

	"cairn/checkpoint"
)

// Delete implements Inventory. The directories are synced once each, behind the last of their files, and the packs that
// chunks were deleted from are written anew at the end.
func (l *Local) Delete(ctx context.Context, ids []checkpoint.ChunkID, keep func(checkpoint.ChunkID) bool) (deleted, refused int, err error) {
	if err := l.begin(); err != nil {
		return 0, 0, err
	}
	defer l.running.Done()
	var touched [numShards]bool
	var failures []error
	for _, id := range ids {
		if ctx.Err() != nil {
			failures = append(failures, ctx.Err())
			break
		}
		kept, packed, err := l.deleteOne(ctx, id, keep)
		switch {
		case err != nil:
			failures = append(failures, l.failed("delete chunk "+id.String(), err))
		case kept:
			refused++
		default:
			deleted++
			touched[id[0]] = touched[id[0]] || !packed
		}
	}
	failures = append(failures, l.syncShards(touched))
	if deleted > 0 {
		failures = append(failures, l.rewritePacks(context.WithoutCancel(ctx)))
	}
	return deleted, refused, errors.Join(failures...)
}

// deleteOne asks keep under the chunk's lock: a Put that is noted before it takes the lock is then either seen
// here, or finds the chunk gone and writes it anew.
func (l *Local) deleteOne(ctx context.Context, id checkpoint.ChunkID, keep func(checkpoint.ChunkID) bool) (kept, packed bool, err error) {
	if err := l.locks.lock(ctx, id); err != nil {
		return false, false, err
	}
	defer l.locks.unlock(id)
	if keep(id) {
		return true, false, nil
	}
	at, found := l.index.lookup(id)
	if !found {
		// Somebody else may be about to make its deletion durable, or have failed to: what is synced for it is not packed.
		return false, false, nil
	}
	if at.pack == 0 {
		if err := l.fs.Remove(l.pathOf(id, at)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, false, err
		}
	}
	l.index.remove(id)
	l.onChange(Change{Kind: ChunkRemoved, Ref: at.ref(id)})
	return false, at.pack != 0, nil
}

func (l *Local) syncShards(touched [numShards]bool) error {
	var failures []error
	for n, was := range touched {
		if !was {
			continue
		}
		if err := l.fs.SyncDir(l.shard(byte(n))); err != nil {
			failures = append(failures, l.failed("sync "+l.shard(byte(n)), err))
		}
	}
	return errors.Join(failures...)
}
