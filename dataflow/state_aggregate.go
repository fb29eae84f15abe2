package dataflow

import "cairn/dataflow/codec"

// ReducingState holds one value of type V per key, into which further ones are folded. What is said of ValueState holds
// for it.
type ReducingState[K comparable, V any] struct {
	cells  valueCells[K, V]
	reduce func(sum, v V) V
}

// NewReducingState declares state in a processor's Open. The name is unique within the operator; restored state is
// matched by it. reduce puts two values together; it changes neither in place.
func NewReducingState[K comparable, V any](ctx *ProcessContext[K], name string, values codec.Codec[V], reduce func(sum, v V) V,
	opts ...StateOption,
) *ReducingState[K, V] {
	return &ReducingState[K, V]{cells: declareValues(ctx, name, values, opts), reduce: reduce}
}

// Add folds a value into that of the current key, or sets it when there is none.
func (s *ReducingState[K, V]) Add(v V) {
	if sum, found := s.cells.take(); found {
		v = s.reduce(sum, v)
	}
	s.cells.put(v)
}

// Get returns the value of the current key, or false when it has none.
func (s *ReducingState[K, V]) Get() (V, bool) { return s.cells.get() }

// Clear removes the value of the current key.
func (s *ReducingState[K, V]) Clear() { s.cells.delete() }

// Aggregate says how values of type In are collected in an accumulator, and what comes of it (Flink's
// AggregateFunction). It is shared by the subtasks and has no state of its own.
type Aggregate[In, Acc, Out any] interface {
	// New returns an accumulator of nothing.
	New() Acc
	// Add takes in a value. It may change the accumulator in place and return it.
	Add(acc Acc, v In) Acc
	// Result does not change the accumulator.
	Result(acc Acc) Out
	// Merge puts two accumulators together. It may change the first in place and return it. It is needed where windows
	// merge, and may panic elsewhere.
	Merge(a, b Acc) Acc
}

// AggregatingState holds one accumulator per key. What is said of ValueState holds for it.
type AggregatingState[K comparable, In, Acc, Out any] struct {
	cells     valueCells[K, Acc]
	aggregate Aggregate[In, Acc, Out]
}

// NewAggregatingState declares state in a processor's Open. The name is unique within the operator; restored state is
// matched by it. The codec is that of the accumulators.
func NewAggregatingState[K comparable, In, Acc, Out any](ctx *ProcessContext[K], name string, accumulators codec.Codec[Acc],
	aggregate Aggregate[In, Acc, Out], opts ...StateOption,
) *AggregatingState[K, In, Acc, Out] {
	return &AggregatingState[K, In, Acc, Out]{cells: declareValues(ctx, name, accumulators, opts), aggregate: aggregate}
}

// Add takes a value into the accumulator of the current key.
func (s *AggregatingState[K, In, Acc, Out]) Add(v In) {
	acc, found := s.cells.take()
	if !found {
		acc = s.aggregate.New()
	}
	s.cells.put(s.aggregate.Add(acc, v))
}

// Get returns the result for the current key, or false when nothing has been added.
func (s *AggregatingState[K, In, Acc, Out]) Get() (result Out, found bool) {
	acc, found := s.cells.get()
	if !found {
		return result, false
	}
	return s.aggregate.Result(acc), true
}

// Clear removes the accumulator of the current key.
func (s *AggregatingState[K, In, Acc, Out]) Clear() { s.cells.delete() }
