package jobtest

import (
	"maps"
	"time"

	"cairn/checkpoint"
)

// begin triggers a checkpoint, or the pending one again, when every subtask is ready for it.
func (l *Leader) begin() {
	if len(l.Topology.Vertices) == 0 || l.Stopped || l.Finished() {
		return
	}
	for _, s := range l.Topology.Subtasks() {
		switch l.Status[s].Status {
		case checkpoint.SubtaskRunning, checkpoint.SubtaskFinishing, checkpoint.SubtaskFinished:
		default:
			return
		}
	}
	if l.Pending == 0 {
		clear(l.Acks)
		l.LastID++
		l.Pending = l.LastID
		for s, r := range l.Status {
			if r.Status == checkpoint.SubtaskFinished {
				l.Acks[s] = r.Final
			}
		}
	}
	l.trigger()
}

// trigger tells the subtasks that nothing running stands before.
func (l *Leader) trigger() {
	m := checkpoint.Trigger{Term: l.Term, Job: testJob, Attempt: l.Attempt, Barrier: checkpoint.Barrier{
		ID: l.Pending, Timestamp: checkpoint.Timestamp(time.Now().UnixMilli()), Kind: checkpoint.KindCheckpoint,
		Mode: checkpoint.ExactlyOnce, Alignment: checkpoint.AlignmentAligned, Stop: l.Stop,
	}}
	if l.Stop != checkpoint.StopNone {
		m.Barrier.Kind = checkpoint.KindSavepoint
	}
	byNode := make(map[checkpoint.NodeID][]checkpoint.SubtaskID)
	for ordinal, s := range l.Topology.Subtasks() {
		if l.Status[s].Status != checkpoint.SubtaskFinished && l.leads(s.Vertex) {
			id := l.assignment.Node(ordinal).ID
			byNode[id] = append(byNode[id], s)
		}
	}
	for id, subtasks := range byNode {
		m.Subtasks = subtasks
		l.sessions[id].node.Receive(l.sessions[id], m)
	}
}

// leads reports whether everything before a vertex has finished.
func (l *Leader) leads(v checkpoint.VertexID) bool {
	to := l.Topology.VertexIndex(v)
	for _, e := range l.Topology.Edges {
		if e.To != to {
			continue
		}
		from := l.Topology.Vertices[e.From]
		for i := range from.Parallelism {
			if l.Status[checkpoint.SubtaskID{Vertex: from.ID, Index: i}].Status != checkpoint.SubtaskFinished {
				return false
			}
		}
	}
	return true
}

func (l *Leader) completeIfAcknowledged() {
	if l.Pending == 0 || len(l.Acks) < l.Topology.NumSubtasks() {
		return
	}
	l.Completed = Completed{ID: l.Pending, states: maps.Clone(l.Acks)}
	l.Pending = 0
	m := checkpoint.NotifyComplete{
		Term: l.Term, Job: testJob, Attempt: l.Attempt, Checkpoint: l.Completed.ID, Kind: checkpoint.KindCheckpoint, Stop: l.Stop,
	}
	if l.Stop != checkpoint.StopNone {
		m.Kind, l.Stopped = checkpoint.KindSavepoint, true
	}
	l.send(m)
}
