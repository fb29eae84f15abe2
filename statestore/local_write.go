package statestore

import (
	"bytes"
	"context"
	"errors"
	"io/fs"

	"cairn/checkpoint"
)

// Put implements Store. A copy that is there already is compared with data, so that the acknowledgement
// holds for a copy that is known to be good, and one that has gone bad is replaced.
func (l *Local) Put(ctx context.Context, data []byte) (checkpoint.ChunkRef, error) {
	ref, err := newRef(data)
	if err != nil {
		return checkpoint.ChunkRef{}, err
	}
	if err := l.writeVerified(ctx, ref, content{data: data}); err != nil {
		return checkpoint.ChunkRef{}, err
	}
	return ref, nil
}

// PutFile implements FilePutter. A file on another device, or on a file system without hard links, is copied.
func (l *Local) PutFile(ctx context.Context, path string) (checkpoint.ChunkRef, error) {
	ref, err := newFileRef(path)
	if err != nil {
		return checkpoint.ChunkRef{}, l.failed("take over "+path, err)
	}
	if err := l.writeVerified(ctx, ref, content{file: path}); err != nil {
		return checkpoint.ChunkRef{}, err
	}
	return ref, nil
}

// Write implements Store.
func (l *Local) Write(ctx context.Context, ref checkpoint.ChunkRef, data []byte) error {
	if err := verify(ref, data); err != nil {
		return err
	}
	return l.writeVerified(ctx, ref, content{data: data})
}

// WriteEncoded implements EncodedStore.
func (l *Local) WriteEncoded(ctx context.Context, ref checkpoint.ChunkRef, e Encoded) error {
	if err := e.verify(ref); err != nil {
		return err
	}
	return l.writeVerified(ctx, ref, content{encoded: e})
}

// writeVerified implements trustingStore.
func (l *Local) writeVerified(ctx context.Context, ref checkpoint.ChunkRef, c content) error {
	if err := l.begin(); err != nil {
		return err
	}
	defer l.running.Done()
	if err := l.locks.lock(ctx, ref.ID); err != nil {
		return err
	}
	defer l.locks.unlock(ref.ID)
	if err := l.storeLocked(ref, c); err != nil {
		return l.failed("write chunk "+ref.ID.String(), err)
	}
	return nil
}

// storeLocked makes sure that the chunk's file is there, whole and durable. The caller holds the chunk's lock.
func (l *Local) storeLocked(ref checkpoint.ChunkRef, c content) error {
	found := l.lookLocked(ref, c.data)
	if found == good {
		return l.ensureSynced(ref.ID[0])
	}
	if c.file != "" && found == absent && l.linkLocked(ref, c.file) {
		return l.syncShard(ref.ID[0])
	}
	data, err := c.load(l.fs, ref)
	if err != nil {
		return err
	}
	return l.installLocked(ref.ID, data)
}

// copyFound is what is found where a chunk is to be stored.
type copyFound uint8

const (
	absent copyFound = iota
	bad              // it has other content, or cannot be read
	good
)

// lookLocked looks whether the chunk's file is there with the right content, which is data unless that is nil. One with
// other content goes to quarantine. One that cannot be read stays where it is, to be replaced: it may only be out of
// reach for the moment. The caller holds the chunk's lock.
func (l *Local) lookLocked(ref checkpoint.ChunkRef, data []byte) copyFound {
	stored, err := l.fs.ReadFile(l.chunk(ref.ID), ref.Size)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return absent
	case errors.Is(err, errLonger), err == nil && !holds(stored, ref, data):
		l.quarantineLocked(ref.ID)
		return bad
	case err != nil:
		l.log.Warn("a stored chunk cannot be read and is written again", "chunk", ref.ID, "error", err)
		return bad
	}
	return good
}

// holds reports whether stored is what ref names, which is data unless that is nil: comparing is cheaper than hashing.
func holds(stored []byte, ref checkpoint.ChunkRef, data []byte) bool {
	if data != nil {
		return bytes.Equal(stored, data)
	}
	return verify(ref, stored) == nil
}

// installLocked writes the chunk's file: content first, then the name, each durable before the next step.
// The caller holds the chunk's lock.
func (l *Local) installLocked(id checkpoint.ChunkID, data []byte) error {
	temp := l.tempFile(l.lastTemp.Add(1))
	err := writeFile(l.fs, temp, data)
	if err == nil {
		err = l.fs.Rename(temp, l.chunk(id))
	}
	if err != nil {
		if removeErr := l.fs.Remove(temp); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
		return err
	}
	return l.syncShard(id[0])
}

// syncShard makes every entry of a shard durable. When it fails, nothing that is found in the shard counts
// as stored until a later sync succeeds.
func (l *Local) syncShard(n byte) error {
	if err := l.fs.SyncDir(l.shard(n)); err != nil {
		l.synced[n].Store(false)
		return err
	}
	l.synced[n].Store(true)
	return nil
}

// ensureSynced is called before an entry that was found in a shard is called durable.
func (l *Local) ensureSynced(n byte) error {
	if l.synced[n].Load() {
		return nil
	}
	return l.syncShard(n)
}
