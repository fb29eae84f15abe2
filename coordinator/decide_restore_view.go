package coordinator

import (
	"fmt"
	"strings"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// restoreView is the manifest that the next deployment restores from.
type restoreView struct {
	id       checkpoint.ID
	manifest *checkpoint.Manifest
	loading  bool
	err      string
	failedAt time.Time

	// matched and mismatch remember the outcome of match. It follows from the manifest and the graph, so that to compute it
	// once, for thousands of subtasks, is to compute it always.
	matched  []checkpoint.SubtaskState // by ordinal
	mismatch string
	graph    checkpoint.Topology // that they are about
}

// match spreads the state of the manifest, which is at hand, over the subtasks of the job in the shape of t.
func (r *restoreView) match(j *fsm.Job, t checkpoint.Topology) (states []checkpoint.SubtaskState, problem string) {
	if r.matched == nil && r.mismatch == "" || r.graph.Difference(t) != "" {
		m, err := checkpoint.MatchState(*r.manifest, t, j.Source.AllowNonRestoredState)
		r.matched, r.mismatch, r.graph = m.Subtasks, "", t
		if err != nil {
			r.mismatch = err.Error()
		}
	}
	return r.matched, r.mismatch
}

// problem says what keeps the job from being restored, empty when nothing is known to. Nothing older is used in the
// place of a checkpoint that cannot be read: what has happened since would be undone, and the output that was committed
// would be written again. That is for a person to decide (L6).
func (r *restoreView) problem(j *fsm.Job) string {
	var cause string
	switch {
	case r.err != "":
		cause = r.err + " (it is tried again)"
	case r.mismatch != "":
		cause = r.mismatch
	default:
		return ""
	}
	text := fmt.Sprintf("it cannot be restored from checkpoint %d: %s", r.id, cause)
	var older []string
	for _, c := range j.Completed {
		if c.ID < r.id {
			older = append(older, c.ID.String())
		}
	}
	if len(older) > 0 {
		text += fmt.Sprintf("; nothing older is used unasked: to go back to one of %s, set checkpointing.on_cancel to retain, "+
			"cancel the job, and submit it with --from-checkpoint %s/ID", strings.Join(older, ", "), j.Name)
	}
	return text
}

// OnManifestLoading records that LoadManifest has begun, so that Decide does not ask for it again. The reason of an
// earlier failure stands until there is news.
func (v *View) OnManifestLoading(a LoadManifest) {
	j := v.byID[a.Job]
	if j == nil {
		return
	}
	s := v.job(j)
	if s.restore.id != a.Checkpoint {
		s.restore = restoreView{id: a.Checkpoint}
	}
	s.restore.loading = true
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
	s.restore = restoreView{id: id, manifest: m}
}
