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
		n = &nodeView{}
		v.nodes[hello.Node.ID] = n
	}
	n.ref, n.slots, n.programs = hello.Node, hello.Slots, hello.Programs
	n.connected, n.reported, n.greet = true, false, true
	n.failed, n.left = false, false
	n.heardAt, n.greetedAt = now, now
	n.holds = make(map[attemptKey]bool)
	n.notified = make(map[checkpoint.JobID]checkpoint.ID)
	for _, s := range v.jobs {
		s.aborted = slices.DeleteFunc(s.aborted, func(a abortNotice) bool { return a.node == hello.Node.ID })
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
func (v *View) OnReport(id checkpoint.NodeID, report checkpoint.Report) {
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
			if !v.OnAck(id, ack) {
				v.resolveStaleAck(id, ack)
			}
		}
	}
	v.missIn(n)
}

// missIn draws the conclusions from what a node's report lacks: subtasks that it was running and does not have any
// more have ended without our hearing how.
func (v *View) missIn(n *nodeView) {
	for _, j := range v.Jobs {
		if len(j.Assignment.NodeOf) == 0 || n.holds[attemptKey{j.ID, j.Attempt}] || !j.Assignment.Has(n.ref.ID, n.ref.Incarnation) {
			continue
		}
		s := v.job(j)
		for _, ordinal := range j.Assignment.Ordinals(n.ref.ID) {
			switch t := &s.subtasks[ordinal]; t.status {
			case checkpoint.SubtaskInitializing, checkpoint.SubtaskRunning, checkpoint.SubtaskFinishing:
				t.status = checkpoint.SubtaskCanceled
			}
		}
	}
}

// forgetAsked makes Decide send the triggers of a node's subtasks again: those sent to an earlier session
// may be lost. A subtask that has seen the trigger ignores it.
func (v *View) forgetAsked(id checkpoint.NodeID) {
	for jobID, s := range v.jobs {
		for ordinal, node := range v.byID[jobID].Assignment.NodeOf {
			if v.byID[jobID].Assignment.Nodes[node].ID != id {
				continue
			}
			for _, p := range s.pending {
				delete(p.asked, ordinal)
			}
		}
	}
}

// resolveStaleAck lets a node forget an ack whose checkpoint was aborted under an earlier leader. One at
// or below the latest completed checkpoint is resolved by the notification of that.
func (v *View) resolveStaleAck(id checkpoint.NodeID, ack checkpoint.Ack) {
	j := v.byID[ack.Job]
	if j == nil || j.Attempt != ack.Attempt {
		return
	}
	if isPending(j, ack.Checkpoint) {
		return
	}
	if latest := latestCompleted(j); latest != nil && ack.Checkpoint <= latest.ID {
		return
	}
	s := v.job(j)
	if notice := (abortNotice{id, ack.Checkpoint}); !slices.Contains(s.aborted, notice) {
		s.aborted = append(s.aborted, notice)
	}
}

// OnStatus records where a subtask of the current attempt stands.
func (v *View) OnStatus(id checkpoint.NodeID, change checkpoint.StatusChange) {
	j, ordinal := v.assigned(id, change.Job, change.Attempt, change.Report.Subtask)
	if j == nil {
		return
	}
	t := &v.job(j).subtasks[ordinal]
	if t.status == checkpoint.SubtaskFailed || t.status == checkpoint.SubtaskFinished {
		return // final: a report that was overtaken must not revive it
	}
	t.status, t.failure = change.Report.Status, change.Report.Failure
	if change.Report.Status == checkpoint.SubtaskFinished {
		t.final = change.Report.Final
		t.final.Subtask = change.Report.Subtask
	}
}

// OnAck counts an ack of a pending checkpoint, once per subtask. It reports whether the ack was about the
// present.
func (v *View) OnAck(id checkpoint.NodeID, ack checkpoint.Ack) bool {
	j, ordinal := v.assigned(id, ack.Job, ack.Attempt, ack.State.Subtask)
	if j == nil || !isPending(j, ack.Checkpoint) {
		v.collectLate(ack)
		return false
	}
	p := v.job(j).pendingOf(ack.Checkpoint)
	if p.acks[ordinal] == nil {
		p.acks[ordinal] = &ack
		p.numAcks++
	}
	return true
}

// OnDecline records the first decline of a pending checkpoint, and reports whether it was that. A subtask that
// declines because it has finished does no harm: finished subtasks count as acknowledged.
func (v *View) OnDecline(id checkpoint.NodeID, d checkpoint.Decline) bool {
	j, ordinal := v.assigned(id, d.Job, d.Attempt, d.Subtask)
	if j == nil || !isPending(j, d.Checkpoint) {
		return false
	}
	s := v.job(j)
	if d.Reason == checkpoint.ReasonTaskClosing && s.subtasks[ordinal].status == checkpoint.SubtaskFinished {
		return false
	}
	p := s.pendingOf(d.Checkpoint)
	if p.declined != nil {
		return false
	}
	p.declined = &d
	return true
}

