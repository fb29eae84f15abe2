// Package print holds a sink that shows records to a person, on the node's standard output or in its log, each on a
// line that names the subtask:
//
//	print[2]> hello
//
// It has no transactions: a record is shown when it comes, before its checkpoint, and again when it comes again after a
// failure.
package print

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"

	"cairn/checkpoint"
	"cairn/dataflow"
)

// Sink shows records. It is not changed after New and safe for concurrent use.
type Sink[T any] struct {
	format func(dst []byte, record T) []byte
	out    *output
}

var _ dataflow.Sink[int] = (*Sink[int])(nil)

// output is where the subtasks of a sink write whole lines.
type output struct {
	mu sync.Mutex
	w  io.Writer // nil: the subtask's log
}

// Option changes a Sink.
type Option func(*output)

// ToLog writes to the node's log, at level Info.
func ToLog() Option { return func(o *output) { o.w = nil } }

// To writes to w, one call of Write for each record and never two at once, in the place of standard output.
func To(w io.Writer) Option { return func(o *output) { o.w = w } }

// New returns a sink that shows records as fmt.Print does.
func New[T any](opts ...Option) *Sink[T] {
	return NewFormat(func(dst []byte, record T) []byte { return fmt.Append(dst, record) }, opts...)
}

// NewFormat returns a sink that shows what the function appends to dst for each record. It is called from several
// goroutines at once.
func NewFormat[T any](format func(dst []byte, record T) []byte, opts ...Option) *Sink[T] {
	out := &output{w: os.Stdout}
	for _, opt := range opts {
		opt(out)
	}
	return &Sink[T]{format: format, out: out}
}

// Open starts one subtask.
func (s *Sink[T]) Open(ctx dataflow.SinkContext) (dataflow.SinkWriter[T], error) {
	w := &writer[T]{sink: s, ctx: ctx}
	if s.out.w != nil {
		w.line = fmt.Appendf(nil, "%s> ", ctx.Subtask)
		w.prefix = len(w.line)
	}
	return w, nil
}

type writer[T any] struct {
	sink   *Sink[T]
	ctx    dataflow.SinkContext
	line   []byte // begins with the prefix, which stays; used again for every record
	prefix int
}

func (w *writer[T]) Recover(context.Context, [][]byte) error { return nil }

func (w *writer[T]) Write(record T) error {
	w.line = w.sink.format(w.line[:w.prefix], record)
	out := w.sink.out
	if out.w == nil {
		w.ctx.Logger.Info("record", "record", string(w.line))
		return nil
	}
	w.line = append(w.line, '\n')
	out.mu.Lock()
	defer out.mu.Unlock()
	_, err := out.w.Write(w.line)
	return err
}

func (w *writer[T]) PreCommit(context.Context, checkpoint.ID) ([]byte, error) { return nil, nil }

func (w *writer[T]) Commit(context.Context, []byte) error { return nil }

func (w *writer[T]) Close() error { return nil }
