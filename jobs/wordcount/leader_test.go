package wordcount

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
)

// leader plays the coordinator for one job, as far as the job needs one. It belongs to the test's goroutine.
type leader struct {
	t       *testing.T
	cluster *cluster
	params  map[string]string
	events  chan event // capacity far above what piles up while the test is not looking; never closed

	// What a real coordinator keeps under consensus.
	topology   checkpoint.Topology
	attempt    checkpoint.Attempt
	assignment checkpoint.Assignment
	lastID     checkpoint.ID
	pending    checkpoint.ID // 0 for none
	completed  completed
	restored   checkpoint.ID
	stop       checkpoint.Stop // of the next checkpoint, which is a savepoint that the job ends with; 0 for none
	stopped    bool            // that savepoint has completed

	// What a new leader learns from the nodes.
	term     checkpoint.Term
	sessions map[checkpoint.NodeID]*session
	status   map[checkpoint.SubtaskID]checkpoint.SubtaskReport
	acks     map[checkpoint.SubtaskID]checkpoint.SubtaskState // of the pending checkpoint
	failures []string                                         // of the current attempt
}

type completed struct {
	id     checkpoint.ID
	states map[checkpoint.SubtaskID]checkpoint.SubtaskState
}

type event struct {
	from *session
	msg  checkpoint.FromNode
}

// session is one leader's session with one node.
type session struct {
	node   *node
	events chan<- event
}

func (s *session) Close() error { return nil }

func (s *session) Send(m checkpoint.FromNode) error {
	select {
	case s.events <- event{s, m}:
		return nil
	default:
		return errors.New("too many messages")
	}
}

var testJob = checkpoint.JobID{7}

func newLeader(t *testing.T, c *cluster, params map[string]string) *leader {
	t.Helper()
	l := &leader{t: t, cluster: c, params: params, events: make(chan event, 1<<16)}
	l.takeOver()
	return l
}

// takeOver begins the next term: a new leader, who knows nothing but what is kept under consensus.
func (l *leader) takeOver() {
	for _, s := range l.sessions {
		s.node.SessionClosed(s)
	}
	l.term++
	l.sessions = make(map[checkpoint.NodeID]*session)
	l.status = make(map[checkpoint.SubtaskID]checkpoint.SubtaskReport)
	l.acks = make(map[checkpoint.SubtaskID]checkpoint.SubtaskState)
	for id := range l.cluster.alive() {
		l.openSession(id)
	}
}

func (l *leader) openSession(id checkpoint.NodeID) {
	s := &session{node: l.cluster.alive()[id], events: l.events}
	l.sessions[id] = s
	s.node.Receive(s, checkpoint.Leading{Term: l.term, Leader: checkpoint.NodeID(fmt.Sprintf("leader of term %d", l.term))})
}

// plan asks a node for the shape of the job.
func (l *leader) plan() {
	l.t.Helper()
	for _, s := range l.sessions {
		s.node.Receive(s, checkpoint.PlanJob{Term: l.term, Request: 1, Program: "wordcount", Params: l.params})
		break
	}
	l.until("the job is planned", func() bool { return len(l.topology.Vertices) > 0 })
}

// deploy starts the next attempt on all nodes that are alive, from the latest completed checkpoint.
func (l *leader) deploy() {
	l.attempt++
	l.pending, l.failures, l.restored = 0, nil, l.completed.id
	l.stop, l.stopped = checkpoint.StopNone, false
	clear(l.status)
	l.assignment = checkpoint.Assignment{}
	ids := slices.Sorted(maps.Keys(l.cluster.alive()))
	for _, id := range ids {
		l.assignment.Nodes = append(l.assignment.Nodes, l.sessions[id].node.ref)
	}
	for _, s := range l.topology.Subtasks() {
		l.assignment.NodeOf = append(l.assignment.NodeOf, s.Index%len(ids))
	}
	subtasks := l.topology.Subtasks()
	for _, id := range ids {
		m := checkpoint.Deploy{
			Term: l.term, Job: testJob, Attempt: l.attempt, Program: "wordcount", Params: l.params, Topology: l.topology,
			Assignment: l.assignment, Mode: checkpoint.ExactlyOnce, AfterTasksFinish: true,
			Restore: l.completed.id,
		}
		for _, ordinal := range l.assignment.Ordinals(id) {
			if l.completed.id != 0 {
				m.States = append(m.States, l.completed.states[subtasks[ordinal]])
			}
		}
		l.sessions[id].node.Receive(l.sessions[id], m)
	}
}

// until works until done, in the time of the test's bubble.
func (l *leader) until(what string, done func() bool) {
	l.t.Helper()
	interval := time.NewTicker(20 * time.Millisecond)
	defer interval.Stop()
	patience := time.After(time.Hour)
	for !done() {
		select {
		case e := <-l.events:
			if l.sessions[e.from.node.ref.ID] == e.from {
				l.handleUntil(e.msg, done)
			}
		case <-interval.C:
			l.begin()
		case <-patience:
			synctest.Wait()
			l.t.Fatalf("waited in vain until %s; the subtasks are %+v", what, l.status)
		}
	}
}

