package dataflow

import (
	"fmt"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// Stream is the output of an operator: records of type T. It may be used by several operators; each of them
// receives every record.
type Stream[T any] struct {
	graph        *Graph
	node         *node
	codec        codec.Codec[T]
	partitioning checkpoint.Partitioning // towards the next operator: Forward or Rebalance
}

// KeyedStream is a stream whose records are grouped by key: all records of a key reach the same subtask.
type KeyedStream[K comparable, T any] struct {
	stream Stream[T]
	keys   codec.Codec[K]
	key    func(T) K
}

// From adds a source. The codec is that of the records; it is nil when they never leave their task, as every
// operator's codec may be.
func From[T any](g *Graph, id checkpoint.OperatorID, source Source[T], records codec.Codec[T], opts ...Option) Stream[T] {
	o := g.add(id, nil, buildSource(source), joinOutputs[T], opts)
	return Stream[T]{graph: g, node: o, codec: records, partitioning: checkpoint.Forward}
}

// Map adds an operator that turns each record into one other. The function is shared by the subtasks.
func Map[In, Out any](s Stream[In], id checkpoint.OperatorID, records codec.Codec[Out], f func(In) Out, opts ...Option) Stream[Out] {
	return transform(s, id, records, buildMap(f), opts)
}

// Filter adds an operator that keeps the records for which keep returns true. The function is shared by the
// subtasks.
func Filter[T any](s Stream[T], id checkpoint.OperatorID, keep func(T) bool, opts ...Option) Stream[T] {
	return transform(s, id, s.codec, buildFilter(keep), opts)
}

// FlatMap adds an operator that turns each record into any number of others, by calling emit. The function
// is shared by the subtasks; emit is valid until it returns.
func FlatMap[In, Out any](s Stream[In], id checkpoint.OperatorID, records codec.Codec[Out], f func(in In, emit func(Out)), opts ...Option) Stream[Out] {
	return transform(s, id, records, buildFlatMap(f), opts)
}

func transform[In, Out any](s Stream[In], id checkpoint.OperatorID, records codec.Codec[Out], build buildFunc, opts []Option) Stream[Out] {
	o := s.graph.add(id, s.link(), build, joinOutputs[Out], opts)
	return Stream[Out]{graph: s.graph, node: o, codec: records, partitioning: checkpoint.Forward}
}

// Rebalance spreads the records evenly over the subtasks of the next operator, which is then not chained.
func Rebalance[T any](s Stream[T]) Stream[T] {
	s.partitioning = checkpoint.Rebalance
	return s
}

// KeyBy groups the records by the key that the function finds in each. Equal keys must have equal encodings.
// The function is shared by the subtasks.
func KeyBy[K comparable, T any](s Stream[T], keys codec.Codec[K], key func(T) K) KeyedStream[K, T] {
	return KeyedStream[K, T]{stream: s, keys: keys, key: key}
}

// Process adds an operator with state per key. newProcessor is called once for each subtask.
func Process[K comparable, In, Out any](s KeyedStream[K, In], id checkpoint.OperatorID, records codec.Codec[Out],
	newProcessor func() KeyedProcessor[K, In, Out], opts ...Option,
) Stream[Out] {
	in := s.stream
	if s.keys == nil {
		in.graph.errs = append(in.graph.errs, fmt.Errorf("operator %s: the keys need a codec", id))
	}
	l := &link{
		from: in.node, partitioning: checkpoint.Hash, hasCodec: in.codec != nil,
		port: port{emitter: hashEmitter(s.keys, s.key, in.codec), reader: frameReaderOf(in.codec)},
	}
	o := in.graph.add(id, l, buildProcess(s.keys, s.key, newProcessor), joinOutputs[Out], opts)
	return Stream[Out]{graph: in.graph, node: o, codec: records, partitioning: checkpoint.Forward}
}

// To adds a sink at the end of the stream.
func To[T any](s Stream[T], id checkpoint.OperatorID, sink Sink[T], opts ...Option) {
	s.graph.add(id, s.link(), buildSink(sink), nil, opts)
}

// link returns the way to the operator that is about to be added.
func (s Stream[T]) link() *link {
	return &link{
		from: s.node, partitioning: s.partitioning, hasCodec: s.codec != nil,
		port: port{emitter: turnEmitter(s.codec), reader: frameReaderOf(s.codec)},
	}
}
