package dataflow

import "sync/atomic"

// A page is the unit in which state in memory is captured and grows: so neither ever stops the task for longer than one
// page takes, which is about a microsecond. It begins with room for few rows, since most key groups of a small state have
// no more.
const (
	firstPageSlots = 8
	pageSlots      = 64 // a full page of this size is split
)

// page is a small hash table with linear probing. Its rows have the first depth bits of their hashes in common.
type page[R comparable, C any] struct {
	// mark is the epoch of the last capture that has what it needs of the page, doubled, and 1 more if the page has met
	// expired cells since. While it is not twice the shard's epoch, nothing may change the rows.
	mark  atomic.Uint64
	depth uint
	rows  int
	// tags are what is known of the rows without looking at them; 0 is a free slot. There are as many tags as slots, a
	// power of two, and always some that are 0.
	tags  []uint16
	slots []slot[R, C]
}

// slot is the place of a row. The key comes last: behind a cell of no size the compiler would leave a gap.
type slot[R comparable, C any] struct {
	cell C
	key  R
}

// tagOf returns the tag of a row. Which key group a hash belongs to depends on its last 15 bits at most, the way to the
// page on the first: the tag takes others, in which the rows of a page differ.
func tagOf(hash uint64) uint16 { return usedTag | uint16(hash>>16) }

const usedTag = 1 << 15

func newPage[R comparable, C any](depth uint, slots int, mark uint64) *page[R, C] {
	p := &page[R, C]{depth: depth, tags: make([]uint16, slots), slots: make([]slot[R, C], slots)}
	p.mark.Store(mark)
	return p
}

// home is the slot in which a row with that tag would like to be. It is in the next one that is free when it has come.
func (p *page[R, C]) home(tag uint16) int { return int(tag&^usedTag) & (len(p.tags) - 1) }

func (p *page[R, C]) after(i int) int { return (i + 1) & (len(p.tags) - 1) }

// find returns the slot of a row, or the one where it would come.
func (p *page[R, C]) find(tag uint16, r R) (at int, found bool) {
	for i := p.home(tag); ; i = p.after(i) {
		switch t := p.tags[i]; {
		case t == tag && p.slots[i].key == r:
			return i, true
		case t == 0:
			return i, false
		}
	}
}

// full says that the page has no room for another row: one slot in eight stays free, so that searches stay short.
func (p *page[R, C]) full() bool { return p.rows >= len(p.tags)-len(p.tags)/8 }

// add puts a row that is not there into a page that is not full.
func (p *page[R, C]) add(tag uint16, s slot[R, C]) {
	i := p.home(tag)
	for p.tags[i] != 0 {
		i = p.after(i)
	}
	p.tags[i], p.slots[i] = tag, s
	p.rows++
}

// remove frees a slot. Rows behind it that are not in their home move up, so that no search ends before it has found
// what is there: removing leaves nothing behind.
func (p *page[R, C]) remove(hole int) {
	for i := p.after(hole); p.tags[i] != 0; i = p.after(i) {
		home := p.home(p.tags[i])
		if mask := len(p.tags) - 1; (i-home)&mask < (i-hole)&mask {
			continue // the hole is before its home
		}
		p.tags[hole], p.slots[hole] = p.tags[i], p.slots[i]
		hole = i
	}
	p.tags[hole], p.slots[hole] = 0, slot[R, C]{} // the row may refer to memory
	p.rows--
}

// grow doubles the slots.
func (p *page[R, C]) grow() {
	tags, slots := p.tags, p.slots
	p.clear(2 * len(tags))
	for i, tag := range tags {
		if tag != 0 {
			p.add(tag, slots[i])
		}
	}
}

// split moves the rows whose hash has a 1 behind the first depth bits to a page of their own.
func (p *page[R, C]) split(hash func(R) uint64) *page[R, C] {
	tags, slots := p.tags, p.slots
	p.clear(len(tags))
	p.depth++
	upper := newPage[R, C](p.depth, len(tags), p.mark.Load())
	for i, tag := range tags {
		switch {
		case tag == 0:
		case hash(slots[i].key)>>(64-p.depth)&1 == 0:
			p.add(tag, slots[i])
		default:
			upper.add(tag, slots[i])
		}
	}
	return upper
}

// clear takes new slots, and leaves the old ones to the caller.
func (p *page[R, C]) clear(slots int) {
	p.tags, p.slots, p.rows = make([]uint16, slots), make([]slot[R, C], slots), 0
}

// prune removes the rows of which keeps leaves nothing.
func (p *page[R, C]) prune(keeps func(*C) bool) {
	for i := 0; i < len(p.tags); {
		if p.tags[i] != 0 && !keeps(&p.slots[i].cell) {
			p.remove(i) // another row may be here now
		} else {
			i++
		}
	}
}
