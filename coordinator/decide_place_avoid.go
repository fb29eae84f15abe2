package coordinator

import (
	"maps"

	"cairn/checkpoint"
	"cairn/fsm"
)

// Subtasks stay where they were, for their state is there. That is no help where a node is what is wrong: its disk is
// full, say. So a node on which subtasks of a job have failed by themselves in attempt after attempt is avoided, while
// others have room. Who fails everywhere, as with a record that cannot be processed, wanders from node to node.

// patience is how many attempts in a row subtasks may fail by themselves on a node before the job avoids it.
const patience = 2

// blame counts, for an attempt that has failed, the nodes on which subtasks failed by themselves. One on which none did is
// forgiven.
func (s *jobView) blame(j *fsm.Job) {
	blamed := make(map[checkpoint.NodeID]int)
	for ordinal := range s.subtasks {
		if t := &s.subtasks[ordinal]; t.status == checkpoint.SubtaskFailed && !t.failure.Secondary {
			id := j.Assignment.Node(ordinal).ID
			blamed[id] = s.blamed[id] + 1
		}
	}
	s.blamed = blamed
}

// avoiding returns the free slots without those of the nodes that the job avoids; all of them when it cannot do without.
func (s *jobView) avoiding(free map[checkpoint.NodeID]int, wanted int) map[checkpoint.NodeID]int {
	left := maps.Clone(free)
	maps.DeleteFunc(left, func(id checkpoint.NodeID, _ int) bool { return s.blamed[id] >= patience })
	if total(left) < wanted {
		return free
	}
	return left
}
