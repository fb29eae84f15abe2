package nexmark

import "cairn/dataflow"

// best is the aggregate of the records that none is better than.
type best[T any] struct {
	// compare returns a positive number when a is better than b, and 0 when neither is.
	compare func(a, b T) int
}

var _ dataflow.Aggregate[int, []int, []int] = best[int]{}

// New returns no records.
func (best[T]) New() []T { return nil }

// Add compares a record with the best so far.
func (b best[T]) Add(records []T, v T) []T {
	if len(records) > 0 {
		switch order := b.compare(v, records[0]); {
		case order < 0:
			return records
		case order > 0:
			records = records[:0]
		}
	}
	return append(records, v)
}

// Result returns the records.
func (best[T]) Result(records []T) []T { return records }

// Merge returns the best of both.
func (b best[T]) Merge(records, others []T) []T {
	for _, v := range others {
		records = b.Add(records, v)
	}
	return records
}
