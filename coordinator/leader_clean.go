package coordinator

import (
	"context"
	"fmt"
	"time"

	"cairn/checkpoint"
)

// The leader's part in sweeps that is not deciding. See decide_clean.go for what a sweep is.

func (l *leader) advanceSweep(a AdvanceSweep) {
	switch {
	case a.Cause != "":
		l.log.Warn("a sweep of old chunks did not delete all that it should; it is tried again", "sweep", sweepNumber(a.Sweep), "cause", a.Cause)
	case a.To == SweepIdle:
		l.log.Debug("sweep done", "sweep", sweepNumber(a.Sweep))
	}
	if a.To == SweepIdle {
		l.logFullSweep(a)
	}
	l.view.OnSweepAdvanced(a, time.Now())
}

func (l *leader) logFullSweep(a AdvanceSweep) {
	if f, full := l.view.FullSweep(); full {
		l.log.Info("all that the nodes hold was compared with what is named", "sweep", sweepNumber(a.Sweep), "chunks", f.Held,
			"orphans", f.Orphans, "trimmed", f.Trimmed, "deleted", f.Deleted, "refused", f.Refused,
			"duration_ms", time.Since(f.BegunAt).Milliseconds())
	}
}

// listHoldings asks the storekeeper what the nodes hold, beside the loop.
func (l *leader) listHoldings(ctx context.Context) {
	if !l.view.OnListing(time.Now()) {
		return
	}
	l.tasks.Go(func() {
		h, err := l.keeper.holdings(ctx)
		l.inbox.post(func() { l.view.OnHoldings(h, err, time.Now()) })
	})
}

// listShared asks a node for the list of its shared store.
func (l *leader) listShared(a ListShared) {
	if a.Request != 0 {
		l.send(a.Node.ID, checkpoint.ListChunks{Term: l.term, Request: a.Request})
	} else {
		l.log.Warn("no node has listed the shared store; it is tried again")
	}
	l.view.OnListingShared(a, time.Now())
}

// planSweep reads the manifests that are not known yet and works out the plan, beside the loop.
func (l *leader) planSweep(ctx context.Context) {
	in := l.view.OnSweepPlanning(time.Now())
	l.tasks.Go(func() {
		plan := in.Plan(
			func(ref checkpoint.ChunkRef) ([]checkpoint.ChunkID, error) { return l.readNames(ctx, ref) },
			func(ids []checkpoint.ChunkID) (map[checkpoint.NodeID][]checkpoint.ChunkID, error) {
				return l.keeper.heldBy(ctx, ids)
			})
		if ctx.Err() != nil {
			return
		}
		l.logPlan(plan)
		l.inbox.post(func() { l.view.OnSweepPlanned(plan, time.Now()) })
	})
}

func (l *leader) readNames(ctx context.Context, ref checkpoint.ChunkRef) ([]checkpoint.ChunkID, error) {
	m, err := getManifest(ctx, l.store, ref)
	return NamedChunks(m), err
}

func getManifest(ctx context.Context, store Store, ref checkpoint.ChunkRef) (checkpoint.Manifest, error) {
	data, err := store.Get(ctx, ref)
	if err != nil {
		return checkpoint.Manifest{}, err
	}
	m, err := checkpoint.DecodeManifest(data)
	if err != nil {
		return checkpoint.Manifest{}, fmt.Errorf("manifest %s: %w", ref.ID, err)
	}
	return m, nil
}

func (l *leader) logPlan(p SweepPlan) {
	if p.Err != nil {
		l.log.Error("nothing is deleted", "sweep", sweepNumber(p.Sweep), "cause", p.Err)
		return
	}
	for _, d := range p.Unreadable {
		l.log.Warn("the manifest of a discarded checkpoint cannot be read", "job", d.Job, "checkpoint", d.ID, "cause", p.ReadError)
	}
	if p.HeldUp != nil {
		l.log.Warn("orphaned chunks are not deleted", "sweep", sweepNumber(p.Sweep), "cause", p.HeldUp)
	}
	l.log.Debug("sweep planned", "sweep", sweepNumber(p.Sweep), "discards", len(p.Covered), "chunks", len(p.Chunks)+len(p.Manifests),
		"orphans", p.Orphans, "trimmed", p.Trimmed)
}

// confirmLeadership commits an entry of the log, beside the loop. Raft's VerifyLeader would be cheaper, and not
// enough: it also counts answers to heartbeats that were sent before it was called.
func (l *leader) confirmLeadership(ctx context.Context, a ConfirmLeadership) {
	l.view.OnConfirming()
	l.tasks.Go(func() {
		err := l.raft.barrier(ctx)
		l.inbox.post(func() { l.view.OnConfirmed(a.Sweep, err, time.Now()) })
	})
}

func (l *leader) chunksDeleted(id checkpoint.NodeID, m checkpoint.ChunksDeleted) {
	if m.Error != "" {
		l.log.Warn("a node could not delete chunks", "node", id, "sweep", sweepNumber(m.Sweep), "deleted", m.Deleted, "cause", m.Error)
	}
	l.view.OnChunksDeleted(id, m, time.Now())
}
