package dataflow

import (
	"iter"
	"reflect"

	"cairn/dataflow/codec"
)

// MapState holds a map from MK to MV per key. What is said of ValueState holds for it.
type MapState[K, MK comparable, MV any] struct{ cells mapCells[MK, MV] }

// mapCells is a table of a map per key, in some backend. It refers to the current key.
type mapCells[MK comparable, MV any] interface {
	get(MK) (MV, bool)
	// take is get, and leaves it to the caller to change the value in place if put follows.
	take(MK) (MV, bool)
	put(MK, MV)
	delete(MK)
	all() iter.Seq2[MK, MV]
	clear()
}

// NewMapState declares state in a processor's Open. The name is unique within the operator; restored state is matched
// by it.
func NewMapState[K, MK comparable, MV any](ctx *ProcessContext[K], name string, mapKeys codec.Codec[MK], values codec.Codec[MV],
	opts ...StateOption,
) *MapState[K, MK, MV] {
	o, err := stateOptionsOf(name, opts)
	ctx.note(err)
	if o.ttl == 0 {
		return &MapState[K, MK, MV]{newMapCells(ctx, name, tableOfMaps, mapKeys, values, nil)}
	}
	e := expiry[MV]{ttl: o.ttl.Milliseconds(), now: ctx.keyed.nowMillis}
	cells := newMapCells(ctx, name, tableOfMaps|tableExpires, mapKeys, codec.Codec[stamped[MV]](stampedCodec[MV]{values}), e.live)
	return &MapState[K, MK, MV]{&expiringMap[MK, MV]{cells: cells, expiry: e}}
}

// Get returns the value of an entry of the current key's map, or false when there is none.
func (s *MapState[K, MK, MV]) Get(mk MK) (MV, bool) { return s.cells.get(mk) }

// take is Get, and leaves it to the caller to change the value in place if Put follows.
func (s *MapState[K, MK, MV]) take(mk MK) (MV, bool) { return s.cells.take(mk) }

// Put sets an entry of the current key's map.
func (s *MapState[K, MK, MV]) Put(mk MK, mv MV) { s.cells.put(mk, mv) }

// Delete removes an entry of the current key's map.
func (s *MapState[K, MK, MV]) Delete(mk MK) { s.cells.delete(mk) }

// All goes through the entries of the current key's map, in no particular order. The loop's body may put and delete
// entries; one that it adds may or may not come. The current key stays what it was when the loop began.
func (s *MapState[K, MK, MV]) All() iter.Seq2[MK, MV] { return s.cells.all() }

// Empty reports whether the current key's map has no entries.
func (s *MapState[K, MK, MV]) Empty() bool {
	for range s.cells.all() {
		return false
	}
	return true
}

// Clear removes the current key's map.
func (s *MapState[K, MK, MV]) Clear() { s.cells.clear() }

func newMapCells[K, MK comparable, MV any](ctx *ProcessContext[K], name string, kind tableKind, mapKeys codec.Codec[MK], values codec.Codec[MV],
	live liveFunc[MV],
) mapCells[MK, MV] {
	format := &mapFormat[K, MK, MV]{keys: ctx.keyed.keys, mapKeys: mapKeys, values: values, live: live}
	if ctx.keyed.onDisk {
		t := rowMaps[K, MK, MV]{newRowTable(ctx.keyed, name, kind, format), mapKeys, values}
		ctx.declare(t)
		return t
	}
	t := memoryMaps[K, MK, MV]{newKeyTable(ctx.keyed, name, kind, format), mapKeys, bitsAreEqual(reflect.TypeFor[MK]())}
	ctx.declare(t)
	return t
}

// memoryMaps are the maps of a table in memory. None of them is empty.
type memoryMaps[K, MK comparable, MV any] struct {
	keyTable[K, map[MK]MV]
	mapKeys codec.Codec[MK]
	plain   bool // the map keys; see bitsAreEqual
}

func (t memoryMaps[K, MK, MV]) get(mk MK) (MV, bool) {
	m, _ := t.keyTable.get()
	mv, found := m[mk]
	return mv, found
}

func (t memoryMaps[K, MK, MV]) take(mk MK) (mv MV, found bool) {
	if m := t.cell(); m != nil {
		mv, found = (*m)[mk]
	}
	return mv, found
}

func (t memoryMaps[K, MK, MV]) put(mk MK, mv MV) {
	m := t.upsert()
	if *m == nil {
		*m = make(map[MK]MV)
	}
	before := len(*m)
	(*m)[mk] = mv
	if !t.plain && len(*m) > before {
		t.checkMapKey(mk)
	}
}

// checkMapKey fails the task when a map key would not come back from a snapshot.
func (t memoryMaps[K, MK, MV]) checkMapKey(mk MK) {
	var err error
	t.state.scratch, err = checkComesBack(t.mapKeys, mk, t.state.scratch)
	t.state.note(t.name, err)
}

func (t memoryMaps[K, MK, MV]) delete(mk MK) {
	if _, found := t.get(mk); !found {
		return
	}
	m := t.cell()
	if m == nil {
		return // it had expired and has just been removed
	}
	delete(*m, mk)
	if len(*m) == 0 {
		t.clear()
	}
}

func (t memoryMaps[K, MK, MV]) all() iter.Seq2[MK, MV] {
	m, _ := t.keyTable.get()
	return func(yield func(MK, MV) bool) {
		for mk, mv := range m {
			if !yield(mk, mv) {
				return
			}
		}
	}
}

func (t memoryMaps[K, MK, MV]) clear() { t.keyTable.delete() }

// expiringMap are maps whose entries have a TTL.
type expiringMap[MK comparable, MV any] struct {
	cells  mapCells[MK, stamped[MV]]
	expiry expiry[MV]
}

func (t *expiringMap[MK, MV]) get(mk MK) (mv MV, found bool) {
	s, found := t.cells.get(mk)
	if found && !t.expiry.isLive(s) {
		t.cells.delete(mk)
		return mv, false
	}
	return s.v, found
}

func (t *expiringMap[MK, MV]) take(mk MK) (mv MV, found bool) {
	if s, found := t.cells.take(mk); found && t.expiry.isLive(s) {
		return s.v, true
	}
	return mv, false
}

func (t *expiringMap[MK, MV]) put(mk MK, mv MV) { t.cells.put(mk, t.expiry.stamp(mv)) }
func (t *expiringMap[MK, MV]) delete(mk MK)     { t.cells.delete(mk) }
func (t *expiringMap[MK, MV]) clear()           { t.cells.clear() }

func (t *expiringMap[MK, MV]) all() iter.Seq2[MK, MV] {
	return func(yield func(MK, MV) bool) {
		for mk, s := range t.cells.all() {
			if !t.expiry.isLive(s) {
				t.cells.delete(mk)
			} else if !yield(mk, s.v) {
				return
			}
		}
	}
}
