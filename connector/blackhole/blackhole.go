// Package blackhole holds a sink that counts records and drops them: for measuring what comes before it.
package blackhole

import (
	"context"
	"sync"
	"sync/atomic"

	"cairn/checkpoint"
	"cairn/dataflow"
)

// Sink counts records and drops them. It is safe for concurrent use.
type Sink[T any] struct {
	mu     sync.Mutex
	open   map[*writer[T]]bool // the subtasks of all attempts in this process
	closed int64               // records of those that have ended
}

var _ dataflow.Sink[int] = (*Sink[int])(nil)

// New returns a sink.
func New[T any]() *Sink[T] { return &Sink[T]{open: make(map[*writer[T]]bool)} }

// Records returns how many records the subtasks in this process have taken so far, repetitions after failures among
// them.
func (s *Sink[T]) Records() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.closed
	for w := range s.open {
		n += w.records.Load()
	}
	return n
}

// Open starts a subtask's count.
func (s *Sink[T]) Open(ctx dataflow.SinkContext) (dataflow.SinkWriter[T], error) {
	w := &writer[T]{sink: s, ctx: ctx}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open[w] = true
	return w, nil
}

// writer has no transactions. Its count is written by one goroutine, so that subtasks do not wait for each other's
// memory.
type writer[T any] struct {
	sink    *Sink[T]
	ctx     dataflow.SinkContext
	records atomic.Int64
}

func (w *writer[T]) Recover(context.Context, [][]byte) error { return nil }

func (w *writer[T]) Write(T) error {
	w.records.Add(1)
	return nil
}

func (w *writer[T]) PreCommit(context.Context, checkpoint.ID) ([]byte, error) { return nil, nil }

func (w *writer[T]) Commit(context.Context, []byte) error { return nil }

func (w *writer[T]) Close() error {
	w.sink.mu.Lock()
	defer w.sink.mu.Unlock()
	if !w.sink.open[w] {
		return nil
	}
	delete(w.sink.open, w)
	w.sink.closed += w.records.Load()
	w.ctx.Logger.Info("dropped all records", "records", w.records.Load())
	return nil
}
