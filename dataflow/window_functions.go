package dataflow

import (
	"fmt"
	"iter"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// AggregateWindow adds an operator that keeps an accumulator for each window of each key. result emits what comes of
// it; it is called again with the new result for each late record that is allowed. The accumulators' codec is that of
// the state. The aggregate and the function are shared by the subtasks; emit is valid until the function returns.
func AggregateWindow[K comparable, In, Acc, R, Out any](w WindowedStream[K, In], id checkpoint.OperatorID, records codec.Codec[Out],
	accumulators codec.Codec[Acc], aggregate Aggregate[In, Acc, R], result func(key K, w TimeWindow, r R, emit func(Out)), opts ...Option,
) Stream[Out] {
	return addWindows(w, id, records, func() windowContents[K, In, Acc, Out] {
		return &aggregated[K, In, Acc, R, Out]{accumulators, aggregate, result}
	}, opts)
}

// ReduceWindow adds an operator that folds the records of each window of each key into one and emits that. The function
// may change neither of its arguments in place, and is shared by the subtasks.
func ReduceWindow[K comparable, T any](w WindowedStream[K, T], id checkpoint.OperatorID, reduce func(sum, v T) T, opts ...Option) Stream[T] {
	records := w.keyed.stream.codec()
	return addWindows(w, id, records, func() windowContents[K, T, T, T] {
		return &reduced[K, T]{records, reduce}
	}, opts)
}

// ProcessWindow adds an operator that keeps all records of each window of each key and passes them to the function, in
// the order in which they came; those of sessions that have become one follow each other. What can be aggregated should
// be: AggregateWindow keeps less. The function is shared by the subtasks; all and emit are valid until it returns.
func ProcessWindow[K comparable, T, Out any](w WindowedStream[K, T], id checkpoint.OperatorID, records codec.Codec[Out],
	process func(key K, w TimeWindow, all iter.Seq[T], emit func(Out)), opts ...Option,
) Stream[Out] {
	kept := w.keyed.stream.codec()
	return addWindows(w, id, records, func() windowContents[K, T, entryList, Out] {
		return &collected[K, T, Out]{records: kept, process: process}
	}, opts)
}

// addWindows adds a window operator with one input.
func addWindows[K comparable, In, Acc, Out any](w WindowedStream[K, In], id checkpoint.OperatorID, records codec.Codec[Out],
	newContents func() windowContents[K, In, Acc, Out], opts []Option,
) Stream[Out] {
	s := w.keyed
	build := func(c *chain, at int, outs outlets) (operator, []any) {
		o := newWindowOperator(c, at, outs, w, newContents())
		return o, oneInput(func(v In) { o.process(s.key(v), v) })
	}
	g := s.stream.graph
	windows := streamOf(g, g.add(id, s.links(id, 0), build, joinOutputs[Out], opts), records).as(
		fmt.Sprintf("%s, allowed lateness %s, %s", w.assigner, w.options.lateness, typeName(newContents())))
	if w.options.processing {
		return windows
	}
	return windows.needingTime()
}
