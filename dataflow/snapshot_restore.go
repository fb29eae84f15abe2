package dataflow

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"cairn/checkpoint"
)

// operatorState is what one operator of a task is restored from. What the operator does not take is an error:
// state must not vanish unnoticed.
type operatorState struct {
	restored bool // the job goes on from a checkpoint; the operator may be new in it all the same
	lists    map[string][][]byte
	keyed    []keyedHandle // in the canonical format
	files    []keyedHandle // of a backend on disk
}

// keyedHandle is keyed state that is read when the operator has declared its tables.
type keyedHandle struct {
	handle checkpoint.Handle
	open   func() (*stateReader, error)
}

// takeList returns the entries of a list state, and whether there was one.
func (s *operatorState) takeList(name string) (entries [][]byte, found bool) {
	entries, found = s.lists[name]
	delete(s.lists, name)
	return entries, found
}

// keyedLoader is a keyedState whatever its keys.
type keyedLoader interface {
	owned() checkpoint.KeyGroupRange
	loadShard(group int, table string, kind tableKind, count int, rows []byte) error
}

// takeFiles returns the handles that are files of a backend.
func (s *operatorState) takeFiles() []keyedHandle {
	files := s.files
	s.files = nil
	return files
}

// loadKeyed takes all keyed state: of each handle the key groups that it was narrowed to. Those are of several
// subtasks when the parallelism has changed.
func (s *operatorState) loadKeyed(into keyedLoader) error {
	if len(s.files) > 0 {
		return fmt.Errorf("its keyed state is files of state.backend pebble, and the job has state.backend memory: keep pebble, " +
			"or take a savepoint, from which any backend goes on")
	}
	handles := s.keyed
	s.keyed = nil
	for i, h := range handles {
		got := h.handle.KeyGroups
		if err := withinOwned(got, into.owned()); err != nil {
			return err
		}
		for _, other := range handles[:i] {
			if other.handle.KeyGroups.Overlaps(got) {
				return fmt.Errorf("keyed state of the key groups %d to %d comes twice", got.First, got.Last)
			}
		}
		if err := h.load(into); err != nil {
			return err
		}
	}
	return nil
}

// load takes the key groups that the handle was narrowed to.
func (h keyedHandle) load(into keyedLoader) error {
	r, err := h.open()
	if err != nil {
		return err
	}
	defer r.close()
	return r.keyed(h.handle.KeyGroups, into.loadShard)
}

// leftover returns an error that names state which the operator has not taken.
func (s *operatorState) leftover() error {
	if len(s.lists) > 0 {
		return fmt.Errorf("the checkpoint has list state %s, which the operator does not have", listed(s.lists))
	}
	if len(s.keyed) > 0 || len(s.files) > 0 {
		return errors.New("the checkpoint has keyed state, which the operator does not have")
	}
	return nil
}

// restoredStates divides a subtask's state among the operators of its chain. Lists are fetched now, keyed
// state when it is loaded. The store verifies every chunk.
func restoredStates(ctx context.Context, store ChunkStore, spec TaskSpec, ids []checkpoint.OperatorID) ([]*operatorState, error) {
	expect(ctx, store, spec.State.Handles)
	states := make([]*operatorState, len(ids))
	for i := range states {
		states[i] = &operatorState{restored: spec.Restore != 0, lists: make(map[string][][]byte)}
	}
	for _, h := range spec.State.Handles {
		if h.Kind == checkpoint.ChannelState {
			continue // of the task's channels, not of an operator
		}
		at := slices.Index(ids, h.Operator)
		if at < 0 {
			return nil, Permanent(fmt.Errorf("checkpoint %d has %s state of operator %s, which the job does not have in subtask %s",
				spec.Restore, h.Kind, h.Operator, spec.Subtask))
		}
		if err := states[at].add(ctx, store, h); err != nil {
			return nil, fmt.Errorf("checkpoint %d, %s state of operator %s: %w", spec.Restore, h.Kind, h.Operator, err)
		}
	}
	return states, nil
}

// expect tells the store which chunks are about to be read.
func expect(ctx context.Context, store ChunkStore, handles []checkpoint.Handle) {
	expecter, is := store.(ChunkExpecter)
	if !is {
		return
	}
	var refs []checkpoint.ChunkRef
	for _, h := range handles {
		refs = append(refs, h.Chunks...)
	}
	if len(refs) > 0 {
		expecter.Expect(ctx, refs)
	}
}

func (s *operatorState) add(ctx context.Context, store ChunkStore, h checkpoint.Handle) error {
	open := func(magic string, newest byte) (*stateReader, error) {
		return newStateReader(&chunkReader{ctx: ctx, store: store, refs: h.Chunks}, h.Size(), magic, newest)
	}
	switch h.Kind {
	case checkpoint.ListState, checkpoint.UnionState, checkpoint.BroadcastState:
		entries, err := listEntries(open, h)
		s.lists[h.Name] = append(s.lists[h.Name], entries...)
		return err
	case checkpoint.KeyedState:
		switch h.Format {
		case checkpoint.CanonicalFormat:
			s.keyed = append(s.keyed, keyedHandle{handle: h, open: func() (*stateReader, error) { return open(keyedMagic, keyedFormatVersion) }})
		case checkpoint.PebbleFormat:
			s.files = append(s.files, keyedHandle{handle: h, open: func() (*stateReader, error) { return open(filesMagic, filesFormatVersion) }})
		default:
			return fmt.Errorf("this build does not restore state in format %s", h.Format)
		}
		return nil
	}
	return fmt.Errorf("this build does not restore %s state", h.Kind)
}

// listEntries returns the entries that a handle stands for. A list without entries need not have content.
func listEntries(open func(magic string, newest byte) (*stateReader, error), h checkpoint.Handle) ([][]byte, error) {
	if h.Entries == 0 && len(h.Chunks) == 0 {
		return nil, nil
	}
	r, err := open(listMagic, listFormatVersion)
	if err != nil {
		return nil, err
	}
	defer r.close()
	return r.list(h.Entries, h.Take)
}
