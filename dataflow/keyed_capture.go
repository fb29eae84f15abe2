package dataflow

import (
	"slices"
	"sync"

	"cairn/checkpoint"
)

// capturedShard is a shard as it was when a snapshot captured it.
type capturedShard struct {
	table string
	kind  tableKind
	group int
	now   int64  // processing time of the capture: what has expired by then is left out
	mark  uint32 // of the shard since the capture: a block with a lower one is as it was captured
	serve func() // makes data complete, unless that has been done
	// drop gives the capture up, so that the task need not serve it any more.
	drop  func()
	count int        // rows in data
	data  []byte     // the rows serialized so far; from serve on all of them, not changed by anybody
	size  int        // about how many bytes they will be: as many as the last time
	spare *sync.Pool // where data comes from and goes to; nil if nowhere
}

// capture marks the shard. Only the task's goroutine calls it, and only if the shard has rows.
func (s *shard[K, R, C]) capture(group int, now int64) *capturedShard {
	c := &capturedShard{table: s.table.name, kind: s.table.kind, group: group, now: now, spare: &s.table.buffers}
	c.serve = func() { s.serve(c) }
	c.drop = func() { s.drop(c) }
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mark += 2
	c.mark, c.size = s.mark, s.mu.lastSize
	s.mu.captures = append(s.mu.captures, c)
	return c
}

// serve serializes the blocks that the task has left, in their order. A page that is split or grows meanwhile has been
// served as a whole.
func (s *shard[K, R, C]) serve(c *capturedShard) {
	for at, more := uint64(0), true; more; more = at != 0 {
		next, blocks := at, 1
		for b := 0; b < blocks; b++ {
			next, blocks = s.serveNext(c, at, b)
		}
		at = next
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forget(c) {
		s.mu.lastSize = len(c.data)
	}
}

// serveNext serializes a block of the page at a position, if the capture waits for it. It holds up the task for no longer
// than that. It returns the position of the next page, and the number of this one's blocks.
func (s *shard[K, R, C]) serveNext(c *capturedShard, at uint64, b int) (next uint64, blocks int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, next := s.pages.next(at)
	if b < len(p.marks) && p.marks[b].Load() < c.mark {
		s.serveBlock(p, b)
	}
	return next, len(p.marks)
}

// serveBlock serializes a block for all captures that wait for it: they have all seen the same rows. The caller holds mu.
func (s *shard[K, R, C]) serveBlock(p *page[R, C], b int) {
	mark := p.marks[b].Load()
	expired := mark&1 != 0
	waiting := s.mu.captures
	for len(waiting) > 0 && waiting[0].mark <= mark {
		waiting = waiting[1:]
	}
	if len(waiting) > 0 {
		first := waiting[0] // later ones may get more than they need: what has expired goes when it is looked at
		begin, count := len(first.data), first.count
		expired = s.serialize(p, b, first)
		for _, c := range waiting[1:] {
			c.buffer()
			c.data, c.count = append(c.data, first.data[begin:]...), c.count+first.count-count
		}
	}
	mark = s.mark
	if expired {
		mark++
	}
	p.marks[b].Store(mark)
}

// serialize appends the rows of a block to a capture's, and reports whether any of them have expired.
func (s *shard[K, R, C]) serialize(p *page[R, C], b int, c *capturedShard) (expired bool) {
	c.buffer()
	data, count := c.data, c.count
	var used [blockSlots]uint8
	tags, slots := p.block(b)
	for _, i := range usedOf(tags, &used) {
		row := &slots[i]
		var rows int
		var some bool
		data, rows, some = s.table.format.appendRows(data, row.key, row.cell, c.now)
		count, expired = count+rows, expired || some
	}
	c.data, c.count = data, count // now that no codec can panic any more
	return expired
}

// drop removes a capture that nobody needs any more.
func (s *shard[K, R, C]) drop(c *capturedShard) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(c)
}

// forget reports whether the capture still waited. The caller holds mu.
func (s *shard[K, R, C]) forget(c *capturedShard) bool {
	i := slices.Index(s.mu.captures, c)
	if i >= 0 {
		s.mu.captures = slices.Delete(s.mu.captures, i, i+1)
	}
	return i >= 0
}

// buffer makes sure that there is memory.
func (c *capturedShard) buffer() {
	if c.data != nil {
		return
	}
	if b, _ := c.spare.Get().(*[]byte); b != nil && cap(*b) >= c.size {
		c.data = (*b)[:0]
	} else {
		c.data = make([]byte, 0, c.size+c.size/8)
	}
}

// recycle gives data up: the next snapshot will need as much.
func (c *capturedShard) recycle() {
	if data := c.data; c.spare != nil && data != nil {
		c.spare.Put(&data)
	}
	c.data = nil
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

// size is about how many bytes the rows will be.
func (c capturedKeyed) size() (sum int) {
	for _, s := range c.shards {
		sum += s.size
	}
	return sum
}
