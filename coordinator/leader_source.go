package coordinator

import (
	"context"
	"errors"
	"fmt"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// kinds are the words of the client API for what a job can start from.
var kinds = map[string]checkpoint.Kind{
	checkpoint.KindCheckpoint.String(): checkpoint.KindCheckpoint,
	checkpoint.KindSavepoint.String():  checkpoint.KindSavepoint,
}

// checkSource refuses what no cluster could make sense of.
func checkSource(s *api.Source) error {
	if s == nil {
		return nil
	}
	switch _, known := kinds[s.Kind]; {
	case !known:
		return api.Errorf(api.Invalid, "source of kind %q: allowed are %s and %s", s.Kind, checkpoint.KindCheckpoint, checkpoint.KindSavepoint)
	case s.Job == "":
		return api.Errorf(api.Invalid, "%s %d: name the job that took it", s.Kind, s.Checkpoint)
	case s.Checkpoint == 0:
		return api.Errorf(api.Invalid, "%s 0 of job %s: IDs begin at 1", s.Kind, s.Job)
	case s.Manifest != "" || s.ManifestSize != 0:
		return api.Errorf(api.Invalid, "%s %d of job %s: its manifest is not for clients to name; import the savepoint first", s.Kind, s.Checkpoint, s.Job)
	}
	return nil
}

// source finds what a submission wants to start from. The job that took it may have ended, or be unknown here when it was
// imported.
func (r reading) source(s *api.Source) (fsm.Source, error) {
	if s == nil {
		return fsm.Source{}, nil
	}
	source := fsm.Source{
		Checkpoint: checkpoint.ID(s.Checkpoint), Kind: kinds[s.Kind], Claim: s.Claim, AllowNonRestoredState: s.AllowNonRestoredState,
	}
	k, err := r.kept(s.Job, source.Checkpoint)
	if err != nil || k.kind != source.Kind {
		return source, r.notKept(s.Job, source.Kind, source.Checkpoint)
	}
	source.Job, source.Manifest = k.job, k.manifest
	if k.incomplete {
		return source, api.Errorf(api.Conflict, "the import of savepoint %d of job %s is not finished: repeat \"coord savepoint import DIR\", "+
			"which goes on where it ended, or give it up with \"coord savepoint dispose %s/%d\"", s.Checkpoint, s.Job, k.job, s.Checkpoint)
	}
	return source, nil
}

// loadSource reads the manifest of p's source beside the loop and makes sure that the job can go on from it. The
// submission goes on, or ends, on the loop.
func (l *leader) loadSource(ctx context.Context, request uint64, p *planRequest) {
	l.tasks.Go(func() {
		what := fmt.Sprintf("%s %d of job %s", p.source.Kind, p.source.Checkpoint, p.req.Source.Job)
		err := checkState(ctx, l.store, what, p.source, p.graph.topology, p.config.Backend)
		l.inbox.post(func() {
			if l.requests.plans[request] != p {
				return
			}
			if err != nil {
				l.endPlan(request, submitted{err: err})
				return
			}
			l.propose(request, p)
		})
	})
}

// checkState returns an error that says what does not fit unless a job of the given graph can start from the source.
// what names the source as the user did: a savepoint that a job has claimed is a checkpoint of that job.
func checkState(ctx context.Context, store Store, what string, source fsm.Source, t checkpoint.Topology, backend checkpoint.StateBackend) error {
	data, err := store.Get(ctx, source.Manifest)
	if err != nil {
		return api.Errorf(api.Unavailable, "%s: its manifest could not be read: %v", what, err)
	}
	m, err := checkpoint.DecodeManifest(data)
	switch {
	case err != nil:
		return api.Errorf(api.Invalid, "%s: %v", what, err)
	case m.ID != source.Checkpoint:
		return api.Errorf(api.Invalid, "%s: the manifest named for it is of %s %d of job %s", what, m.Kind, m.ID, m.Job)
	}
	if err := m.RestorableBy(backend); err != nil {
		return api.Errorf(api.Conflict, "cannot start from %s: %v", what, err)
	}
	if _, err := checkpoint.MatchState(m, t, source.AllowNonRestoredState); errors.Is(err, checkpoint.ErrStateMismatch) {
		return api.Errorf(api.Conflict, "cannot start from %s: %v", what, err)
	} else if err != nil {
		return api.Errorf(api.Invalid, "%s: %v", what, err)
	}
	return nil
}
