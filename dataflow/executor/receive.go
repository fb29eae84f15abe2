package executor

import (
	"time"

	"cairn/checkpoint"
)

// SessionClosed says that a session has ended. If it was the leader's, the tasks go on: what happens until
// the next Leading is in the Report that answers it. Closing a session again changes nothing.
func (e *Executor) SessionClosed(s Session) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.mu.fence.closed(s) {
		return
	}
	e.mu.outbox.redirect(nil)
	e.leadLocked(nil)
	e.mu.leaderless = time.Now()
	e.signalLeaderChanged()
	e.log.Info("the leader's session closed", "term", e.mu.fence.term)
}

// Receive takes in a message that a coordinator sent on session s. Messages of one session are given in
// order, from one goroutine at a time. A message of a deposed leader, an older attempt or a cancelled one
// changes nothing (I6).
func (e *Executor) Receive(s Session, m checkpoint.ToNode) {
	calls, err := e.admit(s, m)
	if err != nil {
		e.log.Warn("message rejected", "cause", err)
		return
	}
	for _, call := range calls {
		call()
	}
}

// admit changes the bookkeeping as the message says and returns the calls to tasks, and to the store, that follow
// from it. They are made when the mutex has been released: a task calls back into the executor.
func (e *Executor) admit(s Session, m checkpoint.ToNode) ([]func(), error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mu.closed {
		return nil, nil
	}
	if err := e.mu.fence.admit(s, m); err != nil {
		return nil, err
	}
	return e.handleLocked(s, m), nil
}

func (e *Executor) handleLocked(s Session, m checkpoint.ToNode) []func() {
	switch m := m.(type) {
	case checkpoint.Leading:
		e.leadingLocked(s, m)
	case checkpoint.PlanJob:
		e.planLocked(s, m)
	case checkpoint.Deploy:
		return e.deployLocked(m)
	case checkpoint.CancelAttempt:
		e.cancelAttemptLocked(m)
	case checkpoint.CancelTasks:
		e.cancelTasksLocked(m)
	case checkpoint.Trigger:
		return e.triggerLocked(m)
	case checkpoint.NotifyComplete:
		return e.completeLocked(m)
	case checkpoint.NotifyAborted:
		return e.abortedLocked(m)
	case checkpoint.MarkChunks:
		return []func(){func() { e.markChunks(s, m) }}
	case checkpoint.DeleteChunks:
		e.deleteChunksLocked(s, m)
	case checkpoint.CopyChunks:
		e.copyChunksLocked(m)
	case checkpoint.ListChunks:
		e.mu.leadership.listLocked(m.Request)
	case checkpoint.ChunksLocated:
		return []func(){func() { e.cfg.Custodian.Located(m) }}
	}
	return nil
}

// leadingLocked answers a leader with everything that is in memory. The report and the change of the
// outbox's direction are one step, so that each later change follows the report that lacks it.
func (e *Executor) leadingLocked(s Session, m checkpoint.Leading) {
	e.mu.leaderless = time.Time{}
	e.signalLeaderChanged()
	e.mu.outbox.redirect(s)
	e.leadLocked(s)
	report := checkpoint.Report{Term: m.Term}
	var declines []checkpoint.Decline
	for _, id := range sortedKeys(e.mu.jobs, compareJobs) {
		a := e.mu.jobs[id].current
		if a == nil {
			continue
		}
		report.Attempts = append(report.Attempts, checkpoint.AttemptReport{
			Job: id, Attempt: a.number(), Subtasks: a.roster.subtasks(), Acks: a.book.unresolvedAcks(),
		})
		declines = append(declines, a.book.unresolvedDeclines()...)
		a.progress.repeat()
	}
	e.tellLocked(report)
	for _, d := range declines {
		e.tellLocked(d)
	}
	e.signalProgress()
	e.log.Info("leader heard", "term", m.Term, "leader", m.Leader, "attempts", len(report.Attempts))
}

// currentForLocked returns the attempt that a message is for. A message for another one changes nothing (I6).
func (e *Executor) currentForLocked(m checkpoint.ToNode, job checkpoint.JobID, number checkpoint.Attempt) *attempt {
	a := e.currentLocked(job, number)
	if a == nil {
		e.log.Debug("message for another attempt ignored", "message", m)
	}
	return a
}

func (e *Executor) triggerLocked(m checkpoint.Trigger) (calls []func()) {
	a := e.currentForLocked(m, m.Job, m.Attempt)
	if a == nil {
		return nil
	}
	for _, s := range m.Subtasks {
		reason, message, refused := a.roster.refusal(s)
		x := a.executions[s]
		if !refused && x == nil {
			reason, message, refused = checkpoint.ReasonTaskNotReady, s.String()+" has not started yet", true
		}
		if refused {
			e.declineLocked(a, checkpoint.Decline{
				Job: m.Job, Attempt: m.Attempt, Checkpoint: m.Barrier.ID, Subtask: s, Reason: reason, Message: message,
			}, m.Barrier.Kind)
			continue
		}
		e.noteProgressLocked(a, m.Barrier, checkpoint.SubtaskProgress{Subtask: s, Phase: checkpoint.PhaseStartDelay})
		calls = append(calls, func() { x.task.Trigger(m.Barrier) })
	}
	return calls
}

// completeLocked passes a completion on. Of a savepoint that the job goes on after, tasks are not told: sinks publish
// nothing for it, since a restart goes back to the log, in which it is not.
func (e *Executor) completeLocked(m checkpoint.NotifyComplete) []func() {
	a := e.currentForLocked(m, m.Job, m.Attempt)
	if a == nil {
		return nil
	}
	if m.Kind == checkpoint.KindSavepoint {
		a.book.settle(m.Checkpoint)
	} else {
		a.book.complete(m.Checkpoint)
	}
	a.progress.forget(a.book.resolved)
	if m.Kind == checkpoint.KindSavepoint && m.Stop == checkpoint.StopNone {
		return nil
	}
	return a.eachTask(func(t task) { t.NotifyComplete(m.Checkpoint) })
}

// abortedLocked passes an abort on. It settles no other outcome: what the latest completed checkpoint settles comes
// with its own notification, which also says that it was a checkpoint.
func (e *Executor) abortedLocked(m checkpoint.NotifyAborted) []func() {
	a := e.currentForLocked(m, m.Job, m.Attempt)
	if a == nil {
		return nil
	}
	a.book.settle(m.Checkpoint)
	a.progress.forget(a.book.resolved)
	return a.eachTask(func(t task) { t.NotifyAborted(m.Checkpoint) })
}
