package coordinator

import (
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// What came of the leader's own actions.

// pendingOf returns the soft state of a pending checkpoint, nil when it is not pending.
func (v *View) pendingOf(job checkpoint.JobID, id checkpoint.ID) (*jobView, *pendingView) {
	j := v.byID[job]
	if j == nil {
		return nil, nil
	}
	s := v.job(j)
	return s, s.pending[id]
}

// OnManifestWriting records that WriteManifest has begun, so that Decide does not ask for it again.
func (v *View) OnManifestWriting(m checkpoint.Manifest) {
	if s, p := v.pendingOf(m.Job, m.ID); p != nil {
		p.finished = finishedView{writing: true, content: &m, sizes: p.measure(s)}
	}
}

// OnManifestWritten records how WriteManifest ended.
func (v *View) OnManifestWritten(job checkpoint.JobID, id checkpoint.ID, ref checkpoint.ChunkRef, detail fsm.Detail, err error) {
	s, p := v.pendingOf(job, id)
	switch {
	case p == nil && s != nil && err == nil: // given up while it was being written
		s.discardWritten(ref, detail)
		return
	case p == nil:
		return
	case err != nil:
		p.finished.err = err.Error()
		return
	}
	p.finished.manifest, p.finished.detail = ref, detail
	v.cleaning.named[ref.ID] = NamedChunks(*p.finished.content)
}

// OnDetailWriting records that WriteDetail has begun: the checkpoint's abort is decided.
func (v *View) OnDetailWriting(a WriteDetail) {
	if _, p := v.pendingOf(a.Job, a.Checkpoint); p != nil {
		p.failing = &failingView{reason: a.Reason, message: a.Message}
	}
}

// OnDetailWritten records that WriteDetail has ended; detail is zero when it failed.
func (v *View) OnDetailWritten(job checkpoint.JobID, id checkpoint.ID, detail fsm.Detail) {
	s, p := v.pendingOf(job, id)
	if p == nil || p.failing == nil {
		s.collectUnused(id, detail.Chunk.ID)
		return
	}
	p.failing.written, p.failing.detail = true, detail
}

// OnProposed takes in the result of a command that this leader has committed, at time now. The view has the jobs as
// they are since.
func (v *View) OnProposed(c fsm.Command, r fsm.Result, now time.Time) {
	if leavesOrphans(c) {
		v.wantFull(now)
	}
	switch c := c.(type) {
	case fsm.StartAttempt:
		if s := v.jobs[c.Job]; s != nil {
			s.begunAt = now
		}
	case fsm.BeginCheckpoint:
		v.begun(c, r.Checkpoint, now)
	case fsm.CompleteCheckpoint:
		v.completed(c, r, now)
	case fsm.AbortCheckpoint:
		v.wantUploadsSwept(now)
		v.noteOutcome(c.Job, false, c.Checkpoint)
		if s := v.jobs[c.Job]; s != nil {
			s.tries.failed(c)
		}
	case fsm.FailAttempt:
		v.wantUploadsSwept(now)
		v.attemptFailed(c.Job, r)
	}
	// What else ends an attempt cancels its subtasks; they need no notice.
}

func (v *View) attemptFailed(id checkpoint.JobID, r fsm.Result) {
	j := v.byID[id]
	if j == nil {
		return
	}
	v.job(j).blame(j)
	if j.MayKeep() {
		v.noteOutcome(id, false, r.Aborted...) // what goes on must not wait for the other barriers
	}
}

func (v *View) begun(c fsm.BeginCheckpoint, id checkpoint.ID, now time.Time) {
	s, p := v.pendingOf(c.Job, id)
	if s == nil {
		return
	}
	if c.Kind == checkpoint.KindCheckpoint {
		s.begunAt = now
	}
	if p != nil {
		p.begun = now
	}
	if c.Aligned {
		s.tries.last, s.tries.begunAt = id, now
	}
	if s.allAtEnd() && (c.Kind == checkpoint.KindCheckpoint || c.Stop != checkpoint.StopNone) {
		s.final = id
	}
	request, waited := s.queue.take(c)
	switch {
	case !waited:
	case s.isRescale(request.id):
		s.rescale.point = id
	default:
		v.fates = append(v.fates, fate{request: request.id, checkpoint: id})
	}
}

func (v *View) completed(c fsm.CompleteCheckpoint, r fsm.Result, now time.Time) {
	j := v.byID[c.Job]
	if j == nil {
		return
	}
	s := v.job(j)
	s.completedAt = now
	if latest := latestCompleted(j); latest != nil && latest.ID == c.Checkpoint && latest.Aligned {
		s.turn = turnView{checkpoint: latest.ID, at: now}
	}
	v.noteOutcome(c.Job, false, r.Aborted...)
	if held := completedAs(j, c.Checkpoint); held != nil && held.Kind == checkpoint.KindSavepoint && held.Stop == checkpoint.StopNone {
		v.noteOutcome(c.Job, true, c.Checkpoint)
	}
}

// noteOutcome has every node of the attempt told of what became of checkpoints.
func (v *View) noteOutcome(job checkpoint.JobID, completed bool, ids ...checkpoint.ID) {
	j := v.byID[job]
	if j == nil {
		return
	}
	s := v.job(j)
	for _, id := range ids {
		for _, ref := range j.Assignment.Nodes {
			s.notices = append(s.notices, notice{ref.ID, id, completed})
		}
	}
}
