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
	// restore from a checkpoint that was taken later. There is no current key; it may go through all keys of the subtask
	// (ValueState.All).
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

// keyedUser is what all processors with state per key have in common, whatever records they take.
type keyedUser[K comparable, Out any] interface {
	Open(*ProcessContext[K]) error
	Finish(emit func(Out)) error
}

// processOperator runs a processor with state per key.
type processOperator[K comparable, Out any] struct {
	keyedOperator[K]
	processor keyedUser[K, Out]
	emit      func(Out)
}

func newProcessOperator[K comparable, Out any](c *chain, at int, keys codec.Codec[K], processor keyedUser[K, Out], outs outlets) *processOperator[K, Out] {
	o := &processOperator[K, Out]{
		keyedOperator: newKeyedOperator(c, at, keys, outs, processor), processor: processor, emit: mainOutput[Out](outs),
	}
	if p, is := any(processor).(TimerProcessor[K, Out]); is {
		o.onTimer = func(key K, t Timer) error { return p.OnTimer(key, t, o.emit) }
	}
	return o
}

func (o *processOperator[K, Out]) open(start start) error {
	return o.openWith(start.state, o.processor.Open)
}

// inputOf returns the function by which one of a processor's methods takes the records of an input.
func inputOf[K comparable, In, Out any](o *processOperator[K, Out], key func(In) K, process func(key K, in In, emit func(Out)) error) func(In) {
	return func(in In) { callKeyed(o, key(in), in, process) }
}

// callKeyed passes a record to one of the processor's methods. It is the hot path: it allocates nothing.
func callKeyed[K comparable, In, Out any](o *processOperator[K, Out], key K, in In, process func(key K, in In, emit func(Out)) error) {
	c := o.chain
	if c.err != nil {
		return
	}
	previous := c.enter(o.at)
	if o.enterKey(key) {
		if err := process(key, in, o.emit); err != nil {
			o.failAt(key, err)
		}
	}
	c.leave(previous)
}

func (o *processOperator[K, Out]) finish() error {
	o.dropTimers()
	return o.processor.Finish(o.emit)
}
