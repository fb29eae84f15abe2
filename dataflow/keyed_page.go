package dataflow

import "sync/atomic"

// State in memory is in pages, small hash tables of their own, and grows by one page at a time. It is captured by the
// block, a stretch of a page's slots. So neither stops the task for longer than one of these takes: a page that is split
// some 20 µs, a block that is serialized less than one, for cells that are small. A page begins with few slots, since most
// key groups of a small state have few rows. Pages are not smaller, because what leads to them, unlike the rows, then
// fits into a processor's cache.
const (
	firstPageSlots = 8
	pageSlots      = 1024 // a full page of this size is split
	blockSlots     = 32
)

// page is a hash table with linear probing. Its rows have the first depth bits of their hashes in common.
type page[R comparable, C any] struct {
	// tags are what is known of the rows without looking at them; 0 is a free slot. There are as many tags as slots, a
	// power of two, and always some that are 0.
	tags  []uint16
	slots []slot[R, C]
	rows  int
	depth uint
	// marks has for each block the mark that its shard had when the last capture was given the rows, and 1 more if some
	// had expired by then. While it is less than the shard's, nothing may change the block.
	marks []atomic.Uint32
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

func newPage[R comparable, C any](depth uint, slots int, mark uint32) *page[R, C] {
	p := &page[R, C]{depth: depth}
	p.reset(slots, mark)
	return p
}

// reset takes new slots, and leaves the old ones to the caller.
func (p *page[R, C]) reset(slots int, mark uint32) {
	p.tags, p.slots, p.rows = make([]uint16, slots), make([]slot[R, C], slots), 0
	p.marks = make([]atomic.Uint32, (slots+blockSlots-1)/blockSlots)
	for i := range p.marks {
		p.marks[i].Store(mark)
	}
}

// block returns the tags and the slots of a block.
func (p *page[R, C]) block(b int) ([]uint16, []slot[R, C]) {
	begin, end := b*blockSlots, min((b+1)*blockSlots, len(p.tags))
	return p.tags[begin:end], p.slots[begin:end]
}

// usedOf returns which slots of a block are not free, in buf. Whether one is cannot be foreseen, so it costs no branch.
func usedOf(tags []uint16, buf *[blockSlots]uint8) []uint8 {
	n := 0
	for i, tag := range tags[:min(len(tags), blockSlots)] {
		buf[n] = uint8(i)
		n += int(tag >> 15)
	}
	return buf[:n]
}

// home is the slot in which a row with that tag would like to be. It is in the next one that was free when it came.
func (p *page[R, C]) home(tag uint16) int { return int(tag&^usedTag) & (len(p.tags) - 1) }

func (p *page[R, C]) after(i int) int { return (i + 1) & (len(p.tags) - 1) }

// find returns the slot of a row, or the free one where it would come.
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

// set puts a row into a free slot of a page that is not full.
func (p *page[R, C]) set(at int, tag uint16, s slot[R, C]) {
	p.tags[at], p.slots[at] = tag, s
	p.rows++
}

// add puts a row that is not there into a page that is not full.
func (p *page[R, C]) add(tag uint16, s slot[R, C]) {
	i := p.home(tag)
	for p.tags[i] != 0 {
		i = p.after(i)
	}
	p.set(i, tag, s)
}

// remove frees a slot. Rows behind it that are not in their home move up, so that no search ends before it has found
// what is there: removing leaves nothing behind. touch is called before a slot changes.
func (p *page[R, C]) remove(hole int, touch func(slot int)) {
	mask := len(p.tags) - 1
	for i := p.after(hole); p.tags[i] != 0; i = p.after(i) {
		if fromHome := (i - p.home(p.tags[i])) & mask; fromHome < (i-hole)&mask {
			continue // the hole is in front of its home
		}
		touch(hole)
		p.tags[hole], p.slots[hole] = p.tags[i], p.slots[i]
		hole = i
	}
	touch(hole)
	p.tags[hole], p.slots[hole] = 0, slot[R, C]{} // the row may refer to memory
	p.rows--
}

// grow doubles the slots.
func (p *page[R, C]) grow(mark uint32) {
	tags, slots := p.tags, p.slots
	p.reset(2*len(tags), mark)
	for i, tag := range tags {
		if tag != 0 {
			p.add(tag, slots[i])
		}
	}
}

// split moves the rows whose hash has a 1 behind the first depth bits to a page of their own.
func (p *page[R, C]) split(hash func(R) uint64, mark uint32) (upper *page[R, C]) {
	tags, slots := p.tags, p.slots
	p.depth++
	p.reset(len(tags), mark)
	upper = newPage[R, C](p.depth, len(tags), mark)
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
