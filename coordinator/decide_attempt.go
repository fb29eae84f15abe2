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

// restorePoint returns the checkpoint that the next attempt starts from, nil for a fresh start.
func restorePoint(j *fsm.Job) *fsm.Completed { return latestCompleted(j) }

// restoredFrom returns the log entry that the current attempt was started from, nil for a fresh start.
func restoredFrom(j *fsm.Job) *fsm.Completed {
	for i := range j.Completed {
		if j.Completed[i].ID == j.RestoredFrom {
			return &j.Completed[i]
		}
	}
	return nil
}

// prepareRestore reports whether the manifest of c is at hand (a fresh start needs none), and asks for it
// where it is not.
func (d *decision) prepareRestore(j *fsm.Job, c *fsm.Completed) bool {
	if c == nil {
		return true
	}
	r := &d.view.jobs[j.ID].restore
	switch {
	case r.id == c.ID && r.manifest != nil:
		return true
	case r.id == c.ID && r.loading:
		return false
	case r.id == c.ID && r.err != "" && d.now.Sub(r.failedAt) < d.view.Timing.LoadRetry:
		return false
	}
	d.do(LoadManifest{Job: j.ID, Checkpoint: c.ID, Manifest: c.Manifest})
	return false
}

// deploy sends their share of the current attempt to the assigned nodes that do not have it.
func (d *decision) deploy(j *fsm.Job) {
	var missing []checkpoint.NodeRef
	for _, ref := range j.Assignment.Nodes {
		n := d.view.nodes[ref.ID]
		if d.view.assigneeState(ref, d.now) == nodeAlive && !n.holds[attemptKey{j.ID, j.Attempt}] {
			missing = append(missing, ref)
		}
	}
	if len(missing) == 0 || !d.prepareRestore(j, restoredFrom(j)) {
		return
	}
	for _, ref := range missing {
		d.send(ref.ID, checkpoint.Deploy{
			Term: d.view.Term, Job: j.ID, Attempt: j.Attempt, Program: j.Program, Params: j.Params,
			Topology: j.Topology, Assignment: j.Assignment, Mode: j.Config.Mode,
			Restore: j.RestoredFrom, States: d.statesFor(j, ref.ID),
		})
	}
}

// statesFor returns the restored state of a node's subtasks. The parallelism is that of the manifest: a
// job is restored in the shape in which it was submitted.
func (d *decision) statesFor(j *fsm.Job, id checkpoint.NodeID) []checkpoint.SubtaskState {
	if j.RestoredFrom == 0 {
		return nil
	}
	subtasks := j.Topology.Subtasks()
	here := make(map[checkpoint.SubtaskID]bool)
	for _, ordinal := range j.Assignment.Ordinals(id) {
		here[subtasks[ordinal]] = true
	}
	var states []checkpoint.SubtaskState
	for _, s := range d.view.jobs[j.ID].restore.manifest.Subtasks {
		if here[s.Subtask] {
			states = append(states, s)
		}
	}
	return states
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
			cause, j.Attempt, j.Config.RestartMaxAttempts))
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

// nextRestart is the exponential-delay strategy: each failure in a row multiplies the delay, a long
// enough run without one resets it. It reports false when no restart is left.
func nextRestart(j *fsm.Job, at checkpoint.Timestamp) (fsm.Restart, bool) {
	c, r := j.Config, j.Restart
	if c.RestartMaxAttempts > 0 && r.Count >= c.RestartMaxAttempts {
		return fsm.Restart{}, false
	}
	ranFor := int64(at - j.AttemptStartedAt)
	delay := c.RestartInitial.Milliseconds()
	if r.Delay > 0 && ranFor < c.RestartResetAfter.Milliseconds() {
		delay = min(int64(float64(r.Delay)*c.RestartMultiplier), c.RestartMax.Milliseconds())
	}
	return fsm.Restart{
		Count: r.Count + 1, Delay: delay, NextAt: at + checkpoint.Timestamp(delay), LastFailureAt: at,
	}, true
}
