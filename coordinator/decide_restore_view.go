package coordinator

import (
	"errors"
	"fmt"
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
	failedAt time.Time // when the manifest could not be read last
	// failing is since when it has not been possible to restore from it, as far as is known; zero when it is.
	failing time.Time

	// checkedFor is the attempt before whose start it was last looked whether all the state is there, checkedAt when, and
	// lacks what was not; checking says that it is being looked. Attempt 0 stands for never.
	checkedFor, checking checkpoint.Attempt
	checkedAt            time.Time
	lacks                []MissingChunk

	// matched and mismatch remember the outcome of match. It follows from the manifest and the graph, so that to compute it
	// once, for thousands of subtasks, is to compute it always.
	matched  []checkpoint.SubtaskState // by ordinal
	mismatch string
	graph    checkpoint.Topology // that they are about
	// short holds, by ordinal, the positions in lacks of what the subtask needs; nil until that is asked.
	short [][]int
}

// match spreads the state of the manifest, which is at hand, over the subtasks of the job in the shape of t.
func (r *restoreView) match(j *fsm.Job, t checkpoint.Topology) (states []checkpoint.SubtaskState, problem string) {
	if r.matched == nil && r.mismatch == "" || r.graph.Difference(t) != "" {
		m, err := checkpoint.MatchState(*r.manifest, t, j.Source.AllowNonRestoredState)
		r.matched, r.mismatch, r.graph, r.short = m.Subtasks, "", t, nil
		if err != nil {
			r.mismatch = err.Error()
		}
	}
	return r.matched, r.mismatch
}

// lackedBy returns, by ordinal, the positions in lacks of what the subtasks of the job need in the shape of t.
func (r *restoreView) lackedBy(j *fsm.Job, t checkpoint.Topology) [][]int {
	states, _ := r.match(j, t)
	if r.short != nil {
		return r.short
	}
	at := make(map[checkpoint.ChunkID]int, len(r.lacks))
	for i, m := range r.lacks {
		at[m.Chunk.ID] = i
	}
	r.short = make([][]int, len(states))
	for ordinal, s := range states {
		for _, h := range s.Handles {
			for _, ref := range h.Chunks {
				if i, lacking := at[ref.ID]; lacking {
					r.short[ordinal] = append(r.short[ordinal], i)
				}
			}
		}
	}
	return r.short
}

// MissingChunk is a chunk that a restore needs and that cannot be had.
type MissingChunk struct {
	LostChunk
	Cause string // what came of reading it; empty when no node is known to have it
}

// StateMissingError says that a manifest was read, and not all that it names can be had.
type StateMissingError struct {
	Missing []MissingChunk
}

// Error names the first chunk.
func (e *StateMissingError) Error() string {
	m := e.Missing[0]
	text := fmt.Sprintf("chunk %s%s is on no node that is alive", m.Chunk.ID, andMore(len(e.Missing)-1))
	switch {
	case m.Cause != "":
		return fmt.Sprintf("chunk %s%s cannot be read: %s", m.Chunk.ID, andMore(len(e.Missing)-1), m.Cause)
	case len(m.Had) > 0:
		return text + ": it was on " + nodeList(m.Had)
	}
	return text
}

// checkedOf reports whether it is known what state there is for the next attempt of the job.
func (r *restoreView) checkedOf(j *fsm.Job, now time.Time, fresh time.Duration) bool {
	return r.checkedFor == j.Attempt+1 && now.Sub(r.checkedAt) < fresh
}

// OnManifestLoading records that LoadManifest has begun, so that Decide does not ask for it again. The reason of an
// earlier failure stands until there is news.
func (v *View) OnManifestLoading(a LoadManifest) {
	j := v.byID[a.Job]
	if j == nil {
		return
	}
	s := v.job(j)
	r := s.restoreOf(a.Checkpoint)
	switch {
	case r != nil:
	case a.Older:
		if s.older == nil {
			s.older = make(map[checkpoint.ID]*restoreView)
		}
		r = &restoreView{id: a.Checkpoint}
		s.older[a.Checkpoint] = r
	default:
		s.restore = restoreView{id: a.Checkpoint}
		r = &s.restore
	}
	if r == s.older[a.Checkpoint] && !a.Older { // the job has gone back to it
		s.restore = *r
		r = &s.restore
		delete(s.older, a.Checkpoint)
	}
	if r.loading = true; a.Check {
		r.checking = j.Attempt + 1
	}
}

// restoreOf returns what is known of restoring from a checkpoint, nil when nobody has asked for that.
func (s *jobView) restoreOf(id checkpoint.ID) *restoreView {
	if s.restore.id == id {
		return &s.restore
	}
	return s.older[id]
}

// OnManifestLoaded records how LoadManifest ended. It reports whether that is worth telling: something is wrong, and it
// was not, or was something else.
func (v *View) OnManifestLoaded(job checkpoint.JobID, id checkpoint.ID, m *checkpoint.Manifest, err error, now time.Time) (news bool) {
	j := v.byID[job]
	if j == nil {
		return false
	}
	r := v.job(j).restoreOf(id)
	if r == nil {
		return false
	}
	before := r.err
	next := restoreView{id: id, failing: r.failing, checkedFor: r.checking, checkedAt: now}
	if r.manifest != nil && r.manifest == m {
		next.matched, next.mismatch, next.graph = r.matched, r.mismatch, r.graph
	}
	var lacking *StateMissingError
	switch {
	case errors.As(err, &lacking):
		next.manifest, next.lacks, next.err = m, lacking.Missing, err.Error()
	case err == nil && r.checking == 0 && len(r.lacks) > 0: // the manifest was there before, too
		next = *r
		next.loading = false
	case err != nil:
		next.err, next.failedAt, next.checkedFor = err.Error(), now, 0
		next.manifest = r.manifest // of an earlier time, when it was the look at the state that failed
	default:
		next.manifest = m
	}
	if next.err == "" {
		next.failing = time.Time{}
	} else if next.failing.IsZero() {
		next.failing = now
	}
	*r = next
	return next.err != "" && next.err != before
}
