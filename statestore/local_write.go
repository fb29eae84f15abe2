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

// writeVerified implements trustingStore. A small chunk may wait for others to be written with: that is not given up when
// ctx is done, for the others' sake.
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

// storeLocked makes sure that the chunk is there, whole and durable. The caller holds the chunk's lock.
func (l *Local) storeLocked(ref checkpoint.ChunkRef, c content) error {
	old, found := l.index.lookup(ref.ID)
	if found {
		var good bool
		if good, found = l.lookLocked(ref, &c); good {
			return nil
		}
	}
	if !found && c.file != "" && l.linkLocked(ref, c.file) {
		err := l.settleLocked(ref.ID, place{size: uint32(ref.Size), stored: uint32(ref.Size)})
		if err == nil {
			l.onChange(Change{Kind: ChunkAdded, Ref: ref})
		}
		return err
	}
	room, err := c.encode(l.fs, ref)
	if err != nil {
		return err
	}
	defer room.giveBack()
	if err := l.install(ref, c.encoded); err != nil {
		return err
	}
	if now, _ := l.index.lookup(ref.ID); found && (now.pack != 0 || l.pathOf(ref.ID, now) != l.pathOf(ref.ID, old)) {
		l.dropFile(ref.ID, old)
	}
	l.onChange(Change{Kind: ChunkAdded, Ref: ref})
	return nil
}

// lookLocked looks whether the copy that the index knows is good. One with other content goes to quarantine. One that
// cannot be read stays where it is, to be replaced: it may only be out of reach for the moment. The caller holds the
// chunk's lock.
func (l *Local) lookLocked(ref checkpoint.ChunkRef, c *content) (good, found bool) {
	for {
		at, found := l.index.lookup(ref.ID)
		if !found {
			return false, false
		}
		err := l.compare(ref, at, c)
		if err == nil {
			return true, true
		}
		if now, found := l.index.lookup(ref.ID); found && now != at {
			continue // its pack was written anew meanwhile
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			l.log.Error("the file of a chunk has vanished", "chunk", ref.ID, "path", l.pathOf(ref.ID, at))
			l.forgetLocked(ref.ID, at)
			return false, false
		case errors.Is(err, ErrCorrupt):
			l.quarantineLocked(ref.ID, at, err)
			return false, false
		}
		l.log.Warn("a stored chunk cannot be read and is written again", "chunk", ref.ID, "error", err)
		return false, true
	}
}

// compare returns an error unless the copy at a place is what c is. Comparing is cheaper than hashing.
func (l *Local) compare(ref checkpoint.ChunkRef, at place, c *content) error {
	scratch := borrow(at.room())
	defer scratch.giveBack()
	e, err := l.readAt(ref.ID, at, scratch.bytes)
	switch {
	case err != nil:
		return err
	case e.Encoding == EncodingRaw && c.data != nil && bytes.Equal(e.Data, c.data),
		c.encoded.Data != nil && e.Encoding == c.encoded.Encoding && bytes.Equal(e.Data, c.encoded.Data):
		return nil
	}
	return e.verify(ref)
}

// install writes a chunk that is not there, or not readable, to a place of its own or together with others.
func (l *Local) install(ref checkpoint.ChunkRef, e Encoded) error {
	if len(e.Data) <= maxPacked {
		return l.packer.commit(l, ref, e)
	}
	return l.installLoose(ref, e)
}

// installLoose writes the chunk's own file: content first, then the name, each durable before the next step. The caller
// holds the chunk's lock.
func (l *Local) installLoose(ref checkpoint.ChunkRef, e Encoded) error {
	at := place{size: uint32(ref.Size), stored: uint32(len(e.Data)), encoding: e.Encoding}
	if err := l.newFile(l.pathOf(ref.ID, at), e.Data); err != nil {
		return err
	}
	return l.settleLocked(ref.ID, at)
}

// newFile writes a file under a temporary name, makes its content durable, and renames it.
func (l *Local) newFile(path string, data ...[]byte) error {
	temp := l.tempFile(l.lastTemp.Add(1))
	err := writeFile(l.fs, temp, data...)
	if err == nil {
		err = l.fs.Rename(temp, path)
	}
	if err != nil {
		l.removeTemp(temp)
	}
	return err
}

func (l *Local) removeTemp(temp string) {
	if err := l.fs.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.log.Warn("a temporary file stays until the store is opened again", "path", temp, "error", err)
	}
}

// settleLocked makes the name of a file that has just got it durable, and only then enters the chunk. Where that fails the
// file goes: a chunk of which nobody knows whether it will be there must not count, nor take up room.
func (l *Local) settleLocked(id checkpoint.ChunkID, at place) error {
	if err := l.fs.SyncDir(l.shard(id[0])); err != nil {
		l.dropFile(id, at)
		if old, found := l.index.lookup(id); found && old.pack == 0 && l.pathOf(id, old) == l.pathOf(id, at) {
			l.forgetLocked(id, old) // it has been replaced
		}
		return err
	}
	l.index.setLoose(id, at)
	return nil
}

// dropFile removes a file that is in the way, or of no use. A chunk in a pack goes when the pack is written anew.
func (l *Local) dropFile(id checkpoint.ChunkID, at place) {
	if at.pack != 0 {
		return
	}
	if err := l.fs.Remove(l.pathOf(id, at)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.log.Warn("the file of a chunk is of no use, and stays until the store is opened again", "path", l.pathOf(id, at), "error", err)
	}
}
