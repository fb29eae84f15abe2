package placement

import (
	"cmp"
	"encoding/binary"
	"slices"
)

// nobody is the number of the group of chunks that nobody holds.
const nobody = 0

// groups are the sets of nodes that hold some chunk, each once.
type groups struct {
	list  []group // by number
	byKey map[string]uint32
	// limit is how many groups there may be before those without chunks are thrown away.
	limit int
}

// group is a set of nodes, what only they hold, and how the set changes with a node more or less.
type group struct {
	members []uint16 // numbers of nodes, ascending; of each node one at most
	more    map[uint16]uint32
	less    map[uint16]uint32
	chunks  int   // in it
	needed  Count // those of them that are judged
}

// Count is a number of chunks and the bytes of their content.
type Count struct{ Chunks, Bytes int64 }

func (c *Count) add(chunks int64, size uint32) {
	c.Chunks += chunks
	c.Bytes += chunks * int64(size)
}

// Add adds another count to c.
func (c *Count) Add(other Count) {
	c.Chunks += other.Chunks
	c.Bytes += other.Bytes
}

// fewGroups is how many groups are not worth a look for those without chunks.
const fewGroups = 1 << 10

func newGroups() groups {
	return groups{list: []group{{}}, byKey: map[string]uint32{"": nobody}, limit: fewGroups}
}

// holds reports whether the node with an index is in the group.
func (g *group) holds(index uint16) bool {
	return slices.ContainsFunc(g.members, func(number uint16) bool { return nodeIndex(number) == index })
}

// has reports whether some chunk is under a number.
func (g *groups) has(number uint16) bool {
	return slices.ContainsFunc(g.list, func(g group) bool { return g.chunks > 0 && slices.Contains(g.members, number) })
}

// with returns the group that is group and one number more.
func (g *groups) with(group uint32, number uint16) uint32 {
	from := &g.list[group]
	if next, known := from.more[number]; known {
		return next
	}
	at, is := slices.BinarySearchFunc(from.members, number, cmp.Compare[uint16])
	if is {
		return group
	}
	next := g.intern(slices.Insert(slices.Clone(from.members), at, number))
	from = &g.list[group] // the list may have moved
	if from.more == nil {
		from.more = make(map[uint16]uint32)
	}
	from.more[number] = next
	return next
}

// without returns the group that is group and one number less.
func (g *groups) without(group uint32, number uint16) uint32 {
	from := &g.list[group]
	at, is := slices.BinarySearchFunc(from.members, number, cmp.Compare[uint16])
	if !is {
		return group
	}
	if next, known := from.less[number]; known {
		return next
	}
	next := g.intern(slices.Delete(slices.Clone(from.members), at, at+1))
	from = &g.list[group]
	if from.less == nil {
		from.less = make(map[uint16]uint32)
	}
	from.less[number] = next
	return next
}

// intern returns the number of the group with these members.
func (g *groups) intern(members []uint16) uint32 {
	key := make([]byte, 0, 2*len(members))
	for _, n := range members {
		key = binary.BigEndian.AppendUint16(key, n)
	}
	if known, found := g.byKey[string(key)]; found {
		return known
	}
	next := uint32(len(g.list))
	g.list = append(g.list, group{members: members})
	g.byKey[string(key)] = next
	return next
}

// tidy throws groups without chunks away when there are many, and the numbers of nodes that are in none: nodes come and
// go, and the sets that they were in would stay for ever. Groups and nodes have other numbers after it.
func (x *Index) tidy() {
	if len(x.groups.list) < x.groups.limit && len(x.nodes.index) < maxNodes {
		return
	}
	old := x.groups.list
	x.groups = newGroups()
	now := make([]uint32, len(old)) // the numbers of the groups from now on
	present := make([]bool, len(x.nodes.ids))
	for i := range old {
		if g := &old[i]; g.chunks > 0 || i == nobody {
			now[i] = x.groups.intern(g.members)
			kept := &x.groups.list[now[i]]
			kept.chunks, kept.needed = g.chunks, g.needed
			for _, number := range g.members {
				present[nodeIndex(number)] = true
			}
		}
	}
	for _, s := range x.all() {
		s.group = now[s.group]
		if s.writer != noNode && !present[s.writer] {
			s.writer = noNode
		}
	}
	for i, is := range present {
		if id := x.nodes.ids[i]; !is && id != "" {
			delete(x.nodes.index, id)
			x.nodes.ids[i] = ""
			x.nodes.free = append(x.nodes.free, uint16(i))
		}
	}
	x.groups.limit = max(fewGroups, 2*len(x.groups.list))
}
