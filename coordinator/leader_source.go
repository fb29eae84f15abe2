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
	case s.Manifest == "" && s.ManifestSize != 0, s.ManifestSize < 0:
		return api.Errorf(api.Invalid, "%s %d of job %s: a manifest of %d bytes without a name", s.Kind, s.Checkpoint, s.Job, s.ManifestSize)
	}
	return nil
}

// resolveSource finds what a submission wants to start from. The job that took it may have ended. An imported one
// brings its manifest along, and no job need be known for it.
func resolveSource(jobs []*fsm.Job, s *api.Source) (fsm.Source, error) {
	if s == nil {
		return fsm.Source{}, nil
	}
	source := fsm.Source{
		Checkpoint: checkpoint.ID(s.Checkpoint), Kind: kinds[s.Kind], Claim: s.Claim, AllowNonRestoredState: s.AllowNonRestoredState,
	}
	if s.Manifest != "" {
		return imported(source, s)
	}
	j, err := findJob(jobs, s.Job)
	if err != nil {
		return source, err
	}
	source.Job = j.ID
	among := j.Completed
	if source.Kind == checkpoint.KindSavepoint {
		among = j.Savepoints
	}
	for _, c := range among {
		if c.ID == source.Checkpoint {
			source.Manifest = c.Manifest
			return source, nil
		}
	}
	return source, noSuchCheckpoint(j, source.Kind, source.Checkpoint)
}

func imported(source fsm.Source, s *api.Source) (fsm.Source, error) {
	id, err := checkpoint.ParseChunkID(s.Manifest)
	if err != nil {
		return source, api.Errorf(api.Invalid, "manifest of the imported %s: %v", s.Kind, err)
	}
	if source.Job, err = checkpoint.ParseJobID(s.Job); err != nil {
		return source, api.Errorf(api.Invalid, "imported %s %d: %v", s.Kind, s.Checkpoint, err)
	}
	source.Manifest = checkpoint.ChunkRef{ID: id, Size: s.ManifestSize}
	return source, nil
}

// loadSource reads the manifest of p's source beside the loop and makes sure that the job can go on from it. The
// submission goes on, or ends, on the loop.
func (l *leader) loadSource(ctx context.Context, request uint64, p *planRequest) {
	l.tasks.Go(func() {
		what := fmt.Sprintf("%s %d of job %s", p.source.Kind, p.source.Checkpoint, p.req.Source.Job)
		err := checkState(ctx, l.store, what, p.source, p.imported != 0, p.graph.topology, p.config.Backend)
		if err == nil && p.imported != 0 {
			err = keepImported(ctx, l.store, what, p.source)
		}
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
// what names the source as the user did. Of an imported one that is all that is known; one that is not has been found in
// the replicated state, where a savepoint that a job has claimed is a checkpoint of that job.
func checkState(ctx context.Context, store Store, what string, source fsm.Source, imported bool, t checkpoint.Topology,
	backend checkpoint.StateBackend,
) error {
	data, err := store.Get(ctx, source.Manifest)
	if err != nil {
		return api.Errorf(api.Unavailable, "%s: its manifest could not be read: %v", what, err)
	}
	m, err := checkpoint.DecodeManifest(data)
	switch {
	case err != nil:
		return api.Errorf(api.Invalid, "%s: %v", what, err)
	case m.ID != source.Checkpoint || imported && m.Kind != source.Kind:
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