// OnManifestWriting records that WriteManifest has begun, so that Decide does not ask for it again.
func (v *View) OnManifestWriting(m checkpoint.Manifest) {
	j := v.byID[m.Job]
	if j == nil || !isPending(j, m.ID) {
		return
	}
	p := v.job(j).pendingOf(m.ID)
	p.writing, p.content = true, &m
}

// OnManifestWritten records how WriteManifest ended.
func (v *View) OnManifestWritten(job checkpoint.JobID, id checkpoint.ID, ref checkpoint.ChunkRef, err error) {
	j := v.byID[job]
	if j == nil || !isPending(j, id) {
		return
	}
	p := v.job(j).pendingOf(id)
	if err != nil {
		p.writeErr = err.Error()
		return
	}
	p.manifest = ref
	v.cleaning.named[ref.ID] = NamedChunks(*p.content)
}

// OnManifestLoading records that LoadManifest has begun, so that Decide does not ask for it again.
func (v *View) OnManifestLoading(a LoadManifest) {
	if j := v.byID[a.Job]; j != nil {
		v.job(j).restore = restoreView{id: a.Checkpoint, loading: true}
	}
}

// OnManifestLoaded records how LoadManifest ended.
func (v *View) OnManifestLoaded(job checkpoint.JobID, id checkpoint.ID, m *checkpoint.Manifest, err error, now time.Time) {
	j := v.byID[job]
	if j == nil {
		return
	}
	s := v.job(j)
	if s.restore.id != id {
		return
	}
	s.restore.loading = false
	if err != nil {
		s.restore.err, s.restore.failedAt = err.Error(), now
		return
	}
	s.restore.manifest, s.restore.err = m, ""
}

// OnProposed takes in the result of a command that this leader has committed.
func (v *View) OnProposed(c fsm.Command, r fsm.Result) {
	var job checkpoint.JobID
	aborted := r.Aborted
	switch c := c.(type) {
	case fsm.AbortCheckpoint:
		job, aborted = c.Job, []checkpoint.ID{c.Checkpoint}
	case fsm.CompleteCheckpoint:
		job = c.Job
	case fsm.BeginCheckpoint:
		if s := v.jobs[c.Job]; s != nil {
			s.forced = 0
			if s.allAtEnd() {
				s.final = r.Checkpoint
			}
		}
		return
	default:
		return // what ends an attempt cancels its subtasks; they need no notice
	}
	s := v.jobs[job]
	for _, id := range aborted {
		for _, ref := range v.byID[job].Assignment.Nodes {
			s.aborted = append(s.aborted, abortNotice{ref.ID, id})
		}
	}
}

// OnTriggerRequested asks for a checkpoint of the job at the next chance.
func (v *View) OnTriggerRequested(j *fsm.Job) { v.job(j).forced++ }

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
	case checkpoint.NotifyComplete:
		n.notified[m.Job] = m.Checkpoint
	case checkpoint.NotifyAborted:
		s := v.jobs[m.Job]
		s.aborted = slices.DeleteFunc(s.aborted, func(a abortNotice) bool { return a == abortNotice{id, m.Checkpoint} })
	case checkpoint.Trigger:
		v.markAsked(m)
	case checkpoint.MarkChunks, checkpoint.DeleteChunks:
		v.sweepSent(id)
	}
}

func (v *View) markAsked(m checkpoint.Trigger) {
	j := v.byID[m.Job]
	if j == nil || !isPending(j, m.Barrier.ID) {
		return
	}
	p := v.job(j).pendingOf(m.Barrier.ID)
	for _, subtask := range m.Subtasks {
		p.asked[j.Topology.Ordinal(subtask)] = true
	}
}

// assigned returns the job and the subtask's ordinal when the node runs that subtask in the current
// attempt, as the incarnation that the assignment names; otherwise nil.
func (v *View) assigned(id checkpoint.NodeID, job checkpoint.JobID, attempt checkpoint.Attempt, subtask checkpoint.SubtaskID) (*fsm.Job, int) {
	j := v.byID[job]
	n := v.nodes[id]
	if j == nil || n == nil || j.Attempt != attempt || len(j.Assignment.NodeOf) == 0 {
		return nil, 0
	}
	ordinal := j.Topology.Ordinal(subtask)
	if ordinal < 0 {
		return nil, 0
	}
	ref := j.Assignment.Node(ordinal)
	if ref.ID != id || ref.Incarnation != n.ref.Incarnation {
		return nil, 0
	}
	return j, ordinal
}

func isPending(j *fsm.Job, id checkpoint.ID) bool {
	return slices.ContainsFunc(j.Pending, func(p fsm.Pending) bool { return p.ID == id })
}
