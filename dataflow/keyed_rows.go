package dataflow

import (
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	"github.com/cespare/xxhash/v2"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// A row of a rowstore.Store is named by the key group (two bytes, the higher first), the table (four bytes, of the hash of
// its name), the key, and for maps and timers the map key or the time. So a span of key groups is a span of rows. The
// encodings of keys delimit themselves: none is the beginning of another one, and the rows of a key are those that
// begin with it. This form is persisted.
const rowHead = 2 + 4

// tableID is the part of a row that stands for the table. Two tables of an operator must not have the same.
func tableID(name string) uint32 { return uint32(xxhash.Sum64String(name)) }

func appendGroup(dst []byte, group int) []byte {
	return binary.BigEndian.AppendUint16(dst, uint16(group))
}

// rowSpan is where the rows of a range of key groups begin and end.
func rowSpan(groups checkpoint.KeyGroupRange) (from, to []byte) {
	return appendGroup(nil, groups.First), appendGroup(nil, groups.Last+1)
}

// afterPrefix returns the end of the rows that begin with prefix, which does not consist of bytes of 255 alone: no key
// group is that high. It appends to dst.
func afterPrefix(dst, prefix []byte) []byte {
	start := len(dst)
	dst = append(dst, prefix...)
	for last := len(dst) - 1; ; last-- {
		if dst[last]++; dst[last] != 0 {
			return dst[:last+1]
		}
		if last == start {
			return dst
		}
	}
}

// rowTable is a table whose rows are in a rowstore.Store. Errors of the store stick to the chain.
type rowTable[K comparable] struct {
	state *keyedState[K]
	name  string
	kind  tableKind
	id    uint32
	// format reads the rows of snapshots in the canonical format and writes them.
	format rowFormat
	row    []byte // scratch
	value  []byte // scratch
	sweep  rowSweep
}

// rowFormat converts rows between the canonical format, where they follow each other, and a rowstore.Store. It has no state.
type rowFormat interface {
	// split returns the sizes of the row's name and of its value, at the beginning of src, and how many bytes stand
	// between the two.
	split(src []byte) (name, between, value int, err error)
	// trim appends what of a row's value has not expired by now. some says that the row is to stay.
	trim(dst, value []byte, now int64) (extended []byte, some bool, err error)
	// join appends a row in the canonical format, without what has expired by now; nothing, if that is all.
	join(dst, name, value []byte, now int64) (extended []byte, some bool, err error)
}

func newRowTable[K comparable](s *keyedState[K], name string, kind tableKind, format rowFormat) *rowTable[K] {
	return &rowTable[K]{state: s, name: name, kind: kind, id: tableID(name), format: format}
}

func (t *rowTable[K]) tableName() string    { return t.name }
func (t *rowTable[K]) tableKind() tableKind { return t.kind }

// current returns the row of the current key, or what its rows begin with. It is valid until the next call. That there is
// no key is a panic, as it is in memory: the row would be one of another subtask.
func (t *rowTable[K]) current() []byte {
	if t.state.shard == noShard {
		panic(fmt.Sprintf("state %s is that of a key, and there is no current key", t.name))
	}
	t.row = t.head(t.row[:0], t.state.groups.First+t.state.shard)
	t.row = append(t.row, t.state.scratch...)
	return t.row
}

func (t *rowTable[K]) head(dst []byte, group int) []byte {
	return binary.BigEndian.AppendUint32(appendGroup(dst, group), t.id)
}

// get returns the value of a row. It is valid until the next call.
func (t *rowTable[K]) get(row []byte) ([]byte, bool) {
	v, found, err := t.state.rows.Get(t.value[:0], row)
	t.value = v[:0]
	t.state.note(t.name, err)
	return v, found && err == nil
}

// put sets the value of a row to what has been appended to the table's scratch.
func (t *rowTable[K]) put(row, value []byte) {
	t.value = value[:0]
	t.state.note(t.name, t.state.rows.Put(row, value))
	t.wrote(len(row) + len(value))
}

func (t *rowTable[K]) delete(row []byte) { t.state.note(t.name, t.state.rows.Delete(row)) }

// scan goes through the rows that begin with prefix. Row and value are valid until the next one.
func (t *rowTable[K]) scan(prefix []byte) iter.Seq2[[]byte, []byte] {
	prefix = slices.Clone(prefix) // the loop's body may use the scratch
	return func(yield func(row, value []byte) bool) {
		rows, err := t.state.rows.Scan(prefix, afterPrefix(nil, prefix))
		if err != nil {
			t.state.note(t.name, err)
			return
		}
		defer func() { t.state.note(t.name, rows.Close()) }()
		for rows.Next() && yield(rows.Row(), rows.Value()) {
		}
	}
}

// each goes through all rows of the table and makes the key of each the current one. name is the row's name without the
// head and the key.
func (t *rowTable[K]) each(f func(key K, name, value []byte) bool) {
	for group := t.state.groups.First; group <= t.state.groups.Last; group++ {
		for row, value := range t.scan(t.head(nil, group)) {
			key, n, err := t.state.keys.Decode(row[rowHead:])
			if err != nil {
				t.state.note(t.name, fmt.Errorf("key: %w", err))
				return
			}
			t.state.key, t.state.shard = key, group-t.state.groups.First
			t.state.scratch = append(t.state.scratch[:0], row[rowHead:rowHead+n]...)
			if !f(key, row[rowHead+n:], value) {
				return
			}
		}
	}
}

// capture implements keyedTable: the store is captured as a whole.
func (t *rowTable[K]) capture(into []*capturedShard, _ int64) []*capturedShard { return into }

// load takes in rows of a snapshot in the canonical format.
func (t *rowTable[K]) load(at int, count int, rows []byte) error {
	group := t.state.groups.First + at
	for i := range count {
		name, between, value, err := t.format.split(rows)
		if err != nil {
			return fmt.Errorf("state %s: row %d of %d: %w", t.name, i, count, err)
		}
		key, _, err := t.state.keys.Decode(rows[:name])
		if err != nil {
			return fmt.Errorf("state %s: row %d of %d: %w", t.name, i, count, err)
		}
		if t.state.groupOf(key) != group {
			return fmt.Errorf("state %s: key %v is of another key group: the key's encoding has changed", t.name, key)
		}
		row := append(t.head(t.row[:0], group), rows[:name]...)
		t.row = row
		if _, twice := t.get(row); twice {
			return fmt.Errorf("state %s: key %v comes twice", t.name, key)
		}
		if err := t.state.rows.Put(row, rows[name+between:name+between+value]); err != nil {
			return fmt.Errorf("state %s: %w", t.name, err)
		}
		rows = rows[name+between+value:]
	}
	if len(rows) != 0 {
		return fmt.Errorf("state %s: %d bytes behind %d rows", t.name, len(rows), count)
	}
	return nil
}

// sizeOf returns the size of the value at the beginning of src.
func sizeOf[V any](c codec.Codec[V], src []byte) (int, error) {
	_, n, err := c.Decode(src)
	return n, err
}
