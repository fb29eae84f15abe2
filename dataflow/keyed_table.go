package dataflow

import (
	"fmt"
	"iter"
	"sync"
)

// memoryTable is a table in memory. A row key R is the key itself, or the key with more; a cell C is what is kept for it.
type memoryTable[K, R comparable, C any] struct {
	state  *keyedState[K]
	name   string
	kind   tableKind
	format cellFormat[K, R, C]
	hash   func(R) uint64
	shards []shard[K, R, C] // one per key group of the subtask
	// buffers are of captures that have been stored, each about as large as the serialized rows of a shard.
	buffers sync.Pool
}

// cellFormat turns the cells of a table into the rows of a snapshot and back. It has no state: it is used by the
// goroutines of several snapshots at once.
type cellFormat[K, R comparable, C any] interface {
	// appendRows appends the rows of a cell, without what has expired by now, and returns how many they are and whether
	// anything has been left out. The cell is not changed.
	appendRows(dst []byte, r R, c C, now int64) (extended []byte, rows int, expired bool)
	// decodeRow adds the row at the beginning of src to the cells and returns its key and its size. The key is good even
	// if the rest is not, when an error is returned with n > 0.
	decodeRow(src []byte, into upsertFunc[R, C]) (key K, n int, err error)
	// prune removes from the cell what has expired by now and reports whether anything is left.
	prune(c *C, now int64) bool
}

// upsertFunc returns the cell of a row, which is valid until the next call, and adds it when there is none.
type upsertFunc[R comparable, C any] func(R) (c *C, added bool)

// newMemoryTable returns a table. hash gives a row the hash with which it is asked for.
func newMemoryTable[K, R comparable, C any](s *keyedState[K], name string, kind tableKind, format cellFormat[K, R, C],
	hash func(R) uint64,
) *memoryTable[K, R, C] {
	t := &memoryTable[K, R, C]{
		state: s, name: name, kind: kind, format: format, hash: hash, shards: make([]shard[K, R, C], s.groups.Len()),
	}
	for i := range t.shards {
		t.shards[i].table = t
	}
	return t
}

// newKeyTable returns a table of a cell for each key.
func newKeyTable[K comparable, C any](s *keyedState[K], name string, kind tableKind, format cellFormat[K, K, C]) keyTable[K, C] {
	return keyTable[K, C]{newMemoryTable(s, name, kind, format, s.hashOf)}
}

// keyTable is a table of a cell for each key. It refers to the current one.
type keyTable[K comparable, C any] struct{ *memoryTable[K, K, C] }

func (t keyTable[K, C]) get() (C, bool) { return t.current().get(t.state.hash, t.state.key) }

// cell returns the current key's cell, free to be changed until the next call, or nil when it has none.
func (t keyTable[K, C]) cell() *C { return t.current().cell(t.state.hash, t.state.key) }

// upsert is cell, and adds one when there is none.
func (t keyTable[K, C]) upsert() *C {
	c, added := t.current().upsert(t.state.hash, t.state.key)
	if added {
		t.state.checkKey()
	}
	return c
}

func (t keyTable[K, C]) delete() { t.current().delete(t.state.hash, t.state.key) }

// current is the shard of the current key.
func (t *memoryTable[K, R, C]) current() *shard[K, R, C] { return &t.shards[t.state.shard] }

// rows goes through all rows. The loop's body may remove them and add others, which may come or not.
func (t *memoryTable[K, R, C]) rows() iter.Seq[R] {
	return func(yield func(R) bool) {
		for i := range t.shards {
			for r := range t.shards[i].pages.each() {
				if !yield(r) {
					return
				}
			}
		}
	}
}

func (t *memoryTable[K, R, C]) tableName() string    { return t.name }
func (t *memoryTable[K, R, C]) tableKind() tableKind { return t.kind }

func (t *memoryTable[K, R, C]) capture(into []*capturedShard, now int64) []*capturedShard {
	for i := range t.shards {
		s := &t.shards[i]
		if s.pages.rows > 0 {
			into = append(into, s.capture(t.state.groups.First+i, now))
		}
	}
	return into
}

func (t *memoryTable[K, R, C]) load(at int, count int, rows []byte) error {
	into := func(r R) (*C, bool) { return t.shards[at].upsert(t.hash(r), r) }
	for i := range count {
		k, n, err := t.format.decodeRow(rows, into)
		switch {
		case err != nil && n > 0:
			return fmt.Errorf("state %s: the value of key %v: %w", t.name, k, err)
		case err != nil:
			return fmt.Errorf("state %s: key %d of %d: %w", t.name, i, count, err)
		}
		if group := t.state.groupOf(k) - t.state.groups.First; group != at {
			return fmt.Errorf("state %s: key %v is of another key group: the key's encoding has changed", t.name, k)
		}
		rows = rows[n:]
	}
	if len(rows) != 0 {
		return fmt.Errorf("state %s: %d bytes behind %d keys", t.name, len(rows), count)
	}
	return nil
}
