package statestore

import (
	"errors"
	"fmt"
	"io/fs"

	"cairn/checkpoint"
)

// linkLocked makes the chunk's file another name of the given one, its content durable before it has that name, and
// reports whether it has: where it has not, the chunk is to be written instead. The caller holds the chunk's lock, and
// has found no file of the chunk: a rename of one of two names of a file to the other would do nothing.
func (l *Local) linkLocked(ref checkpoint.ChunkRef, file string) bool {
	if l.copies.Load() {
		return false
	}
	temp := l.tempFile(l.lastTemp.Add(1))
	err := l.fs.Link(file, temp)
	if err != nil {
		l.log.Debug("a file cannot be linked and is copied", "chunk", ref.ID, "path", file, "error", err)
		return false
	}
	if err = l.syncLink(temp, ref.Size); err == nil {
		err = l.fs.Rename(temp, l.chunk(ref.ID))
	}
	if err == nil {
		return true
	}
	l.log.Warn("a linked file cannot be stored and is copied", "chunk", ref.ID, "path", file, "error", err)
	if err := l.fs.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.log.Warn("a temporary file stays until the store is opened again", "path", temp, "error", err)
	}
	return false
}

// syncLink makes the content of a linked file durable. It had that size when its data was read.
func (l *Local) syncLink(temp string, size int64) error {
	got, err := l.fs.Size(temp)
	if err != nil {
		return err
	}
	if got != size {
		return fmt.Errorf("%w: the file has %d bytes, the data %d", ErrCorrupt, got, size)
	}
	if err := l.fs.Sync(temp); err != nil {
		l.copies.Store(true)
		return err
	}
	return nil
}
