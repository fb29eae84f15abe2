package dataflow

import "sync"

// shard is one key group of one table in memory. It is captured page by page: a capture raises the shard's mark, which
// costs the same however much there is, and from then on a page may not be changed before its rows are serialized.
// Whoever comes first does that, the task that wants to write to the page or the goroutine that uploads the snapshot. So
// no capture copies anything, and none ever stops the task for longer than one page takes.
//
// Only the task's goroutine writes. Another one reads, under mu: the directory and the depths of pages, which the task
// therefore changes under mu only, and the rows of pages whose mark says that they must not be changed.
type shard[K, R comparable, C any] struct {
	table *memoryTable[K, R, C]
	pages pages[R, C]
	mark  uint64 // twice the epoch of the last capture; written by the task under mu

	mu struct {
		sync.Mutex
		captures []*capturedShard // that have not seen every page, oldest first
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
	if s.settle(p) {
		return s.cell(hash, r) // it may have moved, or gone
	}
	return &p.slots[at].cell
}

// upsert is cell, and adds the row when there is none.
func (s *shard[K, R, C]) upsert(hash uint64, r R) (c *C, added bool) {
	if c := s.cell(hash, r); c != nil {
		return c, false
	}
	p := s.room(hash)
	tag := tagOf(hash)
	p.add(tag, slot[R, C]{key: r})
	s.pages.rows++
	at, _ := p.find(tag, r)
	return &p.slots[at].cell, true
}

// room returns the page for a row that is to be added.
func (s *shard[K, R, C]) room(hash uint64) *page[R, C] {
	if len(s.pages.directory) == 0 {
		s.restructure(func() { s.pages.begin(s.mark) })
	}
	for {
		p := s.pages.of(hash)
		s.settle(p)
		switch {
		case !p.full():
			return p
		case len(p.tags) < pageSlots || s.pages.crowded():
			p.grow()
		default:
			s.restructure(func() { s.pages.spread(hash, s.table.hash) })
		}
	}
}

// restructure changes the directory.
func (s *shard[K, R, C]) restructure(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock() // also when a codec panics
	change()
}

func (s *shard[K, R, C]) delete(hash uint64, r R) {
	if s.cell(hash, r) != nil {
		p, at, _ := s.pages.find(hash, r)
		p.remove(at)
		s.pages.rows--
	}
}

// settle makes a page free to be changed, and reports whether rows have moved. In between snapshots it costs one atomic load.
func (s *shard[K, R, C]) settle(p *page[R, C]) (moved bool) {
	if p.mark.Load() == s.mark {
		return false
	}
	return s.settleSlow(p)
}

// settleSlow serves the captures that wait for the page, and removes expired cells if there are any: only the task may do
// that.
func (s *shard[K, R, C]) settleSlow(p *page[R, C]) (moved bool) {
	s.serveFirst(p)
	if p.mark.Load() == s.mark {
		return false
	}
	now, before := s.table.state.nowMillis(), p.rows
	p.prune(func(c *C) bool { return s.table.format.prune(c, now) })
	s.pages.rows -= before - p.rows
	p.mark.Store(s.mark)
	return true
}

// serveFirst is servePage ahead of the upload.
func (s *shard[K, R, C]) serveFirst(p *page[R, C]) {
	s.mu.Lock()
	defer s.mu.Unlock() // also when a codec panics
	s.servePage(p)
}
