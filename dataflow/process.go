package dataflow

import (
	"fmt"

	"cairn/dataflow/codec"
)

// KeyedProcessor is an operator with state per key. There is one for each subtask; it belongs to one
// goroutine and needs no locks. One that registers timers is a TimerProcessor, too.
type KeyedProcessor[K comparable, In, Out any] interface {
	// Open declares the state, with NewValueState, NewListState and so on. It is called before the state is restored:
	// values cannot be read yet. The context may be kept, for its timers and times.
	Open(*ProcessContext[K]) error
	// Process takes in a record. State that it reads and writes is that of the record's key. emit is valid
	// until Process returns.
	Process(key K, in In, emit func(Out)) error
	// Finish is called at the end of the input, when all timers in event time have fired, once, and not again after a
	// restore from a checkpoint that was taken later. It may go through all keys of the subtask (ValueState.All).
	Finish(emit func(Out)) error
}

// ProcessContext is what a processor with state per key is opened with. It belongs to the processor's goroutine. Its
// methods are for Process, OnTimer and Finish.
type ProcessContext[K comparable] struct {
	OperatorContext

	keyed    *keyedState[K]
	operator *keyedOperator[K] // nil in tests of state alone
}

// declare adds a table of the processor's state.
func (c *ProcessContext[K]) declare(t keyedTable) {
	if c.operator != nil && c.operator.opened {
		c.note(fmt.Errorf("state %q is declared after Open", t.tableName()))
		return
	}
	c.note(c.keyed.declare(t))
}

// processOperator runs a KeyedProcessor.
type processOperator[K comparable, In, Out any] struct {
	keyedOperator[K]
	processor KeyedProcessor[K, In, Out]
	emit      func(Out)
}

func newProcessOperator[K comparable, In, Out any](c *chain, at int, keys codec.Codec[K], processor KeyedProcessor[K, In, Out],
	outs outlets,
) *processOperator[K, In, Out] {
	o := &processOperator[K, In, Out]{
		keyedOperator: newKeyedOperator(c, at, keys, outs, processor), processor: processor, emit: mainOutput[Out](outs),
	}
	if p, is := any(processor).(TimerProcessor[K, Out]); is {
		o.onTimer = func(key K, t Timer) error { return p.OnTimer(key, t, o.emit) }
	}
	return o
}

func (o *processOperator[K, In, Out]) open(start start) error {
	return o.openWith(start.state, o.processor.Open)
}

// process takes in one record. It is the hot path: it allocates nothing.
func (o *processOperator[K, In, Out]) process(key K, in In) {
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

func (o *processOperator[K, In, Out]) finish() error {
	o.dropTimers()
	return o.processor.Finish(o.emit)
}
