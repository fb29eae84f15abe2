package dataflow

import (
	"log/slog"

	"cairn/checkpoint"
)

// OperatorContext is what a processor of any kind is opened with. It may be kept; it belongs to the processor's goroutine.
// Its methods are for the processor's methods behind Open.
type OperatorContext struct {
	Subtask     checkpoint.SubtaskID
	Parallelism int // of the operator: Subtask.Index lies below it
	Logger      *slog.Logger

	chain     *chain // nil in tests of state alone
	watermark EventTime
	outs      outlets
	states    *operatorStates
	err       error // the first thing that could not be declared
}

// StateContext is what state without keys, and side outputs, are declared with: an OperatorContext or a ProcessContext.
type StateContext interface{ context() *OperatorContext }

func (c *OperatorContext) context() *OperatorContext { return c }

func newOperatorContext(c *chain, at int, outs outlets, states *operatorStates) OperatorContext {
	return OperatorContext{
		Subtask: c.subtask, Parallelism: c.parallelism, Logger: c.logger(at),
		chain: c, watermark: MinEventTime, outs: outs, states: states,
	}
}

func (c *OperatorContext) note(err error) {
	if c.err == nil {
		c.err = err
	}
}

// Timestamp is the event time of the record under way, or of the timer; NoTimestamp when it has none.
func (c *OperatorContext) Timestamp() EventTime { return c.chain.timestamp }

// Watermark says how far event time has come: no record with this event time or an earlier one is expected any more.
// It is MinEventTime while nothing is known, also after a restore, and MaxEventTime at the end of the input.
func (c *OperatorContext) Watermark() EventTime { return c.watermark }

// ProcessingTime is the time of the node's clock.
func (c *OperatorContext) ProcessingTime() EventTime { return EventTimeOf(c.chain.now()) }
