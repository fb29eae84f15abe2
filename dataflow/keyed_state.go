package dataflow

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
	"cairn/dataflow/rowstore"
)

// keyedState is the keyed state of one operator's subtask: tables, each divided by the key groups that the subtask
// owns. It belongs to the task's goroutine; only what capture returns is read by another.
type keyedState[K comparable] struct {
	keys      codec.Codec[K]
	plainKeys bool                     // see bitsAreEqual
	groups    checkpoint.KeyGroupRange // that the subtask owns
	maxGroups int
	now       func() time.Time // processing time
	tables    []keyedTable
	// onDisk says that the tables are rows of a store; it is there when the state is restored.
	onDisk bool
	rows   rowstore.Store
	fail   func(error) // takes the errors of rows

	key     K      // that state refers to now
	hash    uint64 // of key's encoding
	shard   int    // of key's group: the group less groups.First
	scratch []byte // key's encoding; in memory it may be another one's
}

// keyedTable is a table whatever the types of its keys and values.
type keyedTable interface {
	tableName() string
	tableKind() tableKind
	// capture marks every shard that is not empty to be kept as it is now, which is processing time now.
	capture(into []*capturedShard, now int64) []*capturedShard
	// load adds rows of one key group.
	load(shard int, count int, rows []byte) error
}

// tableKind says how the rows of a table are laid out. It is persisted.
type tableKind byte

const (
	tableOfValues tableKind = 1 // key, value
	tableOfLists  tableKind = 2 // key, length of the elements in bytes, elements
	tableOfMaps   tableKind = 3 // key, map key, value: a row for each entry
	tableOfTimers tableKind = 4 // key, time

	// tableExpires says that each value, element or map value has before it when it was last written, as a varint of
	// milliseconds since the Unix epoch.
	tableExpires tableKind = 0x80
)

// String names the kind in errors.
func (k tableKind) String() string {
	name := fmt.Sprintf("kind %d", byte(k&^tableExpires))
	switch k &^ tableExpires {
	case tableOfValues:
		name = "single values"
	case tableOfLists:
		name = "lists"
	case tableOfMaps:
		name = "maps"
	case tableOfTimers:
		name = "timers"
	}
	if k&tableExpires != 0 {
		return name + " with a TTL"
	}
	return name
}

// reservedPrefix begins the names of the tables that the runtime itself keeps.
const reservedPrefix = "cairn."

func newKeyedState[K comparable](keys codec.Codec[K], groups checkpoint.KeyGroupRange, maxGroups int, now func() time.Time) *keyedState[K] {
	return &keyedState[K]{
		keys: keys, plainKeys: bitsAreEqual(reflect.TypeFor[K]()), groups: groups, maxGroups: maxGroups, now: now,
	}
}

// setKey makes the state refer to a key. An error means that the record came to the wrong subtask.
func (s *keyedState[K]) setKey(key K) error {
	hash := s.hashOf(key)
	group := checkpoint.KeyGroupOf(hash, s.maxGroups)
	if !s.groups.Contains(group) {
		return fmt.Errorf("key group %d is not among %d to %d of this subtask", group, s.groups.First, s.groups.Last)
	}
	s.key, s.hash, s.shard = key, hash, group-s.groups.First
	return nil
}

// setOwnKey makes the state refer to a key that is known to be the subtask's.
func (s *keyedState[K]) setOwnKey(key K) {
	s.key, s.hash = key, s.hashOf(key)
	s.shard = checkpoint.KeyGroupOf(s.hash, s.maxGroups) - s.groups.First
}

func (s *keyedState[K]) groupOf(key K) int { return checkpoint.KeyGroupOf(s.hashOf(key), s.maxGroups) }

// hashOf is the hash of a key's encoding, which is left in scratch.
func (s *keyedState[K]) hashOf(key K) uint64 {
	s.scratch = s.keys.Append(s.scratch[:0], key)
	return xxhash.Sum64(s.scratch)
}

// nowMillis is the processing time in milliseconds since the Unix epoch.
func (s *keyedState[K]) nowMillis() int64 { return s.now().UnixMilli() }

// declare adds a table of the processor's.
func (s *keyedState[K]) declare(t keyedTable) error {
	name := t.tableName()
	switch {
	case name == "" || s.table(name) != nil:
		return fmt.Errorf("state %q: the name is empty or declared twice", name)
	case strings.HasPrefix(name, reservedPrefix):
		return fmt.Errorf("state %q: names that begin with %q are the runtime's own", name, reservedPrefix)
	}
	for _, other := range s.tables {
		if tableID(other.tableName()) == tableID(name) {
			return fmt.Errorf("state %q: its name cannot be told from that of state %q on disk: give it another one", name, other.tableName())
		}
	}
	s.tables = append(s.tables, t)
	return nil
}

// note lets the task fail because of a table's error.
func (s *keyedState[K]) note(table string, err error) {
	if err != nil {
		s.fail(fmt.Errorf("state %s: %w", table, err))
	}
}

// table returns the table of that name, or nil.
func (s *keyedState[K]) table(name string) keyedTable {
	i := slices.IndexFunc(s.tables, func(t keyedTable) bool { return t.tableName() == name })
	if i < 0 {
		return nil
	}
	return s.tables[i]
}

// capture returns all that is to be serialized. It costs a few instructions per shard, not per key.
func (s *keyedState[K]) capture() capturedKeyed {
	c := capturedKeyed{groups: s.groups}
	now := s.nowMillis()
	for _, t := range s.tables {
		c.shards = t.capture(c.shards, now)
	}
	return c
}

func (s *keyedState[K]) owned() checkpoint.KeyGroupRange { return s.groups }

// loadShard takes in the rows of one key group of one table of a snapshot.
func (s *keyedState[K]) loadShard(group int, table string, kind tableKind, count int, rows []byte) error {
	if !s.groups.Contains(group) {
		return fmt.Errorf("%w: key group %d is not among %d to %d", errState, group, s.groups.First, s.groups.Last)
	}
	if err := s.checkTable(table, kind); err != nil {
		return err
	}
	return s.table(table).load(group-s.groups.First, count, rows)
}

// checkTable refuses state that the operator does not declare, or not as it is.
func (s *keyedState[K]) checkTable(name string, kind tableKind) error {
	switch t := s.table(name); {
	case t == nil:
		return fmt.Errorf("the checkpoint has state %q, which the operator does not declare", name)
	case t.tableKind() != kind:
		return fmt.Errorf("state %q: the checkpoint has %s, the operator declares %s: give the state another name",
			name, kind, t.tableKind())
	}
	return nil
}
