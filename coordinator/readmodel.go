package coordinator

import (
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// reading is what a question is answered from: the replicated jobs, and on the leader also what it knows of nodes and
// subtasks. The functions of the read model turn it into what clients see; they change nothing. With a view they run
// on the leader loop.
type reading struct {
	jobs    []*fsm.Job // oldest first
	imports []fsm.Import
	drained map[checkpoint.NodeID]checkpoint.Timestamp
	view    *View // nil where this coordinator answers from its own copy alone (api.WithStale)
	now     time.Time
}

func (l *leader) reading() reading {
	l.refresh()
	return reading{jobs: l.view.Jobs, imports: l.view.Imports, drained: l.view.Drained, view: l.view, now: time.Now()}
}

// job resolves a job's ID or name.
func (r reading) job(ref string) (*fsm.Job, error) { return findJob(r.jobs, ref) }

// of answers a question about one job.
func of[T any](ref string, f func(reading, *fsm.Job) (T, error)) func(reading) (T, error) {
	return func(r reading) (T, error) {
		j, err := r.job(ref)
		if err != nil {
			var none T
			return none, err
		}
		return f(r, j)
	}
}

// unknownToFollowers stands for soft state in an answer that was given without the leader.
const unknownToFollowers = "UNKNOWN"

func sourceModel(s fsm.Source) *api.Source {
	if s.IsZero() {
		return nil
	}
	return &api.Source{
		Job: s.Job.String(), Checkpoint: uint64(s.Checkpoint), Kind: s.Kind.String(),
		Manifest: s.Manifest.ID.String(), ManifestSize: s.Manifest.Size,
		Claim: s.Claim, AllowNonRestoredState: s.AllowNonRestoredState,
	}
}
