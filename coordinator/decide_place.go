package coordinator

import (
	"maps"
	"slices"

	"cairn/checkpoint"
	"cairn/fsm"
)

// refs returns the process that each node currently is.
func (v *View) refs() map[checkpoint.NodeID]checkpoint.NodeRef {
	refs := make(map[checkpoint.NodeID]checkpoint.NodeRef, len(v.nodes))
	for id, n := range v.nodes {
		refs[id] = n.ref
	}
	return refs
}

// place assigns the slots of a job to nodes with free ones: slot i, which holds subtask i of every vertex,
// stays on the node it was on if it can, and goes to the node with the most free slots otherwise (ties: the
// smaller ID). It reports false when there are not enough.
func place(j *fsm.Job, refs map[checkpoint.NodeID]checkpoint.NodeRef, free map[checkpoint.NodeID]int) (checkpoint.Assignment, bool) {
	left := maps.Clone(free)
	slots := make([]checkpoint.NodeID, j.Topology.SlotsNeeded())
	if total(free) < len(slots) {
		return checkpoint.Assignment{}, false
	}
	for i, id := range slotNodes(j) {
		if left[id] > 0 {
			slots[i] = id
			left[id]--
		}
	}
	for i := range slots {
		if slots[i] == "" {
			slots[i] = roomiest(left)
			left[slots[i]]--
		}
	}
	return assignment(j.Topology, slots, refs), true
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
	ids := slices.Clone(slots)
	slices.Sort(ids)
	ids = slices.Compact(ids)
	var a checkpoint.Assignment
	for _, id := range ids {
		a.Nodes = append(a.Nodes, refs[id])
	}
	for _, v := range t.Vertices {
		for i := range v.Parallelism {
			a.NodeOf = append(a.NodeOf, slices.Index(ids, slots[i]))
		}
	}
	return a
}

// slotNodes returns the node of each slot in the job's last assignment; none when it has not run.
func slotNodes(j *fsm.Job) []checkpoint.NodeID {
	if len(j.Assignment.NodeOf) == 0 {
		return nil
	}
	return slotsIn(j.Topology, j.Assignment)
}

func slotsIn(t checkpoint.Topology, a checkpoint.Assignment) []checkpoint.NodeID {
	slots := make([]checkpoint.NodeID, t.SlotsNeeded())
	ordinal := 0
	for _, v := range t.Vertices {
		for i := range v.Parallelism {
			slots[i] = a.Node(ordinal).ID
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
