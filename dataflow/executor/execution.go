package executor

import (
	"context"
	"errors"

	"cairn/checkpoint"
	"cairn/dataflow"
)

// execution is one subtask from its deployment to its end (Flink's Execution). It belongs to the attempt that deployed it,
// and then to each attempt that takes it over.
type execution struct {
	job     checkpoint.JobID
	subtask checkpoint.SubtaskID
	// since is the attempt that deployed it. Its channels, its directory and its sinks' transactions are known by that one.
	since    checkpoint.Attempt
	restored checkpoint.ID // what it was restored from, 0 for a fresh start
	task     task
	ctx      context.Context
	cancel   context.CancelFunc
	done     chan struct{} // closed when its goroutine has ended

	// The executor's mutex guards the rest.
	attempt  *attempt // that it belongs to
	returned bool     // its goroutine has ended
}

func newExecution(a *attempt, s checkpoint.SubtaskID) *execution {
	x := &execution{
		job: a.deploy.Job, subtask: s, since: a.number(), restored: a.deploy.Restore, attempt: a, done: make(chan struct{}),
	}
	x.ctx, x.cancel = context.WithCancel(context.Background())
	return x
}

// errVanished is how a task ends whose code has ended its goroutine (runtime.Goexit).
var errVanished = errors.New("the task's goroutine was ended by its own code")

// runExecution runs a task. A task reports how it ended; one that ends without a word is spoken for here, so that the
// leader never waits for it in vain.
func (e *Executor) runExecution(x *execution) {
	err := errVanished
	defer func() { e.executionReturned(x, err) }()
	labelled(x.ctx, x.job, x.since, x.subtask.String(), func(ctx context.Context) { err = x.task.Run(ctx) })
}

func (e *Executor) executionReturned(x *execution, err error) {
	report := checkpoint.SubtaskReport{Subtask: x.subtask, Status: checkpoint.SubtaskFailed}
	switch {
	case x.ctx.Err() != nil:
		report.Status = checkpoint.SubtaskCanceled
	case err != nil:
		e.log.Warn("task failed", "job", x.job, "attempt", x.since, "task", x.subtask, "cause", err)
		report.Failure = dataflow.FailureOf(err)
	default:
		report.Failure = checkpoint.Failure{Message: x.subtask.String() + " ended without a final checkpoint"}
	}
	e.onStatus(x, report)
	x.cancel()
	e.mu.Lock()
	defer e.mu.Unlock()
	x.returned = true
	close(x.done)
	e.endedLocked(x.attempt)
}

// stopLocked cancels executions of an attempt that have not been cancelled before, and has their end watched.
func (e *Executor) stopLocked(a *attempt, which []*execution) {
	var stopping []stoppable
	if a.ctx.Err() != nil && a.building && !a.watched {
		a.watched = true
		stopping = append(stopping, stoppable{name: settingUp, since: a.number(), done: a.built})
	}
	for _, x := range which {
		if x.ctx.Err() == nil && !x.returned {
			x.cancel()
			stopping = append(stopping, stoppable{name: x.subtask.String(), since: x.since, done: x.done})
		}
	}
	if len(stopping) > 0 {
		e.goLocked(func() { e.watchCancellation(a, stopping) })
	}
}

// cancelLocked stops an attempt: its setting up, and all executions that it has now.
func (e *Executor) cancelLocked(a *attempt) {
	a.cancel()
	e.stopLocked(a, a.present())
}
