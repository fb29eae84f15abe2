package dataflow

import "iter"

// pages is a hash table that grows by a page at a time (extendible hashing): the first bits of a row's hash lead through
// a directory to its page. A page that is full is split in two, and only when it was the one with the longest prefix
// does the directory double, which holds nothing but pointers. Pages are never put together again.
type pages[R comparable, C any] struct {
	directory []*page[R, C] // empty, or 1<<depth
	depth     uint          // of the deepest page
	rows      int
}

// begin makes the first page.
func (t *pages[R, C]) begin(mark uint32) {
	t.directory = []*page[R, C]{newPage[R, C](0, firstPageSlots, mark)}
}

// of returns the page of a hash. There is one if there is any.
func (t *pages[R, C]) of(hash uint64) *page[R, C] { return t.directory[hash>>(64-t.depth)] }

// find returns the page and the slot of a row.
func (t *pages[R, C]) find(hash uint64, r R) (p *page[R, C], at int, found bool) {
	if len(t.directory) == 0 {
		return nil, 0, false
	}
	p = t.of(hash)
	at, found = p.find(tagOf(hash), r)
	return p, at, found
}

// grow makes room in the page of a hash, whose blocks get that mark.
func (t *pages[R, C]) grow(at uint64, hash func(R) uint64, mark uint32) {
	if p := t.of(at); len(p.tags) < pageSlots || t.crowded() {
		p.grow(mark)
	} else {
		t.split(at, hash, mark)
	}
}

// crowded says that there are more ways to pages than rows: hashes that begin alike, by chance or by design of
// whoever chose the keys. Pages then grow, as splitting does not help.
func (t *pages[R, C]) crowded() bool { return len(t.directory) > t.rows }

// split splits the page of a hash in two.
func (t *pages[R, C]) split(at uint64, hash func(R) uint64, mark uint32) {
	p := t.of(at)
	if p.depth == t.depth {
		doubled := make([]*page[R, C], 0, 2*len(t.directory))
		for _, p := range t.directory {
			doubled = append(doubled, p, p)
		}
		t.directory, t.depth = doubled, t.depth+1
	}
	upper := p.split(hash, mark)
	width := 1 << (t.depth - p.depth) // in the directory, of each of the two
	first := int(at>>(64-t.depth)) &^ (2*width - 1)
	for i := range width {
		t.directory[first+width+i] = upper
	}
}

// next returns the page at a position, which is a hash, and the position of the next page. It is 0 behind the last one.
// Where the pages in front of a position end does not change when they are split, so a walk meets every row that
// stays where it is.
func (t *pages[R, C]) next(position uint64) (p *page[R, C], next uint64) {
	p = t.of(position)
	return p, position + 1<<(64-p.depth)
}

// each goes through the rows. The loop's body may change the table: rows that it adds may or may not come, and those that
// it removes may still come.
func (t *pages[R, C]) each() iter.Seq[R] {
	return func(yield func(R) bool) {
		if len(t.directory) == 0 {
			return
		}
		var rows []R // of a page: the body may move them
		for at, more := uint64(0), true; more; more = at != 0 {
			var p *page[R, C]
			p, at = t.next(at)
			rows = rows[:0]
			for i, tag := range p.tags {
				if tag != 0 {
					rows = append(rows, p.slots[i].key)
				}
			}
			for _, r := range rows {
				if !yield(r) {
					return
				}
			}
		}
	}
}
