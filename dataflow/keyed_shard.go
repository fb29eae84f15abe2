package dataflow

import (
	"sync"
	"sync/atomic"

	"cairn/checkpoint"
)

// shard is one key group of one table in memory, the unit of copy-on-write. Only the task's goroutine writes the
// cells, and never while a snapshot still waits for them as they are: a capture marks the shard, and whoever comes
// first, the task that wants to write or the goroutine that uploads the snapshot, serializes it. So no capture copies
// the table, and none ever stops the task for longer than one shard takes.
//
// Reading a map from two goroutines is no race as long as nobody writes; waiting is what keeps the writer off. A cell
// may be changed in place (a list, a map, an accumulator), but behind beforeWrite only.
type shard[K, R comparable, C any] struct {
	table *memoryTable[K, R, C]
	cells map[R]C
	// waiting is the number of captures that have not been served, and sweepWanted. The task's goroutine raises the
	// number; it falls to 0 under mu, after the cells have been read.
	waiting atomic.Int32

	mu struct {
		sync.Mutex // held while the cells are serialized
		captures   []*capturedShard
		lastSize   int // of the serialized cells, to allocate the next ones at once
	}
}

// sweepWanted, in shard.waiting, says that the last serialization has come across cells that have expired.
const sweepWanted = 1 << 30

// capturedShard is a shard as it was when a snapshot captured it.
type capturedShard struct {
	table string
	kind  tableKind
	group int
	now   int64  // processing time of the capture: what has expired by then is left out
	serve func() // makes data available, unless that has been done
	// drop gives the capture up, so that the task need not serve it any more.
	drop  func()
	count int    // rows; valid after serve
	data  []byte // the serialized rows; valid after serve, not changed by anybody
	done  bool   // guarded by the shard's mutex until serve has returned
}

// capture marks the shard. Only the task's goroutine calls it.
func (s *shard[K, R, C]) capture(group int, now int64) *capturedShard {
	c := &capturedShard{table: s.table.name, kind: s.table.kind, group: group, now: now}
	c.serve = func() { s.serve(c) }
	c.drop = func() { s.drop(c) }
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.captures = append(s.mu.captures, c)
	s.waiting.Add(1)
	return c
}

// beforeWrite makes the cells free to be changed. In between snapshots it costs one atomic load.
func (s *shard[K, R, C]) beforeWrite() {
	if s.waiting.Load() != 0 {
		s.settle()
	}
}

// settle serves the captures that wait, and removes expired cells if there are any: only the task may do that.
func (s *shard[K, R, C]) settle() {
	s.serve(nil)
	if s.waiting.Swap(0) == sweepWanted {
		now := s.table.state.nowMillis()
		for r, c := range s.cells {
			if !s.table.format.prune(&c, now) {
				delete(s.cells, r)
			} else {
				s.cells[r] = c
			}
		}
	}
}

// writable returns the cells, free to be changed.
func (s *shard[K, R, C]) writable() map[R]C {
	s.beforeWrite()
	if s.cells == nil {
		s.cells = make(map[R]C)
	}
	return s.cells
}

// serve serializes the cells for all captures that wait, which have all seen the same ones: each write serves the
// captures before it. Nothing is done when the capture asked for has been served already.
func (s *shard[K, R, C]) serve(asked *capturedShard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.mu.captures) == 0 || asked != nil && asked.done {
		return
	}
	now := s.mu.captures[0].now // later captures may have more than they need: it goes when it is looked at
	data := make([]byte, 0, s.mu.lastSize+s.mu.lastSize/8)
	rows, expired := 0, false
	for r, c := range s.cells {
		var n int
		var some bool
		data, n, some = s.table.format.appendRows(data, r, c, now)
		rows, expired = rows+n, expired || some
	}
	s.mu.lastSize = len(data)
	for _, c := range s.mu.captures {
		c.count, c.data, c.done = rows, data, true
	}
	s.mu.captures = nil
	if expired {
		s.waiting.Store(sweepWanted)
	} else {
		s.waiting.Store(0)
	}
}

// drop removes a capture that nobody needs any more.
func (s *shard[K, R, C]) drop(c *capturedShard) {
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
