package dataflow

import (
	"iter"

	"cairn/dataflow/codec"
)

// windowContents is what is kept of the records of a window of the current key, as an accumulator, and what is emitted
// of it.
type windowContents[K comparable, In, Acc, Out any] interface {
	// open declares the state that is kept beside the accumulators, and returns their codec.
	open(*ProcessContext[K]) codec.Codec[Acc]
	// add takes in a record. acc, which may be changed in place, is that of window w; it is empty when the record is
	// the first one.
	add(w TimeWindow, acc Acc, empty bool, v In) Acc
	// merge puts the contents of two sessions together. It may change both in place.
	merge(a, b Acc) Acc
	// result emits what comes of a window.
	result(key K, w TimeWindow, acc Acc, emit func(Out))
	// drop removes what is kept beside the accumulator.
	drop(acc Acc)
}

// aggregated keeps an accumulator of the user's.
type aggregated[K comparable, In, Acc, R, Out any] struct {
	accumulators codec.Codec[Acc]
	aggregate    Aggregate[In, Acc, R]
	emitResult   func(key K, w TimeWindow, r R, emit func(Out))
}

func (a *aggregated[K, In, Acc, R, Out]) open(*ProcessContext[K]) codec.Codec[Acc] {
	return a.accumulators
}

func (a *aggregated[K, In, Acc, R, Out]) add(_ TimeWindow, acc Acc, empty bool, v In) Acc {
	if empty {
		acc = a.aggregate.New()
	}
	return a.aggregate.Add(acc, v)
}

func (a *aggregated[K, In, Acc, R, Out]) merge(x, y Acc) Acc { return a.aggregate.Merge(x, y) }

func (a *aggregated[K, In, Acc, R, Out]) result(key K, w TimeWindow, acc Acc, emit func(Out)) {
	a.emitResult(key, w, a.aggregate.Result(acc), emit)
}

func (a *aggregated[K, In, Acc, R, Out]) drop(Acc) {}

// reduced keeps a record into which the others have been folded.
type reduced[K comparable, T any] struct {
	records codec.Codec[T]
	reduce  func(sum, v T) T
}

func (r *reduced[K, T]) open(*ProcessContext[K]) codec.Codec[T] { return r.records }

func (r *reduced[K, T]) add(_ TimeWindow, sum T, empty bool, v T) T {
	if empty {
		return v
	}
	return r.reduce(sum, v)
}

func (r *reduced[K, T]) merge(a, b T) T { return r.reduce(a, b) }

func (r *reduced[K, T]) result(_ K, _ TimeWindow, sum T, emit func(T)) { emit(sum) }

func (r *reduced[K, T]) drop(T) {}

// collected keeps all records, each in an entry of its own, so that adding one costs the same however many there are.
type collected[K comparable, T, Out any] struct {
	records codec.Codec[T]
	process func(key K, w TimeWindow, all iter.Seq[T], emit func(Out))
	entries *MapState[K, entryKey, T]
}

// entryList is the accumulator: which entries are those of a window.
type entryList struct {
	// home is the start of the window in which the list was begun. No two windows of a key have the same home at a time:
	// a window that begins there is the same one, or overlaps the session and becomes part of it.
	home EventTime
	n    int64
}

// entryKey is the place of a record: entry n of a list.
type entryKey struct {
	home EventTime
	n    int64
}

// The name of the table of collected records. It is persisted.
const windowEntriesTable = "entries"

func (c *collected[K, T, Out]) open(ctx *ProcessContext[K]) codec.Codec[entryList] {
	places := codec.Struct2(codec.Codec[EventTime](eventTimeCodec{}), codec.Int64,
		func(k entryKey) (EventTime, int64) { return k.home, k.n },
		func(home EventTime, n int64) entryKey { return entryKey{home, n} })
	c.entries = NewMapState(ctx, windowEntriesTable, places, c.records)
	return codec.Struct2(codec.Codec[EventTime](eventTimeCodec{}), codec.Int64,
		func(l entryList) (EventTime, int64) { return l.home, l.n },
		func(home EventTime, n int64) entryList { return entryList{home, n} })
}

func (c *collected[K, T, Out]) add(w TimeWindow, l entryList, empty bool, v T) entryList {
	if empty {
		l = entryList{home: w.Start}
	}
	c.entries.Put(entryKey(l), v) // behind the last
	l.n++
	return l
}

// merge moves the shorter list behind the longer one.
func (c *collected[K, T, Out]) merge(a, b entryList) entryList {
	if a.n < b.n {
		a, b = b, a
	}
	for v := range c.all(b) {
		c.entries.Put(entryKey(a), v)
		a.n++
	}
	c.drop(b)
	return a
}

func (c *collected[K, T, Out]) result(key K, w TimeWindow, l entryList, emit func(Out)) {
	c.process(key, w, c.all(l), emit)
}

func (c *collected[K, T, Out]) drop(l entryList) {
	for n := range l.n {
		c.entries.Delete(entryKey{l.home, n})
	}
}

func (c *collected[K, T, Out]) all(l entryList) iter.Seq[T] {
	return func(yield func(T) bool) {
		for n := range l.n {
			v, _ := c.entries.Get(entryKey{l.home, n})
			if !yield(v) {
				return
			}
		}
	}
}
