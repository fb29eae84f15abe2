package dataflow

import (
	"fmt"
	"iter"
	"slices"

	"github.com/cespare/xxhash/v2"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// keyedState is the keyed state of one operator's subtask, in memory: tables, each divided into the shards of
// the key groups that the subtask owns. It belongs to the task's goroutine; only what captured returns is
// read by another.
type keyedState[K comparable] struct {
	keys      codec.Codec[K]
	groups    checkpoint.KeyGroupRange // that the subtask owns
	maxGroups int
	tables    []keyedTable

	key     K   // that state refers to now
	shard   int // of key's group: the group less groups.First
	scratch []byte
}

// keyedTable is a table whatever the type of its values.
type keyedTable interface {
	tableName() string
	// capture marks every shard that is not empty to be kept as it is now.
	capture(into []*capturedShard, groups checkpoint.KeyGroupRange) []*capturedShard
	// load adds the entries of one key group.
	load(shard int, count int, entries []byte) error
}

func newKeyedState[K comparable](keys codec.Codec[K], groups checkpoint.KeyGroupRange, maxGroups int) *keyedState[K] {
	return &keyedState[K]{keys: keys, groups: groups, maxGroups: maxGroups}
}

// setKey makes the state refer to a key. An error means that the record came to the wrong subtask.
func (s *keyedState[K]) setKey(key K) error {
	group := s.groupOf(key)
	if !s.groups.Contains(group) {
		return fmt.Errorf("key group %d is not among %d to %d of this subtask", group, s.groups.First, s.groups.Last)
	}
	s.key, s.shard = key, group-s.groups.First
	return nil
}

func (s *keyedState[K]) groupOf(key K) int {
	s.scratch = s.keys.Append(s.scratch[:0], key)
	return checkpoint.KeyGroupOf(xxhash.Sum64(s.scratch), s.maxGroups)
}

// capture returns all that is to be serialized. It costs a few instructions per shard, not per key.
func (s *keyedState[K]) capture() capturedKeyed {
	c := capturedKeyed{groups: s.groups}
	for _, t := range s.tables {
		c.shards = t.capture(c.shards, s.groups)
	}
	return c
}

// ValueState holds one value of type V per key. It belongs to the processor that declared it and is used only
// in its Process and Finish. Values are not changed in place: a snapshot may still be reading them. Get one,
// make another, Put it.
type ValueState[K comparable, V any] struct {
	state  *keyedState[K]
	name   string
	values codec.Codec[V]
	shards []shard[K, V] // one per key group of the subtask
}

// NewValueState declares state in a processor's Open. The name is unique within the operator; restored state
// is matched by it.
func NewValueState[K comparable, V any](ctx *ProcessContext[K], name string, values codec.Codec[V]) *ValueState[K, V] {
	s := &ValueState[K, V]{state: ctx.keyed, name: name, values: values, shards: make([]shard[K, V], ctx.keyed.groups.Len())}
	for i := range s.shards {
		s.shards[i].table = s
	}
	taken := slices.ContainsFunc(ctx.keyed.tables, func(t keyedTable) bool { return t.tableName() == name })
	if taken || name == "" {
		ctx.err = fmt.Errorf("state %q: the name is empty or declared twice", name)
		return s
	}
	ctx.keyed.tables = append(ctx.keyed.tables, s)
	return s
}

// Get returns the value of the current key, or false when it has none.
func (s *ValueState[K, V]) Get() (V, bool) {
	v, found := s.shards[s.state.shard].entries[s.state.key]
	return v, found
}

// Put sets the value of the current key.
func (s *ValueState[K, V]) Put(v V) {
	shard := &s.shards[s.state.shard]
	shard.beforeWrite()
	if shard.entries == nil {
		shard.entries = make(map[K]V)
	}
	shard.entries[s.state.key] = v
}

// Delete removes the value of the current key.
func (s *ValueState[K, V]) Delete() {
	shard := &s.shards[s.state.shard]
	shard.beforeWrite()
	delete(shard.entries, s.state.key)
}

// All goes through every key of the subtask that has a value, in no particular order. Each key is the current
// one while the loop's body runs, which may put or delete its value.
func (s *ValueState[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for i := range s.shards {
			for k, v := range s.shards[i].entries {
				s.state.key, s.state.shard = k, i
				if !yield(k, v) {
					return
				}
			}
		}
	}
}

func (s *ValueState[K, V]) tableName() string { return s.name }

func (s *ValueState[K, V]) capture(into []*capturedShard, groups checkpoint.KeyGroupRange) []*capturedShard {
	for i := range s.shards {
		shard := &s.shards[i]
		if len(shard.entries) > 0 {
			into = append(into, shard.capture(s.name, groups.First+i))
		}
	}
	return into
}

func (s *ValueState[K, V]) load(at int, count int, entries []byte) error {
	if s.shards[at].entries != nil {
		return fmt.Errorf("state %s: key group %d comes twice", s.name, s.state.groups.First+at)
	}
	loaded := make(map[K]V, min(count, len(entries)))
	for i := range count {
		k, n, err := s.state.keys.Decode(entries)
		if err != nil {
			return fmt.Errorf("state %s: key %d of %d: %w", s.name, i, count, err)
		}
		v, m, err := s.values.Decode(entries[n:])
		if err != nil {
			return fmt.Errorf("state %s: the value of key %v: %w", s.name, k, err)
		}
		if group := s.state.groupOf(k) - s.state.groups.First; group != at {
			return fmt.Errorf("state %s: key %v is of another key group: the key's encoding has changed", s.name, k)
		}
		loaded[k], entries = v, entries[n+m:]
	}
	if len(entries) != 0 {
		return fmt.Errorf("state %s: %d bytes behind %d keys", s.name, len(entries), count)
	}
	s.shards[at].entries = loaded
	return nil
}
