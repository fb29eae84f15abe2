package dataflow

import (
	"sync"
	"sync/atomic"

	"cairn/checkpoint"
)

// shard is one key group of one table, the unit of copy-on-write. Only the task's goroutine writes the
// entries, and never while a snapshot still waits for them as they are: a capture marks the shard, and
// whoever comes first, the task that wants to write or the goroutine that uploads the snapshot, serializes
// it. So no capture copies the table, and none ever stops the task for longer than one shard takes.
//
// Reading a map from two goroutines is no race as long as nobody writes; waiting is what keeps the writer off.
type shard[K comparable, V any] struct {
	table   *ValueState[K, V]
	entries map[K]V
	// waiting is the number of captures that have not been served. The task's goroutine raises it; it falls
	// to 0 under mu, after the entries have been read.
	waiting atomic.Int32

	mu struct {
		sync.Mutex // held while the entries are serialized
		captures   []*capturedShard
		lastSize   int // of the serialized entries, to allocate the next ones at once
	}
}

// capturedShard is a shard as it was when a snapshot captured it.
type capturedShard struct {
	table string
	group int
	serve func() // makes data available, unless that has been done
	// drop gives the capture up, so that the task need not serve it any more.
	drop  func()
	count int    // entries; valid after serve
	data  []byte // the serialized entries; valid after serve, not changed by anybody
	done  bool   // guarded by the shard's mutex until serve has returned
}

// capture marks the shard. Only the task's goroutine calls it.
func (s *shard[K, V]) capture(table string, group int) *capturedShard {
	c := &capturedShard{table: table, group: group}
	c.serve = func() { s.serve(c) }
	c.drop = func() { s.drop(c) }
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.captures = append(s.mu.captures, c)
	s.waiting.Add(1)
	return c
}

// beforeWrite makes the entries free to be changed. In between snapshots it costs one atomic load.
func (s *shard[K, V]) beforeWrite() {
	if s.waiting.Load() != 0 {
		s.serve(nil)
	}
}

// serve serializes the entries for all captures that wait, which have all seen the same ones: each write
// serves the captures before it. Nothing is done when the capture asked for has been served already.
func (s *shard[K, V]) serve(asked *capturedShard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mu.captures) == 0 || asked != nil && asked.done {
		return
	}
	data := make([]byte, 0, s.mu.lastSize+s.mu.lastSize/8)
	for k, v := range s.entries {
		data = s.table.values.Append(s.table.state.keys.Append(data, k), v)
	}
	s.mu.lastSize = len(data)
	for _, c := range s.mu.captures {
		c.count, c.data, c.done = len(s.entries), data, true
	}
	s.mu.captures = nil
	s.waiting.Store(0)
}

// drop removes a capture that nobody needs any more.
func (s *shard[K, V]) drop(c *capturedShard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range s.mu.captures {
		if other == c {
			s.mu.captures = append(s.mu.captures[:i:i], s.mu.captures[i+1:]...)
			s.waiting.Add(-1)
			return
		}
	}
}

// capturedKeyed is the keyed state of an operator as a snapshot captured it.
type capturedKeyed struct {
	groups checkpoint.KeyGroupRange
	shards []*capturedShard
}

// release drops the shards that have not been served.
func (c capturedKeyed) release() {
	for _, s := range c.shards {
		s.drop()
	}
}
