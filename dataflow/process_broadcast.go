package dataflow

import (
	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// BroadcastProcessor is an operator with state per key and a second input that reaches every subtask whole: rules, for
// instance, by which the records are judged. There is one for each subtask; it belongs to one goroutine and needs no locks.
// One that registers timers is a TimerProcessor, too. How the records of the two streams interleave is not defined, and
// differs between subtasks.
type BroadcastProcessor[K comparable, In, R, Out any] interface {
	// Open is what it is for a KeyedProcessor, and declares broadcast state, with NewBroadcastState.
	Open(*ProcessContext[K]) error
	// Process takes in a record of the keyed stream. It may read broadcast state. State per key is that of the record's
	// key. emit is valid until it returns.
	Process(key K, in In, emit func(Out)) error
	// ProcessBroadcast takes in a record of the broadcast stream, on every subtask. What it makes of broadcast state must
	// follow from the record and that state alone. There is no current key: using timers or the state of a key is a panic;
	// going through the state of all keys (ValueState.All) is not. What it emits is emitted by every subtask.
	ProcessBroadcast(rule R, emit func(Out)) error
	// Finish is called when both inputs have ended, as it is for a KeyedProcessor.
	Finish(emit func(Out)) error
}

// ProcessBroadcast adds an operator with state per key that every record of rules reaches on every subtask, however that
// stream is partitioned. newProcessor is called once for each subtask. The watermark is the lower one of the two streams:
// one of rules that has none, or seldom a record, wants WatermarkStrategy.WithIdleness.
func ProcessBroadcast[K comparable, In, R, Out any](s KeyedStream[K, In], rules Stream[R], id checkpoint.OperatorID,
	records codec.Codec[Out], newProcessor func() BroadcastProcessor[K, In, R, Out], opts ...Option,
) Stream[Out] {
	build := func(c *chain, at int, outs outlets) (operator, []any) {
		p := newProcessor()
		o := newProcessOperator[K, Out](c, at, s.keys, p, outs)
		o.states.broadcast = true
		return o, []any{inputOf(o, s.key, p.Process), func(rule R) { callBroadcast(o, rule, p.ProcessBroadcast) }}
	}
	return connect(s.stream.graph, rules.graph, id, s.links(id, 0), Broadcast(rules).links(1), records, build, opts)
}

// callBroadcast passes a record of the broadcast stream to a processor. There is no current key.
func callBroadcast[K comparable, R, Out any](o *processOperator[K, Out], rule R, process func(rule R, emit func(Out)) error) {
	c := o.chain
	if c.err != nil {
		return
	}
	previous := c.enter(o.at)
	o.leaveKey()
	o.states.writable = true
	if err := process(rule, o.emit); err != nil {
		c.fail(err)
	}
	o.states.writable = false
	c.leave(previous)
}
