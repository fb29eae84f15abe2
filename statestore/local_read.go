package statestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"

	"cairn/checkpoint"
)

// Get implements Store. A file that fails its check is moved to quarantine.
func (l *Local) Get(ctx context.Context, ref checkpoint.ChunkRef) ([]byte, error) {
	if err := errors.Join(ctx.Err(), checkRef(ref)); err != nil {
		return nil, err
	}
	if err := l.begin(); err != nil {
		return nil, err
	}
	defer l.running.Done()
	data, err := l.fs.ReadFile(l.chunk(ref.ID), ref.Size)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("chunk %s: %w", ref.ID, ErrNotFound)
	case errors.Is(err, errLonger):
		err = fmt.Errorf("chunk %s: %w: %w", ref.ID, ErrCorrupt, err)
	case err != nil:
		return nil, l.failed("read chunk "+ref.ID.String(), err)
	default:
		err = verify(ref, data)
	}
	if err != nil {
		return nil, errors.Join(err, l.examine(ctx, ref.ID))
	}
	return data, nil
}

// GetEncoded implements EncodedStore.
func (l *Local) GetEncoded(ctx context.Context, ref checkpoint.ChunkRef) (Encoded, error) {
	data, err := l.Get(ctx, ref)
	return Encoded{Data: data}, err
}

// Has implements Store.
func (l *Local) Has(ctx context.Context, ref checkpoint.ChunkRef) (bool, error) {
	if err := l.begin(); err != nil {
		return false, err
	}
	defer l.running.Done()
	// The lock keeps a file out of sight that has its name but is not durable yet.
	if err := l.locks.lock(ctx, ref.ID); err != nil {
		return false, err
	}
	defer l.locks.unlock(ref.ID)
	size, err := l.fs.Size(l.chunk(ref.ID))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, l.failed("look up chunk "+ref.ID.String(), err)
	case size != ref.Size:
		return false, nil
	}
	if err := l.ensureSynced(ref.ID[0]); err != nil {
		return false, l.failed("look up chunk "+ref.ID.String(), err)
	}
	return true, nil
}

// List implements Inventory. It reads one shard at a time, and none ahead of the caller.
func (l *Local) List(ctx context.Context) iter.Seq2[checkpoint.ChunkRef, error] {
	return func(yield func(checkpoint.ChunkRef, error) bool) {
		for n := range numShards {
			refs, err := l.listShard(ctx, byte(n))
			if err != nil {
				yield(checkpoint.ChunkRef{}, err)
				return
			}
			for _, ref := range refs {
				if !yield(ref, nil) {
					return
				}
			}
		}
	}
}

// listShard is a call of its own, so that a caller may close the store while it walks the list.
func (l *Local) listShard(ctx context.Context, n byte) ([]checkpoint.ChunkRef, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := l.begin(); err != nil {
		return nil, err
	}
	defer l.running.Done()
	entries, err := l.fs.ReadDir(l.shard(n))
	if err == nil && len(entries) > 0 {
		err = l.ensureSynced(n)
	}
	if err != nil {
		return nil, l.failed("list "+l.shard(n), err)
	}
	refs := make([]checkpoint.ChunkRef, 0, len(entries))
	for _, e := range entries {
		if ref, ok := chunkOf(n, e); ok {
			refs = append(refs, ref)
		}
	}
	return refs, nil
}

// examine looks at a chunk that failed its check, with nobody writing to it, and puts it into quarantine if
// it is bad. It may be good: when the reference was wrong and not the file, or when somebody has replaced
// the file since. A file that cannot be read proves nothing and stays.
func (l *Local) examine(ctx context.Context, id checkpoint.ChunkID) error {
	if err := l.locks.lock(ctx, id); err != nil {
		return err
	}
	defer l.locks.unlock(id)
	data, err := l.fs.ReadFile(l.chunk(id), MaxChunkSize)
	if errors.Is(err, errLonger) || (err == nil && RefOf(data).ID != id) {
		l.quarantineLocked(id)
	}
	return nil
}

// quarantineLocked moves a damaged file out of the way, where a person can look at it; an earlier one of
// the same chunk is replaced. The caller holds the chunk's lock. Failing to move it is only logged: the
// file fails its check on the next read just the same.
func (l *Local) quarantineLocked(id checkpoint.ChunkID) {
	to := l.quarantined(id)
	if err := l.fs.Rename(l.chunk(id), to); err != nil {
		l.log.Error("a damaged chunk could not be moved to quarantine", "chunk", id, "path", l.chunk(id), "error", err)
		return
	}
	l.log.Warn("a damaged chunk was moved to quarantine", "chunk", id, "path", to)
}
