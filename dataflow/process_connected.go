package dataflow

import (
	"fmt"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// KeyedCoProcessor is an operator with two inputs and state per key, which both see: a record of either stream with a
// key reaches the same subtask. There is one for each subtask; it belongs to one goroutine and needs no locks. One that
// registers timers is a TimerProcessor, too. How the records of the two streams interleave is not defined.
type KeyedCoProcessor[K comparable, A, B, Out any] interface {
	// Open is what it is for a KeyedProcessor.
	Open(*ProcessContext[K]) error
	// ProcessFirst takes in a record of the first stream. State that it reads and writes is that of the record's key. emit
	// is valid until it returns.
	ProcessFirst(key K, a A, emit func(Out)) error
	// ProcessSecond takes in a record of the second stream.
	ProcessSecond(key K, b B, emit func(Out)) error
	// Finish is called when both inputs have ended, as it is for a KeyedProcessor.
	Finish(emit func(Out)) error
}

// ProcessConnected adds an operator with two inputs and state per key. newProcessor is called once for each subtask. The
// watermark is the lower one of the two streams. Equal keys must have equal encodings in both.
func ProcessConnected[K comparable, A, B, Out any](first KeyedStream[K, A], second KeyedStream[K, B], id checkpoint.OperatorID,
	records codec.Codec[Out], newProcessor func() KeyedCoProcessor[K, A, B, Out], opts ...Option,
) Stream[Out] {
	return connect(first.stream.graph, second.stream.graph, id, first.links(id, 0), second.links(id, 1), records,
		buildCoProcess(first.keys, first.key, second.key, newProcessor), opts)
}

// MapConnected adds an operator that turns each record of either stream into one of a common type. The functions are
// shared by the subtasks.
func MapConnected[A, B, Out any](first Stream[A], second Stream[B], id checkpoint.OperatorID, records codec.Codec[Out],
	mapFirst func(A) Out, mapSecond func(B) Out, opts ...Option,
) Stream[Out] {
	return connect(first.graph, second.graph, id, first.links(0), second.links(1), records,
		buildPair(buildMap(mapFirst), buildMap(mapSecond)), opts)
}

// FlatMapConnected adds an operator that turns each record of either stream into any number of a common type, by calling
// emit. The functions are shared by the subtasks; emit is valid until they return.
func FlatMapConnected[A, B, Out any](first Stream[A], second Stream[B], id checkpoint.OperatorID, records codec.Codec[Out],
	flatMapFirst func(a A, emit func(Out)), flatMapSecond func(b B, emit func(Out)), opts ...Option,
) Stream[Out] {
	return connect(first.graph, second.graph, id, first.links(0), second.links(1), records,
		buildPair(buildFlatMap(flatMapFirst), buildFlatMap(flatMapSecond)), opts)
}

// connect adds an operator with two inputs.
func connect[Out any](g, other *Graph, id checkpoint.OperatorID, first, second []*link, records codec.Codec[Out], build buildFunc, opts []Option) Stream[Out] {
	if g != other {
		g.fail(fmt.Errorf("operator %s: the streams that it connects belong to different graphs", id))
	}
	return streamOf(g, g.add(id, append(first, second...), build, joinOutputs[Out], opts), records).as("process of two inputs")
}

// buildPair makes one operator with two inputs of two without state that have one.
func buildPair(first, second buildFunc) buildFunc {
	return func(c *chain, at int, outs outlets) (operator, []any) {
		op, in := first(c, at, outs)
		_, other := second(c, at, outs)
		return op, append(in, other...)
	}
}

func buildCoProcess[K comparable, A, B, Out any](keys codec.Codec[K], first func(A) K, second func(B) K,
	newProcessor func() KeyedCoProcessor[K, A, B, Out],
) buildFunc {
	return func(c *chain, at int, outs outlets) (operator, []any) {
		p := newProcessor()
		o := newProcessOperator[K, Out](c, at, keys, p, outs)
		return o, []any{inputOf(o, first, p.ProcessFirst), inputOf(o, second, p.ProcessSecond)}
	}
}
