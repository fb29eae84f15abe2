package placement

import "cairn/checkpoint"

// A node tells what it holds as a list, and changes from then on. When it begins a new list, what the old one said stays
// as a claim that is not confirmed: most of it is still true, and to take it for gone would have it copied. A claim
// counts like any other until the list is over. So each node has two numbers, one of which its confirmed chunks are under.

const (
	// noNode is nobody's index.
	noNode = 1<<16 - 1
	// maxNodes bounds how many nodes have chunks at a time.
	maxNodes = 1<<15 - 1
)

// nodeNumbers gives nodes an index, and two numbers: twice the index, and that plus one.
type nodeNumbers struct {
	ids       []checkpoint.NodeID // by index; empty for one that is free
	free      []uint16
	index     map[checkpoint.NodeID]uint16
	confirmed []uint16 // by index: the number of confirmed chunks
}

func newNodeNumbers() nodeNumbers { return nodeNumbers{index: make(map[checkpoint.NodeID]uint16)} }

// enter returns the index of a node, which it is given when it has none. It returns noNode when there are too many.
func (n *nodeNumbers) enter(id checkpoint.NodeID) uint16 {
	if i, known := n.index[id]; known {
		return i
	}
	i := uint16(len(n.ids))
	switch last := len(n.free) - 1; {
	case last >= 0:
		i, n.free = n.free[last], n.free[:last]
	case len(n.ids) == maxNodes:
		return noNode
	default:
		n.ids, n.confirmed = append(n.ids, ""), append(n.confirmed, 0)
	}
	n.ids[i], n.index[id], n.confirmed[i] = id, i, 2*i
	return i
}

// other returns a node's second number.
func other(number uint16) uint16 { return number ^ 1 }

// nodeIndex returns the index of the node with a number.
func nodeIndex(number uint16) uint16 { return number / 2 }

// BeginList says that a node begins to tell anew what it holds. What is known of it counts until EndList, unless Add
// confirms it.
func (x *Index) BeginList(node checkpoint.NodeID) {
	i, known := x.nodes.index[node]
	if !known {
		return
	}
	// Most often nothing is unconfirmed, since the last list was ended: then the two numbers only change their parts.
	confirmed := x.nodes.confirmed[i]
	if x.groups.has(other(confirmed)) {
		for _, s := range x.all() {
			if was := x.groups.without(s.group, confirmed); was != s.group {
				x.move(s, x.groups.with(was, other(confirmed)))
			}
		}
	} else {
		confirmed = other(confirmed)
	}
	x.nodes.confirmed[i] = confirmed
	x.tidy()
}

// EndList says that a node has told all that it holds. What it has not confirmed is gone.
func (x *Index) EndList(node checkpoint.NodeID) {
	if i, known := x.nodes.index[node]; known {
		x.drop(other(x.nodes.confirmed[i]))
	}
}

// Forget notes that a node holds nothing.
func (x *Index) Forget(node checkpoint.NodeID) {
	if i, known := x.nodes.index[node]; known {
		x.drop(2 * i)
		x.drop(2*i + 1)
	}
}

// drop notes that nothing is under a number.
func (x *Index) drop(number uint16) {
	if !x.groups.has(number) {
		return
	}
	for n, s := range x.all() {
		if group := x.groups.without(s.group, number); group != s.group {
			x.move(s, group)
			x.leave(n, s)
		}
	}
	x.tidy()
}

// Add notes that a node holds a chunk, and confirms it. It reports whether that is news.
func (x *Index) Add(node checkpoint.NodeID, ref checkpoint.ChunkRef) bool {
	x.tidy()
	i := x.nodes.enter(node)
	if i == noNode {
		return false
	}
	_, s := x.enter(ref)
	confirmed := x.nodes.confirmed[i]
	before := s.group
	claimed := x.groups.without(before, other(confirmed))
	if group := x.groups.with(claimed, confirmed); group != before {
		x.move(s, group)
		return claimed == before
	}
	return false
}

// Remove notes that a node does not hold a chunk. It reports whether that is news. A chunk that nobody holds or needs
// is forgotten.
func (x *Index) Remove(node checkpoint.NodeID, id checkpoint.ChunkID) bool {
	x.tidy()
	i, known := x.nodes.index[node]
	n, found := x.number[id]
	if !known || !found {
		return false
	}
	s := x.slot(n)
	group := x.groups.without(x.groups.without(s.group, 2*i), 2*i+1)
	if group == s.group {
		return false
	}
	x.move(s, group)
	x.leave(n, s)
	return true
}

// Holds reports whether a node holds a chunk.
func (x *Index) Holds(node checkpoint.NodeID, id checkpoint.ChunkID) bool {
	i, known := x.nodes.index[node]
	n, found := x.number[id]
	return known && found && x.groups.list[x.slot(n).group].holds(i)
}

// members returns the nodes of a group.
func (x *Index) members(group uint32) []checkpoint.NodeID {
	numbers := x.groups.list[group].members
	nodes := make([]checkpoint.NodeID, len(numbers))
	for i, number := range numbers {
		nodes[i] = x.nodes.ids[nodeIndex(number)]
	}
	return nodes
}
