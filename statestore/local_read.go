package statestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"syscall"

	"cairn/checkpoint"
)

// Get implements Store. A copy that fails its check is moved to quarantine.
func (l *Local) Get(ctx context.Context, ref checkpoint.ChunkRef) (data []byte, err error) {
	var scratch *buffer
	defer func() { scratch.giveBack() }()
	err = l.read(ctx, ref, func(at place) []byte {
		if at.encoding == EncodingRaw {
			return make([]byte, at.room())
		}
		scratch.giveBack()
		scratch = borrow(at.room())
		return scratch.bytes
	}, func(e Encoded) error {
		data, err = e.Decode(ref)
		return err
	})
	if err != nil {
		return nil, err
	}
	return data, nil
}

// GetEncoded implements EncodedStore.
func (l *Local) GetEncoded(ctx context.Context, ref checkpoint.ChunkRef) (e Encoded, err error) {
	err = l.read(ctx, ref, func(at place) []byte { return make([]byte, at.room()) }, func(stored Encoded) error {
		e = stored
		return e.verify(ref)
	})
	if err != nil {
		return Encoded{}, err
	}
	return e, nil
}

// Verify reads this node's copy of a chunk and checks it. It returns ErrNotFound when there is none, and ErrCorrupt when it
// is bad: then it has been moved to quarantine.
func (l *Local) Verify(ctx context.Context, ref checkpoint.ChunkRef) error {
	var scratch *buffer
	defer func() { scratch.giveBack() }()
	return l.read(ctx, ref, func(at place) []byte {
		scratch.giveBack()
		scratch = borrow(at.room())
		return scratch.bytes
	}, func(e Encoded) error { return e.verify(ref) })
}

// read reads the copy of a chunk into memory from room, and has check look at it. A copy that fails is examined.
func (l *Local) read(ctx context.Context, ref checkpoint.ChunkRef, room func(place) []byte, check func(Encoded) error) error {
	if err := errors.Join(ctx.Err(), checkRef(ref)); err != nil {
		return err
	}
	if err := l.begin(); err != nil {
		return err
	}
	defer l.running.Done()
	at, found := l.index.lookup(ref.ID)
	for found {
		e, err := l.readAt(ref.ID, at, room(at))
		if err == nil {
			err = check(e)
		}
		if err == nil {
			return nil
		}
		// A pack that is written anew takes its chunks along. Only what is read where it is now says something.
		was := at
		if at, found = l.index.lookup(ref.ID); !found || at != was {
			continue
		}
		return l.readFailed(ctx, ref, err)
	}
	return fmt.Errorf("chunk %s: %w", ref.ID, ErrNotFound)
}

// readFailed returns what the caller is told of a copy that could not be read, or failed its check.
func (l *Local) readFailed(ctx context.Context, ref checkpoint.ChunkRef, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("chunk %s: %w: its file has vanished: %w", ref.ID, ErrNotFound, err)
	case isMediumError(err):
		err = fmt.Errorf("chunk %s: %w: %w", ref.ID, ErrCorrupt, err)
	case !errors.Is(err, ErrCorrupt):
		return l.failed("read chunk "+ref.ID.String(), err)
	}
	_, examineErr := l.examine(ctx, ref.ID)
	return errors.Join(err, examineErr)
}

// room returns how much memory reading a copy takes: a byte more than it should have, to see that it has no more.
func (p place) room() int { return int(p.stored) + 1 }

// readAt reads the copy of a chunk at a place, as it is stored, into dst, which has the room for it. It is not checked
// for more than its length.
func (l *Local) readAt(id checkpoint.ChunkID, at place, dst []byte) (Encoded, error) {
	dst = dst[:at.room()]
	if at.pack != 0 {
		dst = dst[:at.stored]
	}
	n, err := l.fs.ReadAt(l.pathOf(id, at), dst, int64(at.offset))
	switch {
	case err != nil:
		return Encoded{}, err
	case n != int(at.stored):
		return Encoded{}, fmt.Errorf("chunk %s: %w: %d bytes are stored instead of %d", id, ErrCorrupt, n, at.stored)
	}
	return Encoded{Encoding: at.encoding, Data: dst[:n]}, nil
}

// checkAt reads and checks the copy of a chunk at a place.
func (l *Local) checkAt(id checkpoint.ChunkID, at place) error {
	scratch := borrow(at.room())
	defer scratch.giveBack()
	e, err := l.readAt(id, at, scratch.bytes)
	if err != nil {
		return err
	}
	return e.verify(at.ref(id))
}

// pathOf returns the file that a copy is in.
func (l *Local) pathOf(id checkpoint.ChunkID, at place) string {
	if at.pack != 0 {
		return l.pack(at.pack)
	}
	return l.loose(id, at.encoding, at.size)
}

// isMediumError reports whether an error says that the disk cannot read what it holds. Others pass: too many open files.
func isMediumError(err error) bool { return errors.Is(err, syscall.EIO) }

// Has implements Store.
func (l *Local) Has(ctx context.Context, ref checkpoint.ChunkRef) (bool, error) {
	if err := l.begin(); err != nil {
		return false, err
	}
	defer l.running.Done()
	// Who hears that the chunk is here counts on it: a deletion that has asked whether to keep it must be over.
	if err := l.locks.lock(ctx, ref.ID); err != nil {
		return false, err
	}
	defer l.locks.unlock(ref.ID)
	at, found := l.index.lookup(ref.ID)
	return found && int64(at.size) == ref.Size, nil
}

// List implements Inventory. It reads no disk.
func (l *Local) List(ctx context.Context) iter.Seq2[checkpoint.ChunkRef, error] {
	return func(yield func(checkpoint.ChunkRef, error) bool) {
		for n := range numShards {
			if err := l.mayList(ctx); err != nil {
				yield(checkpoint.ChunkRef{}, err)
				return
			}
			for _, ref := range l.index.refs(byte(n)) {
				if !yield(ref, nil) {
					return
				}
			}
		}
	}
}

func (l *Local) mayList(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := l.begin(); err != nil {
		return err
	}
	l.running.Done()
	return nil
}
