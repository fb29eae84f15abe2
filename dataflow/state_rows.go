package dataflow

import (
	"iter"

	"cairn/dataflow/codec"
)

// The tables of a rowstore.Store, for each kind of state. A value is decoded each time that it is read, so it may be changed
// in place before it is put back.

// rowValues are single values.
type rowValues[K comparable, V any] struct {
	*rowTable[K]
	values codec.Codec[V]
}

func (t rowValues[K, V]) get() (v V, found bool) {
	if b, found := t.rowTable.get(t.current()); found {
		return decodeValue(t.rowTable, t.values, b)
	}
	return v, false
}

func (t rowValues[K, V]) take() (V, bool) { return t.get() }
func (t rowValues[K, V]) put(v V)         { t.rowTable.put(t.current(), t.values.Append(t.value[:0], v)) }
func (t rowValues[K, V]) delete()         { t.rowTable.delete(t.current()) }

func (t rowValues[K, V]) all() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		t.each(func(key K, _, value []byte) bool {
			v, ok := decodeValue(t.rowTable, t.values, value)
			return ok && yield(key, v)
		})
	}
}

func decodeValue[K comparable, V any](t *rowTable[K], c codec.Codec[V], b []byte) (V, bool) {
	v, _, err := c.Decode(b)
	t.state.note(t.name, err)
	return v, err == nil
}

// rowLists are lists: the value of a row is their elements.
type rowLists[K comparable, V any] struct {
	*rowTable[K]
	elements codec.Codec[V]
}

func (t rowLists[K, V]) list() []V {
	b, _ := t.get(t.current())
	list, err := decodeAll(t.elements, b)
	t.state.note(t.name, err)
	return list
}

func (t rowLists[K, V]) all() iter.Seq[V] {
	return func(yield func(V) bool) {
		for _, v := range t.list() {
			if !yield(v) {
				return
			}
		}
	}
}

func (t rowLists[K, V]) add(v V) {
	t.value = t.elements.Append(t.value[:0], v)
	row := t.current()
	t.state.note(t.name, t.state.rows.Append(row, t.value))
	t.wrote(len(row) + len(t.value))
}

func (t rowLists[K, V]) put(list []V) {
	if len(list) == 0 {
		t.clear()
		return
	}
	b := t.value[:0]
	for _, v := range list {
		b = t.elements.Append(b, v)
	}
	t.rowTable.put(t.current(), b)
}

func (t rowLists[K, V]) clear() { t.delete(t.current()) }

func (t rowLists[K, V]) retain(keep func(V) bool) {
	list := t.list()
	kept := make([]V, 0, len(list))
	for _, v := range list {
		if keep(v) {
			kept = append(kept, v)
		}
	}
	if len(kept) < len(list) {
		t.put(kept)
	}
}

// rowMaps are maps: each entry has a row.
type rowMaps[K, MK comparable, MV any] struct {
	*rowTable[K]
	mapKeys codec.Codec[MK]
	values  codec.Codec[MV]
}

func (t rowMaps[K, MK, MV]) entry(mk MK) []byte {
	t.row = t.mapKeys.Append(t.current(), mk)
	return t.row
}

func (t rowMaps[K, MK, MV]) get(mk MK) (mv MV, found bool) {
	if b, found := t.rowTable.get(t.entry(mk)); found {
		return decodeValue(t.rowTable, t.values, b)
	}
	return mv, false
}

func (t rowMaps[K, MK, MV]) take(mk MK) (MV, bool) { return t.get(mk) }

func (t rowMaps[K, MK, MV]) put(mk MK, mv MV) {
	t.rowTable.put(t.entry(mk), t.values.Append(t.value[:0], mv))
}

func (t rowMaps[K, MK, MV]) delete(mk MK) { t.rowTable.delete(t.entry(mk)) }

func (t rowMaps[K, MK, MV]) all() iter.Seq2[MK, MV] {
	return func(yield func(MK, MV) bool) {
		prefix := len(t.current())
		for row, value := range t.scan(t.current()) {
			mk, ok := decodeValue(t.rowTable, t.mapKeys, row[prefix:])
			if !ok {
				return
			}
			if mv, ok := decodeValue(t.rowTable, t.values, value); !ok || !yield(mk, mv) {
				return
			}
		}
	}
}

func (t rowMaps[K, MK, MV]) clear() {
	for row := range t.scan(t.current()) {
		t.rowTable.delete(row)
	}
}

// rowTimers are the timers of a domain: each has a row without a value.
type rowTimers[K comparable] struct{ *rowTable[K] }

func (t rowTimers[K]) timer(at EventTime) []byte {
	t.row = codec.Int64.Append(t.current(), int64(at))
	return t.row
}

func (t rowTimers[K]) has(at EventTime) bool {
	_, found := t.get(t.timer(at))
	return found
}

func (t rowTimers[K]) put(at EventTime)    { t.rowTable.put(t.timer(at), t.value[:0]) }
func (t rowTimers[K]) delete(at EventTime) { t.rowTable.delete(t.timer(at)) }

func (t rowTimers[K]) each(f func(timerRow[K])) {
	t.rowTable.each(func(key K, name, _ []byte) bool {
		at, ok := decodeValue(t.rowTable, codec.Int64, name)
		if ok {
			f(timerRow[K]{key, EventTime(at)})
		}
		return ok
	})
}

// The rowFormat of each kind. The name of a row is that behind the head.
