package dataflow

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// operator is one operator's instance in a task. All calls come from the task's goroutine.
type operator interface {
	// open restores the operator's state and makes it ready for records.
	open(start) error
	// finish emits what is left at the end of the input.
	finish() error
	// onWatermark says that no record with an event time up to w is to come.
	onWatermark(w EventTime)
	// capture adds the operator's state, as it is now, to the snapshot. It is the short synchronous part.
	capture(*snapshot) error
	// notifyComplete says that the checkpoint and all before it are settled.
	notifyComplete(checkpoint.ID) error
	close() error
}

// start is what an operator starts from.
type start struct {
	job     checkpoint.JobID
	attempt checkpoint.Attempt
	state   *operatorState
}

// buildFunc makes an operator's instance. outs take the records that it emits; ins are the functions that it takes
// records by, a boxed func(In) for each input, none for a source. Boxing ends here: records pass between the functions
// by plain calls. at is the operator's position in the chain.
type buildFunc func(c *chain, at int, outs outlets) (op operator, ins []any)

// outlets take the records of one operator.
type outlets struct {
	main  any            // a boxed func(Out); nil for a sink
	sides map[string]any // by tag: a boxed function for each side output that somebody reads
}

// mainOutput unboxes the function that takes an operator's records.
func mainOutput[T any](outs outlets) func(T) { return outs.main.(func(T)) }

// oneInput boxes the function by which an operator with one input takes records.
func oneInput[T any](in func(T)) []any { return []any{in} }

// joinFunc makes one boxed func(T) that calls all the given ones.
type joinFunc func(outs []any) any

func joinOutputs[T any](outs []any) any {
	switch len(outs) {
	case 0:
		return func(T) {}
	case 1:
		return outs[0]
	}
	all := make([]func(T), 0, len(outs))
	for _, out := range outs {
		all = append(all, out.(func(T)))
	}
	return func(v T) {
		for _, out := range all {
			out(v)
		}
	}
}

// chain is what the operators of one task share. It belongs to the task's goroutine.
type chain struct {
	ctx         context.Context // of Run
	log         *slog.Logger
	subtask     checkpoint.SubtaskID
	parallelism int
	groups      int // max parallelism
	ids         []checkpoint.OperatorID
	now         func() time.Time
	home        rowHome
	position    func() string // of the source's last record; nil when the chain has no source
	// currentKey shows the key that keyed state refers to; nil when the chain has no keyed operator.
	currentKey  func() string
	channelName func(channel int) string // names an input channel
	under       underWay
	stint       stint
	// at is the position of the operator whose code runs, for errors and panics.
	at int
	// timestamp is the event time of the record, or of the timer, that is under way.
	timestamp EventTime
	// lateRecords is how many records have been dropped because they came too late.
	lateRecords int64
	// err is the first error. From then on records are dropped on the way, until the task's loop sees it:
	// functions that emit have no way to return it.
	err error
}

// enter notes that operator at runs now, and returns which one did before.
func (c *chain) enter(at int) (previous int) {
	previous, c.at = c.at, at
	return previous
}

func (c *chain) leave(previous int) { c.at = previous }

// fail records the first error, with the operator whose code runs.
func (c *chain) fail(err error) {
	if c.err == nil && err != nil {
		c.err = c.blame(err)
	}
}

// blame adds to an error which operator and subtask it comes from, and from which record.
func (c *chain) blame(err error) error {
	where := fmt.Sprintf("operator %s, subtask %s", c.ids[c.at], c.subtask) + c.nameUnderWay()
	var named PositionedError
	if p := c.sourcePosition(); p != "" && !errors.As(err, &named) {
		where += ", at " + p
	}
	return fmt.Errorf("%s: %w", where, err)
}

// sourcePosition asks the source, which may be what has just panicked.
func (c *chain) sourcePosition() (p string) {
	if c.position == nil {
		return ""
	}
	defer func() {
		if recover() != nil {
			p = "an unknown position"
		}
	}()
	return c.position()
}

func (c *chain) logger(at int) *slog.Logger { return c.log.With("operator", c.ids[at]) }

// stateless is an operator without state.
type stateless struct{}

func (stateless) open(start) error                   { return nil }
func (stateless) finish() error                      { return nil }
func (stateless) onWatermark(EventTime)              {}
func (stateless) capture(*snapshot) error            { return nil }
func (stateless) notifyComplete(checkpoint.ID) error { return nil }
func (stateless) close() error                       { return nil }

func buildMap[In, Out any](f func(In) Out) buildFunc {
	return func(c *chain, at int, outs outlets) (operator, []any) {
		emit := mainOutput[Out](outs)
		return stateless{}, oneInput(func(v In) {
			if c.err != nil {
				return
			}
			previous := c.enter(at)
			emit(f(v))
			c.leave(previous)
		})
	}
}

func buildFilter[T any](keep func(T) bool) buildFunc {
	return func(c *chain, at int, outs outlets) (operator, []any) {
		emit := mainOutput[T](outs)
		return stateless{}, oneInput(func(v T) {
			if c.err != nil {
				return
			}
			previous := c.enter(at)
			if keep(v) {
				emit(v)
			}
			c.leave(previous)
		})
	}
}

func buildFlatMap[In, Out any](f func(in In, emit func(Out))) buildFunc {
	return func(c *chain, at int, outs outlets) (operator, []any) {
		emit := mainOutput[Out](outs)
		return stateless{}, oneInput(func(v In) {
			if c.err != nil {
				return
			}
			previous := c.enter(at)
			f(v, emit)
			c.leave(previous)
		})
	}
}

func buildProcess[K comparable, In, Out any](keys codec.Codec[K], key func(In) K, newProcessor func() KeyedProcessor[K, In, Out]) buildFunc {
	return func(c *chain, at int, outs outlets) (operator, []any) {
		p := newProcessor()
		o := newProcessOperator[K, Out](c, at, keys, p, outs)
		return o, oneInput(inputOf(o, key, p.Process))
	}
}
