package dataflow

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// BroadcastState is a map of which each subtask of an operator has a copy. All of them see the same records of the
// broadcast stream, and only those may change it, so that the copies are the same. It is meant for what fits into memory,
// like rules.
type BroadcastState[MK comparable, MV any] struct {
	name    string
	of      *broadcastStates
	keys    codec.Codec[MK]
	values  codec.Codec[MV]
	entries map[MK]MV
	order   []MK // sorted by their encodings; nil when that has to be done
}

// NewBroadcastState declares state in a BroadcastProcessor's Open. The name is unique within the operator; restored state
// is matched by it.
func NewBroadcastState[K, MK comparable, MV any](ctx *ProcessContext[K], name string, keys codec.Codec[MK], values codec.Codec[MV]) *BroadcastState[MK, MV] {
	s := &BroadcastState[MK, MV]{name: name, of: ctx.broadcast, keys: keys, values: values, entries: make(map[MK]MV)}
	switch {
	case s.of == nil:
		ctx.note(fmt.Errorf("broadcast state %q: the operator has no broadcast stream (ProcessBroadcast)", name))
	case s.of.opened:
		ctx.note(fmt.Errorf("broadcast state %q is declared after Open", name))
	default:
		ctx.note(s.of.declare(s))
	}
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

// broadcastTable is a BroadcastState whatever its types.
type broadcastTable interface {
	stateName() string
	// snapshot returns the entries, in an order that depends on nothing else.
	snapshot() [][]byte
	load(entries [][]byte) error
}

// broadcastStates are all of an operator's.
type broadcastStates struct {
	chain    *chain
	tables   []broadcastTable
	opened   bool
	writable bool // a record of the broadcast stream is under way
}

func (b *broadcastStates) declare(t broadcastTable) error {
	name := t.stateName()
	same := func(other broadcastTable) bool { return other.stateName() == name }
	switch {
	case name == "" || slices.ContainsFunc(b.tables, same):
		return fmt.Errorf("broadcast state %q: the name is empty or declared twice", name)
	case strings.HasPrefix(name, reservedPrefix):
		return fmt.Errorf("broadcast state %q: names that begin with %q are the runtime's own", name, reservedPrefix)
	}
	b.tables = append(b.tables, t)
	return nil
}

// mayWrite fails the task where the copies would come to differ.
func (b *broadcastStates) mayWrite(name string) bool {
	if !b.writable {
		b.chain.fail(fmt.Errorf("broadcast state %q is written outside of ProcessBroadcast: the subtasks' copies would differ", name))
		return false
	}
	return true
}

// restore loads what the checkpoint has. A state that is new starts empty.
func (b *broadcastStates) restore(state *operatorState) error {
	b.opened = true
	var errs []error
	for _, t := range b.tables {
		entries, _ := state.takeList(t.stateName())
		errs = append(errs, t.load(entries))
	}
	return errors.Join(errs...)
}

// capture adds this subtask's copies to the snapshot. They are serialized at once: they are small.
func (b *broadcastStates) capture(s *snapshot, id checkpoint.OperatorID) {
	for _, t := range b.tables {
		s.addList(id, t.stateName(), checkpoint.BroadcastState, t.snapshot())
	}
}
