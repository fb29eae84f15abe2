package executor

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"cairn/checkpoint"
	"cairn/dataflow"
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
	roster *roster
	book   *ackbook
	tasks  map[checkpoint.SubtaskID]task // nil until all have been made; not changed afterwards
	forget bool                          // cancelled by the leader: it goes when its tasks have ended
	over   bool                          // all its tasks have ended
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
		roster: newRoster(subtasksOn(m, e.cfg.Self.ID)), book: newAckbook(),
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

// runAttempt runs an attempt to its end, once everything of the previous one has ended: two attempts of a
// subtask must never work side by side in one process.
func (e *Executor) runAttempt(a *attempt, previous <-chan struct{}) {
	defer e.attemptOver(a)
	if previous != nil {
		<-previous // it has been cancelled
	}
	tasks, err := e.makeTasks(a)
	if err != nil {
		e.failAll(a, err)
		return
	}
	e.mu.Lock()
	a.tasks = tasks
	e.mu.Unlock()
	var running sync.WaitGroup
	for s, t := range tasks {
		running.Go(func() { e.runTask(a, s, t) })
	}
	running.Wait()
}

func (e *Executor) attemptOver(a *attempt) {
	a.cancel()
	e.mu.Lock()
	defer e.mu.Unlock()
	a.over = true
	if j := e.mu.jobs[a.deploy.Job]; j.current == a && a.forget {
		j.current = nil
	}
	close(a.done)
}

// runTask runs one task. A task reports how it ended; one that ends without a word is spoken for here, so
// that the leader never waits for it in vain.
func (e *Executor) runTask(a *attempt, s checkpoint.SubtaskID, t task) {
	err := t.Run(a.ctx)
	report := checkpoint.SubtaskReport{Subtask: s, Status: checkpoint.SubtaskFailed}
	switch {
	case a.ctx.Err() != nil:
		report.Status = checkpoint.SubtaskCanceled
	case err != nil:
		report.Failure = dataflow.FailureOf(err)
	default:
		report.Failure = checkpoint.Failure{Message: s.String() + " ended without a final checkpoint"}
	}
	e.onStatus(a, report)
}

// makeTasks builds the job's graph and a task for each subtask on this node. What is wrong with the program
// or the deployment itself is wrong for good: the next attempt would find the same.
func (e *Executor) makeTasks(a *attempt) (map[checkpoint.SubtaskID]task, error) {
	if err := a.ctx.Err(); err != nil {
		return nil, err // superseded or cancelled while it waited
	}
	m := a.deploy
	graph, err := e.buildGraph(m.Program, m.Params)
	if err != nil {
		return nil, dataflow.Permanent(err)
	}
	if err := compareTopologies(m.Topology, m.Topology); err != nil {
		return nil, dataflow.Permanent(fmt.Errorf("program %s on node %s differs from the job that was submitted: %w",
			m.Program, e.cfg.Self.ID, err))
	}
	states := make(map[checkpoint.SubtaskID]checkpoint.SubtaskState, len(m.States))
	for _, s := range m.States {
		states[s.Subtask] = s
	}
	tasks := make(map[checkpoint.SubtaskID]task, len(a.roster.order))
	for _, s := range a.roster.order {
		state, found := states[s]
		if m.Restore != 0 && !found {
			return nil, dataflow.Permanent(fmt.Errorf("%s: the deployment from checkpoint %d has no state for it", s, m.Restore))
		}
		t, err := e.newTask(e.taskSpec(a, s, graph, state), e.taskDeps(a))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s, err)
		}
		tasks[s] = t
	}
	return tasks, nil
}

// failAll reports every subtask of an attempt that could not be set up as failed, or as cancelled if it has
// been cancelled meanwhile.
func (e *Executor) failAll(a *attempt, err error) {
	report := checkpoint.SubtaskReport{Status: checkpoint.SubtaskCanceled}
	if a.ctx.Err() == nil {
		e.log.Error("deployment failed", "job", a.deploy.Job, "attempt", a.number(), "cause", err)
		report = checkpoint.SubtaskReport{Status: checkpoint.SubtaskFailed, Failure: dataflow.FailureOf(err)}
	}
	for _, s := range a.roster.order {
		report.Subtask = s
		e.onStatus(a, report)
	}
}
