package placement

import (
	"iter"

	"cairn/checkpoint"
)

// Index knows which nodes hold which chunks, and which chunks are needed. It is not safe for concurrent use.
//
// It is made for a million chunks: one costs its name, 20 bytes and a place in a table, whatever the number of its
// copies, because chunks that are on the same nodes share one set of them (a Group). What is counted is counted for
// each group as it changes, so that nobody has to look at a million chunks to know how many are in danger.
type Index struct {
	number map[checkpoint.ChunkID]Number
	pages  []*page
	free   []Number // numbers that are not in use, below used
	used   Number
	held   int   // chunks that somebody holds
	needed Count // chunks that are needed, judged or not
	nodes  nodeNumbers
	groups groups
}

// Number stands for a chunk that is in the index, for as long as somebody needs it or holds it. Then it may come to
// stand for another chunk.
type Number uint32

// slot is a chunk in the index.
type slot struct {
	id     checkpoint.ChunkID
	size   uint32 // at most 64 MiB
	group  uint32 // who holds it
	needs  uint32 // how often it is needed
	since  uint32 // when it came to be needed
	writer uint16 // the node that stored it first, noNode where that is not known
	judged bool   // it counts in its group
}

const pageSize = 1 << 12

// page is a part of all slots: pages never move, so growing costs no copying and no slack.
type page [pageSize]slot

// NewIndex returns an index that knows of no chunk.
func NewIndex() *Index {
	return &Index{number: make(map[checkpoint.ChunkID]Number), nodes: newNodeNumbers(), groups: newGroups()}
}

func (x *Index) slot(n Number) *slot { return &x.pages[n/pageSize][n%pageSize] }

// enter returns the slot of a chunk, which it is given when it has none.
func (x *Index) enter(ref checkpoint.ChunkRef) (Number, *slot) {
	if n, known := x.number[ref.ID]; known {
		return n, x.slot(n)
	}
	n := x.used
	if last := len(x.free) - 1; last >= 0 {
		n, x.free = x.free[last], x.free[:last]
	} else {
		x.used++
		if int(n/pageSize) == len(x.pages) {
			x.pages = append(x.pages, new(page))
		}
	}
	x.number[ref.ID] = n
	s := x.slot(n)
	*s = slot{id: ref.ID, size: uint32(ref.Size), writer: noNode}
	x.groups.list[nobody].chunks++
	return n, s
}

// leave frees a slot that nobody needs or holds.
func (x *Index) leave(n Number, s *slot) {
	if s.needs > 0 || s.group != nobody {
		return
	}
	x.groups.list[nobody].chunks--
	delete(x.number, s.id)
	*s = slot{}
	x.free = append(x.free, n)
}

// move puts a chunk into another group.
func (x *Index) move(s *slot, group uint32) {
	from, to := &x.groups.list[s.group], &x.groups.list[group]
	from.chunks--
	to.chunks++
	if s.judged {
		from.needed.add(-1, s.size)
		to.needed.add(1, s.size)
	}
	if s.group == nobody {
		x.held++
	}
	if group == nobody {
		x.held--
	}
	s.group = group
}

// all yields every slot in use.
func (x *Index) all() iter.Seq2[Number, *slot] {
	return func(yield func(Number, *slot) bool) {
		for n := range x.used {
			if s := x.slot(n); !s.id.IsZero() && !yield(n, s) {
				return
			}
		}
	}
}

// Len returns the number of chunks that somebody holds.
func (x *Index) Len() int { return x.held }

// All yields every chunk that somebody holds, in no particular order. The index must not change meanwhile.
func (x *Index) All() iter.Seq[checkpoint.ChunkRef] {
	return func(yield func(checkpoint.ChunkRef) bool) {
		for _, s := range x.all() {
			if s.group != nobody && !yield(s.ref()) {
				return
			}
		}
	}
}

func (s *slot) ref() checkpoint.ChunkRef { return checkpoint.ChunkRef{ID: s.id, Size: int64(s.size)} }

// Holders returns the nodes that hold a chunk, in no particular order.
func (x *Index) Holders(id checkpoint.ChunkID) []checkpoint.NodeID {
	n, known := x.number[id]
	if !known {
		return nil
	}
	return x.members(x.slot(n).group)
}

// Chunk is what the index knows of a chunk.
type Chunk struct {
	Ref    checkpoint.ChunkRef
	Group  int               // who holds it: a position in Groups, until the index changes
	Since  uint32            // when it came to be needed, as it was told
	Writer checkpoint.NodeID // that stored it first, empty where that is not known
	Judged bool              // it is needed, and counts
}

// Chunk returns what is known of the chunk with a number.
func (x *Index) Chunk(n Number) Chunk {
	s := x.slot(n)
	c := Chunk{Ref: s.ref(), Group: int(s.group), Since: s.since, Judged: s.judged}
	if s.writer != noNode {
		c.Writer = x.nodes.ids[s.writer]
	}
	return c
}

// NumberOf returns the number of a chunk that somebody holds or needs.
func (x *Index) NumberOf(id checkpoint.ChunkID) (Number, bool) {
	n, known := x.number[id]
	return n, known
}
