package coordinator

import (
	"context"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

func (s service) BeginImport(ctx context.Context, manifest checkpoint.ChunkRef, jobName string) (api.Savepoint, error) {
	if manifest.ID.IsZero() || manifest.Size <= 0 {
		return api.Savepoint{}, api.Errorf(api.Invalid, "import of a savepoint with the manifest %s of %d bytes: there is no such chunk", manifest.ID, manifest.Size)
	}
	return call[api.Savepoint]{
		local: func(ctx context.Context, l *leader) (api.Savepoint, error) {
			return l.beginImport(ctx, manifest, jobName)
		},
		remote: func(ctx context.Context, r api.Service) (api.Savepoint, error) {
			return r.BeginImport(ctx, manifest, jobName)
		},
	}.run(ctx, s.c)
}

func (s service) FinishImport(ctx context.Context, job string, id uint64) (api.Savepoint, error) {
	return call[api.Savepoint]{
		local: func(ctx context.Context, l *leader) (api.Savepoint, error) {
			return l.finishImport(ctx, job, checkpoint.ID(id))
		},
		remote: func(ctx context.Context, r api.Service) (api.Savepoint, error) { return r.FinishImport(ctx, job, id) },
	}.run(ctx, s.c)
}

// beginImport runs in the goroutine of the call. A client has stored the manifest without our knowing when, and nothing
// names it yet: a sweep whose marks came after that may have condemned it. So sweeps wait from here on until the log names
// it, and the nodes are asked for it once more. All else that the savepoint names is stored after that (DESIGN.md).
func (l *leader) beginImport(ctx context.Context, ref checkpoint.ChunkRef, jobName string) (api.Savepoint, error) {
	ctx, cancel := context.WithTimeout(ctx, sourceTimeout)
	defer cancel()
	var n uint64 // of the leader loop
	_, err := ask(ctx, l, func() (struct{}, error) { n = l.view.OnImportBegun(); return struct{}{}, nil })
	defer l.inbox.post(func() { l.view.OnImportEnded(n) }) // behind all that is asked here, also where nobody waits for it
	if err != nil {
		return api.Savepoint{}, err
	}
	m, err := getManifest(ctx, l.store, ref)
	if err == nil {
		err = l.store.Keep(ctx, []checkpoint.ChunkRef{ref})
	}
	switch {
	case err != nil:
		return api.Savepoint{}, api.Errorf(api.Unavailable, "the manifest %s of the savepoint that is to be imported cannot be read: store it again: %v", ref.ID, err)
	case ctx.Err() != nil: // nobody waits for it any more
		return api.Savepoint{}, api.Errorf(api.Unavailable, "the manifest of savepoint %d of job %s was not read in time: %v", m.ID, m.Job, context.Cause(ctx))
	case m.Kind != checkpoint.KindSavepoint:
		return api.Savepoint{}, api.Errorf(api.Invalid, "%s %d of job %s cannot be imported: it is no savepoint", m.Kind, m.ID, m.Job)
	}
	if checkName(jobName) != nil {
		jobName = ""
	}
	return ask(ctx, l, func() (api.Savepoint, error) {
		err := l.proposeOne(fsm.BeginImport{
			Job: m.Job, JobName: jobName, Checkpoint: m.ID, Manifest: ref, TriggeredAt: m.TriggerTimestamp,
			StateSize: m.StateSize(), NumSubtasks: len(m.Subtasks), At: now(),
		})
		if err != nil {
			return api.Savepoint{}, err
		}
		return l.reading().savepoint(m.Job, m.ID)
	})
}

// finishImport runs in the goroutine of the call. It makes sure that every chunk is on some node, and stays there in the
// sweeps that are under way.
func (l *leader) finishImport(ctx context.Context, job string, id checkpoint.ID) (api.Savepoint, error) {
	k, err := ask(ctx, l, func() (kept, error) {
		r := l.reading()
		k, err := r.kept(job, id)
		if err != nil || !k.savepoint {
			return kept{}, r.notKept(job, checkpoint.KindSavepoint, id)
		}
		return k, nil
	})
	if err != nil {
		return api.Savepoint{}, err
	}
	m, err := getManifest(ctx, l.store, k.manifest)
	if err == nil {
		err = l.store.Keep(ctx, append(chunksOf(m), k.manifest))
	}
	if err != nil {
		return api.Savepoint{}, api.Errorf(api.Unavailable, "the import of savepoint %d of job %s is not finished, not all of it is on the nodes; import it again: %v",
			id, k.jobName, err)
	}
	return ask(ctx, l, func() (api.Savepoint, error) {
		if err := l.proposeOne(fsm.FinishImport{Job: k.job, Checkpoint: id, Manifest: k.manifest, At: now()}); err != nil {
			return api.Savepoint{}, err
		}
		return l.reading().savepoint(k.job, id)
	})
}

// chunksOf returns the chunks that a manifest names, each once.
func chunksOf(m checkpoint.Manifest) []checkpoint.ChunkRef {
	seen := make(map[checkpoint.ChunkID]bool)
	var all []checkpoint.ChunkRef
	for _, s := range m.Subtasks {
		for _, h := range s.Handles {
			for _, c := range h.Chunks {
				if !seen[c.ID] {
					seen[c.ID] = true
					all = append(all, c)
				}
			}
		}
	}
	return all
}
