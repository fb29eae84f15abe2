package dataflow

import (
	"fmt"
	"iter"
	"slices"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// WindowJoin adds an operator that calls the function for each pair of records of the same key in the same window, when
// the window ends. Records that come late are dropped and counted (Stats.LateRecords). The function is shared by the
// subtasks; emit is valid until it returns.
func WindowJoin[K comparable, A, B, Out any](first KeyedStream[K, A], second KeyedStream[K, B], assigner WindowAssigner,
	id checkpoint.OperatorID, records codec.Codec[Out], join func(a A, b B, emit func(Out)), opts ...Option,
) Stream[Out] {
	pairs := func(_ K, _ TimeWindow, firsts iter.Seq[A], seconds iter.Seq[B], emit func(Out)) {
		partners := slices.Collect(seconds)
		if len(partners) == 0 {
			return
		}
		for a := range firsts {
			for _, b := range partners {
				join(a, b, emit)
			}
		}
	}
	return CoGroupWindow(first, second, assigner, id, records, pairs, opts...)
}

// CoGroupWindow adds an operator that calls the function with all records of a key and window, of both streams, when the
// window ends; either may have none. So it can do what a join cannot: an outer join, for instance. Records that come late
// are dropped and counted (Stats.LateRecords). The function is shared by the subtasks; what it is given is valid until it
// returns.
func CoGroupWindow[K comparable, A, B, Out any](first KeyedStream[K, A], second KeyedStream[K, B], assigner WindowAssigner,
	id checkpoint.OperatorID, records codec.Codec[Out],
	group func(key K, w TimeWindow, firsts iter.Seq[A], seconds iter.Seq[B], emit func(Out)), opts ...Option,
) Stream[Out] {
	g := first.stream.graph
	if err := assigner.validate(); err != nil {
		g.fail(fmt.Errorf("operator %s: windows: %w", id, err))
	}
	codecs := sidesOf(first, second)
	process := func(key K, w TimeWindow, all iter.Seq[either[A, B]], emit func(Out)) {
		group(key, w, firstsOf(all), secondsOf(all), emit)
	}
	build := func(c *chain, at int, outs outlets) (operator, []any) {
		contents := &collected[K, either[A, B], Out]{records: eitherCodec[A, B]{codecs}, process: process}
		windows := WindowedStream[K, either[A, B]]{keyed: KeyedStream[K, either[A, B]]{keys: first.keys}, assigner: assigner}
		o := newWindowOperator(c, at, outs, windows, contents)
		return o, []any{
			func(v A) { o.process(first.key(v), either[A, B]{first: v}) },
			func(v B) { o.process(second.key(v), either[A, B]{second: v, isSecond: true}) },
		}
	}
	return connect(g, second.stream.graph, id, first.links(id, 0), second.links(id, 1), records, build, opts).as("group of two inputs in " + assigner.String()).needingTime()
}

// either is a record of one of two streams.
type either[A, B any] struct {
	first    A
	second   B
	isSecond bool
}

func firstsOf[A, B any](all iter.Seq[either[A, B]]) iter.Seq[A] {
	return func(yield func(A) bool) {
		for e := range all {
			if !e.isSecond && !yield(e.first) {
				return
			}
		}
	}
}

func secondsOf[A, B any](all iter.Seq[either[A, B]]) iter.Seq[B] {
	return func(yield func(B) bool) {
		for e := range all {
			if e.isSecond && !yield(e.second) {
				return
			}
		}
	}
}

// eitherCodec is which stream a record is of, and the record.
type eitherCodec[A, B any] struct{ sides sideCodecs[A, B] }

func (c eitherCodec[A, B]) Append(dst []byte, e either[A, B]) []byte {
	dst = codec.Bool.Append(dst, e.isSecond)
	if e.isSecond {
		return c.sides.second.Append(dst, e.second)
	}
	return c.sides.first.Append(dst, e.first)
}

func (c eitherCodec[A, B]) Decode(src []byte) (e either[A, B], n int, err error) {
	e.isSecond, n, err = codec.Bool.Decode(src)
	if err != nil {
		return e, 0, err
	}
	var m int
	if e.isSecond {
		e.second, m, err = c.sides.second.Decode(src[n:])
	} else {
		e.first, m, err = c.sides.first.Decode(src[n:])
	}
	return e, n + m, err
}
