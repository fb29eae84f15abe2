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
		o := newBroadcastOperator(c, at, s.keys, newProcessor(), outs)
		return o, []any{func(v In) { o.process(s.key(v), v) }, o.processBroadcast}
	}
	return connect(s.stream.graph, rules.graph, id, s.links(id, 0), Broadcast(rules).links(1), records, build, opts)
}

// broadcastOperator runs a BroadcastProcessor.
type broadcastOperator[K comparable, In, R, Out any] struct {
	keyedOperator[K]
	processor BroadcastProcessor[K, In, R, Out]
	emit      func(Out)
}

func newBroadcastOperator[K comparable, In, R, Out any](c *chain, at int, keys codec.Codec[K], processor BroadcastProcessor[K, In, R, Out],
	outs outlets,
) *broadcastOperator[K, In, R, Out] {
	o := &broadcastOperator[K, In, R, Out]{
		keyedOperator: newKeyedOperator(c, at, keys, outs, processor), processor: processor, emit: mainOutput[Out](outs),
	}
	o.states.broadcast = true
	if p, is := any(processor).(TimerProcessor[K, Out]); is {
		o.onTimer = func(key K, t Timer) error { return p.OnTimer(key, t, o.emit) }
	}
	return o
}

func (o *broadcastOperator[K, In, R, Out]) open(start start) error {
	return o.openWith(start.state, o.processor.Open)
}

func (o *broadcastOperator[K, In, R, Out]) process(key K, in In) {
	c := o.chain
	if c.err != nil {
		return
	}
	previous := c.enter(o.at)
	if o.enterKey(key) {
		if err := o.processor.Process(key, in, o.emit); err != nil {
			o.failAt(key, err)
		}
	}
	c.leave(previous)
}

func (o *broadcastOperator[K, In, R, Out]) processBroadcast(rule R) {
	c := o.chain
	if c.err != nil {
		return
	}
	previous := c.enter(o.at)
	o.leaveKey()
	o.states.writable = true
	if err := o.processor.ProcessBroadcast(rule, o.emit); err != nil {
		c.fail(err)
	}
	o.states.writable = false
	c.leave(previous)
}

func (o *broadcastOperator[K, In, R, Out]) finish() error {
	o.dropTimers()
	return o.processor.Finish(o.emit)
}