// handleUntil takes in the acks of a batch one by one, so that a test can step in between any two. What is
// left of the batch then is lost, as it may be with a leader.
func (l *leader) handleUntil(m checkpoint.FromNode, done func() bool) {
	batch, ok := m.(checkpoint.AckBatch)
	if !ok {
		l.handle(m)
		return
	}
	for _, a := range batch.Acks {
		if done() {
			return
		}
		l.handle(checkpoint.AckBatch{Acks: []checkpoint.Ack{a}})
	}
}

func (l *leader) handle(m checkpoint.FromNode) {
	switch m := m.(type) {
	case checkpoint.JobPlanned:
		if m.Error != "" {
			l.t.Fatalf("planning: %s", m.Error)
		}
		l.topology = m.Topology
	case checkpoint.Report:
		for _, a := range m.Attempts {
			for _, r := range a.Subtasks {
				l.handle(checkpoint.StatusChange{Job: a.Job, Attempt: a.Attempt, Report: r})
			}
			l.handle(checkpoint.AckBatch{Acks: a.Acks})
		}
	case checkpoint.StatusChange:
		l.statusChanged(m)
	case checkpoint.AckBatch:
		for _, a := range m.Acks {
			if a.Attempt == l.attempt && a.Checkpoint == l.pending {
				l.acks[a.State.Subtask] = a.State
			}
		}
	case checkpoint.Decline:
		if m.Attempt == l.attempt && m.Checkpoint == l.pending {
			l.send(checkpoint.NotifyAborted{
				Term: l.term, Job: testJob, Attempt: l.attempt, Checkpoint: l.pending, LatestCompleted: l.completed.id,
			})
			l.pending = 0
		}
	}
	l.completeIfAcknowledged()
}

func (l *leader) statusChanged(m checkpoint.StatusChange) {
	if m.Attempt != l.attempt {
		return
	}
	l.status[m.Report.Subtask] = m.Report
	if m.Report.Status == checkpoint.SubtaskFailed {
		l.failures = append(l.failures, m.Report.Subtask.String()+": "+m.Report.Failure.Message)
	}
	if m.Report.Status == checkpoint.SubtaskFinished && l.pending != 0 {
		l.acks[m.Report.Subtask] = m.Report.Final
	}
}

// begin triggers a checkpoint, or the pending one again, when every subtask is ready for it.
func (l *leader) begin() {
	if len(l.topology.Vertices) == 0 || l.stopped || l.finished() {
		return
	}
	for _, s := range l.topology.Subtasks() {
		switch l.status[s].Status {
		case checkpoint.SubtaskRunning, checkpoint.SubtaskFinishing, checkpoint.SubtaskFinished:
		default:
			return
		}
	}
	if l.pending == 0 {
		clear(l.acks)
		l.lastID++
		l.pending = l.lastID
		for s, r := range l.status {
			if r.Status == checkpoint.SubtaskFinished {
				l.acks[s] = r.Final
			}
		}
	}
	l.trigger()
}

// trigger tells the subtasks that nothing running stands before.
func (l *leader) trigger() {
	m := checkpoint.Trigger{Term: l.term, Job: testJob, Attempt: l.attempt, Barrier: checkpoint.Barrier{
		ID: l.pending, Timestamp: checkpoint.Timestamp(time.Now().UnixMilli()), Kind: checkpoint.KindCheckpoint,
		Mode: checkpoint.ExactlyOnce, Alignment: checkpoint.AlignmentAligned, Stop: l.stop,
	}}
	if l.stop != checkpoint.StopNone {
		m.Barrier.Kind = checkpoint.KindSavepoint
	}
	byNode := make(map[checkpoint.NodeID][]checkpoint.SubtaskID)
	for ordinal, s := range l.topology.Subtasks() {
		if l.status[s].Status != checkpoint.SubtaskFinished && l.leads(s.Vertex) {
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
func (l *leader) leads(v checkpoint.VertexID) bool {
	to := l.topology.VertexIndex(v)
	for _, e := range l.topology.Edges {
		if e.To != to {
			continue
		}
		from := l.topology.Vertices[e.From]
		for i := range from.Parallelism {
			if l.status[checkpoint.SubtaskID{Vertex: from.ID, Index: i}].Status != checkpoint.SubtaskFinished {
				return false
			}
		}
	}
	return true
}

func (l *leader) completeIfAcknowledged() {
	if l.pending == 0 || len(l.acks) < l.topology.NumSubtasks() {
		return
	}
	l.completed = completed{id: l.pending, states: maps.Clone(l.acks)}
	l.pending = 0
	m := checkpoint.NotifyComplete{
		Term: l.term, Job: testJob, Attempt: l.attempt, Checkpoint: l.completed.id, Kind: checkpoint.KindCheckpoint, Stop: l.stop,
	}
	if l.stop != checkpoint.StopNone {
		m.Kind, l.stopped = checkpoint.KindSavepoint, true
	}
	l.send(m)
}

// send tells all nodes of the attempt.
func (l *leader) send(m checkpoint.ToNode) {
	for _, ref := range l.assignment.Nodes {
		l.sessions[ref.ID].node.Receive(l.sessions[ref.ID], m)
	}
}

// finished reports whether every subtask has finished.
func (l *leader) finished() bool {
	for _, s := range l.topology.Subtasks() {
		if l.status[s].Status != checkpoint.SubtaskFinished {
			return false
		}
	}
	return len(l.topology.Vertices) > 0
}
