package dataflow

import (
	"errors"

	"cairn/checkpoint"
)

// sourceState names the list state that holds a source's splits and offsets.
const sourceState = "splits"

// puller is the untyped face of the source at the head of a chain.
type puller interface {
	next() (ReadStatus, error)
	// emitted returns the number of records so far.
	emitted() int64
}

// sourceOperator runs a SourceReader.
type sourceOperator[T any] struct {
	chain  *chain
	at     int
	source Source[T]
	reader SourceReader[T] // nil before open and after a failed one
	emit   func(T)
	count  int64
}

var _ puller = (*sourceOperator[int])(nil)

func buildSource[T any](source Source[T]) buildFunc {
	return func(c *chain, at int, outs outlets) (operator, []any) {
		o := &sourceOperator[T]{chain: c, at: at, source: source}
		pass := mainOutput[T](outs)
		o.emit = func(v T) {
			o.count++
			if c.err == nil {
				pass(v)
			}
		}
		return o, nil
	}
}

func (o *sourceOperator[T]) open(start start) error {
	entries, restored := start.state.takeList(sourceState)
	c := o.chain
	reader, err := o.source.Open(SourceContext{
		Subtask: c.subtask, Parallelism: c.parallelism, Restored: restored, Entries: entries, Logger: c.logger(o.at),
		enough: c.sourceStintOver,
	})
	if err != nil {
		return err
	}
	if reader == nil {
		return errors.New("the source opened no reader")
	}
	o.reader, c.position = reader, reader.Position
	return nil
}

func (o *sourceOperator[T]) next() (ReadStatus, error) {
	o.chain.stint.done = 0
	return o.reader.Next(o.emit)
}

func (o *sourceOperator[T]) emitted() int64 { return o.count }

func (o *sourceOperator[T]) onWatermark(EventTime) {}

func (o *sourceOperator[T]) finish() error { return nil }

// capture stores the entries even when there are none: a subtask that has read everything must not be taken
// for one that starts afresh.
func (o *sourceOperator[T]) capture(s *snapshot) error {
	entries, err := o.reader.Snapshot()
	if err != nil {
		return declined(err) // nothing has changed: only this checkpoint fails
	}
	s.addList(o.chain.ids[o.at], sourceState, o.stateKind(), entries)
	return nil
}

// stateKind says how the entries are dealt out at a restore.
func (o *sourceOperator[T]) stateKind() checkpoint.HandleKind {
	if u, ok := o.source.(UnionSource); ok && u.UnionSplits() {
		return checkpoint.UnionState
	}
	return checkpoint.ListState
}

func (o *sourceOperator[T]) notifyComplete(checkpoint.ID) error { return nil }

func (o *sourceOperator[T]) close() error {
	if o.reader == nil {
		return nil
	}
	o.chain.position = nil
	return o.reader.Close()
}
