package dataflow

import (
	"bytes"
	"fmt"
	"iter"
	"slices"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// BroadcastState is a map of which each subtask of an operator has a copy. All of them see the same records of the
// broadcast stream, and only those may change it, so that the copies are the same. It is meant for what fits into memory,
// like rules.
type BroadcastState[MK comparable, MV any] struct {
	name    string
	of      *operatorStates
	keys    codec.Codec[MK]
	values  codec.Codec[MV]
	entries map[MK]MV
	order   []MK // sorted by their encodings; nil when that has to be done
}

// NewBroadcastState declares state in the Open of an operator with a broadcast stream. The name is unique within the
// operator; restored state is matched by it.
func NewBroadcastState[MK comparable, MV any](ctx StateContext, name string, keys codec.Codec[MK], values codec.Codec[MV]) *BroadcastState[MK, MV] {
	c := ctx.context()
	s := &BroadcastState[MK, MV]{name: name, of: c.states, keys: keys, values: values, entries: make(map[MK]MV)}
	if !s.of.broadcast {
		c.note(fmt.Errorf("broadcast state %q: the operator has no broadcast stream (ProcessBroadcast)", name))
		return s
	}
	c.note(s.of.declare(s))
	return s
}

// Get returns the value of a key, or false when it has none.
func (s *BroadcastState[MK, MV]) Get(mk MK) (MV, bool) {
	mv, found := s.entries[mk]
	return mv, found
}

// All goes through the entries, in the order of their keys' encodings. The loop's body may put and delete entries where
// that is allowed; one that it adds does not come.
func (s *BroadcastState[MK, MV]) All() iter.Seq2[MK, MV] {
	return func(yield func(MK, MV) bool) {
		for _, mk := range s.sorted() {
			if mv, found := s.entries[mk]; found && !yield(mk, mv) {
				return
			}
		}
	}
}

// Len is the number of entries.
func (s *BroadcastState[MK, MV]) Len() int { return len(s.entries) }

// Put sets the value of a key. It is for ProcessBroadcast: elsewhere the task fails.
func (s *BroadcastState[MK, MV]) Put(mk MK, mv MV) {
	if !s.of.mayWrite(s.name) {
		return
	}
	if _, found := s.entries[mk]; !found {
		s.order = nil
		if _, err := checkComesBack(s.keys, mk, nil); err != nil {
			s.of.chain.fail(fmt.Errorf("broadcast state %q: %w", s.name, err))
			return
		}
	}
	s.entries[mk] = mv
}

// Delete removes a key. It is for ProcessBroadcast: elsewhere the task fails.
func (s *BroadcastState[MK, MV]) Delete(mk MK) {
	if _, found := s.entries[mk]; found && s.of.mayWrite(s.name) {
		delete(s.entries, mk)
		s.order = nil
	}
}

// sorted returns the keys in their order. It is settled once behind each change of the set of keys.
func (s *BroadcastState[MK, MV]) sorted() []MK {
	if s.order != nil || len(s.entries) == 0 {
		return s.order
	}
	encoded := make(map[MK][]byte, len(s.entries))
	for mk := range s.entries {
		encoded[mk] = s.keys.Append(nil, mk)
		s.order = append(s.order, mk)
	}
	slices.SortFunc(s.order, func(a, b MK) int { return bytes.Compare(encoded[a], encoded[b]) })
	return s.order
}

func (s *BroadcastState[MK, MV]) stateName() string { return s.name }

func (s *BroadcastState[MK, MV]) stateKind() checkpoint.HandleKind { return checkpoint.BroadcastState }

func (s *BroadcastState[MK, MV]) snapshot() [][]byte {
	entries := make([][]byte, 0, len(s.entries))
	for mk, mv := range s.All() {
		entries = append(entries, s.values.Append(s.keys.Append(nil, mk), mv))
	}
	return entries
}

func (s *BroadcastState[MK, MV]) load(entries [][]byte) error {
	for i, e := range entries {
		mk, n, err := s.keys.Decode(e)
		if err != nil {
			return fmt.Errorf("broadcast state %q: key %d of %d: %w", s.name, i, len(entries), err)
		}
		mv, m, err := s.values.Decode(e[n:])
		switch {
		case err != nil:
			return fmt.Errorf("broadcast state %q: the value of key %v: %w", s.name, mk, err)
		case n+m != len(e):
			return fmt.Errorf("broadcast state %q: %d bytes behind the value of key %v", s.name, len(e)-n-m, mk)
		}
		s.entries[mk] = mv
	}
	return nil
}
