package coordinator

import (
	"time"

	"cairn/checkpoint"
)

// What subtasks say: where they stand, and what they answer to checkpoints.

// OnStatus records where the present execution of a subtask stands.
func (v *View) OnStatus(id checkpoint.NodeID, change checkpoint.StatusChange) {
	r := change.Report
	j, ordinal := v.execution(id, change.Job, change.Attempt, r.Subtask)
	if j == nil || r.Status == 0 || r.Status >= statuses {
		return
	}
	s := v.job(j)
	t := &s.subtasks[ordinal]
	if t.status == checkpoint.SubtaskFailed || t.status == checkpoint.SubtaskFinished {
		return // final: a report that was overtaken must not revive it
	}
	s.setStatus(ordinal, r.Status)
	t.failure = r.Failure
	if r.Status == checkpoint.SubtaskFailed && s.failedAt.IsZero() {
		s.failedAt = v.nodes[id].heardAt // a moment ago: with this report
	}
	if r.Status == checkpoint.SubtaskFinished {
		t.final, t.finalBy = r.Final, r.FinalCheckpoint
		t.final.Subtask = r.Subtask
		s.finished(ordinal)
	}
}

// finished lets a subtask that has finished count as acknowledged in the checkpoints that its final state stands for.
func (s *jobView) finished(ordinal int) {
	t := &s.subtasks[ordinal]
	s.headsStale = true
	s.newestFinal = max(s.newestFinal, t.finalBy)
	for _, p := range s.pending {
		if p.parts[ordinal].ack == nil && s.standsIn(ordinal, p.id) {
			p.missing--
		}
	}
}

// OnAck counts an ack of a pending checkpoint, once per subtask. It reports whether the ack was about the present. The
// state of one that is not is given up, unless its job is not known here: then it is not ours to judge (C10).
func (v *View) OnAck(id checkpoint.NodeID, ack checkpoint.Ack, now time.Time) bool {
	if j, ordinal := v.assigned(id, ack.Job, ack.Attempt, ack.State.Subtask); j != nil {
		s := v.job(j)
		if p := s.pending[ack.Checkpoint]; p != nil {
			p.acknowledge(s, ordinal, &ack, now)
			return true
		}
		if r := s.recentByID(ack.Checkpoint); r != nil && r.attempt == ack.Attempt {
			r.measuredLate(ordinal, ack)
		}
	}
	v.collectLate(ack)
	return false
}

// OnDecline records the first decline of a pending checkpoint, and reports whether it was that. A subtask that
// declines because it has finished does no harm where its final state is its part.
func (v *View) OnDecline(id checkpoint.NodeID, d checkpoint.Decline) bool {
	j, ordinal := v.assigned(id, d.Job, d.Attempt, d.Subtask)
	if j == nil {
		return false
	}
	s := v.job(j)
	p := s.pending[d.Checkpoint]
	if p == nil || p.declined != nil {
		return false
	}
	if d.Reason == checkpoint.ReasonTaskClosing && s.standsIn(ordinal, d.Checkpoint) {
		return false
	}
	p.declined = &d
	return true
}

// OnProgress records how far subtasks have come with a pending checkpoint. Nothing depends on it but what people are
// told.
func (v *View) OnProgress(id checkpoint.NodeID, m checkpoint.Progress) {
	for i := range m.Subtasks {
		part := &m.Subtasks[i]
		j, ordinal := v.assigned(id, m.Job, m.Attempt, part.Subtask)
		if j == nil {
			continue
		}
		if p := v.job(j).pending[m.Checkpoint]; p != nil {
			p.parts[ordinal].progress = part
		}
	}
}
