package dataflow

import (
	"fmt"
	"iter"
	"slices"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// OperatorListState is a list without keys, of which each subtask of an operator has a part: a buffer of records, the
// partitions that a subtask looks after. It is meant for what fits into memory: a snapshot serializes it while the task
// stands still. It belongs to the processor that declared it, which uses it behind Open. Elements are not changed in place.
type OperatorListState[T any] struct {
	name     string
	kind     checkpoint.HandleKind
	codec    codec.Codec[T]
	elements []T
}

// NewOperatorListState declares state in a processor's Open. The elements of all subtasks are dealt out evenly, in order,
// when the parallelism has changed. The name is unique within the operator; restored state is matched by it.
func NewOperatorListState[T any](ctx StateContext, name string, elements codec.Codec[T]) *OperatorListState[T] {
	return newOperatorList(ctx, name, checkpoint.ListState, elements)
}

// NewUnionListState declares state in a processor's Open, as NewOperatorListState does. At every restore, also with the same
// parallelism, each subtask receives the elements of all of them: it keeps its share (Replace, at the latest in
// CheckpointedProcessor.SnapshotState), or the lists multiply.
func NewUnionListState[T any](ctx StateContext, name string, elements codec.Codec[T]) *OperatorListState[T] {
	return newOperatorList(ctx, name, checkpoint.UnionState, elements)
}

func newOperatorList[T any](ctx StateContext, name string, kind checkpoint.HandleKind, elements codec.Codec[T]) *OperatorListState[T] {
	s := &OperatorListState[T]{name: name, kind: kind, codec: elements}
	c := ctx.context()
	c.note(c.states.declare(s))
	return s
}

// Len is the number of elements.
func (s *OperatorListState[T]) Len() int { return len(s.elements) }

// All goes through the elements, in order. The loop's body does not change the list.
func (s *OperatorListState[T]) All() iter.Seq[T] { return slices.Values(s.elements) }

// Add appends an element.
func (s *OperatorListState[T]) Add(v T) { s.elements = append(s.elements, v) }

// Replace makes the list that of the given elements, which are copied.
func (s *OperatorListState[T]) Replace(elements []T) { s.elements = slices.Clone(elements) }

// Clear removes all elements.
func (s *OperatorListState[T]) Clear() {
	clear(s.elements) // what they refer to is not kept alive
	s.elements = s.elements[:0]
}

func (s *OperatorListState[T]) stateName() string { return s.name }

func (s *OperatorListState[T]) stateKind() checkpoint.HandleKind { return s.kind }

func (s *OperatorListState[T]) snapshot() [][]byte {
	entries := make([][]byte, 0, len(s.elements))
	for _, v := range s.elements {
		entries = append(entries, s.codec.Append(nil, v))
	}
	return entries
}

func (s *OperatorListState[T]) load(entries [][]byte) error {
	for i, e := range entries {
		v, n, err := s.codec.Decode(e)
		switch {
		case err != nil:
			return fmt.Errorf("%s state %q: element %d of %d: %w", s.kind, s.name, i, len(entries), err)
		case n != len(e):
			return fmt.Errorf("%s state %q: %d bytes behind element %d of %d", s.kind, s.name, len(e)-n, i, len(entries))
		}
		s.elements = append(s.elements, v)
	}
	return nil
}
