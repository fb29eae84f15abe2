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
	// former is where each slot was in the last attempt: empty for nowhere, or when its subtasks were others. It is nil
	// when there was none.
	former []checkpoint.NodeID
	// bytes returns, by slot, how many bytes of its state each node has. It is asked only when some slot cannot stay.
	bytes func() []stateByNode
}

// stateByNode is how many bytes of something's state each node has.
type stateByNode map[checkpoint.NodeID]int64

// place returns the node of each slot. A slot stays on the node it was on; where it cannot, it goes where most of its
// state is; without state that anybody has, to the node with the most free slots (ties: the smaller ID). There must be
// enough slots.
func place(p placing) []checkpoint.NodeID {
	left := maps.Clone(p.free)
	slots := make([]checkpoint.NodeID, p.topology.SlotsNeeded())
	homeless := len(slots)
	settle := func(slot int, id checkpoint.NodeID) {
		if slots[slot] == "" && left[id] > 0 {
			slots[slot] = id
			left[id]--
			homeless--
		}
	}
	for i, id := range p.former {
		settle(i, id)
	}
	if homeless > 0 && p.bytes != nil {
		for _, w := range wishes(slots, p.bytes()) {
			settle(w.slot, w.node)
		}
	}
	for i := range slots {
		if slots[i] == "" {
			settle(i, roomiest(left))
		}
	}
	return slots
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
	used := make(map[checkpoint.NodeID]int)
	for _, id := range slotsIn(t, a) {
		used[id]++
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
