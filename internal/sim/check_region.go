package sim

import (
	"cairn/checkpoint"
	"cairn/fsm"
)

// executionOf returns the attempt in which the present execution of a subtask was deployed, by the log.
func (k *checker) executionOf(job checkpoint.JobID, ordinal int) checkpoint.Attempt {
	if of := k.executions[job]; ordinal < len(of) {
		return of[ordinal]
	}
	return 0
}

// executionKey names the present execution of a subtask.
func (k *checker) executionKey(job checkpoint.JobID, ordinal int, s checkpoint.SubtaskID) subtaskKey {
	return subtaskKey{attemptKey{job, k.executionOf(job, ordinal)}, s}
}

// regionsStarted notes which executions an attempt has. It demands that what goes on is whole regions, ran where it is to
// go on, in the very process, and has not failed as a whole (I7): records would be lost or doubled between what goes back
// to a checkpoint and what does not.
func (k *checker) regionsStarted(index int, c fsm.StartAttempt) {
	j := k.state.Jobs[c.Job]
	kept := make(map[int]bool)
	for _, ordinal := range c.Kept {
		kept[ordinal] = true
	}
	subtasks := j.Topology.Subtasks()
	if len(kept) > 0 {
		k.w.stats.Kept += len(kept)
		if len(kept) < len(subtasks) {
			k.w.stats.RegionRestarts++
		}
	}
	for to, inputs := range inputsOf(j.Topology) {
		for _, from := range inputs {
			if kept[from] != kept[to] {
				k.w.violate(I7, "attempt %d keeps only one of %s and %s, which exchange records", c.Attempt, subtasks[from], subtasks[to])
			}
		}
	}
	executions := make([]checkpoint.Attempt, len(subtasks))
	for ordinal, s := range subtasks {
		executions[ordinal] = c.Attempt
		if !kept[ordinal] {
			continue
		}
		executions[ordinal] = k.executionOf(c.Job, ordinal)
		if ran, found := k.runs[k.executionKey(c.Job, ordinal, s)]; !found || ran != c.Assignment.Node(ordinal) {
			k.w.violate(I7, "attempt %d keeps %s on %v, where it has not run (%v)", c.Attempt, s, c.Assignment.Node(ordinal), ran)
		}
		if k.global[attemptKey{c.Job, c.Attempt - 1}] {
			k.w.violate(I7, "attempt %d keeps %s, and all of the one before it has failed", c.Attempt, s)
		}
	}
	k.executions[c.Job] = executions
	k.startedAt[attemptKey{c.Job, c.Attempt}] = index
}

// failedAsAWhole notes that nothing of an attempt may go on: too many checkpoints have failed, or tasks may have stopped
// for a savepoint. before is the job as it was.
func (k *checker) failedAsAWhole(c fsm.FailAttempt, before fsm.Job) {
	whole := before.ConsecutiveFailures > before.Config.TolerableFailures
	for key, b := range k.begun {
		whole = whole || key.job == c.Job && b.attempt == c.Attempt && b.stop != checkpoint.StopNone
	}
	k.global[attemptKey{c.Job, c.Attempt}] = whole
}

// executionFailed reports whether a task of the present executions has really failed or been stopped.
func (k *checker) executionFailed(j *fsm.Job) bool {
	for ordinal, s := range j.Topology.Subtasks() {
		if k.failures[k.executionKey(j.ID, ordinal, s)] {
			return true
		}
	}
	return false
}

// cancels demands that a process which obeys does not stop what goes on by the log (I7). That may happen only where
// another leader, which did not know, has sent the message: one that has stopped a subtask does not keep it.
func (k *checker) cancels(n *node, m checkpoint.CancelAttempt) {
	j, current := k.state.Jobs[m.Job], n.jobs[m.Job].current
	if j == nil || j.Status != fsm.JobRunning || current == nil {
		return
	}
	index, found := k.startedAt[attemptKey{j.ID, j.Attempt}]
	if !found || m.Term < k.log[index-1].term {
		return
	}
	for _, t := range current.tasks {
		goesOn := t.deployed < j.Attempt && t.deployed == k.executionOf(j.ID, t.ordinal) && j.Assignment.Node(t.ordinal) == n.ref
		if goesOn && !t.ended() && !t.ending {
			k.w.violate(I7, "%s stops %s on %s, which goes on in attempt %d", m, t.id, n.ref.ID, j.Attempt)
		}
	}
}
