package coordinator

import (
	"slices"

	"cairn/checkpoint"
	"cairn/fsm"
)

// Garbage is what was stored for nothing, as far as the leader sees it happen: the state acknowledged for checkpoints
// that failed, acknowledgements that came too late, manifests and details that were stored too late, details of
// statistics that have been forgotten. The next sweep deletes what of it nothing names. A new leader does not know what the
// old one had collected; those chunks, and uploads that nobody acknowledged, are left to full sweeps.

// maxGarbage bounds what sweeps take on, at 8 MiB.
const maxGarbage = 1 << 18

// hasGarbage reports whether there is something for a sweep to look at.
func (v *View) hasGarbage() bool {
	if len(v.cleaning.garbage) > 0 {
		return true
	}
	for _, s := range v.jobs {
		if len(s.garbage) > 0 {
			return true
		}
	}
	return false
}

// takeGarbage hands what was collected for the jobs over to the sweep that begins.
func (v *View) takeGarbage() []checkpoint.ChunkID {
	c := &v.cleaning
	for _, j := range v.Jobs {
		s := v.jobs[j.ID]
		c.garbage = append(c.garbage, s.garbage[:min(len(s.garbage), maxGarbage-len(c.garbage))]...)
		s.garbage = nil
	}
	return slices.Clip(c.garbage)
}

// collect collects what the change of a job from old to new makes worthless.
func (s *jobView) collect(old, new *fsm.Job) {
	for id, p := range s.pending {
		if !isPending(new, id) && !completed(new, id) {
			s.garbage = p.appendStored(s.garbage)
		}
	}
	kept := make(map[checkpoint.ChunkID]bool)
	for i := range new.History {
		kept[new.History[i].Detail.Chunk.ID] = true
	}
	for i := range old.History {
		if chunk := old.History[i].Detail.Chunk.ID; !chunk.IsZero() && !kept[chunk] {
			s.garbage = append(s.garbage, chunk)
		}
	}
}

// collectLate collects the state of an ack that is not counted, because its checkpoint has an outcome or its attempt
// has ended. That of a job which is not known here is left alone: it is not ours to judge.
func (v *View) collectLate(ack checkpoint.Ack) {
	if j := v.byID[ack.Job]; j != nil && !completed(j, ack.Checkpoint) {
		s := v.job(j)
		s.garbage = appendChunks(s.garbage, ack.State)
	}
}

// discardWritten collects a manifest, and the breakdown beside it, whose checkpoint has an outcome by the time that they
// are stored.
func (s *jobView) discardWritten(manifest checkpoint.ChunkRef, detail fsm.Detail) {
	s.garbage = append(s.garbage, manifest.ID)
	if chunk := detail.Chunk.ID; !chunk.IsZero() {
		s.garbage = append(s.garbage, chunk)
	}
}

// collectUnused collects what this leader has stored for a checkpoint that has got another outcome meanwhile: the attempt
// has failed, or the time was up. s is nil when the job is gone.
func (s *jobView) collectUnused(id checkpoint.ID, stored ...checkpoint.ChunkID) {
	if s == nil || completed(s.job, id) {
		return
	}
	for _, chunk := range stored {
		if !chunk.IsZero() {
			s.garbage = append(s.garbage, chunk)
		}
	}
}

// completed reports whether a checkpoint of j has completed, as far as the log, the savepoints and the history tell.
func completed(j *fsm.Job, id checkpoint.ID) bool {
	is := func(c fsm.Completed) bool { return c.ID == id }
	return slices.ContainsFunc(j.Completed, is) || slices.ContainsFunc(j.Savepoints, is) ||
		slices.ContainsFunc(j.History, func(o fsm.Outcome) bool { return o.ID == id && o.Status == fsm.OutcomeCompleted })
}
