package executor

import (
	"cmp"
	"fmt"
	"slices"

	"cairn/checkpoint"
)

// When the pipelined regions of what failed are restarted, the others go on: the new attempt takes their executions over
// from the one before. They notice nothing of it but the outcomes of checkpoints that they may not have heard.

// takeOverLocked gives a new attempt the executions that it is to keep, and tells the leader how they stand. What is not
// there any more has failed. It returns the calls by which the tasks hear what has become of the earlier attempts'
// checkpoints.
func (e *Executor) takeOverLocked(from, a *attempt) (calls []func()) {
	for _, k := range a.deploy.Kept {
		if _, here := a.roster.reports[k.Subtask]; !here {
			continue
		}
		report, x := from.report(k)
		if x != nil {
			from.give(x, a)
			calls = append(calls, settle(from, a.deploy, x)...)
		}
		a.roster.reports[k.Subtask] = report
		e.tellLocked(checkpoint.StatusChange{Job: a.deploy.Job, Attempt: a.number(), Report: report})
		if x != nil {
			e.repeatLocked(from, a, k.Subtask)
		}
	}
	return calls
}

// repeatLocked says again, for the new attempt, what a subtask that goes on has said of that attempt's own checkpoints:
// their barriers may have come from other nodes before this one heard of the attempt, and the leader does not count what
// was said for an earlier one. What had its outcome before the attempt was deployed is not repeated.
func (e *Executor) repeatLocked(from, a *attempt, s checkpoint.SubtaskID) {
	for _, id := range sortedKeys(from.progress.pending, cmp.Compare) {
		c := from.progress.pending[id]
		if p, under := c.subtasks[s]; under {
			e.noteProgressLocked(a, checkpoint.Barrier{ID: id, Kind: c.kind}, p)
		}
	}
	for _, id := range sortedKeys(from.book.acks, cmp.Compare) {
		acks := from.book.acks[id]
		if ack, has := acks.of[s]; has {
			e.ackLocked(a, ack, acks.kind)
		}
	}
	for _, id := range sortedKeys(from.book.declines, cmp.Compare) {
		declines := from.book.declines[id]
		if d, has := declines.of[s]; has {
			e.declineLocked(a, d, declines.kind)
		}
	}
}

// report returns how a subtask stands that the next attempt is to keep, and its execution, nil when nothing of it can go
// on. from is nil when nothing runs here at all.
func (from *attempt) report(k checkpoint.KeptSubtask) (checkpoint.SubtaskReport, *execution) {
	lost := func(format string, args ...any) checkpoint.SubtaskReport {
		return checkpoint.SubtaskReport{Subtask: k.Subtask, Status: checkpoint.SubtaskFailed, Failure: checkpoint.Failure{
			Message: fmt.Sprintf("%s cannot go on: %s", k.Subtask, fmt.Sprintf(format, args...)), Secondary: true,
		}}
	}
	if from == nil {
		return lost("nothing of the job runs here any more"), nil
	}
	x := from.executions[k.Subtask]
	if x == nil || x.since != k.Since {
		return lost("what attempt %d deployed of it does not run here", k.Since), nil
	}
	report := from.roster.reports[k.Subtask]
	switch {
	case report.Status == checkpoint.SubtaskFailed:
		return report, nil // its own cause says more
	case report.Status == checkpoint.SubtaskFinished:
		return report, x
	case x.ctx.Err() != nil:
		return lost("it was cancelled"), nil
	}
	return report, x
}

// give hands an execution over to another attempt.
func (from *attempt) give(x *execution, to *attempt) {
	delete(from.executions, x.subtask)
	to.executions[x.subtask] = x
	x.attempt = to
	if !x.returned {
		from.unfinished--
		to.unfinished++
	}
}

// settle tells an execution what has become of the checkpoints of earlier attempts: all of them have their outcome. The
// one that the others are restored from has completed, and is news only to what was not restored from it itself. Those
// that failed would be waited for otherwise, with inputs blocked.
func settle(from *attempt, m checkpoint.Deploy, x *execution) (calls []func()) {
	if x.returned {
		return nil
	}
	if m.Restore > x.restored && m.Restore > from.book.completed {
		calls = append(calls, func() { x.task.NotifyComplete(m.Restore) })
	}
	for _, id := range unheard(from, m) {
		calls = append(calls, func() { x.task.NotifyAborted(id) })
	}
	return calls
}

// unheard returns the failed checkpoints whose outcome has not been heard here: those that the leader names, and others
// that the tasks have met.
func unheard(from *attempt, m checkpoint.Deploy) []checkpoint.ID {
	known := slices.Concat(m.Aborted, sortedKeys(from.book.acks, cmp.Compare), sortedKeys(from.book.declines, cmp.Compare),
		sortedKeys(from.progress.pending, cmp.Compare))
	slices.Sort(known)
	return slices.DeleteFunc(slices.Compact(known), func(id checkpoint.ID) bool {
		return id == m.Restore || id > m.Settled || from.book.settled[id]
	})
}

// cancelTasksLocked stops some subtasks of a job's attempt, or of the last one before it that is here. They stay in the
// report, as what they are.
func (e *Executor) cancelTasksLocked(m checkpoint.CancelTasks) {
	j := e.mu.jobs[m.Job]
	if j == nil || j.current == nil || j.current.number() > m.Attempt {
		return
	}
	a := j.current
	e.log.Info("cancelling", "job", m.Job, "attempt", a.number(), "tasks", len(m.Subtasks))
	var stop []*execution
	for _, s := range m.Subtasks {
		if x := a.executions[s]; x != nil {
			stop = append(stop, x)
		} else {
			a.dropped[s] = true // it is cancelled as soon as it is made
		}
	}
	e.stopLocked(a, stop)
}
