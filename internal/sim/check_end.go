package sim

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

const (
	// restLimit is how long the world has, after the last fault, until everything goes on. It covers a chain
	// of everything that a leader waits for: an election, the clocks' difference, a silent node, a restart, and
	// what is left of the longest input.
	restLimit = 40 * time.Second
	// notifyLimit is how long the subtasks have until they have heard of a completed checkpoint: long enough for
	// a leader to give up a node that is gone.
	notifyLimit = 10 * time.Second
)

// rest ends the faults and demands that what they stopped goes on: running jobs complete new checkpoints,
// bounded ones finish, cancelled ones end; all completions are heard of (I4), and all replicas agree (I10).
func (w *World) rest() {
	if w.failed != nil {
		return
	}
	w.calmDown()
	w.allHeard()
	last := make(map[checkpoint.JobID]checkpoint.ID)
	for id, j := range w.check.state.Jobs {
		last[id] = j.LastID
	}
	if !w.runUntil(restLimit, func() bool { return w.stuck(last) == "" }) && w.failed == nil {
		w.violate(Liveness, "%s after %s of calm: %s", w.stuck(last), restLimit, w.describe())
		return
	}
	w.allHeard()
	if !w.runUntil(notifyLimit, w.converged) && w.failed == nil {
		w.violate(Liveness, "the replicas do not apply the same log within %s of calm", notifyLimit)
	}
}

// allHeard demands that what is completed by now is heard of by all tasks of the attempt (I4), and that no node keeps
// acks of what has an outcome by now.
func (w *World) allHeard() {
	latest, decided := w.latestCompleted(), len(w.check.log)
	heard := func() string { return cmp.Or(w.unheard(latest), w.unreleased(decided)) }
	if !w.runUntil(notifyLimit, func() bool { return heard() == "" }) && w.failed == nil {
		w.violate(I4, "%s after %s of calm", heard(), notifyLimit)
	}
}

// unreleased names a node that keeps an ack of a checkpoint that the log had decided up to an index, or a task that waits
// for its barriers with inputs blocked; empty for none.
func (w *World) unreleased(index int) string {
	text := ""
	for _, h := range w.hosts {
		if h.proc == nil {
			continue
		}
		h.proc.eachAttempt(func(a *attempt) {
			for _, id := range slices.Sorted(maps.Keys(a.book.acks)) {
				o, found := w.check.outcomes[checkpointKey{a.deploy.Job, id}]
				if found && o.index <= index && a.number() == w.check.state.Jobs[a.deploy.Job].Attempt {
					text = fmt.Sprintf("%s keeps its acks of checkpoint %d of job %d", h.id, id, a.deploy.Job[0])
				}
			}
			for _, t := range a.tasks {
				for _, p := range t.pending {
					o, found := w.check.outcomes[checkpointKey{a.deploy.Job, p.barrier.ID}]
					if found && o.index <= index && a.number() == w.check.state.Jobs[a.deploy.Job].Attempt && !t.ended() {
						text = fmt.Sprintf("%s of job %d waits for barriers of checkpoint %d", t.id, a.deploy.Job[0], p.barrier.ID)
					}
				}
			}
		})
	}
	return text
}

// stuck names a job that does not do what it should by now, empty for none.
func (w *World) stuck(last map[checkpoint.JobID]checkpoint.ID) string {
	for _, c := range w.clients {
		j := w.check.state.Jobs[c.id]
		switch {
		case j == nil:
			if c.job.From == nil || w.sourceOf(c) {
				return fmt.Sprintf("job %d is not submitted", c.id[0])
			}
		case j.Status == fsm.JobFailed && j.Config.Restart.Strategy != checkpoint.ExponentialDelay:
		case j.Status.Terminal():
			if c.job.CancelAt == 0 && j.Status != fsm.JobFinished {
				return fmt.Sprintf("job %d is %s: %s", c.id[0], j.Status, j.Failure)
			}
		case c.job.CancelAt == 0 && c.job.Limit == 0 && !j.Config.AfterTasksFinish && w.check.someFinished(j):
			// No checkpoint begins any more, not even to stop with; and not all of its inputs end.
		case c.job.CancelAt > 0 || c.job.StopAt > 0 || c.job.Limit > 0:
			return fmt.Sprintf("job %d has not ended, it is %s", c.id[0], j.Status)
		default:
			if latest, _ := j.LatestCompleted(); j.Status != fsm.JobRunning || latest.ID <= last[c.id] {
				return fmt.Sprintf("job %d completes nothing behind checkpoint %d", c.id[0], last[c.id])
			}
		}
	}
	return ""
}

// someFinished reports whether a task of the attempt has finished, as one does that was restored at its end.
func (k *checker) someFinished(j *fsm.Job) bool {
	for ordinal, s := range j.Topology.Subtasks() {
		if k.ended[k.executionKey(j.ID, ordinal, s)] == checkpoint.SubtaskFinished {
			return true
		}
	}
	return false
}

