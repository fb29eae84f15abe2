package statestore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"cairn/checkpoint"
)

// maxKept bounds what a mark remembers, at some 50 MB. A node that is asked to keep more chunks between two marks
// gives the mark up, and deletes nothing in that sweep.
const maxKept = 1 << 20

// ownStore is a store that owns its copies, and takes data on trust.
type ownStore interface {
	Store
	Inventory
	trustingStore
}

// Swept is a node's own store, from which a leader's sweeps delete chunks. All that the node's tasks, its peers and
// the coordinators store goes through it: Mark opens a sweep, and from then on it notes every chunk that it is
// asked to keep, be it there already or not. Delete spares those, whatever the leader has concluded (I5). The notes
// are in memory: a process that starts anew deletes nothing until it is marked again.
//
// It implements Store and, for listing, Inventory. It is safe for concurrent use.
type Swept struct {
	own ownStore

	mu struct {
		sync.Mutex
		sweep uint64 // of the newest mark, 0 for none
		// kept are the chunks asked for since the mark; nil when the mark was given up.
		kept map[checkpoint.ChunkID]struct{}
		// departed are, in a shared store, those for whom this node deletes in this sweep.
		departed owners
	}
}

var (
	_ Store         = (*Swept)(nil)
	_ FilePutter    = (*Swept)(nil)
	_ EncodedStore  = (*Swept)(nil)
	_ trustingStore = (*Swept)(nil)
)

// sharingStore is a store in which other processes have chunks too, of whom some may be gone.
type sharingStore interface {
	// fence returns the processes that are gone for good: those on whose word nobody relies any more, for anything that
	// they are asked to keep after the call.
	fence(ctx context.Context, sweep uint64, live, gone []checkpoint.NodeRef) (owners, error)
	// Owners returns the other ones, and those of whom that is not sure yet.
	Owners(ctx context.Context) ([]checkpoint.NodeRef, error)
	// deleteDeparted deletes what they have of the chunks.
	deleteDeparted(ctx context.Context, ids []checkpoint.ChunkID, departed owners) error
}

// NewSwept returns own under sweeps. own is a Local, a Memory or a Shared; the caller keeps it open and closes it.
func NewSwept(own ownStore) *Swept { return &Swept{own: own} }

// Mark opens a sweep. The numbers of sweeps grow, across leaders too: marking again changes nothing, and nor does
// a number below that of the mark in force.
func (s *Swept) Mark(sweep uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sweep > s.mu.sweep {
		s.mu.sweep, s.mu.kept, s.mu.departed = sweep, make(map[checkpoint.ChunkID]struct{}), nil
	}
}

// Fence is for a shared store, and does nothing for another: it comes between the mark of a sweep and its
// acknowledgement, and finds out for whom this node deletes. The first of live deletes for those in gone. When it fails,
// the node deletes for nobody but itself, and the mark may be acknowledged all the same.
func (s *Swept) Fence(ctx context.Context, sweep uint64, live, gone []checkpoint.NodeRef) error {
	sharing, ok := s.own.(sharingStore)
	if !ok || !s.marked(sweep) {
		return nil
	}
	departed, err := sharing.fence(ctx, sweep, live, gone)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// Of a mark that is made again, the first fence counts: it may have been acknowledged already.
	if s.mu.sweep == sweep && s.mu.departed == nil {
		s.mu.departed = departed
	}
	return nil
}

// Delete deletes chunks for a sweep, except for those that this node was asked to keep since its mark. deleted
// counts the chunks that are gone now, refused those that were spared. It returns ErrNoMark when the sweep's mark is
// not in force, or stops to be meanwhile: then it may have deleted some of them.
func (s *Swept) Delete(ctx context.Context, sweep uint64, ids []checkpoint.ChunkID) (deleted, refused int, err error) {
	if !s.marked(sweep) {
		return 0, 0, fmt.Errorf("sweep %d: %w", sweep, ErrNoMark)
	}
	// A mark that is replaced takes its notes with it: from then on everything is spared.
	deleted, refused, err = s.own.Delete(ctx, ids, func(id checkpoint.ChunkID) bool { return s.keeps(sweep, id) })
	if sharing, ok := s.own.(sharingStore); ok {
		err = errors.Join(err, sharing.deleteDeparted(ctx, ids, s.departedOf(sweep)))
	}
	if err == nil && !s.marked(sweep) {
		err = fmt.Errorf("sweep %d: %w", sweep, ErrNoMark)
	}
	return deleted, refused, err
}

