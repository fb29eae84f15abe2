package coordinator

import (
	"slices"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// The On… methods tell the view what happened. They judge nothing but whether the news is still about the
// present: a message of an older attempt, of a checkpoint with an outcome, or of a process that is not the
// one assigned changes nothing (I6).

// OnSession records that a node has opened a session, replacing an older one.
func (v *View) OnSession(hello checkpoint.Hello, now time.Time) {
	n := v.nodes[hello.Node.ID]
	if n == nil || n.ref.Incarnation != hello.Node.Incarnation {
		n = &nodeView{ref: hello.Node}
		v.meet(n)
	}
	n.ref, n.slots, n.programs, n.docs = hello.Node, hello.Slots, hello.Programs, hello.Docs
	n.sharedStore = hello.SharedStore
	n.connected, n.reported, n.greet = true, false, true
	n.failed, n.left = false, false
	n.heardAt, n.greetedAt = now, now
	n.holds = make(map[attemptKey]bool)
	n.notified = make(map[checkpoint.JobID]checkpoint.ID)
	n.forgetUnanswered()
	for _, s := range v.jobs {
		s.notices = slices.DeleteFunc(s.notices, func(o notice) bool { return o.node == hello.Node.ID })
	}
}

// OnSessionClosed records that the session of one incarnation of a node has ended.
func (v *View) OnSessionClosed(ref checkpoint.NodeRef, now time.Time) {
	if n := v.nodes[ref.ID]; n != nil && n.ref.Incarnation == ref.Incarnation {
		n.connected, n.reported = false, false
		n.closedAt = now
	}
}

// OnMemberFailed records that gossip has given a node up.
func (v *View) OnMemberFailed(id checkpoint.NodeID, inc checkpoint.Incarnation) {
	if n := v.nodes[id]; n != nil && n.ref.Incarnation == inc {
		n.failed = true
	}
}

// OnMemberLeft records that a node has said goodbye; it is gone when its session closes.
func (v *View) OnMemberLeft(id checkpoint.NodeID, inc checkpoint.Incarnation) {
	if n := v.nodes[id]; n != nil && n.ref.Incarnation == inc {
		n.left = true
	}
}

// OnHeard records a sign of life of a node with an open session. A node that had been given up must report
// again: what it has may have been failed in the meantime.
func (v *View) OnHeard(id checkpoint.NodeID, now time.Time) {
	n := v.nodes[id]
	if n == nil {
		return
	}
	if v.stateOf(n, now) == nodeLost {
		n.reported, n.greet = false, true
		n.greetedAt = now
	}
	n.failed = false
	n.heardAt = now
}

// OnReport takes in everything that a node has in memory.
func (v *View) OnReport(id checkpoint.NodeID, report checkpoint.Report, now time.Time) {
	n := v.nodes[id]
	if n == nil || report.Term != v.Term {
		return
	}
	n.reported = true
	n.holds = make(map[attemptKey]bool)
	n.notified = make(map[checkpoint.JobID]checkpoint.ID)
	v.forgetAsked(id)
	v.sweepReported(id)
	for _, a := range report.Attempts {
		n.holds[attemptKey{a.Job, a.Attempt}] = true
		for _, r := range a.Subtasks {
			v.OnStatus(id, checkpoint.StatusChange{Job: a.Job, Attempt: a.Attempt, Report: r})
		}
		for _, ack := range a.Acks {
			if !v.OnAck(id, ack, now) {
				v.resolveStaleAck(id, ack)
			}
		}
	}
	v.repeatAborts(n)
	v.missIn(n)
}

// repeatAborts has a node told again of the checkpoints of its attempts that have failed since the last completion. The
// notices may be lost with an earlier session or an earlier leader, and a report does not show everything that waits for
// one: a subtask that holds back an input until the other barriers come has acknowledged nothing yet.
func (v *View) repeatAborts(n *nodeView) {
	for _, j := range v.Jobs {
		if j.Status != fsm.JobRunning && !j.MayKeep() || !n.holds[attemptKey{j.ID, j.Attempt}] {
			continue
		}
		s := v.job(j)
		for _, o := range j.History {
			failed := o.Status == fsm.OutcomeFailed && o.Attempt == j.Attempt
			if again := (notice{n.ref.ID, o.ID, false}); failed && !s.facts.settles(o.Kind, o.ID) && !slices.Contains(s.notices, again) {
				s.notices = append(s.notices, again)
			}
		}
	}
}

// missIn draws the conclusions from what a node's report lacks: subtasks that it was running and does not have any
// more have ended without our hearing how.
func (v *View) missIn(n *nodeView) {
	for _, j := range v.Jobs {
		if len(j.Assignment.NodeOf) == 0 || n.holds[attemptKey{j.ID, j.Attempt}] || !j.Assignment.Has(n.ref.ID, n.ref.Incarnation) {
			continue
		}
		s := v.job(j)
		for _, ordinal := range s.ordinals[n.ref.ID] {
			if n.holdsExecution(j, ordinal) {
				continue
			}
			switch s.subtasks[ordinal].status {
			case checkpoint.SubtaskInitializing, checkpoint.SubtaskRunning, checkpoint.SubtaskFinishing:
				s.setStatus(ordinal, checkpoint.SubtaskCanceled)
			}
		}
	}
}

// forgetAsked makes Decide send the triggers of a node's subtasks again, and tell it again which ones to stop: what was
// sent to an earlier session may be lost. A subtask that has seen the trigger ignores it.
func (v *View) forgetAsked(id checkpoint.NodeID) {
	for _, s := range v.jobs {
		for _, ordinal := range s.ordinals[id] {
			s.subtasks[ordinal].cancelSent = false
		}
		for _, p := range s.pending {
			for _, ordinal := range s.ordinals[id] {
				p.parts[ordinal].asked = false
			}
			p.unasked = true
		}
	}
}

// resolveStaleAck lets a node forget an ack whose checkpoint got its outcome under an earlier leader, or while the node
// was not connected.
func (v *View) resolveStaleAck(id checkpoint.NodeID, ack checkpoint.Ack) {
	j := v.byID[ack.Job]
	if j == nil || j.Attempt != ack.Attempt {
		return
	}
	s := v.job(j)
	if s.pending[ack.Checkpoint] != nil {
		return
	}
	completed, needed := s.outcomeNotice(j, ack.Checkpoint)
	if o := (notice{id, ack.Checkpoint, completed}); needed && !slices.Contains(s.notices, o) {
		s.notices = append(s.notices, o)
	}
}

// OnSent records that a message went out, so that Decide does not ask for it again.
func (v *View) OnSent(id checkpoint.NodeID, m checkpoint.ToNode) {
	n := v.nodes[id]
	if n == nil {
		return
	}
	switch m := m.(type) {
	case checkpoint.Leading:
		n.greet = false
	case checkpoint.Deploy:
		n.holds[attemptKey{m.Job, m.Attempt}] = true
	case checkpoint.CancelAttempt:
		for k := range n.holds {
			if k.job == m.Job && k.attempt <= m.Attempt {
				delete(n.holds, k)
			}
		}
	case checkpoint.CancelTasks:
		v.markCancelled(m)
	case checkpoint.NotifyComplete:
		if m.Kind == checkpoint.KindSavepoint && m.Stop == checkpoint.StopNone {
			v.told(id, m.Job, m.Checkpoint)
			return
		}
		n.notified[m.Job] = m.Checkpoint
	case checkpoint.NotifyAborted:
		v.told(id, m.Job, m.Checkpoint)
	case checkpoint.Trigger:
		v.markAsked(m)
	case checkpoint.MarkChunks, checkpoint.DeleteChunks:
		v.sweepSent(id)
	}
}

// told removes the notice of a checkpoint's outcome to a node.
func (v *View) told(id checkpoint.NodeID, job checkpoint.JobID, c checkpoint.ID) {
	if s := v.jobs[job]; s != nil {
		s.notices = slices.DeleteFunc(s.notices, func(o notice) bool { return o.node == id && o.checkpoint == c })
	}
}

func (v *View) markAsked(m checkpoint.Trigger) {
	j := v.byID[m.Job]
	if j == nil || v.job(j).pending[m.Barrier.ID] == nil {
		return
	}
	p := v.job(j).pending[m.Barrier.ID]
	for _, subtask := range m.Subtasks {
		if ordinal := j.Topology.Ordinal(subtask); ordinal >= 0 {
			p.parts[ordinal].asked = true
		}
	}
}

// assigned returns the job and the subtask's ordinal when the node runs that subtask in the current
// attempt, as the incarnation that the assignment names; otherwise nil.
func (v *View) assigned(id checkpoint.NodeID, job checkpoint.JobID, attempt checkpoint.Attempt, subtask checkpoint.SubtaskID) (*fsm.Job, int) {
	j, ordinal := v.execution(id, job, attempt, subtask)
	if j == nil || j.Attempt != attempt {
		return nil, 0
	}
	return j, ordinal
}

// execution is assigned for what is said of the subtask itself and not of a checkpoint. That is about the present, too,
// when it was said in an earlier attempt and the subtask has gone on since: it is the same execution, and its node may
// not know of the current attempt yet.
func (v *View) execution(id checkpoint.NodeID, job checkpoint.JobID, attempt checkpoint.Attempt, subtask checkpoint.SubtaskID) (*fsm.Job, int) {
	j := v.byID[job]
	n := v.nodes[id]
	if j == nil || n == nil || attempt > j.Attempt || len(j.Assignment.NodeOf) == 0 {
		return nil, 0
	}
	ordinal := j.Topology.Ordinal(subtask)
	if ordinal < 0 {
		return nil, 0
	}
	ref := j.Assignment.Node(ordinal)
	if attempt < j.DeployedIn(ordinal) || ref.ID != id || ref.Incarnation != n.ref.Incarnation {
		return nil, 0
	}
	return j, ordinal
}
