package dataflow

import (
	"iter"
	"slices"

	"cairn/dataflow/codec"
)

// ListState holds a list of values of type V per key. What is said of ValueState holds for it.
type ListState[K comparable, V any] struct{ cells listCells[V] }

// listCells is a table of a list per key, in some backend. It refers to the current key.
type listCells[V any] interface {
	all() iter.Seq[V]
	add(V)
	// put takes over the list.
	put([]V)
	clear()
	// retain removes the elements for which keep returns false.
	retain(keep func(V) bool)
}

// NewListState declares state in a processor's Open. The name is unique within the operator; restored state is matched
// by it. The codec uses at least one byte for each element.
func NewListState[K comparable, V any](ctx *ProcessContext[K], name string, elements codec.Codec[V], opts ...StateOption) *ListState[K, V] {
	o, err := stateOptionsOf(name, opts)
	ctx.note(err)
	if o.ttl == 0 {
		return &ListState[K, V]{newListCells(ctx, name, tableOfLists, elements, nil)}
	}
	e := expiry[V]{ttl: o.ttl.Milliseconds(), now: ctx.keyed.nowMillis}
	cells := newListCells(ctx, name, tableOfLists|tableExpires, codec.Codec[stamped[V]](stampedCodec[V]{elements}), e.live)
	return &ListState[K, V]{&expiringList[V]{cells: cells, expiry: e}}
}

// Add appends a value to the list of the current key.
func (s *ListState[K, V]) Add(v V) { s.cells.add(v) }

// Put replaces the list of the current key. It keeps a copy.
func (s *ListState[K, V]) Put(values []V) { s.cells.put(slices.Clone(values)) }

// All goes through the list of the current key, in the order in which the values were added. The loop's body does not
// change the list.
func (s *ListState[K, V]) All() iter.Seq[V] { return s.cells.all() }

// Clear removes the list of the current key.
func (s *ListState[K, V]) Clear() { s.cells.clear() }

func newListCells[K comparable, V any](ctx *ProcessContext[K], name string, kind tableKind, elements codec.Codec[V], live liveFunc[V]) listCells[V] {
	format := &listFormat[K, V]{keys: ctx.keyed.keys, elements: elements, live: live}
	if ctx.keyed.onDisk {
		t := rowLists[K, V]{newRowTable(ctx.keyed, name, kind, format), elements}
		ctx.declare(t)
		return t
	}
	t := memoryLists[K, V]{newKeyTable(ctx.keyed, name, kind, format)}
	ctx.declare(t)
	return t
}

// memoryLists are the lists of a table in memory. None of them is empty.
type memoryLists[K comparable, V any] struct{ keyTable[K, []V] }

func (t memoryLists[K, V]) all() iter.Seq[V] {
	list, _ := t.get()
	return slices.Values(list)
}

func (t memoryLists[K, V]) add(v V) {
	list := t.upsert()
	*list = append(*list, v)
}

func (t memoryLists[K, V]) put(list []V) {
	if len(list) == 0 {
		t.clear()
		return
	}
	*t.upsert() = list
}

func (t memoryLists[K, V]) clear() { t.delete() }

func (t memoryLists[K, V]) retain(keep func(V) bool) {
	list, _ := t.get()
	gone := func(v V) bool { return !keep(v) }
	if !slices.ContainsFunc(list, gone) {
		return
	}
	if list := t.cell(); list != nil { // unless what had expired has just been removed
		t.put(slices.DeleteFunc(*list, gone))
	}
}

// expiringList are lists whose elements have a TTL.
type expiringList[V any] struct {
	cells  listCells[stamped[V]]
	expiry expiry[V]
}

func (t *expiringList[V]) all() iter.Seq[V] {
	t.cells.retain(t.expiry.isLive)
	return func(yield func(V) bool) {
		for s := range t.cells.all() {
			if !yield(s.v) {
				return
			}
		}
	}
}

func (t *expiringList[V]) add(v V) { t.cells.add(t.expiry.stamp(v)) }
func (t *expiringList[V]) clear()  { t.cells.clear() }

func (t *expiringList[V]) put(list []V) {
	all := make([]stamped[V], len(list))
	for i, v := range list {
		all[i] = t.expiry.stamp(v)
	}
	t.cells.put(all)
}

func (t *expiringList[V]) retain(keep func(V) bool) {
	t.cells.retain(func(s stamped[V]) bool { return t.expiry.isLive(s) && keep(s.v) })
}
