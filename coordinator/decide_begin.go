package coordinator

import (
	"fmt"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// maxPending bounds the pending checkpoints of a job, users' requests included: they are replicated state.
const maxPending = 1000

// finalRetry is the least time between two tries to take the checkpoint that a job at the end of its input ends with.
const finalRetry = time.Second

// begin begins the most urgent checkpoint that may begin now. It is one at a time: the next is chosen when this one has
// its ID, among all that wait by then (T3).
func (d *decision) begin(j *fsm.Job, s *jobView, change changeState) {
	if d.heldBack(j, s) || change == changeDue {
		return
	}
	if problem, starting := notReady(j, s); problem != "" {
		for _, r := range s.queue.waiting {
			if r.aligned && starting { // a change of parallelism waits until all run
				continue
			}
			d.do(Refuse{Job: j.ID, Request: r.id, Reason: checkpoint.ReasonNotAllTasksRunning, Message: problem})
		}
		return
	}
	r, ok := d.nextRequest(j, s, change)
	if !ok {
		return
	}
	d.do(Propose{fsm.BeginCheckpoint{
		Job: j.ID, Attempt: j.Attempt, Kind: r.kind, Stop: r.stop, Manual: r.forced, Aligned: r.aligned, Term: d.view.Term,
		At: max(d.at, s.facts.floor), // a clock that was set back does not show
	}})
}

// heldBack reports whether nothing may begin for now, and requests wait: this leadership ends (C23), the job ends, a
// savepoint that it ends with is under way, or a checkpoint at which the attempt is to end, the deletion of old
// checkpoints lags behind (T6), or it is not known of every node whether it is there.
func (d *decision) heldBack(j *fsm.Job, s *jobView) bool {
	return d.view.Draining || s.facts.stopping || s.facts.turning || finalCompleted(s) || s.cleaningBehind(j) ||
		len(j.Pending) >= maxPending || !d.allAlive(j)
}

func (d *decision) allAlive(j *fsm.Job) bool {
	for _, ref := range j.Assignment.Nodes {
		if d.view.assigneeState(ref, d.now) != nodeAlive {
			return false
		}
	}
	return true
}

// notReady names a subtask that keeps checkpoints from beginning; it is empty when there is none (C1). Starting says that
// the attempt has only to get going.
func notReady(j *fsm.Job, s *jobView) (problem string, starting bool) {
	if !s.runsEverywhere() {
		problem = firstSubtask(j, s, func(status checkpoint.SubtaskStatus) bool {
			switch status {
			case checkpoint.SubtaskRunning, checkpoint.SubtaskFinishing, checkpoint.SubtaskFinished:
				return false
			}
			return true
		})
		return problem + ", and a checkpoint needs every subtask running; try again when it is",
			s.count(checkpoint.SubtaskFailed, checkpoint.SubtaskCanceled) == 0
	}
	if !j.Config.AfterTasksFinish && s.count(checkpoint.SubtaskFinished) > 0 {
		return firstSubtask(j, s, func(status checkpoint.SubtaskStatus) bool { return status == checkpoint.SubtaskFinished }) +
			", and checkpointing.after_tasks_finish is false", false
	}
	return "", false
}

func firstSubtask(j *fsm.Job, s *jobView, which func(checkpoint.SubtaskStatus) bool) string {
	for ordinal := range s.subtasks {
		status := s.subtasks[ordinal].status
		if !which(status) {
			continue
		}
		word := status.String()
		if status == 0 {
			word = "SCHEDULED"
		}
		return fmt.Sprintf("%s on node %s is %s", s.all[ordinal], j.Assignment.Node(ordinal).ID, word)
	}
	return ""
}

// nextRequest chooses among the users' requests, the job's end and the interval. When as many are pending as the
// configuration allows, only a user's request goes on (T5).
func (d *decision) nextRequest(j *fsm.Job, s *jobView, change changeState) (request, bool) {
	mayTurn := change == changeReady && !savepointPending(j)
	for _, r := range s.queue.waiting { // all are forced
		if !r.aligned || mayTurn { // one that has to wait holds nothing up behind it
			return r, true
		}
	}
	automatic := request{kind: checkpoint.KindCheckpoint, at: d.at}
	switch {
	case len(j.Pending) >= j.Config.MaxConcurrent:
		return request{}, false
	case d.waitsForFinalCheckpoint(j, s):
		return automatic, true
	case mayTurn && s.rescale == nil && d.over(s.tries.begunAt, 0, s.tries.pause()):
		automatic.aligned = true
		return automatic, true
	case d.periodicDue(j, s):
		automatic.periodic = true
		return automatic, true
	}
	return request{}, false
}

// waitsForFinalCheckpoint reports whether nothing but a checkpoint can still happen: every subtask has
// reached the end of its input, and none has completed since. There is no point in waiting for the interval, and
// with manual checkpoints there would be none. One that has failed is not taken again at once: what made it fail, the
// store perhaps, may go on for long, and the job may tolerate any number of failures.
func (d *decision) waitsForFinalCheckpoint(j *fsm.Job, s *jobView) bool {
	return j.Config.AfterTasksFinish && s.allAtEnd() && len(j.Pending) == 0 && !finalCompleted(s) &&
		(s.final == 0 || d.over(s.begunAt, s.facts.lastBegun, finalRetry))
}

// finalCompleted reports whether the checkpoint that all subtasks end with is complete: they are being told, and
// another one would be of no use.
func finalCompleted(s *jobView) bool { return s.final != 0 && s.facts.committed.ID >= s.final }

// periodicDue reports whether the interval since the last trigger and the pause since the last completion
// are over. What another leader did is known from the replicated state, so that this one goes on in the same rhythm.
func (d *decision) periodicDue(j *fsm.Job, s *jobView) bool {
	return j.Config.Interval > 0 &&
		d.over(s.begunAt, s.facts.lastBegun, j.Config.Interval) &&
		d.over(s.completedAt, s.facts.lastCompleted, j.Config.MinPause)
}

// over reports whether a time has passed since something that this leader saw at local, or, where that is zero, that
// happened at replicated by the clock of another one. A time that lies ahead counts as over: clocks disagree, or were
// set back, and nothing may wait for them.
func (d *decision) over(local time.Time, replicated checkpoint.Timestamp, wait time.Duration) bool {
	elapsed := d.now.Sub(local)
	if local.IsZero() {
		elapsed = time.Duration(d.at-replicated) * time.Millisecond
	}
	return elapsed < 0 || elapsed >= wait
}
