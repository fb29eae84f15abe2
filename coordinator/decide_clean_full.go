package coordinator

import (
	"slices"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// A full sweep takes on, beside discards and garbage, all that the nodes hold. So it finds orphans: chunks that nothing
// names and that nobody has on a list. They are uploads of checkpoints that never completed, what a process had stored
// when it crashed before it could say so, what a leader had collected when it died, copies on nodes that were away during
// a sweep. It also trims copies that are too many. What the nodes hold is listed while ordinary sweeps go on; the next
// sweep that begins takes the list on, before its first mark.

// fullSweeps is how far the leader has come with them.
type fullSweeps struct {
	dueAt    time.Time // when the nodes' chunks are to be listed again
	listedAt time.Time // when they were last
	phase    listPhase
	// held is the list as far as it goes, shared that of a shared store under way; request numbers the questions for one.
	held    fullHoldings
	shared  sharedListing
	request uint64

	owners  []checkpoint.NodeRef // processes that own objects of shared stores, by the last list
	sweptAt time.Time            // when the last full sweep ended that did all that it should
	heldUp  string               // why the last one could delete no orphans, empty when it could
}

// listPhase is where the list of what the nodes hold stands.
type listPhase uint8

const (
	listIdle   listPhase = iota
	listOwn              // the storekeeper is asked
	listShared           // a node with a shared store is asked
	listReady            // the next sweep takes it on
)

// fullHoldings are what the nodes hold, as a full sweep takes it on.
type fullHoldings struct {
	own    Holdings
	shared []checkpoint.ChunkID // of shared stores, in no order, perhaps repeated
}

func (h fullHoldings) size() int { return len(h.own.Chunks) + len(h.shared) }

// wantFull has the nodes' chunks listed soon. What happens together thus leads to one full sweep.
func (v *View) wantFull(now time.Time) {
	v.cleaning.full.dueBy(now.Add(v.Timing.FullSweepSoon))
}

// failedUploadsPause is the least time between a list of the nodes' chunks and another one for the sake of what checkpoints
// that failed have left.
const failedUploadsPause = time.Minute

// wantUploadsSwept has the nodes' chunks listed because a checkpoint has failed: what was stored for it and not
// acknowledged is on nobody's list. It may be what fills a disk, and a full disk makes the next one fail, too.
func (v *View) wantUploadsSwept(now time.Time) {
	f := &v.cleaning.full
	at := now.Add(v.Timing.FullSweepSoon)
	if next := f.listedAt.Add(failedUploadsPause); next.After(at) {
		at = next
	}
	f.dueBy(at)
}

func (f *fullSweeps) dueBy(at time.Time) {
	if at.Before(f.dueAt) {
		f.dueAt = at
	}
}

// list begins to list what the nodes hold, when it is time, and goes on with it.
func (d *decision) list() {
	c := &d.view.cleaning
	switch c.full.phase {
	case listIdle:
		if !c.takesFull && !d.now.Before(c.full.dueAt) && d.view.haveReported(d.now) && len(d.view.sweepers(d.now)) > 0 {
			d.do(ListHoldings{})
		}
	case listShared:
		d.listShared()
	}
}

// haveReported reports whether no node that may know of state in use has still to say so: the final states of finished
// subtasks come with the reports, the inventories behind them.
func (v *View) haveReported(now time.Time) bool {
	for _, j := range v.Jobs {
		if !holdsSlots(j) && !j.MayKeep() {
			continue
		}
		for _, ref := range j.Assignment.Nodes {
			if v.assigneeState(ref, now) == nodeUnknown {
				return false
			}
		}
	}
	return true
}

// OnListing records that ListHoldings has begun. It reports whether the storekeeper is to be asked: not where all nodes
// use a shared store.
func (v *View) OnListing(now time.Time) (askStorekeeper bool) {
	f := &v.cleaning.full
	f.dueAt, f.listedAt = now.Add(v.Timing.FullSweepPause), now
	f.held, f.shared = fullHoldings{}, sharedListing{}
	for _, n := range v.sweepers(now) {
		switch {
		case n.sharedStore == "":
			askStorekeeper = true
		case !slices.Contains(f.shared.stores, n.sharedStore):
			f.shared.stores = append(f.shared.stores, n.sharedStore)
		}
	}
	if f.phase = listOwn; !askStorekeeper {
		v.listNextStore()
	}
	return askStorekeeper
}

// OnHoldings takes in what the nodes hold on disks of their own. When not all of them have told, the list is put off.
func (v *View) OnHoldings(h Holdings, err error, now time.Time) {
	f := &v.cleaning.full
	switch {
	case f.phase != listOwn:
	case err != nil || !h.Complete:
		v.listFailed(now)
	default:
		f.held.own = h
		v.listNextStore()
	}
}

// listFailed ends a list that cannot be completed now.
func (v *View) listFailed(now time.Time) {
	f := &v.cleaning.full
	f.phase, f.held, f.shared = listIdle, fullHoldings{}, sharedListing{}
	f.dueBy(now.Add(v.Timing.SweepRetry))
}

// takeHeld hands what the nodes hold over to the sweep that begins, if it has been listed.
func (v *View) takeHeld(now time.Time) {
	c := &v.cleaning
	c.takesFull, c.held = c.full.phase == listReady, fullHoldings{}
	if c.takesFull {
		c.held, c.figures = c.full.held, FullSweepFigures{Held: c.full.held.size(), BegunAt: now}
		c.full.phase, c.full.held = listIdle, fullHoldings{}
	}
}

// endFull notes how a full sweep ended. One that has not done all that it should is followed by another.
func (v *View) endFull(complete bool, now time.Time) {
	c := &v.cleaning
	switch {
	case c.takesFull && complete:
		c.full.sweptAt = now
	case c.takesFull:
		c.full.dueBy(now.Add(v.Timing.FullSweepPause / 4))
	}
	c.takesFull, c.held = false, fullHoldings{}
}

// SweptAt returns when the last full sweep of this leadership ended that did all that it should, zero before the first.
func (v *View) SweptAt() time.Time { return v.cleaning.full.sweptAt }

// OnInventory takes in a piece of the list of a node's chunks. A node whose own list is complete may have been away, and
// hold what others have deleted since.
func (v *View) OnInventory(id checkpoint.NodeID, m checkpoint.Inventory, now time.Time) {
	switch {
	case m.Request != 0:
		v.onSharedPiece(id, m, now)
	case m.Last:
		v.wantFull(now)
	}
}

// leavesOrphans reports whether a command leaves chunks behind that nobody may have on a list: what tasks were storing
// when their job ended, and what was imported; or ends an import, which may have held orphans up.
func leavesOrphans(c fsm.Command) bool {
	switch c.(type) {
	case fsm.EndJob, fsm.DisposeSavepoint, fsm.FinishImport:
		return true
	}
	return false
}

// FullSweepFigures says what a full sweep has done.
type FullSweepFigures struct {
	BegunAt time.Time // when it took on what the nodes held
	Held    int       // chunks
	Orphans int       // chunks among them that nothing named, and that were on no list
	Trimmed int       // copies beyond the number of replicas that were given up
	Deleted int       // copies that are gone, the discarded ones included
	Refused int       // copies that nodes were asked for meanwhile
}

// FullSweep returns the figures of the present sweep, when it is a full one.
func (v *View) FullSweep() (FullSweepFigures, bool) {
	return v.cleaning.figures, v.cleaning.takesFull
}
