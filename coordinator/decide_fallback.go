package coordinator

import (
	"fmt"
	"strings"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// A checkpoint that cannot be restored from holds its job: nothing older is used in its place unasked. What has happened
// since would be undone, and the output that was committed would be written again. That is for a person to decide (L6):
// beforehand, with restore.fallback, or when it has come to that.
//
// A job that may fall back does so when its newest checkpoint has been out of reach for Timing.FallbackGrace, and an older
// one can be restored. To give something up for a checkpoint that cannot be restored either would gain nothing. So when
// all nodes are away, nothing is given up. When the nodes are there, and none of the job's checkpoints can be restored,
// the job fails: it keeps them, for a person to look at.

// fallBack gives up the newest checkpoint of the job, from which it cannot be restored, where it may and should.
func (d *decision) fallBack(j *fsm.Job, o origin) {
	r := &d.view.jobs[j.ID].restore
	latest := latestCompleted(j)
	if !j.Config.RestoreFallback || j.Status != fsm.JobRestarting || latest == nil || latest.ID != o.id || r.id != o.id || r.err == "" {
		return
	}
	older, known := d.restorableBefore(j)
	if !known || !d.outOfReach(r) {
		return
	}
	if older == nil {
		d.failJob(j, fmt.Sprintf("%s; restore.fallback is true, but the job has no older checkpoint from which it could be restored; "+
			"those that it has are kept", d.restoreFailure(j, r)))
		return
	}
	d.do(Propose{fsm.GiveUpCheckpoint{
		Job: j.ID, Checkpoint: o.id, Term: d.view.Term, At: d.at,
		Cause: fmt.Sprintf("%s; as restore.fallback allows, the job goes back to checkpoint %d, and what sinks have published since then may "+
			"be published again", d.restoreFailure(j, r), older.ID),
	}})
}

// outOfReach reports whether it has been impossible to restore from a checkpoint for so long that a node which might
// bring it back would have come.
func (d *decision) outOfReach(r *restoreView) bool {
	since := d.view.Since.Add(d.view.Timing.AdoptionGrace)
	for _, n := range d.view.order {
		if n.greetedAt.After(since) {
			since = n.greetedAt
		}
	}
	if r.failing.IsZero() {
		return false
	}
	if r.failing.After(since) {
		since = r.failing
	}
	return d.now.Sub(since) >= d.view.Timing.FallbackGrace
}

// restorableBefore returns the newest checkpoint before the last one from which the job can be restored, nil when there
// is none. It reports false while that is not known, and asks.
func (d *decision) restorableBefore(j *fsm.Job) (older *fsm.Completed, known bool) {
	s := d.view.jobs[j.ID]
	known = true
	for i := len(j.Completed) - 2; i >= 0; i-- {
		c := &j.Completed[i]
		r := s.older[c.ID]
		due := r == nil || !r.loading && !r.checkedOf(j, d.now, d.view.Timing.LoadRetry) && d.now.Sub(r.failedAt) >= d.view.Timing.LoadRetry
		if due {
			o := originOf(j, c.ID, c.Manifest)
			a := LoadManifest{Job: j.ID, Checkpoint: o.id, Own: o.own, Manifest: o.manifest, Check: true, Older: true}
			if r != nil {
				a.Have = r.manifest
			}
			d.do(a)
		}
		switch {
		case r != nil && r.err != "":
			// Also while it is looked at again: a look may take longer than it stays fresh, and with several that would never end.
			known = known && d.outOfReach(r)
			continue
		case due || r.loading:
			return nil, false
		}
		if _, mismatch := r.match(j, j.NextShape().Topology); mismatch == "" {
			return c, known
		}
	}
	return nil, known
}

// restoreProblem says what keeps the job from being restored, empty when nothing is known to.
func (d *decision) restoreProblem(j *fsm.Job) string {
	r := &d.view.job(j).restore
	switch {
	case r.err != "":
		if _, missing := d.missing(j, r); r.manifest != nil && missing == 0 {
			return "" // of what goes on
		}
		return d.restoreFailure(j, r) + d.wayOut(j, r)
	case r.mismatch != "":
		return d.restoreFailure(j, r) + withoutFallback(j, r)
	}
	return ""
}

// restoreFailure says why the job cannot be restored from a checkpoint.
func (d *decision) restoreFailure(j *fsm.Job, r *restoreView) string {
	cause := r.err
	if r.mismatch != "" {
		cause = r.mismatch
	} else if m, n := d.missing(j, r); n > 0 {
		cause = d.missingText(r, m, n)
	}
	return fmt.Sprintf("it cannot be restored from checkpoint %d: %s", r.id, cause)
}

// missingText names a chunk, whose state it is, and where it was.
func (d *decision) missingText(r *restoreView, m MissingChunk, n int) string {
	text := fmt.Sprintf("chunk %s%s", m.Chunk.ID, andMore(n-1))
	had := m.Had
	if of, writer, found := ownerOf(r.manifest, m.Chunk.ID); found {
		text += fmt.Sprintf(" of %s", of)
		if len(had) == 0 && writer != "" {
			had = []checkpoint.NodeID{writer}
		}
	}
	if m.Cause != "" {
		return text + " cannot be read: " + m.Cause
	}
	if len(had) == 0 {
		return text + " is on no node that is alive"
	}
	where := make([]string, len(had))
	for i, id := range had {
		where[i] = fmt.Sprintf("node %s, %s", id, d.fateOf(id))
	}
	return text + " was on " + strings.Join(where, ", and on ")
}

// fateOf says what has become of a node that held something which no node has now.
func (d *decision) fateOf(id checkpoint.NodeID) string {
	n := d.view.nodes[id]
	if n == nil {
		return "which this leader has not met"
	}
	state := d.view.stateOf(n, d.now)
	switch {
	case state == nodeAlive:
		return "which does not have it any more"
	case n.connected:
		return fmt.Sprintf("which is %s: it has said nothing for %s", state, d.now.Sub(n.heardAt).Round(time.Second))
	}
	return fmt.Sprintf("which is %s: it has been gone for %s", state, d.now.Sub(n.closedAt).Round(time.Second))
}

// ownerOf returns the subtask whose state a chunk is part of, and the node that stored it.
func ownerOf(m *checkpoint.Manifest, id checkpoint.ChunkID) (of checkpoint.SubtaskID, writer checkpoint.NodeID, found bool) {
	if m == nil {
		return of, "", false
	}
	for i, s := range m.Subtasks {
		for _, h := range s.Handles {
			for _, ref := range h.Chunks {
				if ref.ID != id {
					continue
				}
				if i < len(m.Writers) {
					writer = m.Writers[i]
				}
				return s.Subtask, writer, true
			}
		}
	}
	return of, "", false
}

// wayOut says what helps a job whose state is out of reach.
func (d *decision) wayOut(j *fsm.Job, r *restoreView) string {
	text := " (it is tried again); start the nodes that have it"
	older := olderThan(j, r.id)
	switch {
	case len(older) == 0:
	case j.Config.RestoreFallback:
		text += fmt.Sprintf("; when it stays so for %s, the job goes back to an older checkpoint, as restore.fallback allows", d.view.Timing.FallbackGrace)
	default:
		text += fmt.Sprintf(`, or let the job go back to checkpoint %s: "coord job set %s restore.fallback=true"; what sinks have published since `+
			"then may be published again", older[len(older)-1], j.Name)
	}
	return text
}

// withoutFallback says how to go back although the graph does not fit.
func withoutFallback(j *fsm.Job, r *restoreView) string {
	older := olderThan(j, r.id)
	if len(older) == 0 {
		return ""
	}
	return fmt.Sprintf("; nothing older is used unasked: to go back to one of %s, set checkpointing.on_cancel to retain, "+
		"cancel the job, and submit it with --from-checkpoint %s/ID", strings.Join(older, ", "), j.Name)
}

func olderThan(j *fsm.Job, id checkpoint.ID) []string {
	var older []string
	for _, c := range j.Completed {
		if c.ID < id {
			older = append(older, c.ID.String())
		}
	}
	return older
}

// andMore stands behind the first of several.
func andMore(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" (and %d more)", n)
}

func nodeList(ids []checkpoint.NodeID) string {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = string(id)
	}
	return strings.Join(texts, ", ")
}