func (s *Swept) departedOf(sweep uint64) owners {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.sweep != sweep {
		return nil
	}
	return s.mu.departed
}

func (s *Swept) marked(sweep uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.sweep == sweep && s.mu.kept != nil
}

func (s *Swept) keeps(sweep uint64, id checkpoint.ChunkID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, kept := s.mu.kept[id]
	return kept || s.mu.sweep != sweep || s.mu.kept == nil
}

// note records that a chunk is wanted. It comes before the store is asked for the chunk: a Delete that misses the
// note has removed the file before the store looks for it.
func (s *Swept) note(id checkpoint.ChunkID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.mu.kept == nil:
	case len(s.mu.kept) >= maxKept:
		s.mu.kept = nil
	default:
		s.mu.kept[id] = struct{}{}
	}
}

// Put implements Store.
func (s *Swept) Put(ctx context.Context, data []byte) (checkpoint.ChunkRef, error) {
	ref, err := newRef(data)
	if err != nil {
		return checkpoint.ChunkRef{}, err
	}
	return ref, s.writeVerified(ctx, ref, content{data: data})
}

// PutFile implements FilePutter.
func (s *Swept) PutFile(ctx context.Context, path string) (checkpoint.ChunkRef, error) {
	ref, err := newFileRef(path)
	if err != nil {
		return checkpoint.ChunkRef{}, err
	}
	return ref, s.writeVerified(ctx, ref, content{file: path})
}

// Write implements Store.
func (s *Swept) Write(ctx context.Context, ref checkpoint.ChunkRef, data []byte) error {
	if err := verify(ref, data); err != nil {
		return err
	}
	return s.writeVerified(ctx, ref, content{data: data})
}

// WriteEncoded implements EncodedStore.
func (s *Swept) WriteEncoded(ctx context.Context, ref checkpoint.ChunkRef, e Encoded) error {
	if _, ok := s.own.(EncodedStore); !ok {
		data, err := e.Decode(ref)
		if err != nil {
			return err
		}
		return s.writeVerified(ctx, ref, content{data: data})
	}
	if err := e.verify(ref); err != nil {
		return err
	}
	return s.writeVerified(ctx, ref, content{encoded: e})
}

// GetEncoded implements EncodedStore.
func (s *Swept) GetEncoded(ctx context.Context, ref checkpoint.ChunkRef) (Encoded, error) {
	return AsPeer(s.own).Get(ctx, ref)
}

// writeVerified implements trustingStore.
func (s *Swept) writeVerified(ctx context.Context, ref checkpoint.ChunkRef, c content) error {
	s.note(ref.ID)
	return s.own.writeVerified(ctx, ref, c)
}

// Get implements Store.
func (s *Swept) Get(ctx context.Context, ref checkpoint.ChunkRef) ([]byte, error) {
	return s.own.Get(ctx, ref)
}

// Has implements Store. Who hears that the chunk is here need not send it, so the question counts as storing it.
func (s *Swept) Has(ctx context.Context, ref checkpoint.ChunkRef) (bool, error) {
	s.note(ref.ID)
	return s.own.Has(ctx, ref)
}

// Keep reports whether the chunk is held durably, and has it kept then, as if it had just been put. It is for the tasks of a
// node with a shared store, in which one copy is enough; those of others ask Replicated.
func (s *Swept) Keep(ctx context.Context, ref checkpoint.ChunkRef) (held bool, err error) {
	return s.Has(ctx, ref)
}

// List yields the chunks of the node, as Inventory does.
func (s *Swept) List(ctx context.Context) iter.Seq2[checkpoint.ChunkRef, error] {
	return s.own.List(ctx)
}

// Owners returns, for a shared store, the processes that may own objects there and of whom it is not sure yet that they
// are gone. It returns none for another store.
func (s *Swept) Owners(ctx context.Context) ([]checkpoint.NodeRef, error) {
	if sharing, ok := s.own.(sharingStore); ok {
		return sharing.Owners(ctx)
	}
	return nil, nil
}
