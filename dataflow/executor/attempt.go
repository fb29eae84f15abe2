package executor

import (
	"bytes"
	"context"
	"fmt"

	"cairn/checkpoint"
)

// job is what the process knows of one job. It stays when its attempts are forgotten, so that none of them
// can come back. The executor's mutex guards it.
type job struct {
	seen    checkpoint.Attempt // the highest attempt deployed or cancelled; never decreases
	current *attempt           // the one that seen counts, nil once it is forgotten
	// last is closed when everything of the attempts so far has ended; nil when there was none.
	last <-chan struct{}
}

// cancelLocked tells the current attempt's tasks to stop.
func (j *job) cancelLocked() {
	if j.current != nil {
		j.current.cancel()
	}
}

// attempt is this node's share of one execution of a job. One goroutine, in runAttempt, sets it up, runs
// its tasks and ends it.
type attempt struct {
	deploy checkpoint.Deploy
	ctx    context.Context // of its tasks
	cancel context.CancelFunc
	done   chan struct{} // closed when all its tasks have ended

	// The executor's mutex guards the rest.
	roster   *roster
	book     *ackbook
	progress *progress
	tasks    map[checkpoint.SubtaskID]task // nil until all have been made; not changed afterwards
	returned map[checkpoint.SubtaskID]bool // whose goroutine has ended
	forget   bool                          // cancelled by the leader: it goes when its tasks have ended
	over     bool                          // all its tasks have ended
}

func (a *attempt) number() checkpoint.Attempt { return a.deploy.Attempt }

// eachTask returns one call per task.
func (a *attempt) eachTask(f func(task)) []func() {
	calls := make([]func(), 0, len(a.tasks))
	for _, t := range a.tasks {
		calls = append(calls, func() { f(t) })
	}
	return calls
}

func compareJobs(a, b checkpoint.JobID) int { return bytes.Compare(a[:], b[:]) }

func (e *Executor) jobLocked(id checkpoint.JobID) *job {
	j := e.mu.jobs[id]
	if j == nil {
		j = &job{}
		e.mu.jobs[id] = j
	}
	return j
}

// currentLocked returns the attempt of a job if it is the one that runs here, otherwise nil.
func (e *Executor) currentLocked(id checkpoint.JobID, number checkpoint.Attempt) *attempt {
	if j := e.mu.jobs[id]; j != nil && j.current != nil && j.current.number() == number {
		return j.current
	}
	return nil
}

// deployLocked starts an attempt, and stops the one before it. Older attempts and the same one again
// change nothing, and neither does one that has been cancelled before it came.
func (e *Executor) deployLocked(m checkpoint.Deploy) {
	if err := checkDeployment(m); err != nil {
		e.log.Error("malformed deployment ignored", "job", m.Job, "attempt", m.Attempt, "cause", err)
		return
	}
	if !m.Assignment.Has(e.cfg.Self.ID, e.cfg.Self.Incarnation) {
		e.log.Warn("deployment for another process ignored", "job", m.Job, "attempt", m.Attempt)
		return
	}
	j := e.jobLocked(m.Job)
	if m.Attempt <= j.seen {
		e.log.Debug("deployment ignored", "job", m.Job, "attempt", m.Attempt, "seen", j.seen)
		return
	}
	j.cancelLocked()
	ctx, cancel := context.WithCancel(context.Background())
	a := &attempt{
		deploy: m, ctx: ctx, cancel: cancel, done: make(chan struct{}),
		roster: newRoster(subtasksOn(m, e.cfg.Self.ID)), book: newAckbook(), progress: newProgress(),
		returned: make(map[checkpoint.SubtaskID]bool),
	}
	previous := j.last
	if !e.goLocked(func() { e.runAttempt(a, previous) }) {
		cancel()
		return
	}
	j.seen, j.current, j.last = m.Attempt, a, a.done
	e.log.Info("deploying", "job", m.Job, "attempt", m.Attempt, "checkpoint", m.Restore, "tasks", len(a.roster.order))
}

// checkDeployment returns an error when the parts of a deployment do not fit together. It came over the
// network: what relies on its indexes must not be the first to find out.
func checkDeployment(m checkpoint.Deploy) error {
	if err := m.Topology.Validate(); err != nil {
		return err
	}
	if placed, want := len(m.Assignment.NodeOf), m.Topology.NumSubtasks(); placed != want {
		return fmt.Errorf("%d subtasks are placed, the job has %d", placed, want)
	}
	for ordinal, n := range m.Assignment.NodeOf {
		if n < 0 || n >= len(m.Assignment.Nodes) {
			return fmt.Errorf("the subtask with ordinal %d is placed on node %d of %d", ordinal, n, len(m.Assignment.Nodes))
		}
	}
	return nil
}

// subtasksOn returns the subtasks that a deployment assigns to a node, in the job's order.
func subtasksOn(m checkpoint.Deploy, id checkpoint.NodeID) []checkpoint.SubtaskID {
	all := m.Topology.Subtasks()
	var here []checkpoint.SubtaskID
	for _, ordinal := range m.Assignment.Ordinals(id) {
		here = append(here, all[ordinal])
	}
	return here
}

// cancelAttemptLocked stops everything of a job up to an attempt. It is forgotten when it has ended.
func (e *Executor) cancelAttemptLocked(m checkpoint.CancelAttempt) {
	j := e.jobLocked(m.Job)
	a := j.current
	if a != nil && a.number() > m.Attempt {
		return
	}
	j.seen = max(j.seen, m.Attempt)
	if a == nil {
		return
	}
	e.log.Info("cancelling", "job", m.Job, "attempt", a.number())
	a.cancel()
	a.forget = true
	if a.over {
		j.current = nil
	}
}
