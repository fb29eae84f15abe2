package placement

import (
	"cmp"
	"encoding/binary"
	"iter"
	"slices"

	"cairn/checkpoint"
)

// Index knows which nodes hold which chunks. A chunk costs its name and eight bytes, whatever the number of its copies:
// chunks that are on the same nodes share one set of them. It is not safe for concurrent use.
type Index struct {
	chunks map[checkpoint.ChunkID]entry
	nodes  []checkpoint.NodeID // by number; a node keeps its number for ever
	number map[checkpoint.NodeID]uint16
	sets   []holderSet // by number; sets[0] is empty
	byKey  map[string]uint32
}

// entry is a chunk in the index.
type entry struct {
	size uint32 // at most 64 MiB
	set  uint32
}

// holderSet is a set of nodes, and how it changes with one more or one less.
type holderSet struct {
	members []uint16 // ascending
	with    map[uint16]uint32
	without map[uint16]uint32
}

// NewIndex returns an index that knows of no chunk.
func NewIndex() *Index {
	return &Index{
		chunks: make(map[checkpoint.ChunkID]entry), number: make(map[checkpoint.NodeID]uint16),
		sets: []holderSet{{}}, byKey: map[string]uint32{"": 0},
	}
}

// Add notes that a node holds a chunk. It reports whether that is news.
func (x *Index) Add(node checkpoint.NodeID, ref checkpoint.ChunkRef) bool {
	e := x.chunks[ref.ID]
	set := x.change(e.set, x.numberOf(node), true)
	changed := set != e.set
	x.chunks[ref.ID] = entry{size: uint32(ref.Size), set: set}
	return changed
}

// Remove notes that a node does not hold a chunk. It reports whether that is news. A chunk that nobody holds is
// forgotten.
func (x *Index) Remove(node checkpoint.NodeID, id checkpoint.ChunkID) bool {
	n, known := x.number[node]
	e, found := x.chunks[id]
	if !known || !found {
		return false
	}
	set := x.change(e.set, n, false)
	switch set {
	case e.set:
		return false
	case 0:
		delete(x.chunks, id)
	default:
		x.chunks[id] = entry{size: e.size, set: set}
	}
	return true
}

// Forget notes that a node holds nothing.
func (x *Index) Forget(node checkpoint.NodeID) {
	n, known := x.number[node]
	if !known {
		return
	}
	for id, e := range x.chunks {
		switch set := x.change(e.set, n, false); set {
		case e.set:
		case 0:
			delete(x.chunks, id)
		default:
			x.chunks[id] = entry{size: e.size, set: set}
		}
	}
}

// Len returns the number of chunks that somebody holds.
func (x *Index) Len() int { return len(x.chunks) }

// Holders returns the nodes that hold a chunk, in no particular order.
func (x *Index) Holders(id checkpoint.ChunkID) []checkpoint.NodeID {
	members := x.sets[x.chunks[id].set].members
	nodes := make([]checkpoint.NodeID, len(members))
	for i, n := range members {
		nodes[i] = x.nodes[n]
	}
	return nodes
}

// NumHolders returns how many of the nodes that counts accepts hold a chunk.
func (x *Index) NumHolders(id checkpoint.ChunkID, counts func(checkpoint.NodeID) bool) int {
	found := 0
	for _, n := range x.sets[x.chunks[id].set].members {
		if counts(x.nodes[n]) {
			found++
		}
	}
	return found
}

// Size returns the size of a chunk in bytes, and whether anybody holds it.
func (x *Index) Size(id checkpoint.ChunkID) (int64, bool) {
	e, found := x.chunks[id]
	return int64(e.size), found
}

// All yields every chunk that somebody holds, in no particular order.
func (x *Index) All() iter.Seq[checkpoint.ChunkRef] {
	return func(yield func(checkpoint.ChunkRef) bool) {
		for id, e := range x.chunks {
			if !yield(checkpoint.ChunkRef{ID: id, Size: int64(e.size)}) {
				return
			}
		}
	}
}

// numberOf returns the number of a node, which it is given when it is not known.
func (x *Index) numberOf(node checkpoint.NodeID) uint16 {
	n, known := x.number[node]
	if !known {
		n = uint16(len(x.nodes))
		x.nodes = append(x.nodes, node)
		x.number[node] = n
	}
	return n
}

// change returns the number of the set that is set with a node more, or less.
func (x *Index) change(set uint32, node uint16, more bool) uint32 {
	s := x.sets[set]
	known := s.without
	if more {
		known = s.with
	}
	if next, found := known[node]; found {
		return next
	}
	at, is := slices.BinarySearchFunc(s.members, node, cmp.Compare[uint16])
	if is == more {
		return set
	}
	members := slices.Clone(s.members)
	if more {
		members = slices.Insert(members, at, node)
	} else {
		members = slices.Delete(members, at, at+1)
	}
	next := x.intern(members)
	x.remember(set, node, next, more)
	return next
}

func (x *Index) remember(set uint32, node uint16, next uint32, more bool) {
	s := &x.sets[set]
	known := &s.without
	if more {
		known = &s.with
	}
	if *known == nil {
		*known = make(map[uint16]uint32)
	}
	(*known)[node] = next
}

// intern returns the number of the set with these members.
func (x *Index) intern(members []uint16) uint32 {
	key := make([]byte, 0, 2*len(members))
	for _, n := range members {
		key = binary.BigEndian.AppendUint16(key, n)
	}
	if set, found := x.byKey[string(key)]; found {
		return set
	}
	set := uint32(len(x.sets))
	x.sets = append(x.sets, holderSet{members: members})
	x.byKey[string(key)] = set
	return set
}
