package coordinator

import (
	"time"

	"cairn/checkpoint"
)

// OnInventory takes in a piece of a node's list. It reports whether the list is over.
func (v *storeView) OnInventory(ref checkpoint.NodeRef, m checkpoint.Inventory) bool {
	n := v.node(ref)
	if n == nil || !n.open || n.shared != "" || m.Request != 0 || !m.First && !n.listing {
		return false
	}
	if m.First {
		v.index.BeginList(ref.ID)
		n.complete, n.listing, n.removed = false, true, make(map[checkpoint.ChunkID]bool)
	}
	for _, chunk := range m.Chunks {
		if !n.removed[chunk.ID] {
			v.index.Add(ref.ID, chunk)
		}
	}
	if m.Last {
		v.index.EndList(ref.ID)
		n.complete, n.listing, n.removed = true, false, nil
	}
	return m.Last
}

// OnInventoryChange takes in what has changed on a node's disk. Behind a session's beginning changes say nothing before
// the list has begun.
func (v *storeView) OnInventoryChange(ref checkpoint.NodeRef, m checkpoint.InventoryChange) {
	n := v.node(ref)
	if n == nil || !n.open || !n.complete && !n.listing {
		return
	}
	for _, chunk := range m.Added {
		v.index.Add(ref.ID, chunk)
		delete(n.removed, chunk.ID)
	}
	for _, id := range m.Removed {
		v.removed(n, id)
	}
	for _, id := range m.Corrupt {
		v.removed(n, id)
		if len(v.urgent) < maxUrgent {
			v.urgent[id] = true
		}
	}
}

func (v *storeView) removed(n *storeNode, id checkpoint.ChunkID) {
	v.index.Remove(n.ref.ID, id)
	if n.listing {
		n.removed[id] = true
	}
}

// OnStoreReport takes in how a node's part of the store is.
func (v *storeView) OnStoreReport(ref checkpoint.NodeRef, m checkpoint.StoreReport) {
	if n := v.node(ref); n != nil {
		n.report = m
	}
}

const (
	// forgetEvery is how often that is forgotten which is of no use any more. forgetMin is how many chunks are worth it:
	// each look is one at every chunk.
	forgetEvery = 10 * time.Minute
	forgetMin   = 10_000
)

// forget forgets what is of no use any more, now and then.
func (v *storeView) forget(now time.Time) {
	if now.Sub(v.forgotten) >= forgetEvery {
		v.forgotten = now
		v.forgetRetries(now)
		v.forgetGone(now)
	}
}

// forgetGone forgets the chunks that nobody needs and only nodes hold that have gone. A node that comes back tells of
// its chunks anew.
func (v *storeView) forgetGone(now time.Time) {
	groups, chunks := make([]bool, v.index.NumGroups()), int64(0)
	for at, g := range v.index.Groups() {
		if living, _ := v.copies(g.Nodes, now); living == 0 {
			groups[at] = true
			chunks += int64(g.Chunks) - g.Needed.Chunks
		}
	}
	if chunks >= forgetMin {
		v.index.DropUnneeded(groups)
	}
}
