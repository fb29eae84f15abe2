package dataflow

import (
	"iter"

	"cairn/dataflow/codec"
)

// ValueState holds one value of type V per key. It belongs to the processor that declared it and is used only in its
// Process, OnTimer and Finish. Values are not changed in place: a snapshot may still be reading them. Get one, make
// another, Put it.
//
// The methods of a state return no errors: when its backend fails, the task fails behind the record under way, and
// what they return until then does not matter.
type ValueState[K comparable, V any] struct{ cells valueCells[K, V] }

// valueCells is a table of one value per key, in some backend. It refers to the current key.
type valueCells[K comparable, V any] interface {
	get() (V, bool)
	// take is get, and leaves it to the caller to change the value in place if put follows.
	take() (V, bool)
	put(V)
	delete()
	// all makes each key the current one.
	all() iter.Seq2[K, V]
}

// NewValueState declares state in a processor's Open. The name is unique within the operator; restored state
// is matched by it.
func NewValueState[K comparable, V any](ctx *ProcessContext[K], name string, values codec.Codec[V], opts ...StateOption) *ValueState[K, V] {
	return &ValueState[K, V]{declareValues(ctx, name, values, opts)}
}

// Get returns the value of the current key, or false when it has none.
func (s *ValueState[K, V]) Get() (V, bool) { return s.cells.get() }

// Put sets the value of the current key.
func (s *ValueState[K, V]) Put(v V) { s.cells.put(v) }

// Delete removes the value of the current key.
func (s *ValueState[K, V]) Delete() { s.cells.delete() }

// All goes through every key of the subtask that has a value, in no particular order. Each key is the current
// one while the loop's body runs, which may put or delete its value.
func (s *ValueState[K, V]) All() iter.Seq2[K, V] { return s.cells.all() }

// declareValues adds a table of values to the operator's state.
func declareValues[K comparable, V any](ctx *ProcessContext[K], name string, values codec.Codec[V], opts []StateOption) valueCells[K, V] {
	o, err := stateOptionsOf(name, opts)
	ctx.note(err)
	if o.ttl == 0 {
		return newValueCells(ctx, name, tableOfValues, values, nil)
	}
	e := expiry[V]{ttl: o.ttl.Milliseconds(), now: ctx.keyed.nowMillis}
	cells := newValueCells(ctx, name, tableOfValues|tableExpires, codec.Codec[stamped[V]](stampedCodec[V]{values}), e.live)
	return &expiringValues[K, V]{cells: cells, expiry: e}
}

func newValueCells[K comparable, V any](ctx *ProcessContext[K], name string, kind tableKind, values codec.Codec[V], live liveFunc[V]) valueCells[K, V] {
	format := &valueFormat[K, V]{keys: ctx.keyed.keys, values: values, live: live}
	if ctx.keyed.onDisk {
		t := rowValues[K, V]{newRowTable(ctx.keyed, name, kind, format), values}
		ctx.declare(t)
		return t
	}
	t := memoryValues[K, V]{newKeyTable(ctx.keyed, name, kind, format)}
	ctx.declare(t)
	return t
}

// memoryValues are the values of a table in memory.
type memoryValues[K comparable, V any] struct{ keyTable[K, V] }

func (t memoryValues[K, V]) take() (v V, found bool) {
	if c := t.cell(); c != nil {
		return *c, true
	}
	return v, false
}

func (t memoryValues[K, V]) put(v V) { *t.upsert() = v }

func (t memoryValues[K, V]) all() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for k := range t.rows() {
			t.state.setOwnKey(k)
			if v, found := t.get(); found && !yield(k, v) {
				return
			}
		}
	}
}

// expiringValues are values with a TTL.
type expiringValues[K comparable, V any] struct {
	cells  valueCells[K, stamped[V]]
	expiry expiry[V]
}

func (t *expiringValues[K, V]) get() (v V, found bool) {
	s, found := t.cells.get()
	if found && !t.expiry.isLive(s) {
		t.cells.delete()
		return v, false
	}
	return s.v, found
}

func (t *expiringValues[K, V]) take() (v V, found bool) {
	if s, found := t.cells.take(); found && t.expiry.isLive(s) {
		return s.v, true
	}
	return v, false
}

func (t *expiringValues[K, V]) put(v V) { t.cells.put(t.expiry.stamp(v)) }
func (t *expiringValues[K, V]) delete() { t.cells.delete() }

func (t *expiringValues[K, V]) all() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for k, s := range t.cells.all() {
			if !t.expiry.isLive(s) {
				t.cells.delete()
			} else if !yield(k, s.v) {
				return
			}
		}
	}
}
