package dataflow

import (
	"fmt"
	"slices"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// IntervalJoin adds an operator that calls the function for each pair of records of the same key of which the second
// lies in an interval around the first: first + lower <= second <= first + upper, in event time. What the function emits
// has the later event time of the two. Records that come late are dropped and counted (Stats.LateRecords); the others are
// kept until the watermark says that no partner of theirs can come. The function is shared by the subtasks; emit is valid
// until it returns.
func IntervalJoin[K comparable, A, B, Out any](first KeyedStream[K, A], second KeyedStream[K, B], lower, upper time.Duration,
	id checkpoint.OperatorID, records codec.Codec[Out], join func(a A, b B, emit func(Out)), opts ...Option,
) Stream[Out] {
	g := first.stream.graph
	if lower > upper || lower%time.Millisecond != 0 || upper%time.Millisecond != 0 {
		g.fail(fmt.Errorf("operator %s: an interval from %s to %s: must be whole milliseconds, and not end before it begins",
			id, lower, upper))
	}
	build := func(c *chain, at int, outs outlets) (operator, []any) {
		o := &intervalJoin[K, A, B, Out]{
			keyedOperator: newKeyedOperator(c, at, first.keys, outs, nil), join: join, emit: mainOutput[Out](outs),
			lower: millis(lower), upper: millis(upper), codecs: sidesOf(first, second),
		}
		o.onTimer = o.forget
		return o, []any{
			func(v A) { o.processFirst(first.key(v), v) },
			func(v B) { o.processSecond(second.key(v), v) },
		}
	}
	return connect(g, second.stream.graph, id, first.links(id, 0), second.links(id, 1), records, build, opts).as(
		fmt.Sprintf("interval join from %s to %s", lower, upper)).needingTime()
}

// sideCodecs are the codecs of the records of a join's two inputs.
type sideCodecs[A, B any] struct {
	first  codec.Codec[A]
	second codec.Codec[B]
}

func sidesOf[K comparable, A, B any](first KeyedStream[K, A], second KeyedStream[K, B]) sideCodecs[A, B] {
	return sideCodecs[A, B]{first.stream.codec(), second.stream.codec()}
}

// The names of the tables of a join's records. They are persisted.
const (
	firstTable  = "first"
	secondTable = "second"
)

// intervalJoin keeps the records of both inputs by key and event time.
type intervalJoin[K comparable, A, B, Out any] struct {
	keyedOperator[K]
	join         func(A, B, func(Out))
	emit         func(Out)
	lower, upper EventTime // milliseconds
	codecs       sideCodecs[A, B]

	ctx    *ProcessContext[K]
	first  joinBuffer[K, A]
	second joinBuffer[K, B]
}

func (o *intervalJoin[K, A, B, Out]) open(start start) error {
	return o.openWith(start.state, func(ctx *ProcessContext[K]) error {
		o.ctx = ctx
		o.first = newJoinBuffer(ctx, firstTable, o.codecs.first)
		o.second = newJoinBuffer(ctx, secondTable, o.codecs.second)
		return nil
	})
}

func (o *intervalJoin[K, A, B, Out]) processFirst(key K, a A) {
	c := o.chain
	if c.err != nil {
		return
	}
	previous, at := c.enter(o.at), c.timestamp
	if o.enterKey(key) && o.inTime(key, at) {
		o.first.add(at, a)
		o.ctx.RegisterEventTimer(at + max(o.upper, 0))
		for partner, b := range o.second.between(at+o.lower, at+o.upper) {
			c.timestamp = max(at, partner)
			o.join(a, b, o.emit)
		}
	}
	c.timestamp = at
	c.leave(previous)
}

func (o *intervalJoin[K, A, B, Out]) processSecond(key K, b B) {
	c := o.chain
	if c.err != nil {
		return
	}
	previous, at := c.enter(o.at), c.timestamp
	if o.enterKey(key) && o.inTime(key, at) {
		o.second.add(at, b)
		o.ctx.RegisterEventTimer(at + max(-o.lower, 0))
		for partner, a := range o.first.between(at-o.upper, at-o.lower) {
			c.timestamp = max(at, partner)
			o.join(a, b, o.emit)
		}
	}
	c.timestamp = at
	c.leave(previous)
}

// inTime reports whether a record is neither late nor without an event time, which is an error.
func (o *intervalJoin[K, A, B, Out]) inTime(key K, at EventTime) bool {
	if err := checkWindowed(at); err != nil {
		o.failAt(key, err)
		return false
	}
	if at <= o.context.watermark {
		o.chain.lateRecords++
		return false
	}
	return true
}

// forget removes the records for which no partner can come any more. A timer of a record of one input may be in the place
// of one of the other: both are looked for.
func (o *intervalJoin[K, A, B, Out]) forget(_ K, t Timer) error {
	o.first.drop(t.At - max(o.upper, 0))
	o.second.drop(t.At - max(-o.lower, 0))
	return nil
}

func (o *intervalJoin[K, A, B, Out]) finish() error { return nil }

// joinBuffer is the records of one input of a join: of each key, those of the same event time in a list.
type joinBuffer[K comparable, T any] struct {
	lists *MapState[K, EventTime, []T]
	times []EventTime // of the records that are gone through
}

func newJoinBuffer[K comparable, T any](ctx *ProcessContext[K], name string, records codec.Codec[T]) joinBuffer[K, T] {
	return joinBuffer[K, T]{lists: NewMapState(ctx, name, codec.Codec[EventTime](eventTimeCodec{}), codec.Slice(records))}
}

func (b *joinBuffer[K, T]) add(at EventTime, v T) {
	list, _ := b.lists.take(at)
	b.lists.Put(at, append(list, v))
}

func (b *joinBuffer[K, T]) drop(at EventTime) { b.lists.Delete(at) }

// between goes through the records of the current key from one event time to another, in their order.
func (b *joinBuffer[K, T]) between(from, to EventTime) func(yield func(EventTime, T) bool) {
	b.times = b.times[:0]
	for at := range b.lists.All() {
		if from <= at && at <= to {
			b.times = append(b.times, at)
		}
	}
	slices.Sort(b.times)
	return func(yield func(EventTime, T) bool) {
		for _, at := range b.times {
			list, _ := b.lists.Get(at)
			for _, v := range list {
				if !yield(at, v) {
					return
				}
			}
		}
	}
}
