package placement

import (
	"iter"

	"cairn/checkpoint"
)

// Need notes that a chunk is needed, once more, and who stored it first, where that is known. When it was not needed
// before, it is from now on. Time is counted in any unit from any moment.
func (x *Index) Need(ref checkpoint.ChunkRef, writer checkpoint.NodeID, now uint32) Number {
	n, s := x.enter(ref)
	if s.needs == 0 {
		s.since, s.size = now, uint32(ref.Size)
		x.needed.add(1, s.size)
	}
	s.needs++
	if writer != "" {
		s.writer = x.nodes.enter(writer)
	}
	return n
}

// Release takes one Need back.
func (x *Index) Release(n Number) {
	s := x.slot(n)
	if s.needs--; s.needs > 0 {
		return
	}
	x.needed.add(-1, s.size)
	if s.judged {
		s.judged = false
		x.groups.list[s.group].needed.add(-1, s.size)
	}
	x.leave(n, s)
}

// Needed returns how many chunks are needed, judged or not.
func (x *Index) Needed() Count { return x.needed }

// Judge makes a chunk count from now on, when it is needed and was at the given time.
func (x *Index) Judge(n Number, at uint32) {
	if s := x.slot(n); s.needs > 0 && !s.judged && s.since <= at {
		s.judged = true
		x.groups.list[s.group].needed.add(1, s.size)
	}
}

// Group are the chunks that are on the very same nodes. While lists are under way there may be several for the same nodes.
type Group struct {
	Nodes  []checkpoint.NodeID // in no particular order; none for needed chunks that nobody holds
	Chunks int
	Needed Count // those of them that are judged
}

// NumGroups returns how many positions there are in Groups.
func (x *Index) NumGroups() int { return len(x.groups.list) }

// Groups yields every group that has chunks, and its position. The index must not change meanwhile.
func (x *Index) Groups() iter.Seq2[int, Group] {
	return func(yield func(int, Group) bool) {
		for i := range x.groups.list {
			g := &x.groups.list[i]
			if g.chunks > 0 && !yield(i, Group{Nodes: x.members(uint32(i)), Chunks: g.chunks, Needed: g.needed}) {
				return
			}
		}
	}
}

// JudgedIn yields the judged chunks of some groups, which are given by their positions. It looks at every chunk. The
// index must not change meanwhile.
func (x *Index) JudgedIn(groups []bool) iter.Seq[Number] {
	return func(yield func(Number) bool) {
		for n, s := range x.all() {
			if s.judged && groups[s.group] && !yield(n) {
				return
			}
		}
	}
}

// HeldIn yields the chunks of some groups, which are given by their positions. It looks at every chunk. The index must
// not change meanwhile.
func (x *Index) HeldIn(groups []bool) iter.Seq[checkpoint.ChunkID] {
	return func(yield func(checkpoint.ChunkID) bool) {
		for _, s := range x.all() {
			if groups[s.group] && !yield(s.id) {
				return
			}
		}
	}
}

// DropUnneeded forgets the chunks of some groups, which are given by their positions, that nobody needs.
func (x *Index) DropUnneeded(groups []bool) {
	for n, s := range x.all() {
		if s.needs == 0 && groups[s.group] {
			x.move(s, nobody)
			x.leave(n, s)
		}
	}
}
