package executor

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"cairn/checkpoint"
	"cairn/dataflow"
)

// runAttempt runs an attempt to its end, once everything of the previous one has ended: two attempts of a
// subtask must never work side by side in one process.
func (e *Executor) runAttempt(a *attempt, previous <-chan struct{}) {
	defer e.attemptOver(a)
	if previous != nil {
		<-previous // it has been cancelled
	}
	ended, watching := make(chan struct{}), sync.WaitGroup{}
	watching.Go(func() { e.watchCancellation(a, ended) })
	defer watching.Wait()
	defer close(ended)
	var tasks map[checkpoint.SubtaskID]task
	var err error
	labelled(a, settingUp, func(context.Context) { tasks, err = e.makeTasks(a) })
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
	a.over, a.progress = true, newProgress()
	if j := e.mu.jobs[a.deploy.Job]; j.current == a && a.forget {
		j.current = nil
	}
	close(a.done)
	e.signalAttemptEnded()
}

// errVanished is how a task ends whose code has ended its goroutine (runtime.Goexit).
var errVanished = errors.New("the task's goroutine was ended by its own code")

// runTask runs one task. A task reports how it ended; one that ends without a word is spoken for here, so
// that the leader never waits for it in vain.
func (e *Executor) runTask(a *attempt, s checkpoint.SubtaskID, t task) {
	err := errVanished
	defer func() { e.taskReturned(a, s, err) }()
	labelled(a, s.String(), func(ctx context.Context) { err = t.Run(ctx) })
}

func (e *Executor) taskReturned(a *attempt, s checkpoint.SubtaskID, err error) {
	e.mu.Lock()
	a.returned[s] = true
	e.mu.Unlock()
	if err != nil && a.ctx.Err() == nil {
		e.log.Warn("task failed", "job", a.deploy.Job, "attempt", a.number(), "task", s, "cause", err)
	}
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
	graph, err := e.buildGraph(m.Program, m.Params, m.Overrides)
	if err != nil {
		return nil, dataflow.Permanent(err)
	}
	if err := compareGraphs(m, graph); err != nil {
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
