package statestore

import (
	"context"
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
	EncodedStore
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
	}
}

var (
	_ Store         = (*Swept)(nil)
	_ FilePutter    = (*Swept)(nil)
	_ EncodedStore  = (*Swept)(nil)
	_ trustingStore = (*Swept)(nil)
)

// NewSwept returns own under sweeps. own is a Local or a Memory; the caller keeps it open and closes it.
func NewSwept(own ownStore) *Swept { return &Swept{own: own} }

// Mark opens a sweep. The numbers of sweeps grow, across leaders too: marking again changes nothing, and nor does
// a number below that of the mark in force.
func (s *Swept) Mark(sweep uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sweep > s.mu.sweep {
		s.mu.sweep, s.mu.kept = sweep, make(map[checkpoint.ChunkID]struct{})
	}
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
	if err == nil && !s.marked(sweep) {
		err = fmt.Errorf("sweep %d: %w", sweep, ErrNoMark)
	}
	return deleted, refused, err
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
	if err := e.verify(ref); err != nil {
		return err
	}
	return s.writeVerified(ctx, ref, content{encoded: e})
}

// GetEncoded implements EncodedStore.
func (s *Swept) GetEncoded(ctx context.Context, ref checkpoint.ChunkRef) (Encoded, error) {
	return s.own.GetEncoded(ctx, ref)
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

// List yields the chunks of the node, as Inventory does.
func (s *Swept) List(ctx context.Context) iter.Seq2[checkpoint.ChunkRef, error] {
	return s.own.List(ctx)
}
