package generate

import (
	"fmt"
	"math"
	"time"

	"cairn/connector/internal/pace"
	"cairn/dataflow"
)

// Source makes records out of their indices. It is not changed after New and safe for concurrent use.
type Source[T any] struct {
	count     int64 // of records; math.MaxInt64 where there is no end
	record    func(index int64) T
	perSecond float64
}

var _ dataflow.Source[int64] = (*Source[int64])(nil)

// Option changes a Source.
type Option func(*options)

type options struct{ perSecond float64 }

// Rate bounds the rate of the whole source, in records per second of all subtasks together; 0 means no bound. Each
// subtask has the part that belongs to its share of the indices.
func Rate(perSecond float64) Option { return func(o *options) { o.perSecond = perSecond } }

// New returns a source of the records for the indices from 0 to count-1; it has no end when count is 0 or less. The
// function must depend on nothing but the index, since an index may be asked for again after a failure; it is called
// from several goroutines at once.
func New[T any](count int64, record func(index int64) T, opts ...Option) *Source[T] {
	if count <= 0 {
		count = math.MaxInt64
	}
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	return &Source[T]{count: count, record: record, perSecond: o.perSecond}
}

// Open takes the subtask's lanes, or those that it is restored with.
func (s *Source[T]) Open(ctx dataflow.SourceContext) (dataflow.SourceReader[T], error) {
	if s.perSecond < 0 {
		return nil, dataflow.Permanent(fmt.Errorf("the rate of the generator is %v: want 0, for no bound, or more", s.perSecond))
	}
	lanes, of, err := s.lanes(ctx)
	if err != nil {
		return nil, dataflow.Permanent(fmt.Errorf("restored state: %w", err))
	}
	return &reader[T]{
		source: s, lanes: newRing(lanes, of), last: -1, pacer: pace.New(s.perSecond * float64(len(lanes)) / float64(of)), enough: ctx.Enough,
	}, nil
}

func (s *Source[T]) lanes(ctx dataflow.SourceContext) (lanes []int64, of int64, err error) {
	if ctx.Restored {
		return decodeLanes(ctx.Entries, s.count)
	}
	of = laneCount(ctx.Parallelism)
	for lane := int64(ctx.Subtask.Index); lane < min(of, s.count); lane += int64(ctx.Parallelism) {
		lanes = append(lanes, lane)
	}
	return lanes, of, nil
}

// recordsPerCall bounds how long a checkpoint waits for the reader.
const recordsPerCall = 256

// reader makes one subtask's records.
type reader[T any] struct {
	source *Source[T]
	lanes  *ring
	pacer  pace.Pacer
	last   int64 // the index that was made last, -1 for none
	enough func() bool
}

// Next emits up to a few hundred records.
func (r *reader[T]) Next(emit func(T)) (dataflow.ReadStatus, error) {
	allowed, due := r.pacer.Allow(time.Now(), recordsPerCall)
	emitted := 0
	for emitted < allowed && r.lanes.len() > 0 {
		r.last = r.lanes.take(r.source.count)
		emit(r.source.record(r.last))
		if emitted++; r.enough() {
			break
		}
	}
	r.pacer.Spent(emitted)
	switch {
	case r.lanes.len() == 0:
		return dataflow.End(), nil
	case allowed == 0:
		return dataflow.IdleUntil(due), nil
	}
	return dataflow.Ready(), nil
}

// Snapshot returns one entry for each lane that has indices left.
func (r *reader[T]) Snapshot() ([][]byte, error) { return r.lanes.encode(), nil }

// Position names the index that was made last.
func (r *reader[T]) Position() string {
	if r.last < 0 {
		return "before the first index"
	}
	return fmt.Sprintf("index %d", r.last)
}

// Close does nothing: there is nothing to release.
func (r *reader[T]) Close() error { return nil }
