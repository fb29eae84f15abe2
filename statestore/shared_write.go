package statestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"cairn/checkpoint"
)

const (
	// maxUploads is how often an upload is tried.
	maxUploads = 3
	// uploadPause is how long is waited before the second try; it doubles.
	uploadPause = 200 * time.Millisecond
)

// Put implements Store. A chunk that this process has stored is not stored again; what others have stored does not
// count, since they may delete it.
func (s *Shared) Put(ctx context.Context, data []byte) (checkpoint.ChunkRef, error) {
	ref, err := newRef(data)
	if err != nil {
		return checkpoint.ChunkRef{}, err
	}
	if err := s.writeVerified(ctx, ref, content{data: data}); err != nil {
		return checkpoint.ChunkRef{}, err
	}
	return ref, nil
}

// PutFile implements FilePutter. The file is sent as it is read, and takes no memory.
func (s *Shared) PutFile(ctx context.Context, path string) (checkpoint.ChunkRef, error) {
	ref, err := newFileRef(path)
	if err != nil {
		return checkpoint.ChunkRef{}, s.failed("take over "+path, err)
	}
	if err := s.writeVerified(ctx, ref, content{file: path}); err != nil {
		return checkpoint.ChunkRef{}, err
	}
	return ref, nil
}

// Write implements Store.
func (s *Shared) Write(ctx context.Context, ref checkpoint.ChunkRef, data []byte) error {
	if err := verify(ref, data); err != nil {
		return err
	}
	return s.writeVerified(ctx, ref, content{data: data})
}

// WriteEncoded implements EncodedStore.
func (s *Shared) WriteEncoded(ctx context.Context, ref checkpoint.ChunkRef, e Encoded) error {
	if err := e.verify(ref); err != nil {
		return err
	}
	return s.writeVerified(ctx, ref, content{encoded: e})
}

// writeVerified implements trustingStore.
func (s *Shared) writeVerified(ctx context.Context, ref checkpoint.ChunkRef, c content) error {
	if err := s.locks.lock(ctx, ref.ID); err != nil {
		return err
	}
	defer s.locks.unlock(ref.ID)
	err := s.alive(ctx, func(o *owner) error {
		return s.confirmed(ctx, o, func(ctx context.Context) error { return s.storeLocked(ctx, o, ref, c) })
	})
	if err != nil {
		return s.failed("write chunk "+ref.ID.String(), err)
	}
	return nil
}

// confirmed does something as an owner and looks meanwhile whether the owner may. The look has begun after the call: who
// was taken for gone before it relies on nothing that it has stored.
func (s *Shared) confirmed(ctx context.Context, o *owner, f func(context.Context) error) error {
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error { return o.confirm(ctx) })
	both.Go(func() error { return f(ctx) })
	return both.Wait()
}

// storeLocked makes sure that the owner's object of the chunk is there. The caller holds the chunk's lock.
func (s *Shared) storeLocked(ctx context.Context, o *owner, ref checkpoint.ChunkRef, c content) error {
	if there, err := s.thereLocked(ctx, o, ref); there || err != nil {
		return err
	}
	if c.file == "" || c.data != nil { // else it is sent as it lies there: tables of a key-value store are compressed
		buf, err := c.encode(osFS{}, ref)
		if err != nil {
			return err
		}
		defer buf.giveBack()
	}
	return s.persist(ctx, func() error {
		n := o.begin(ref, c.encoded.Encoding)
		stored, err := s.upload(ctx, n, c)
		if err == nil {
			o.stored(n, stored)
		}
		return err
	})
}

// persist stores something, by a function that is called again when it fails, a few times.
func (s *Shared) persist(ctx context.Context, store func() error) error {
	pause := uploadPause
	for tries := 1; ; tries++ {
		err := store()
		if err == nil || tries == maxUploads || ctx.Err() != nil || final(err) {
			return err
		}
		s.log.Warn("an upload failed and is tried again", "store", s.Name(), "cause", err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
			pause *= 2
		}
	}
}

// final reports whether trying again is of no use.
func final(err error) bool {
	return errors.Is(err, ErrRefused) || errors.Is(err, ErrCorrupt) || errors.Is(err, os.ErrNotExist) ||
		errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// thereLocked reports whether the owner's object of the chunk is there, and looks at the store for it: nobody else ought
// to delete it, but an acknowledgement is not to rest on that. The caller holds the chunk's lock.
func (s *Shared) thereLocked(ctx context.Context, o *owner, ref checkpoint.ChunkRef) (bool, error) {
	n, stored, found := o.lookup(ref.ID)
	if !found || n.chunk.Size != ref.Size {
		return false, nil
	}
	info, err := s.objects.Head(ctx, n.key())
	switch {
	case err == nil && info.Size == stored:
		return true, nil
	case err == nil || errors.Is(err, ErrNoObject):
		s.log.Error("somebody else has removed or changed what this process stored", "store", s.Name(), "key", n.key(), "size", info.Size)
		o.doubt(n)
		return false, nil
	}
	return false, err
}

// upload stores the chunk's content, encoded or from its file, and returns the size of the object.
func (s *Shared) upload(ctx context.Context, n objectName, c content) (stored int64, err error) {
	if c.encoded.Data != nil || c.file == "" {
		stored = int64(len(c.encoded.Data))
		return stored, s.objects.Put(ctx, n.key(), bytes.NewReader(c.encoded.Data), stored)
	}
	f, err := os.Open(c.file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err == nil && info.Size() != n.chunk.Size {
		err = fmt.Errorf("%s: %w: the file has %d bytes now, and had %d", c.file, ErrCorrupt, info.Size(), n.chunk.Size)
	}
	if err != nil {
		return 0, err
	}
	return n.chunk.Size, s.objects.Put(ctx, n.key(), io.NewSectionReader(f, 0, n.chunk.Size), n.chunk.Size)
}
