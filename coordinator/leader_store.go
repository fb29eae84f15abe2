package coordinator

import (
	"context"
	"fmt"
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
		if err != nil {
			l.log.Error("restore is held up", "job", a.Job, "checkpoint", a.Checkpoint, "cause", err)
		}
		l.inbox.post(func() { l.view.OnManifestLoaded(a.Job, a.Checkpoint, m, err, time.Now()) })
	})
}

func (l *leader) readManifest(ctx context.Context, a LoadManifest) (*checkpoint.Manifest, error) {
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
