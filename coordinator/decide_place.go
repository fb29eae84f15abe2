package coordinator

import (
	"cmp"
	"maps"
	"slices"

	"cairn/checkpoint"
	"cairn/fsm"
)

// placing is what the slots of a job's next attempt are placed by. The unit is the slot: what shares one is on one node.
type placing struct {
	topology checkpoint.Topology
	free     map[checkpoint.NodeID]int // slots of the nodes that may run tasks of the job
	// fixed is where each slot is that stays in any case, because something in it goes on; empty for the others, nil for
	// none. Those slots are not among the free ones.
	fixed []checkpoint.NodeID
	// former is where each slot was in the last attempt: empty for nowhere, or when its subtasks were others, as they are
	// at another parallelism. It is nil when there was none.
	former []checkpoint.NodeID
	// bytes returns, by slot, how many bytes of its state each node has. It is asked only when some slot does not stay.
	bytes func() []stateByNode
}

// stateByNode is how many bytes of something's state each node has.
type stateByNode map[checkpoint.NodeID]int64

// place returns the node of each slot. There must be enough free ones.
//
// A slot that was somewhere stays there; where it cannot, it goes where most of its state is, and without state that
// anybody has to the node with the most free slots. Slots that have been nowhere are spread evenly over the nodes:
// a job that was small on one node is to grow onto the others.
func place(p placing) []checkpoint.NodeID {
	s := settling{left: maps.Clone(p.free), slots: make([]checkpoint.NodeID, p.topology.SlotsNeeded())}
	copy(s.slots, p.fixed)
	for _, id := range s.slots {
		if id == "" {
			s.homeless++
		}
	}
	for i, id := range p.former {
		s.settle(i, id)
	}
	if s.homeless == 0 {
		return s.slots
	}
	var wished []wish
	if p.bytes != nil {
		wished = wishes(s.slots, p.bytes())
	}
	s.returning(p.former, wished)
	s.spread(wished)
	return s.slots
}

// settling is a placement under way.
type settling struct {
	left     map[checkpoint.NodeID]int // free slots
	slots    []checkpoint.NodeID       // the node of each slot, empty for none yet
	homeless int                       // slots without a node
}

func (s *settling) settle(slot int, id checkpoint.NodeID) {
	if s.slots[slot] == "" && s.left[id] > 0 {
		s.slots[slot] = id
		s.left[id]--
		s.homeless--
	}
}

// returning places the slots that were on a node on which they cannot stay.
func (s *settling) returning(former []checkpoint.NodeID, wished []wish) {
	for _, w := range wished {
		if former != nil && former[w.slot] != "" {
			s.settle(w.slot, w.node)
		}
	}
	for i, id := range former {
		if id != "" && s.slots[i] == "" {
			s.settle(i, roomiest(s.left))
		}
	}
}

// wish is that a slot be on a node because of the bytes that are there.
type wish struct {
	slot  int
	node  checkpoint.NodeID
	bytes int64
}

// wishes returns those of the slots that have no node yet, the largest first: where two slots want the last place on a
// node, the one that would have more to fetch elsewhere gets it.
func wishes(slots []checkpoint.NodeID, bytes []stateByNode) []wish {
	var all []wish
	for slot, held := range bytes {
		if slots[slot] != "" {
			continue
		}
		for id, n := range held {
			all = append(all, wish{slot, id, n})
		}
	}
	slices.SortFunc(all, func(a, b wish) int {
		return cmp.Or(cmp.Compare(b.bytes, a.bytes), cmp.Compare(a.slot, b.slot), cmp.Compare(a.node, b.node))
	})
	return all
}

// roomiest returns the node with the most slots left.
func roomiest(left map[checkpoint.NodeID]int) checkpoint.NodeID {
	var best checkpoint.NodeID
	for id, n := range left {
		if best == "" || n > left[best] || n == left[best] && id < best {
			best = id
		}
	}
	return best
}

// assignment spreads the slots' nodes over the ordinals of the subtasks.
func assignment(t checkpoint.Topology, slots []checkpoint.NodeID, refs map[checkpoint.NodeID]checkpoint.NodeRef) checkpoint.Assignment {
	at := make(map[checkpoint.NodeID]int)
	for _, id := range slots {
		at[id] = 0
	}
	var a checkpoint.Assignment
	for i, id := range slices.Sorted(maps.Keys(at)) {
		at[id] = i
		a.Nodes = append(a.Nodes, refs[id])
	}
	bases, _ := t.SlotBases()
	for v, vertex := range t.Vertices {
		for i := range vertex.Parallelism {
			a.NodeOf = append(a.NodeOf, at[slots[bases[v]+i]])
		}
	}
	return a
}

// slotsIn returns the node of each slot in an assignment.
func slotsIn(t checkpoint.Topology, a checkpoint.Assignment) []checkpoint.NodeID {
	bases, n := t.SlotBases()
	slots := make([]checkpoint.NodeID, n)
	ordinal := 0
	for v, vertex := range t.Vertices {
		for i := range vertex.Parallelism {
			slots[bases[v]+i] = a.Node(ordinal).ID
			ordinal++
		}
	}
	return slots
}

// slotsOf counts the slots that an assignment takes on each node.
func slotsOf(t checkpoint.Topology, a checkpoint.Assignment) map[checkpoint.NodeID]int {
	return countNodes(slotsIn(t, a))
}

// countNodes counts the slots on each node, by the node of each; slots that are nowhere do not count.
func countNodes(slots []checkpoint.NodeID) map[checkpoint.NodeID]int {
	used := make(map[checkpoint.NodeID]int)
	for _, id := range slots {
		if id != "" {
			used[id]++
		}
	}
	return used
}

// usedSlots counts the slots that a running job takes on each node.
func usedSlots(j *fsm.Job) map[checkpoint.NodeID]int {
	if len(j.Assignment.NodeOf) == 0 {
		return nil
	}
	return slotsOf(j.Topology, j.Assignment)
}

// refs returns the process that each node currently is.
func (v *View) refs() map[checkpoint.NodeID]checkpoint.NodeRef {
	refs := make(map[checkpoint.NodeID]checkpoint.NodeRef, len(v.nodes))
	for id, n := range v.nodes {
		refs[id] = n.ref
	}
	return refs
}
