package dataflow

import "sync"

// shard is one key group of one table in memory. It is captured block by block: a capture raises the shard's mark, which
// costs the same however much there is, and from then on a block may not change before its rows are serialized. Whoever
// comes first does that, the task that wants to write to the block or the goroutine that uploads the snapshot. So no
// capture copies anything, and none ever stops the task for longer than one block takes.
//
// Only the task's goroutine writes. Others read, under mu: the directory, and what of a page is not rows, which the task
// therefore changes under mu only, and the rows of blocks whose mark says that they may not change.
type shard[K, R comparable, C any] struct {
	table *memoryTable[K, R, C]
	pages pages[R, C]
	mark  uint32 // twice the number of captures; written by the task under mu

	mu struct {
		sync.Mutex
		captures []*capturedShard // that have not been served, oldest first
		lastSize int              // of the serialized rows, to allocate the next ones at once
	}
}

func (s *shard[K, R, C]) get(hash uint64, r R) (c C, found bool) {
	if p, at, found := s.pages.find(hash, r); found {
		return p.slots[at].cell, true
	}
	return c, false
}

// cell returns the cell of a row, free to be changed until the next call, or nil when there is none.
func (s *shard[K, R, C]) cell(hash uint64, r R) *C {
	p, at, found := s.pages.find(hash, r)
	if !found {
		return nil
	}
	if s.settle(p, at) {
		return s.cell(hash, r) // it may have moved, or gone
	}
	return &p.slots[at].cell
}

// upsert is cell, and adds the row when there is none.
func (s *shard[K, R, C]) upsert(hash uint64, r R) (c *C, added bool) {
	if c := s.cell(hash, r); c != nil {
		return c, false
	}
	p, at := s.room(hash, r)
	p.set(at, tagOf(hash), slot[R, C]{key: r})
	s.pages.rows++
	return &p.slots[at].cell, true
}

// room returns a free slot for a row.
func (s *shard[K, R, C]) room(hash uint64, r R) (p *page[R, C], at int) {
	if len(s.pages.directory) == 0 {
		s.restructure(func() { s.pages.begin(s.mark) })
	}
	for s.pages.of(hash).full() {
		s.grow(hash)
	}
	p = s.pages.of(hash)
	at, _ = p.find(tagOf(hash), r)
	if s.settle(p, at) {
		return s.room(hash, r)
	}
	return p, at
}

// grow makes room in the page of a hash.
func (s *shard[K, R, C]) grow(hash uint64) {
	p, mark := s.pages.of(hash), s.mark
	for b := range p.marks {
		s.release(p, b)
		mark = max(mark, p.marks[b].Load()) // that some rows have expired is not forgotten
	}
	s.restructure(func() { s.pages.grow(hash, s.table.hash, mark) })
}

// restructure changes the directory, or a page as a whole.
func (s *shard[K, R, C]) restructure(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock() // also when a codec panics
	change()
}

func (s *shard[K, R, C]) delete(hash uint64, r R) {
	if s.cell(hash, r) != nil {
		p, at, _ := s.pages.find(hash, r)
		s.remove(p, at)
	}
}

func (s *shard[K, R, C]) remove(p *page[R, C], at int) {
	p.remove(at, func(slot int) { s.release(p, slot/blockSlots) })
	s.pages.rows--
}

// settle makes the block of a slot free to be changed, and reports whether rows have moved meanwhile. In between snapshots
// it costs one atomic load.
func (s *shard[K, R, C]) settle(p *page[R, C], at int) (moved bool) {
	return p.marks[at/blockSlots].Load() != s.mark && s.settleBlock(p, at/blockSlots)
}

// settleBlock removes expired cells too, if there are any: only the task may do that.
func (s *shard[K, R, C]) settleBlock(p *page[R, C], b int) (moved bool) {
	s.release(p, b)
	if p.marks[b].Load() == s.mark {
		return false
	}
	now := s.table.state.nowMillis()
	_, slots := p.block(b)
	for i := b * blockSlots; i < b*blockSlots+len(slots); {
		if p.tags[i] != 0 && !s.table.format.prune(&p.slots[i].cell, now) {
			s.remove(p, i) // another row may be here now
		} else {
			i++
		}
	}
	p.marks[b].Store(s.mark)
	return true
}

// release serves the captures that wait for a block.
func (s *shard[K, R, C]) release(p *page[R, C], b int) {
	if p.marks[b].Load() < s.mark {
		s.mu.Lock()
		defer s.mu.Unlock() // also when a codec panics
		s.serveBlock(p, b)
	}
}
