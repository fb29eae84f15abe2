package dataflow

import (
	"fmt"
	"log/slog"

	"cairn/checkpoint"
)

// KeyedProcessor is an operator with state per key. There is one for each subtask; it belongs to one
// goroutine and needs no locks.
type KeyedProcessor[K comparable, In, Out any] interface {
	// Open declares the state, with NewValueState. It is called before the state is restored: values cannot
	// be read yet.
	Open(*ProcessContext[K]) error
	// Process takes in a record. State that it reads and writes is that of the record's key. emit is valid
	// until Process returns.
	Process(key K, in In, emit func(Out)) error
	// Finish is called at the end of the input, once, and not again after a restore from a checkpoint that
	// was taken later. It may go through all keys of the subtask (ValueState.All).
	Finish(emit func(Out)) error
}

// ProcessContext is what a processor is opened with.
type ProcessContext[K comparable] struct {
	Subtask     checkpoint.SubtaskID
	Parallelism int // of the operator: Subtask.Index lies below it
	Logger      *slog.Logger

	keyed *keyedState[K]
	outs  outlets
	err   error // the first state that could not be declared
}

// processOperator runs a KeyedProcessor.
type processOperator[K comparable, In, Out any] struct {
	chain     *chain
	at        int
	processor KeyedProcessor[K, In, Out]
	keyed     *keyedState[K]
	emit      func(Out)
	outs      outlets
}

func (o *processOperator[K, In, Out]) open(start start) error {
	c := o.chain
	ctx := &ProcessContext[K]{Subtask: c.subtask, Parallelism: c.parallelism, Logger: c.logger(o.at), keyed: o.keyed, outs: o.outs}
	if err := o.processor.Open(ctx); err != nil {
		return err
	}
	if ctx.err != nil {
		return ctx.err
	}
	return start.state.loadKeyed(o.keyed)
}

// process takes in one record. It is the hot path: it allocates nothing.
func (o *processOperator[K, In, Out]) process(key K, in In) {
	c := o.chain
	if c.err != nil {
		return
	}
	previous := c.enter(o.at)
	err := o.keyed.setKey(key)
	if err == nil {
		err = o.processor.Process(key, in, o.emit)
	}
	if err != nil {
		c.fail(fmt.Errorf("key %v: %w", key, err))
	}
	c.leave(previous)
}

func (o *processOperator[K, In, Out]) onWatermark(EventTime) {}

func (o *processOperator[K, In, Out]) finish() error { return o.processor.Finish(o.emit) }

func (o *processOperator[K, In, Out]) capture(s *snapshot) error {
	s.addKeyed(o.chain.ids[o.at], o.keyed.capture())
	return nil
}

func (o *processOperator[K, In, Out]) notifyComplete(checkpoint.ID) error { return nil }

func (o *processOperator[K, In, Out]) close() error { return nil }
