package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync/atomic"

	"cairn/dataflow"
)

// feed is a source that makes a record for each index, as fast as they are taken, up to an index that may be raised and
// lowered while it runs. It has one subtask, which goes on at the same place after a restore.
type feed[T any] struct {
	record func(index int64) T
	end    atomic.Int64  // the first index that is held back
	raised chan struct{} // capacity 1, never closed: end may have been raised
}

func newFeed[T any](record func(int64) T) *feed[T] {
	return &feed[T]{record: record, raised: make(chan struct{}, 1)}
}

// until lets the records up to but not including end pass.
func (f *feed[T]) until(end int64) {
	f.end.Store(end)
	select {
	case f.raised <- struct{}{}:
	default:
	}
}

// free lets all records pass.
func (f *feed[T]) free() { f.until(math.MaxInt64) }

// hold lets no more records pass.
func (f *feed[T]) hold() { f.until(0) }

// Open implements dataflow.Source.
func (f *feed[T]) Open(ctx dataflow.SourceContext) (dataflow.SourceReader[T], error) {
	r := &feedReader[T]{feed: f}
	for _, e := range ctx.Entries {
		if len(e) != 8 {
			return nil, fmt.Errorf("a position of %d bytes", len(e))
		}
		r.next = int64(binary.LittleEndian.Uint64(e))
	}
	return r, nil
}

type feedReader[T any] struct {
	feed *feed[T]
	next int64
}

func (r *feedReader[T]) Next(emit func(T)) (dataflow.ReadStatus, error) {
	end := min(r.feed.end.Load(), r.next+256)
	for ; r.next < end; r.next++ {
		emit(r.feed.record(r.next))
	}
	if r.next >= r.feed.end.Load() {
		return dataflow.IdleOn(r.feed.raised), nil
	}
	return dataflow.Ready(), nil
}

func (r *feedReader[T]) Snapshot() ([][]byte, error) {
	return [][]byte{binary.LittleEndian.AppendUint64(nil, uint64(r.next))}, nil
}

func (r *feedReader[T]) Position() string { return fmt.Sprint("index ", r.next) }
func (r *feedReader[T]) Close() error     { return nil }
