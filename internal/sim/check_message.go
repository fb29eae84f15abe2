package sim

import (
	"slices"

	"cairn/checkpoint"
	"cairn/fsm"
)

// unknown notes that a leadership has met a proposal whose outcome is unknown: from here on it is to be silent
// (I8).
func (k *checker) unknown(l *leaderLoop) { k.silenced[l] = true }

// sent demands that a leader says nothing but what the committed log says.
func (k *checker) sent(l *leaderLoop, m checkpoint.ToNode) {
	if k.silenced[l] {
		k.w.violate(I8, "%s sends %s after an unknown outcome in term %d", l.c.id, m, l.term)
		return
	}
	switch m := m.(type) {
	case checkpoint.Trigger:
		k.triggered(l, m)
	case checkpoint.NotifyComplete:
		if o := k.outcomes[checkpointKey{m.Job, m.Checkpoint}]; !o.completed {
			k.w.violate(I3, "%s sends %s, which no majority has committed", l.c.id, m)
		}
	case checkpoint.NotifyAborted:
		o, found := k.outcomes[checkpointKey{m.Job, m.Checkpoint}]
		if !found || o.completed {
			k.w.violate(I2, "%s sends %s, which is not its outcome in the log", l.c.id, m)
		}
		if latest := m.LatestCompleted; latest != 0 && latest != k.source[m.Job] && !k.outcomes[checkpointKey{m.Job, latest}].completed {
			k.w.violate(I3, "%s sends %s and calls checkpoint %d completed, which it is not", l.c.id, m, latest)
		}
	case checkpoint.Deploy:
		k.deployed(l, m)
	case checkpoint.CancelAttempt:
		k.cancelled(l, m, m.Job, m.Attempt)
	case checkpoint.CancelTasks:
		k.cancelled(l, m, m.Job, m.Attempt)
	}
}

// triggered demands that the log has handed out the ID, for this attempt (I1), and that the leader does not
// trigger what had its outcome before its term (I6).
func (k *checker) triggered(l *leaderLoop, m checkpoint.Trigger) {
	b, found := k.begun[checkpointKey{m.Job, m.Barrier.ID}]
	switch {
	case !found || b.attempt != m.Attempt:
		k.w.violate(I1, "%s sends %s, an ID that the log has not handed out to that attempt", l.c.id, m)
	case k.decidedBefore(m.Job, m.Barrier.ID, l.term):
		k.w.violate(I6, "%s sends %s, decided before its term %d", l.c.id, m, l.term)
	}
}

// deployed demands that the attempt is that of the log, and was not over when the term began (I6).
func (k *checker) deployed(l *leaderLoop, m checkpoint.Deploy) {
	j := k.state.Jobs[m.Job]
	index, over := k.over[attemptKey{m.Job, m.Attempt}]
	switch {
	case j == nil || m.Attempt > j.Attempt, m.Attempt == j.Attempt && m.Restore != j.RestoredFrom:
		k.w.violate(I8, "%s sends %s, which the log does not say", l.c.id, m)
	case over && k.before(index, l.term):
		k.w.violate(I6, "%s sends %s, over before its term %d", l.c.id, m, l.term)
	}
}

// cancelled demands that the attempt is over by the log, or its job being cancelled.
func (k *checker) cancelled(l *leaderLoop, m checkpoint.ToNode, job checkpoint.JobID, attempt checkpoint.Attempt) {
	j := k.state.Jobs[job]
	if j == nil || attempt > j.Attempt || attempt == j.Attempt && j.Status == fsm.JobRunning {
		k.w.violate(I8, "%s sends %s although the attempt is not over", l.c.id, m)
	}
}

// proposing demands a real reason for ending an attempt: a task of it that failed or has gone, a node of it that the
// leader has lost sight of, too many failed checkpoints, or a savepoint that failed with which it was to end. What an older attempt says is none (I6).
func (k *checker) proposing(l *leaderLoop, c fsm.Command) {
	fail, ok := c.(fsm.FailAttempt)
	if !ok || l.c.raft.role != leading {
		return // of a leader that was deposed and does not know it nothing comes but an unknown outcome
	}
	j := l.c.raft.state.Jobs[fail.Job]
	if j.Attempt == fail.Attempt && k.executionFailed(j) {
		return
	}
	stopFailed := slices.ContainsFunc(j.History, func(o fsm.Outcome) bool {
		return o.Attempt == j.Attempt && o.Stop != checkpoint.StopNone && o.Status == fsm.OutcomeFailed
	})
	if j.Attempt != fail.Attempt || j.ConsecutiveFailures > j.Config.TolerableFailures || stopFailed {
		return
	}
	timing := k.w.cfg.Timing
	for _, ref := range j.Assignment.Nodes {
		s := l.sessions[ref.ID]
		silence := k.w.now - l.heard[ref.ID]
		if s == nil || s.hello.Node != ref || silence > min(timing.GossipConfirm, timing.HeartbeatTimeout) {
			return
		}
		if s.node.current(fail.Job, fail.Attempt) == nil && k.ran(s.node.host, j) {
			return
		}
	}
	k.w.violate(I6, "%s ends attempt %d without a reason: %s", l.c.id, fail.Attempt, fail.Cause)
}

// ran reports whether tasks of the job's present executions have run on a host.
func (k *checker) ran(h *host, j *fsm.Job) bool {
	for ordinal, s := range j.Topology.Subtasks() {
		if ref, found := k.runs[k.executionKey(j.ID, ordinal, s)]; found && ref.ID == h.id {
			return true
		}
	}
	return false
}

// stale reports whether a message that reaches a node is of a lower term than one that has reached this process
// before, or of an attempt that a newer one has replaced here.
func (k *checker) stale(n *node, m checkpoint.ToNode) bool {
	if m.LeaderTerm() < n.highest {
		return true
	}
	if _, ok := m.(checkpoint.Leading); ok {
		n.highest = m.LeaderTerm()
	}
	job, attempt := attemptOf(m)
	j := n.jobs[job]
	return j != nil && j.deployed > attempt
}

// attemptOf returns what a message is about; an attempt that is never stale when it is about none.
func attemptOf(m checkpoint.ToNode) (checkpoint.JobID, checkpoint.Attempt) {
	switch m := m.(type) {
	case checkpoint.Deploy:
		return m.Job, m.Attempt
	case checkpoint.CancelAttempt:
		return m.Job, m.Attempt
	case checkpoint.CancelTasks:
		return m.Job, m.Attempt
	case checkpoint.Trigger:
		return m.Job, m.Attempt
	case checkpoint.NotifyComplete:
		return m.Job, m.Attempt
	case checkpoint.NotifyAborted:
		return m.Job, m.Attempt
	}
	return checkpoint.JobID{}, 0
}
