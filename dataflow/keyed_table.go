package dataflow

import (
	"fmt"
	"iter"
)

// memoryTable is a table in memory. A row key R is the key itself, or the key with more; a cell C is what is kept for it.
type memoryTable[K, R comparable, C any] struct {
	state  *keyedState[K]
	name   string
	kind   tableKind
	format cellFormat[K, R, C]
	shards []shard[K, R, C] // one per key group of the subtask
}

// cellFormat turns the cells of a table into the rows of a snapshot and back. It has no state: it is used by the
// goroutines of several snapshots at once.
type cellFormat[K, R comparable, C any] interface {
	// appendRows appends the rows of a cell, without what has expired by now, and returns how many they are and whether
	// anything has been left out. The cell is not changed.
	appendRows(dst []byte, r R, c C, now int64) (extended []byte, rows int, expired bool)
	// decodeRow adds the row at the beginning of src to the cells and returns its key and its size. The key is good even
	// if the rest is not, when an error is returned with n > 0.
	decodeRow(src []byte, into map[R]C) (key K, n int, err error)
	// prune removes from the cell what has expired by now and reports whether anything is left.
	prune(c *C, now int64) bool
}

func newMemoryTable[K, R comparable, C any](s *keyedState[K], name string, kind tableKind, format cellFormat[K, R, C]) *memoryTable[K, R, C] {
	t := &memoryTable[K, R, C]{state: s, name: name, kind: kind, format: format, shards: make([]shard[K, R, C], s.groups.Len())}
	for i := range t.shards {
		t.shards[i].table = t
	}
	return t
}

// current is the shard of the current key.
func (t *memoryTable[K, R, C]) current() *shard[K, R, C] { return &t.shards[t.state.shard] }

func (t *memoryTable[K, R, C]) get(r R) (C, bool) {
	c, found := t.current().cells[r]
	return c, found
}

func (t *memoryTable[K, R, C]) put(r R, c C) { t.current().writable()[r] = c }

func (t *memoryTable[K, R, C]) delete(r R) {
	s := t.current()
	if _, found := s.cells[r]; found {
		s.beforeWrite()
		delete(s.cells, r)
	}
}

// rows goes through all cells, with the number of their shard.
func (t *memoryTable[K, R, C]) rows() iter.Seq2[int, R] {
	return func(yield func(int, R) bool) {
		for i := range t.shards {
			for r := range t.shards[i].cells {
				if !yield(i, r) {
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
		if len(s.cells) > 0 {
			into = append(into, s.capture(t.state.groups.First+i, now))
		}
	}
	return into
}

func (t *memoryTable[K, R, C]) load(at int, count int, rows []byte) error {
	loaded := t.shards[at].cells
	if loaded == nil {
		loaded = make(map[R]C, min(count, len(rows)))
	}
	for i := range count {
		k, n, err := t.format.decodeRow(rows, loaded)
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
	t.shards[at].cells = loaded
	return nil
}
