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

// attempt is this node's share of one execution of a job. One goroutine, in setUp, makes and starts what it deploys.
type attempt struct {
	deploy checkpoint.Deploy
	ctx    context.Context // ends when the attempt is cancelled, or over
	cancel context.CancelFunc
	built  chan struct{} // closed when its executions have been made
	done   chan struct{} // closed when it is over

	// The executor's mutex guards the rest.
	roster   *roster
	book     *ackbook
	progress *progress
	// executions are those that have been made, or taken over from an earlier attempt, and not given to a later one.
	executions map[checkpoint.SubtaskID]*execution
	// unfinished counts the executions that have not ended, and the setting up: at 0 the attempt is over.
	unfinished int
	building   bool                          // its executions are being made
	watched    bool                          // so is that, since it was cancelled
	dropped    map[checkpoint.SubtaskID]bool // cancelled before they were made
	forget     bool                          // cancelled by the leader: it goes when it is over
	over       bool
}

func newAttempt(m checkpoint.Deploy, self checkpoint.NodeID) *attempt {
	a := &attempt{
		deploy: m, built: make(chan struct{}), done: make(chan struct{}),
		roster: newRoster(subtasksOn(m, self)), book: newAckbook(), progress: newProgress(),
		executions: make(map[checkpoint.SubtaskID]*execution), dropped: make(map[checkpoint.SubtaskID]bool), unfinished: 1,
	}
	a.book.inherit(m)
	a.ctx, a.cancel = context.WithCancel(context.Background())
	return a
}

func (a *attempt) number() checkpoint.Attempt { return a.deploy.Attempt }

// present returns the executions that the attempt has now, in the job's order.
func (a *attempt) present() []*execution {
	all := make([]*execution, 0, len(a.executions))
	for _, s := range a.roster.order {
		if x := a.executions[s]; x != nil {
			all = append(all, x)
		}
	}
	return all
}

// eachTask returns one call per task.
func (a *attempt) eachTask(f func(task)) []func() {
	calls := make([]func(), 0, len(a.executions))
	for _, x := range a.present() {
		calls = append(calls, func() { f(x.task) })
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

// deployLocked starts an attempt, and stops what it does not take over of the one before it. Older attempts and the same
// one again change nothing, and neither does one that has been cancelled before it came.
func (e *Executor) deployLocked(m checkpoint.Deploy) (calls []func()) {
	if err := checkDeployment(m); err != nil {
		e.log.Error("malformed deployment ignored", "job", m.Job, "attempt", m.Attempt, "cause", err)
		return nil
	}
	if !m.Assignment.Has(e.cfg.Self.ID, e.cfg.Self.Incarnation) {
		e.log.Warn("deployment for another process ignored", "job", m.Job, "attempt", m.Attempt)
		return nil
	}
	j := e.jobLocked(m.Job)
	if m.Attempt <= j.seen {
		e.log.Debug("deployment ignored", "job", m.Job, "attempt", m.Attempt, "seen", j.seen)
		return nil
	}
	a, previous := newAttempt(m, e.cfg.Self.ID), j.last
	if !e.goLocked(func() { e.setUp(a, previous) }) {
		a.cancel()
		return nil
	}
	before := j.current
	j.seen, j.current, j.last = m.Attempt, a, a.done
	calls = e.takeOverLocked(before, a)
	if before != nil {
		e.cancelLocked(before)
		e.overLocked(before)
	}
	e.log.Info("deploying", "job", m.Job, "attempt", m.Attempt, "checkpoint", m.Restore, "tasks", len(a.roster.order),
		"kept", len(a.executions))
	return calls
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
	for _, k := range m.Kept {
		if m.Topology.Ordinal(k.Subtask) < 0 || k.Since >= m.Attempt {
			return fmt.Errorf("%s of attempt %d is to go on", k.Subtask, k.Since)
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
	e.cancelLocked(a)
	a.forget = true
	if a.over {
		j.current = nil
	}
}
