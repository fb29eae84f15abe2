package coordinator

import (
	"slices"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// recentView is what this leader remembers of a checkpoint that has ended.
type recentView struct {
	id        checkpoint.ID
	attempt   checkpoint.Attempt
	completed bool
	detail    checkpoint.Detail
}

// keptRecent bounds the recent checkpoints of a job, and keptParts what is kept of wide ones. The replicated history
// holds more; what is here answers at once, and takes in what subtasks still measure of a checkpoint that has failed.
const (
	keptRecent = 10
	keptParts  = 20_000
)

func (s *jobView) remember(r *recentView) {
	s.recent = append(s.recent, r)
	kept := min(keptRecent, max(1, keptParts/len(s.all)))
	if len(s.recent) > kept {
		s.recent = slices.Delete(s.recent, 0, len(s.recent)-kept)
	}
}

// recentByID returns what is remembered of a checkpoint, nil for nothing.
func (s *jobView) recentByID(id checkpoint.ID) *recentView {
	for _, r := range s.recent {
		if r.id == id {
			return r
		}
	}
	return nil
}

// detailOf returns the per-subtask breakdown of a checkpoint that is pending, or that this leader saw end a while ago.
// It reports false for others: theirs is in the replicated history.
func (v *View) detailOf(j *fsm.Job, id checkpoint.ID, now time.Time) (checkpoint.Detail, bool) {
	s := v.job(j)
	if p := s.pending[id]; p != nil {
		return p.detail(s), true
	}
	if r := s.recentByID(id); r != nil {
		return r.detail, true
	}
	return checkpoint.Detail{}, false
}

// detail is the breakdown of a pending checkpoint: each subtask's part, or how far it has come.
func (p *pendingView) detail(s *jobView) checkpoint.Detail {
	d := checkpoint.Detail{Subtasks: make([]checkpoint.SubtaskDetail, len(p.parts))}
	for ordinal := range p.parts {
		d.Subtasks[ordinal] = p.part(s, ordinal)
	}
	return d
}

func (p *pendingView) part(s *jobView, ordinal int) checkpoint.SubtaskDetail {
	part, t := &p.parts[ordinal], &s.subtasks[ordinal]
	d := checkpoint.SubtaskDetail{Node: s.job.Assignment.Node(ordinal).ID}
	switch {
	case part.ack != nil:
		d.Acknowledged, d.AckMillis = true, part.ackMillis
		d.StateSize, d.Metrics = part.ack.State.Size(), part.ack.Metrics
	case s.standsIn(ordinal, p.id):
		d.Acknowledged, d.Finished, d.StateSize = true, true, t.final.Size()
	default:
		d.Phase = p.phase(ordinal)
		if part.progress != nil {
			d.Metrics = part.progress.Metrics
		}
	}
	return d
}

// phase is how far a subtask has come that has not acknowledged. One that nothing is known of waits for the barrier: it
// would have said so otherwise.
func (p *pendingView) phase(ordinal int) checkpoint.Phase {
	if progress := p.parts[ordinal].progress; progress != nil {
		return progress.Phase
	}
	return checkpoint.PhaseStartDelay
}

// measure sums up what the acknowledged parts measured.
func (p *pendingView) measure(s *jobView) fsm.Sizes {
	var sizes fsm.Sizes
	for ordinal := range p.parts {
		ack := p.parts[ordinal].ack
		if ack == nil {
			if s.standsIn(ordinal, p.id) {
				sizes.State += s.subtasks[ordinal].final.Size()
			}
			continue
		}
		sizes.State += ack.State.Size()
		sizes.Checkpointed += ack.Metrics.CheckpointedBytes
		sizes.AlignmentMillis = max(sizes.AlignmentMillis, ack.Metrics.AlignmentMillis)
		sizes.Processed += ack.Metrics.ProcessedBytes
		sizes.Persisted += ack.Metrics.PersistedBytes
	}
	return sizes
}

// measuredLate takes in the metrics of an ack that came after its checkpoint had failed. They are all that changes:
// who had acknowledged when it failed stays as it was (C15).
func (r *recentView) measuredLate(ordinal int, ack checkpoint.Ack) {
	part := &r.detail.Subtasks[ordinal]
	if r.completed || part.Acknowledged {
		return
	}
	part.Metrics, part.StateSize, part.Phase = ack.Metrics, ack.State.Size(), checkpoint.PhaseAck
}