// sourceOf reports whether there is something that a client can submit its job from.
func (w *World) sourceOf(c *client) bool {
	l := w.leaderLoop()
	if l == nil {
		return true
	}
	_, found := c.source(l)
	return found
}

// latestCompleted returns the last completed checkpoint of each running job, and of which attempt it is.
func (w *World) latestCompleted() map[attemptKey]checkpoint.ID {
	latest := make(map[attemptKey]checkpoint.ID)
	for id, j := range w.check.state.Jobs {
		if c, found := j.LatestCompleted(); found && c.Attempt == j.Attempt && j.Status == fsm.JobRunning {
			latest[attemptKey{id, j.Attempt}] = c.ID
		}
	}
	return latest
}

// unheard names a subtask that has not been notified of what was completed, empty for none. An attempt that has
// ended meanwhile has nobody left to notify.
func (w *World) unheard(latest map[attemptKey]checkpoint.ID) string {
	for _, client := range w.clients {
		j := w.check.state.Jobs[client.id]
		if j == nil {
			continue
		}
		id, found := latest[attemptKey{j.ID, j.Attempt}]
		if text := w.unheardBefore(j); text != "" {
			return text
		}
		if !found || j.Status != fsm.JobRunning {
			continue
		}
		for _, ref := range j.Assignment.Nodes {
			n := w.hostOf(ref.ID).proc
			if n == nil || n.ref != ref {
				return fmt.Sprintf("node %s of job %d is gone", ref.ID, client.id[0])
			}
			a := n.current(j.ID, j.Attempt)
			if a == nil {
				return fmt.Sprintf("node %s does not have attempt %d of job %d", ref.ID, j.Attempt, client.id[0])
			}
			for _, t := range a.tasks {
				if t.notified < id {
					return fmt.Sprintf("%s of job %d has not heard that checkpoint %d is complete", t.id, client.id[0], id)
				}
			}
		}
	}
	return ""
}

// unheardBefore names a subtask that has gone on into a running attempt, and has not been notified of the checkpoint that
// the others were restored from, although it was not restored from it itself; empty for none.
func (w *World) unheardBefore(j *fsm.Job) string {
	for ordinal, s := range j.Topology.Subtasks() {
		if j.Status != fsm.JobRunning || w.check.executionOf(j.ID, ordinal) == j.Attempt {
			continue
		}
		ref := j.Assignment.Node(ordinal)
		n := w.hostOf(ref.ID).proc
		if n == nil || n.ref != ref {
			continue // and the attempt is to end
		}
		t := n.current(j.ID, j.Attempt).find(ordinal)
		if t == nil {
			return fmt.Sprintf("node %s does not know that %s goes on in attempt %d", ref.ID, s, j.Attempt)
		}
		if t.restore < j.RestoredFrom && t.notified < j.RestoredFrom {
			return fmt.Sprintf("%s of job %d has gone on, and has not heard that checkpoint %d is complete", s, j.ID[0], j.RestoredFrom)
		}
	}
	return ""
}

// converged reports whether all replicas have applied the whole log.
func (w *World) converged() bool {
	for _, c := range w.coordinators {
		if c.raft.applied != len(w.check.log) {
			return false
		}
	}
	return true
}

// describe says where everything stands, for somebody who looks for what is stuck.
func (w *World) describe() string {
	text := ""
	for _, c := range w.coordinators {
		text += fmt.Sprintf("\n%s up=%t role=%d term=%d commit=%d of %d leads=%t", c.id, c.up, c.raft.role, c.raft.term, c.raft.commit, c.raft.lastIndex(), c.loop != nil)
	}
	for _, c := range w.clients {
		if j := w.check.state.Jobs[c.id]; j != nil {
			text += fmt.Sprintf("\njob %d %s attempt %d from %d last %d pending %v assignment %v: %s",
				c.id[0], j.Status, j.Attempt, j.RestoredFrom, j.LastID, j.Pending, j.Assignment, j.Failure)
		}
	}
	for _, h := range w.hosts {
		if h.proc == nil {
			continue
		}
		text += fmt.Sprintf("\n%s incarnation %d slots %d leader %s term %d", h.id, h.proc.ref.Incarnation, h.slots, h.proc.fence.leader, h.proc.fence.term)
		h.proc.eachAttempt(func(a *attempt) {
			for _, t := range a.tasks {
				text += fmt.Sprintf("\n  job %d attempt %d %s %s notified %d snapshotted %d pending %d %s",
					a.deploy.Job[0], a.number(), t.id, t.last.Status, t.notified, t.snapshotted, len(t.pending), t.last.Failure.Message)
			}
		})
	}
	return text
}
