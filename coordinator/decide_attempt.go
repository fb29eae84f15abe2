package coordinator

import (
	"fmt"
	"strings"

	"cairn/checkpoint"
	"cairn/fsm"
)

// startAttempt assigns the next attempt of a job that waits for one, as soon as its time has come, its
// slots are free and the manifest it restores from has been read.
func (d *decision) startAttempt(j *fsm.Job) {
	if j.Status == fsm.JobRestarting && d.delayed(j) {
		d.prepareRestore(j, restorePoint(j)) // use the delay
		return
	}
	assignment, ok := place(j, d.view.refs(), d.freeFor(j))
	if !ok || !d.prepareRestore(j, restorePoint(j)) {
		return
	}
	for id, used := range slotsOf(j.Topology, assignment) {
		d.free[id] -= used
	}
	var from checkpoint.ID
	if c := restorePoint(j); c != nil {
		from = c.ID
	}
	d.do(Propose{fsm.StartAttempt{
		Job: j.ID, Attempt: j.Attempt + 1, Assignment: assignment, RestoreFrom: from, At: d.at,
	}})
}

// delayed reports whether the restart delay is still running. More left of it than there was at its beginning
// means that another clock set it: then it is over.
func (d *decision) delayed(j *fsm.Job) bool {
	left := int64(j.Restart.NextAt - d.at)
	return left > 0 && left <= j.Restart.Delay
}

// endAttempt ends the current attempt when it has finished or cannot go on, and reports whether it did.
func (d *decision) endAttempt(j *fsm.Job) bool {
	if d.allFinished(j) {
		d.do(Propose{fsm.EndJob{Job: j.ID, Status: fsm.JobFinished, Term: d.view.Term, At: d.at}})
		return true
	}
	if cause, permanent := d.permanentFailure(j); permanent {
		d.failJob(j, cause)
		return true
	}
	if cause := d.failure(j); cause != "" {
		d.failAttempt(j, cause)
		return true
	}
	return false
}

func (d *decision) failJob(j *fsm.Job, cause string) {
	d.do(Propose{fsm.EndJob{Job: j.ID, Status: fsm.JobFailed, Failure: cause, Term: d.view.Term, At: d.at}})
}

func (d *decision) failAttempt(j *fsm.Job, cause string) {
	restart, ok := nextRestart(j, d.at)
	if !ok {
		d.failJob(j, fmt.Sprintf("%s (attempt %d; the restart strategy allows %d restarts)",
			cause, j.Attempt, j.Config.Restart.MaxAttempts))
		return
	}
	d.do(Propose{fsm.FailAttempt{
		Job: j.ID, Attempt: j.Attempt, Cause: cause, Restart: restart, Term: d.view.Term, At: d.at,
	}})
}

func (d *decision) allFinished(j *fsm.Job) bool {
	for _, t := range d.view.jobs[j.ID].subtasks {
		if t.status != checkpoint.SubtaskFinished {
			return false
		}
	}
	return true
}

// permanentFailure returns the first failure that no restart helps.
func (d *decision) permanentFailure(j *fsm.Job) (string, bool) {
	subtasks := j.Topology.Subtasks()
	for ordinal, t := range d.view.jobs[j.ID].subtasks {
		if t.status == checkpoint.SubtaskFailed && t.failure.Permanent {
			return fmt.Sprintf("%s on node %s: %s", subtasks[ordinal], j.Assignment.Node(ordinal).ID, t.failure.Message), true
		}
	}
	return "", false
}

// failure says why the attempt cannot go on, naming causes before consequences: a lost node breaks the
// channels of subtasks that are themselves sound.
func (d *decision) failure(j *fsm.Job) string {
	var lost, suspect, failed, secondary []string
	for _, ref := range j.Assignment.Nodes {
		switch d.view.assigneeState(ref, d.now) {
		case nodeLost:
			lost = append(lost, fmt.Sprintf("node %s (%s) was lost", ref.ID, ref.Address))
		case nodeLeft:
			lost = append(lost, fmt.Sprintf("node %s (%s) left", ref.ID, ref.Address))
		case nodeSuspect:
			suspect = append(suspect, fmt.Sprintf("the session of node %s (%s) broke", ref.ID, ref.Address))
		case nodeAlive:
			if d.lostItsTasks(j, ref) {
				lost = append(lost, fmt.Sprintf("node %s (%s) does not have its subtasks any more", ref.ID, ref.Address))
			}
		}
	}
	subtasks := j.Topology.Subtasks()
	for ordinal, t := range d.view.jobs[j.ID].subtasks {
		if t.status != checkpoint.SubtaskFailed && t.status != checkpoint.SubtaskCanceled {
			continue
		}
		text := fmt.Sprintf("%s on node %s: %s", subtasks[ordinal], j.Assignment.Node(ordinal).ID, t.failure.Message)
		switch {
		case t.status == checkpoint.SubtaskCanceled:
			failed = append(failed, fmt.Sprintf("%s was stopped by its node %s", subtasks[ordinal], j.Assignment.Node(ordinal).ID))
		case t.failure.Secondary:
			secondary = append(secondary, text)
		default:
			failed = append(failed, text)
		}
	}
	switch {
	case len(lost) > 0:
		return strings.Join(lost, "; ")
	case len(failed) > 0:
		return failed[0]
	case len(secondary) > 0 && len(suspect) > 0:
		return strings.Join(suspect, "; ") + "; " + secondary[0]
	case len(secondary) > 0:
		return secondary[0]
	}
	return d.tooManyFailedCheckpoints(j)
}

// lostItsTasks reports whether a node lacks an attempt that it must have been running, since all subtasks of it have
// taken part in a checkpoint. To deploy the attempt there again would put old state beside new.
func (d *decision) lostItsTasks(j *fsm.Job, ref checkpoint.NodeRef) bool {
	c := latestCompleted(j)
	return c != nil && c.Attempt == j.Attempt && !d.view.nodes[ref.ID].holds[attemptKey{j.ID, j.Attempt}]
}

func (d *decision) tooManyFailedCheckpoints(j *fsm.Job) string {
	if j.ConsecutiveFailures <= j.Config.TolerableFailures {
		return ""
	}
	last := "unknown"
	for _, o := range j.History {
		if o.Status == fsm.OutcomeFailed && o.Reason.Counts() {
			last = fmt.Sprintf("checkpoint %d %s: %s", o.ID, o.Reason, o.Message)
		}
	}
	return fmt.Sprintf("%d consecutive checkpoints failed, tolerable are %d; the last: %s",
		j.ConsecutiveFailures, j.Config.TolerableFailures, last)
}
