package statestore

import (
	"context"
	"errors"
	"fmt"

	"cairn/checkpoint"
)

// Get implements Store. The process's own object is read first, then those of others, until one is good. A bad one is
// reported and stays, for people to look at; the process's own is stored anew by the next Put.
func (s *Shared) Get(ctx context.Context, ref checkpoint.ChunkRef) (data []byte, err error) {
	err = s.find(ctx, ref, func(e Encoded) (err error) {
		data, err = e.Decode(ref)
		return err
	})
	return data, err
}

// GetEncoded implements EncodedStore.
func (s *Shared) GetEncoded(ctx context.Context, ref checkpoint.ChunkRef) (found Encoded, err error) {
	err = s.find(ctx, ref, func(e Encoded) error {
		found = e
		return e.verify(ref)
	})
	if err != nil {
		return Encoded{}, err
	}
	return found, nil
}

// find reads the chunk's objects until one is accepted.
func (s *Shared) find(ctx context.Context, ref checkpoint.ChunkRef, accept func(Encoded) error) error {
	if err := errors.Join(ctx.Err(), checkRef(ref)); err != nil {
		return err
	}
	o := s.owner.Load()
	own, _, found := o.lookup(ref.ID)
	var failures []error
	if found {
		err := s.read(ctx, own, ref, accept)
		if err == nil {
			return nil
		}
		if errors.Is(err, ErrCorrupt) && own.chunk == ref {
			o.doubt(own)
		}
		failures = append(failures, err)
	}
	for object, err := range s.objects.List(ctx, prefixOf(ref.ID)) {
		if err != nil {
			failures = append(failures, err)
			break
		}
		n, ours := parseObjectName(object.Key)
		if !ours || found && n == own {
			continue
		}
		if err := s.read(ctx, n, ref, accept); err == nil {
			return nil
		} else {
			failures = append(failures, err)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return unreadable(ref, failures)
}

// unreadable is the error of a chunk of which no object is good. It is ErrNotFound only if none is there.
func unreadable(ref checkpoint.ChunkRef, failures []error) error {
	var others []error
	for _, err := range failures {
		if !errors.Is(err, ErrNoObject) {
			others = append(others, err)
		}
	}
	if len(others) == 0 {
		return fmt.Errorf("chunk %s: %w", ref.ID, ErrNotFound)
	}
	return fmt.Errorf("chunk %s: %w", ref.ID, errors.Join(others...))
}

// read reads an object that may be what ref names. accept says whether it is.
func (s *Shared) read(ctx context.Context, n objectName, ref checkpoint.ChunkRef, accept func(Encoded) error) error {
	if n.chunk.Size != ref.Size {
		return fmt.Errorf("%w: %s is a chunk of %d bytes, not of %d", ErrCorrupt, n.key(), n.chunk.Size, ref.Size)
	}
	data, err := s.objects.Read(ctx, n.key(), 0, ref.Size+1)
	if err != nil {
		return err
	}
	if err := accept(Encoded{Encoding: n.encoding, Data: data}); err != nil {
		s.corrupt.Add(1)
		s.log.Error("a damaged object in the shared store", "store", s.Name(), "key", n.key(), "cause", err)
		return err
	}
	return nil
}

// Has implements Store: it answers for the process's own object alone, since others may delete theirs.
func (s *Shared) Has(ctx context.Context, ref checkpoint.ChunkRef) (has bool, err error) {
	if err := s.locks.lock(ctx, ref.ID); err != nil {
		return false, err
	}
	defer s.locks.unlock(ref.ID)
	err = s.alive(ctx, func(o *owner) error {
		if n, _, found := o.lookup(ref.ID); !found || n.chunk != ref {
			has = false
			return nil
		}
		return s.confirmed(ctx, o, func(ctx context.Context) (err error) {
			has, err = s.thereLocked(ctx, o, ref)
			return err
		})
	})
	if err != nil {
		return false, s.failed("look up chunk "+ref.ID.String(), err)
	}
	return has, nil
}

// Report says how the store is, as far as this process knows: the chunks are those that it has stored itself.
func (s *Shared) Report() checkpoint.StoreReport {
	r := checkpoint.StoreReport{Path: s.Name(), Quarantined: s.corrupt.Load()}
	r.Chunks, r.Bytes, r.StoredBytes = s.owner.Load().usage()
	return r
}
