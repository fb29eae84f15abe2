package coordinator

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// writeManifest stores a checkpoint's manifest and, at the same time, its breakdown.
func (l *leader) writeManifest(ctx context.Context, a WriteManifest) {
	m := a.Manifest
	l.view.OnManifestWriting(m)
	l.tasks.Go(func() {
		var detail fsm.Detail
		var storing sync.WaitGroup
		storing.Go(func() { detail = l.storeDetail(ctx, m.Job, m.ID, a.Detail) })
		ref, err := l.storeManifest(ctx, m)
		storing.Wait()
		if err == nil {
			l.keeper.wrote(ref, m)
		}
		l.inbox.post(func() { l.view.OnManifestWritten(m.Job, m.ID, ref, detail, err) })
	})
}

func (l *leader) storeManifest(ctx context.Context, m checkpoint.Manifest) (checkpoint.ChunkRef, error) {
	data, err := checkpoint.EncodeManifest(m)
	if err != nil {
		return checkpoint.ChunkRef{}, err
	}
	return l.store.Put(ctx, data)
}

// writeDetail stores the breakdown of a checkpoint that is about to be aborted.
func (l *leader) writeDetail(ctx context.Context, a WriteDetail) {
	l.view.OnDetailWriting(a)
	l.tasks.Go(func() {
		detail := l.storeDetail(ctx, a.Job, a.Checkpoint, a.Detail)
		l.inbox.post(func() { l.view.OnDetailWritten(a.Job, a.Checkpoint, detail) })
	})
}

// detailTimeout bounds how long an outcome waits for its statistics to be stored.
const detailTimeout = 2 * time.Second

// storeDetail stores a breakdown where it does not fit into the log. Statistics fail nothing: what cannot be stored is
// left out.
func (l *leader) storeDetail(ctx context.Context, job checkpoint.JobID, id checkpoint.ID, d checkpoint.Detail) fsm.Detail {
	data := checkpoint.EncodeDetail(d)
	if len(data) <= fsm.MaxInlineDetail {
		return fsm.Detail{Inline: data}
	}
	ctx, cancel := context.WithTimeout(ctx, detailTimeout)
	defer cancel()
	ref, err := l.store.Put(ctx, data)
	if err != nil {
		if context.Cause(l.ctx) == nil {
			l.log.Warn("the statistics of a checkpoint were not stored", "job", job, "checkpoint", id, "cause", err)
		}
		return fsm.Detail{}
	}
	return fsm.Detail{Chunk: ref}
}

func (l *leader) loadManifest(ctx context.Context, a LoadManifest) {
	l.view.OnManifestLoading(a)
	l.tasks.Go(func() {
		m, err := l.readManifest(ctx, a)
		if err == nil && a.Check {
			err = l.checkState(ctx, a, m)
		}
		l.inbox.post(func() {
			if l.view.OnManifestLoaded(a.Job, a.Checkpoint, m, err, time.Now()) {
				l.log.Error("restore is held up", "job", a.Job, "checkpoint", a.Checkpoint, "cause", err)
			}
		})
	})
}

func (l *leader) readManifest(ctx context.Context, a LoadManifest) (*checkpoint.Manifest, error) {
	if a.Have != nil {
		return a.Have, nil
	}
	data, err := l.store.Get(ctx, a.Manifest)
	if err != nil {
		return nil, fmt.Errorf("reading the manifest of checkpoint %d: %w", a.Checkpoint, err)
	}
	m, err := checkpoint.DecodeManifest(data)
	if err != nil {
		return nil, fmt.Errorf("manifest of checkpoint %d: %w", a.Checkpoint, err)
	}
	if m.ID != a.Checkpoint || (m.Job == a.Job) != a.Own {
		return nil, fmt.Errorf("manifest of checkpoint %d: it is of job %s, checkpoint %d", a.Checkpoint, m.Job, m.ID)
	}
	return &m, nil
}

// checkState returns a StateMissingError unless, as far as is known, everything can be had that a manifest names.
func (l *leader) checkState(ctx context.Context, a LoadManifest, m *checkpoint.Manifest) error {
	var missing []MissingChunk
	lost, _ := l.keeper.lost(ctx, a.Manifest.ID, chunksOf(*m)) // an error says that the leadership is over
	for _, chunk := range lost {
		missing = append(missing, MissingChunk{LostChunk: chunk})
	}
	for _, ref := range a.Suspects {
		// Who is said to have it may have it no more, or in a bad copy: reading it is the only way to know.
		if _, err := l.store.Get(ctx, ref); err != nil && !containsChunk(lost, ref.ID) {
			missing = append(missing, MissingChunk{LostChunk: LostChunk{Chunk: ref}, Cause: err.Error()})
		}
	}
	if len(missing) > 0 {
		return &StateMissingError{Missing: missing}
	}
	return nil
}

func containsChunk(lost []LostChunk, id checkpoint.ChunkID) bool {
	return slices.ContainsFunc(lost, func(c LostChunk) bool { return c.Chunk.ID == id })
}
