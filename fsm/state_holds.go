package fsm

import (
	"fmt"
	"slices"

	"cairn/checkpoint"
)

// NeedsSource reports whether the job depends on a checkpoint that it does not own: it was submitted from it without
// claiming it, and has completed no checkpoint of its own yet. What it depends on is given up by nobody, and its
// checkpoints are Full until then.
func (j *Job) NeedsSource() bool {
	return !j.Source.IsZero() && !j.Source.Claim && len(j.Completed) == 0 && !j.Status.Terminal()
}

// restoring returns the checkpoint of its own that the running attempt may still read, 0 for none: the one that it
// started from, until it has completed one itself.
func (j *Job) restoring() checkpoint.ID {
	latest, _ := j.LatestCompleted()
	if j.Status != JobRunning || latest.Attempt == j.Attempt {
		return 0
	}
	return j.RestoredFrom
}

// needsSavepoint reports whether the job itself depends on a savepoint of its own: it was to end with it and has
// neither ended nor completed a checkpoint since, so that it would restart from it; or it is restoring from it.
func (j *Job) needsSavepoint(c Completed) bool {
	latest, _ := j.LatestCompleted()
	return !j.Status.Terminal() && (c.Stop != checkpoint.StopNone && c.ID > latest.ID || c.ID == j.restoring())
}

// Holds maps the manifests of checkpoints to the jobs that depend on them without owning them, in the order of the
// jobs. It is a view of one moment.
type Holds map[checkpoint.ChunkID][]checkpoint.JobID

// HoldsOf returns what the jobs hold.
func HoldsOf(jobs []*Job) Holds {
	holds := make(Holds)
	for _, j := range jobs {
		if j.NeedsSource() {
			holds[j.Source.Manifest.ID] = append(holds[j.Source.Manifest.ID], j.ID)
		}
	}
	return holds
}

// Discardable returns the entries of the job's discard list whose chunks may be deleted: those on which no job
// depends and from which no attempt is restoring (I5).
func (h Holds) Discardable(j *Job) []Discard {
	var free []Discard
	for _, d := range j.Discards {
		if h.mayDiscard(j, d) {
			free = append(free, d)
		}
	}
	return free
}

func (h Holds) mayDiscard(j *Job, d Discard) bool {
	return len(h[d.Manifest.ID]) == 0 && d.ID != j.restoring()
}

// Holders returns the jobs that were submitted from a checkpoint or savepoint of the given job without claiming it
// and have not completed a checkpoint of their own, in the order of their submission.
func (s *State) Holders(job checkpoint.JobID, id checkpoint.ID) []checkpoint.JobID {
	manifest := s.manifestOf(job, id)
	var holders []checkpoint.JobID
	for _, j := range s.SortedJobs() {
		named := j.Source.Job == job && j.Source.Checkpoint == id
		if j.NeedsSource() && (named || j.Source.Manifest.ID == manifest) {
			holders = append(holders, j.ID)
		}
	}
	return holders
}

// manifestOf returns the manifest of a checkpoint or savepoint of the given job, which may be unknown here when it was
// imported; zero when there is none.
func (s *State) manifestOf(job checkpoint.JobID, id checkpoint.ID) (manifest checkpoint.ChunkID) {
	if owner := s.Jobs[job]; owner != nil {
		manifest = owner.manifestOf(id)
	}
	if imported, ok := s.ImportByID(job, id); ok && manifest.IsZero() {
		manifest = imported.Manifest.ID
	}
	return manifest
}

// manifestOf returns the manifest of a checkpoint or savepoint that the job keeps or has yet to discard; zero when
// there is none.
func (j *Job) manifestOf(id checkpoint.ID) checkpoint.ChunkID {
	for _, c := range slices.Concat(j.Completed, j.Savepoints) {
		if c.ID == id {
			return c.Manifest.ID
		}
	}
	for _, d := range j.Discards {
		if d.ID == id {
			return d.Manifest.ID
		}
	}
	return checkpoint.ChunkID{}
}

// InUse reports whether a job depends on a checkpoint or savepoint of the given job, or that job itself on one of its
// savepoints.
func (s *State) InUse(job checkpoint.JobID, id checkpoint.ID) bool { return s.inUse(job, id) != "" }

// inUse says why a checkpoint or savepoint is in use, empty when it is not.
func (s *State) inUse(job checkpoint.JobID, id checkpoint.ID) string {
	if holders := s.Holders(job, id); len(holders) > 0 {
		return fmt.Sprintf("job %s was submitted from it and has not completed a checkpoint of its own", holders[0])
	}
	if j := s.Jobs[job]; j != nil {
		if savepoint, ok := j.SavepointByID(id); ok && j.needsSavepoint(savepoint) {
			return fmt.Sprintf("job %s, which is %s, would restart from it", job, j.Status)
		}
	}
	return ""
}

// Discardable returns what Holds.Discardable does for the job of that ID; nothing for one that is not known.
func (s *State) Discardable(job checkpoint.JobID) []Discard {
	j := s.Jobs[job]
	if j == nil || len(j.Discards) == 0 {
		return nil
	}
	return HoldsOf(s.SortedJobs()).Discardable(j)
}
