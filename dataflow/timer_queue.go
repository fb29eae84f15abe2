package dataflow

import (
	"bytes"
	"slices"

	"cairn/dataflow/codec"
)

// timerRow is one timer of a domain.
type timerRow[K comparable] struct {
	key K
	at  EventTime
}

// timerCells is a table of timers, in some backend. It refers to the current key.
type timerCells[K comparable] interface {
	has(at EventTime) bool
	put(at EventTime)
	delete(at EventTime)
	// each goes through all timers of the subtask.
	each(func(timerRow[K]))
}

// timerQueue is the timers of one domain: which there are says the table, which is first says a binary heap of all of
// them. A timer that is taken back stays in the heap until it comes to the top, or until such leftovers are more than
// the timers themselves.
type timerQueue[K comparable] struct {
	state *keyedState[K]
	cells timerCells[K]
	heap  []timerRow[K]
	count int // of timers in the table
	// Two encodings of keys, for comparisons.
	left, right []byte
}

// index builds the heap from the restored table.
func (q *timerQueue[K]) index() {
	q.cells.each(func(r timerRow[K]) { q.heap = append(q.heap, r) })
	q.count = len(q.heap)
	slices.SortFunc(q.heap, q.compare) // a sorted slice is a heap
}

// register adds a timer of the current key.
func (q *timerQueue[K]) register(at EventTime) {
	if q.cells.has(at) {
		return
	}
	q.cells.put(at)
	q.count++
	q.push(timerRow[K]{q.state.key, at})
}

// unregister removes a timer of the current key.
func (q *timerQueue[K]) unregister(at EventTime) {
	if !q.cells.has(at) {
		return
	}
	q.cells.delete(at)
	q.count--
	if len(q.heap) > 2*q.count+64 {
		q.rebuild()
	}
}

// rebuild leaves only the timers of the table in the heap. A table on disk makes each key the current one as it is gone
// through, so that of the caller comes back.
func (q *timerQueue[K]) rebuild() {
	key := q.state.key
	clear(q.heap)
	q.heap = q.heap[:0]
	q.index()
	q.state.setOwnKey(key)
}

// clear removes all timers.
func (q *timerQueue[K]) clear() {
	for {
		if _, found := q.pop(MaxEventTime); !found {
			return
		}
	}
}

// first returns the time of the first timer. It may be that of one that was taken back.
func (q *timerQueue[K]) first() (EventTime, bool) {
	if len(q.heap) == 0 {
		return 0, false
	}
	return q.heap[0].at, true
}

// pop removes the first timer, if it is due by the given time, and makes its key the current one.
func (q *timerQueue[K]) pop(until EventTime) (r timerRow[K], found bool) {
	for len(q.heap) > 0 && q.heap[0].at <= until {
		r = q.removeFirst()
		// The key is one of this subtask's: it has been checked when it was registered, or restored.
		q.state.setOwnKey(r.key)
		if q.cells.has(r.at) {
			q.cells.delete(r.at)
			q.count--
			return r, true
		}
	}
	return r, false
}

// compare orders timers by time, then by the encodings of their keys, so that the order does not depend on the backend,
// on hash tables, or on which subtask has registered them.
func (q *timerQueue[K]) compare(a, b timerRow[K]) int {
	switch {
	case a.at < b.at:
		return -1
	case a.at > b.at:
		return 1
	case a.key == b.key:
		return 0
	}
	q.left = q.state.keys.Append(q.left[:0], a.key)
	q.right = q.state.keys.Append(q.right[:0], b.key)
	return bytes.Compare(q.left, q.right)
}

func (q *timerQueue[K]) push(r timerRow[K]) {
	q.heap = append(q.heap, r)
	for at := len(q.heap) - 1; at > 0; {
		parent := (at - 1) / 2
		if q.compare(q.heap[at], q.heap[parent]) >= 0 {
			return
		}
		q.heap[at], q.heap[parent] = q.heap[parent], q.heap[at]
		at = parent
	}
}

func (q *timerQueue[K]) removeFirst() timerRow[K] {
	first, last := q.heap[0], len(q.heap)-1
	q.heap[0] = q.heap[last]
	clear(q.heap[last:]) // the key may refer to memory
	q.heap = q.heap[:last]
	for at := 0; ; {
		child := 2*at + 1
		if child >= last {
			return first
		}
		if child+1 < last && q.compare(q.heap[child+1], q.heap[child]) < 0 {
			child++
		}
		if q.compare(q.heap[at], q.heap[child]) <= 0 {
			return first
		}
		q.heap[at], q.heap[child] = q.heap[child], q.heap[at]
		at = child
	}
}

// timerFormat is the format of timers.
type timerFormat[K comparable] struct{ keys codec.Codec[K] }

func (f *timerFormat[K]) appendRows(dst []byte, r timerRow[K], _ struct{}, _ int64) ([]byte, int, bool) {
	return codec.Int64.Append(f.keys.Append(dst, r.key), int64(r.at)), 1, false
}

func (f *timerFormat[K]) decodeRow(src []byte, into upsertFunc[timerRow[K], struct{}]) (key K, n int, err error) {
	key, n, err = f.keys.Decode(src)
	if err != nil {
		return key, 0, err
	}
	at, m, err := codec.Int64.Decode(src[n:])
	if err == nil {
		err = insert(into, timerRow[K]{key, EventTime(at)}, struct{}{})
	}
	return key, n + m, err
}

func (f *timerFormat[K]) prune(*struct{}, int64) bool { return true }

// memoryTimers are the timers of a domain in memory.
type memoryTimers[K comparable] struct {
	*memoryTable[K, timerRow[K], struct{}]
}

func newMemoryTimers[K comparable](s *keyedState[K], name string, format *timerFormat[K]) memoryTimers[K] {
	hash := func(r timerRow[K]) uint64 { return timerHash(s.hashOf(r.key), r.at) }
	return memoryTimers[K]{newMemoryTable(s, name, tableOfTimers, format, hash)}
}

// timerHash is the hash of a timer of a key with the given hash, so that those of one key are spread over the pages.
func timerHash(key uint64, at EventTime) uint64 {
	h := (key ^ uint64(at)) * 0x9e3779b97f4a7c15 // an odd number without a pattern, as is the next one
	h = (h ^ h>>32) * 0xd6e8feb86659fd93
	return h ^ h>>32
}

// at returns the shard, hash and row of a timer of the current key.
func (t memoryTimers[K]) at(at EventTime) (*shard[K, timerRow[K], struct{}], uint64, timerRow[K]) {
	return t.current(), timerHash(t.state.hash, at), timerRow[K]{t.state.key, at}
}

func (t memoryTimers[K]) has(at EventTime) bool {
	s, hash, r := t.at(at)
	_, found := s.get(hash, r)
	return found
}

func (t memoryTimers[K]) put(at EventTime) {
	s, hash, r := t.at(at)
	if _, added := s.upsert(hash, r); added {
		t.state.checkKey()
	}
}

func (t memoryTimers[K]) delete(at EventTime) {
	s, hash, r := t.at(at)
	s.delete(hash, r)
}

func (t memoryTimers[K]) each(f func(timerRow[K])) {
	for r := range t.rows() {
		f(r)
	}
}
