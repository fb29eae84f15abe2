package dataflow

import (
	"fmt"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// Stream is the output of an operator, or of several (Union): records of type T. It may be used by several operators;
// each of them receives every record.
type Stream[T any] struct {
	graph   *Graph
	outlets []outlet[T]
	// How the records get to the next operator.
	partitioning checkpoint.Partitioning // 0 when nobody has said: Forward where that is possible
	strict       bool
	emitter      emitterOf[T] // nil when nobody has said
}

// outlet is where records leave an operator.
type outlet[T any] struct {
	node  *node
	tag   string // of a side output; empty for the main one
	codec codec.Codec[T]
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
	return streamOf(g, g.add(id, nil, buildSource(source), joinOutputs[T], opts), records).as("source " + typeName(source))
}

// streamOf returns the main output of an operator.
func streamOf[T any](g *Graph, o *node, records codec.Codec[T]) Stream[T] {
	o.out = recordText(records)
	return Stream[T]{graph: g, outlets: []outlet[T]{{node: o, codec: records}}}
}

// Map adds an operator that turns each record into one other. The function is shared by the subtasks.
func Map[In, Out any](s Stream[In], id checkpoint.OperatorID, records codec.Codec[Out], f func(In) Out, opts ...Option) Stream[Out] {
	return transform(s, id, records, buildMap(f), opts).as("map")
}

// Filter adds an operator that keeps the records for which keep returns true. The function is shared by the
// subtasks.
func Filter[T any](s Stream[T], id checkpoint.OperatorID, keep func(T) bool, opts ...Option) Stream[T] {
	return transform(s, id, s.codec(), buildFilter(keep), opts).as("filter")
}

// FlatMap adds an operator that turns each record into any number of others, by calling emit. The function
// is shared by the subtasks; emit is valid until it returns.
func FlatMap[In, Out any](s Stream[In], id checkpoint.OperatorID, records codec.Codec[Out], f func(in In, emit func(Out)), opts ...Option) Stream[Out] {
	return transform(s, id, records, buildFlatMap(f), opts).as("flat map")
}

func transform[In, Out any](s Stream[In], id checkpoint.OperatorID, records codec.Codec[Out], build buildFunc, opts []Option) Stream[Out] {
	return streamOf(s.graph, s.graph.add(id, s.links(0), build, joinOutputs[Out], opts), records)
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
	g := s.stream.graph
	return streamOf(g, g.add(id, s.links(id, 0), buildProcess(s.keys, s.key, newProcessor), joinOutputs[Out], opts), records).as("process")
}

// To adds a sink at the end of the stream.
func To[T any](s Stream[T], id checkpoint.OperatorID, sink Sink[T], opts ...Option) {
	s.graph.add(id, s.links(0), buildSink(sink), nil, opts).kind = "sink " + typeName(sink)
}

// codec returns the codec of the records, to be used by an operator that does not change their type.
func (s Stream[T]) codec() codec.Codec[T] { return s.outlets[0].codec }

// links returns the ways to one input of the operator that is about to be added.
func (s Stream[T]) links(input int) []*link {
	partitioning, emitter := s.partitioning, s.emitter
	if emitter == nil {
		partitioning, emitter = checkpoint.Forward, turnEmitter
	}
	links := make([]*link, 0, len(s.outlets))
	for _, o := range s.outlets {
		links = append(links, &link{
			from: o.node, tag: o.tag, input: input, partitioning: partitioning, strict: s.strict, hasCodec: o.codec != nil,
			port: port{emitter: emitter(o.codec), reader: frameReaderOf(o.codec)},
		})
	}
	return links
}

// links returns the ways to one input of the operator with state per key that is about to be added.
func (s KeyedStream[K, T]) links(id checkpoint.OperatorID, input int) []*link {
	if s.keys == nil {
		s.stream.graph.fail(fmt.Errorf("operator %s: the keys need a codec", id))
	}
	links := s.stream.partitioned(checkpoint.Hash, false, hashEmitter(s.keys, s.key)).links(input)
	for _, l := range links {
		l.keys = recordText(s.keys)
	}
	return links
}
