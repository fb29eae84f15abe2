package dataflow

import (
	"log/slog"
	"time"

	"cairn/checkpoint"
)

// Source is where a stream's records come from: a list of splits (files, partitions) that is dealt out to
// the subtasks, and an offset in each. One Source value serves all subtasks and is not changed after the
// graph has been built.
type Source[T any] interface {
	// Open starts reading for one subtask, at the restored positions if there are any. An input that can
	// never be read is a Permanent error.
	Open(SourceContext) (SourceReader[T], error)
}

// UnionSource is a Source that says itself which subtask goes on with which split. Restored, every subtask then
// receives the entries of all subtasks, in the place of an even share, and goes on with those that are its own under
// the parallelism that it has now.
type UnionSource interface {
	// UnionSplits reports whether it does so. The answer is the same on every node.
	UnionSplits() bool
}

// PositionedError is an error of a source that names the place in its input. The source's Position, which is behind the
// last record, is not added to it.
type PositionedError interface {
	error
	// NamesPosition does nothing: it marks the type.
	NamesPosition()
}

// SourceReader reads one subtask's share of a source. It is pulled: it never waits in Next, so that
// checkpoints are taken between two calls. All calls come from one goroutine.
type SourceReader[T any] interface {
	// Next emits some records (none is allowed, a few hundred are plenty; see SourceContext.Enough) and says when to be
	// called again.
	// A record may use memory that the reader uses again for the next one only if the stream's type says so.
	Next(emit func(T)) (ReadStatus, error)
	// Snapshot returns the entries of list state from which reading goes on behind the last emitted record:
	// one per split that is not exhausted. The entries are not changed afterwards.
	Snapshot() ([][]byte, error)
	// Position names the split and the offset of the record that was emitted last, for error messages.
	Position() string
	// Close releases what Open acquired.
	Close() error
}

// SourceContext is what a source needs to know of the subtask it reads for.
type SourceContext struct {
	Subtask     checkpoint.SubtaskID
	Parallelism int // of the source: Subtask.Index lies below it
	// Restored says that the positions come from a checkpoint: Entries holds what Snapshot returned then. A
	// subtask that had read all its splits is restored with no entries. A UnionSource receives the entries of all
	// subtasks.
	Restored bool
	Entries  [][]byte
	Logger   *slog.Logger

	enough func() bool // nil outside of a task
}

// Enough is asked in Next behind each record that was emitted. It reports whether Next has gone on for so long, as
// operators in the same task may be slow, that it should return Ready. A source that does not ask holds up checkpoints, and
// its task's cancellation, until it has emitted what it wanted to.
func (c SourceContext) Enough() bool { return c.enough != nil && c.enough() }

// ReadStatus says when a source's Next is to be called again.
type ReadStatus struct {
	kind  readKind
	until time.Time
	wake  <-chan struct{}
}

type readKind uint8

const (
	readReady readKind = iota
	readIdle
	readEnd
)

// Ready says that there may be more records at once.
func Ready() ReadStatus { return ReadStatus{kind: readReady} }

// End says that there are no more records: Next is not called again.
func End() ReadStatus { return ReadStatus{kind: readEnd} }

// IdleUntil says that there are no more records before the given time.
func IdleUntil(t time.Time) ReadStatus { return ReadStatus{kind: readIdle, until: t} }

// IdleOn says that there are no more records before wake can be received from (or is closed).
func IdleOn(wake <-chan struct{}) ReadStatus { return ReadStatus{kind: readIdle, wake: wake} }
