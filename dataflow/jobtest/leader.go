package jobtest

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

// Leader plays the coordinator for one job, as far as the job needs one. It belongs to the test's goroutine. Its fields
// are to be read between calls of Until; Stop may also be set.
type Leader struct {
	t       *testing.T
	cluster *Cluster
	program string
	params  map[string]string
	events  chan event // capacity far above what piles up while the test is not looking; never closed

	// What a real coordinator keeps under consensus.
	Topology   checkpoint.Topology
	Attempt    checkpoint.Attempt
	assignment checkpoint.Assignment
	LastID     checkpoint.ID
	Pending    checkpoint.ID // 0 for none
	Completed  Completed
	Restored   checkpoint.ID   // what the attempt has started from; 0 for nothing
	Stop       checkpoint.Stop // of the next checkpoint, which is a savepoint that the job ends with; 0 for none
	Stopped    bool            // that savepoint has completed

	// What a new leader learns from the nodes.
	Term     checkpoint.Term
	sessions map[checkpoint.NodeID]*session
	Status   map[checkpoint.SubtaskID]checkpoint.SubtaskReport
	Acks     map[checkpoint.SubtaskID]checkpoint.SubtaskState // of the pending checkpoint
	// Failures are those of the current attempt, what broke by itself before what followed from that.
	Failures []string
	causes   int // how many of Failures are no consequences
}

// Completed is the latest checkpoint that has completed.
type Completed struct {
	ID     checkpoint.ID // 0 for none
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

// Offer loses what a session may lose.
func (s *session) Offer(...checkpoint.FromNode) bool { return false }

func (s *session) Send(m checkpoint.FromNode) error {
	select {
	case s.events <- event{s, m}:
		return nil
	default:
		return errors.New("too many messages")
	}
}

var testJob = checkpoint.JobID{7}

// NewLeader returns a leader for the cluster's program with the given parameters, which has not been started.
func NewLeader(t *testing.T, c *Cluster, params map[string]string) *Leader {
	t.Helper()
	l := &Leader{t: t, cluster: c, program: c.registry.Names()[0], params: params, events: make(chan event, 1<<16)}
	l.TakeOver()
	return l
}

// TakeOver begins the next term: a new leader, who knows nothing but what is kept under consensus.
func (l *Leader) TakeOver() {
	for _, s := range l.sessions {
		s.node.SessionClosed(s)
	}
	l.Term++
	l.sessions = make(map[checkpoint.NodeID]*session)
	l.Status = make(map[checkpoint.SubtaskID]checkpoint.SubtaskReport)
	l.Acks = make(map[checkpoint.SubtaskID]checkpoint.SubtaskState)
	for id := range l.cluster.alive() {
		l.OpenSession(id)
	}
}

// OpenSession makes the leader known to a node that has been started.
func (l *Leader) OpenSession(id checkpoint.NodeID) {
	s := &session{node: l.cluster.alive()[id], events: l.events}
	l.sessions[id] = s
	s.node.Receive(s, checkpoint.Leading{Term: l.Term, Leader: checkpoint.NodeID(fmt.Sprintf("leader of term %d", l.Term))})
}

// Plan asks a node for the shape of the job.
func (l *Leader) Plan() {
	l.t.Helper()
	for _, s := range l.sessions {
		s.node.Receive(s, checkpoint.PlanJob{Term: l.Term, Request: 1, Program: l.program, Params: l.params})
		break
	}
	l.Until("the job is planned", func() bool { return len(l.Topology.Vertices) > 0 })
}

// Deploy starts the next attempt on all nodes that are alive, from the latest completed checkpoint.
func (l *Leader) Deploy() {
	l.Attempt++
	l.Pending, l.Failures, l.causes, l.Restored = 0, nil, 0, l.Completed.ID
	l.Stop, l.Stopped = checkpoint.StopNone, false
	clear(l.Status)
	l.assignment = checkpoint.Assignment{}
	ids := slices.Sorted(maps.Keys(l.cluster.alive()))
	for _, id := range ids {
		l.assignment.Nodes = append(l.assignment.Nodes, l.sessions[id].node.ref)
	}
	for _, s := range l.Topology.Subtasks() {
		l.assignment.NodeOf = append(l.assignment.NodeOf, s.Index%len(ids))
	}
	subtasks := l.Topology.Subtasks()
	for _, id := range ids {
		m := checkpoint.Deploy{
			Term: l.Term, Job: testJob, Attempt: l.Attempt, Program: l.program, Params: l.params, Topology: l.Topology,
			Assignment: l.assignment, Mode: checkpoint.ExactlyOnce, AfterTasksFinish: true,
			Restore: l.Completed.ID,
		}
		for _, ordinal := range l.assignment.Ordinals(id) {
			if l.Completed.ID != 0 {
				m.States = append(m.States, l.Completed.states[subtasks[ordinal]])
			}
		}
		l.sessions[id].node.Receive(l.sessions[id], m)
	}
}

// Until works until done, in the time of the test's bubble.
func (l *Leader) Until(what string, done func() bool) {
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
			l.t.Fatalf("waited in vain until %s; the subtasks are %+v", what, l.Status)
		}
	}
}

// handleUntil takes in the acks of a batch one by one, so that a test can step in between any two. What is
// left of the batch then is lost, as it may be with a leader.
func (l *Leader) handleUntil(m checkpoint.FromNode, done func() bool) {
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

func (l *Leader) handle(m checkpoint.FromNode) {
	switch m := m.(type) {
	case checkpoint.JobPlanned:
		if m.Error != "" {
			l.t.Fatalf("planning: %s", m.Error)
		}
		l.Topology = m.Topology
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
			if a.Attempt == l.Attempt && a.Checkpoint == l.Pending {
				l.Acks[a.State.Subtask] = a.State
			}
		}
	case checkpoint.Decline:
		if m.Attempt == l.Attempt && m.Checkpoint == l.Pending {
			l.send(checkpoint.NotifyAborted{
				Term: l.Term, Job: testJob, Attempt: l.Attempt, Checkpoint: l.Pending, LatestCompleted: l.Completed.ID,
			})
			l.Pending = 0
		}
	}
	l.completeIfAcknowledged()
}

func (l *Leader) statusChanged(m checkpoint.StatusChange) {
	if m.Attempt != l.Attempt {
		return
	}
	l.Status[m.Report.Subtask] = m.Report
	if m.Report.Status == checkpoint.SubtaskFailed {
		l.failed(m.Report)
	}
	if m.Report.Status == checkpoint.SubtaskFinished && l.Pending != 0 {
		l.Acks[m.Report.Subtask] = m.Report.Final
	}
}

// failed notes a failure. That of a subtask whose channel broke may be reported before the one that broke it.
func (l *Leader) failed(r checkpoint.SubtaskReport) {
	at := len(l.Failures)
	if !r.Failure.Secondary {
		at = l.causes
		l.causes++
	}
	l.Failures = slices.Insert(l.Failures, at, r.Subtask.String()+": "+r.Failure.Message)
}

// send tells all nodes of the attempt.
func (l *Leader) send(m checkpoint.ToNode) {
	for _, ref := range l.assignment.Nodes {
		l.sessions[ref.ID].node.Receive(l.sessions[ref.ID], m)
	}
}

// Finished reports whether every subtask has finished.
func (l *Leader) Finished() bool {
	for _, s := range l.Topology.Subtasks() {
		if l.Status[s].Status != checkpoint.SubtaskFinished {
			return false
		}
	}
	return len(l.Topology.Vertices) > 0
}
