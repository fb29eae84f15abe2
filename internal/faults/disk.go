package faults

import (
	"cmp"
	"context"
	"path/filepath"
	"time"

	"cairn/checkpoint"
	"cairn/coordinator"
	"cairn/statestore"
	"cairn/statestore/custody"
)

// Keeping is how the nodes keep state, and the leader looks after it.
type Keeping struct {
	// Dir is a directory in which each node has one of its own for its part of the state store. Without it, the parts are in
	// memory.
	Dir string
	// Scrub is the time of a pass over a node's chunks; 0 means that there are none. It is for directories only.
	Scrub time.Duration
	// Timing and Repair are the coordinators'; their zero values mean those of all scenarios.
	Timing coordinator.Timing
	Repair coordinator.Repair
}

func (k Keeping) withDefaults() Keeping {
	k.Timing = cmp.Or(k.Timing, leaderTiming())
	k.Repair = cmp.Or(k.Repair, coordinator.DefaultRepair())
	return k
}

// disk is what a node keeps its part of the state store on. It outlives the processes of the node.
type disk struct {
	memory *statestore.Memory // nil when it is a directory
	dir    string
}

// diskOf returns a node's disk, which is made when there is none.
func (c *cluster) diskOf(id checkpoint.NodeID) disk {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, found := c.mu.disks[id]
	if found {
		return d
	}
	if c.keeping.Dir == "" {
		d.memory = statestore.NewMemory()
	} else {
		d.dir = filepath.Join(c.keeping.Dir, string(id))
	}
	c.mu.disks[id] = d
	return d
}

// openStore opens the part of the store that is on the node's disk, for this process. It returns who keeps it for the leader,
// and is told from now on what happens there.
func (c *cluster) openStore(n *node) (*custody.Custodian, error) {
	d, feed := c.diskOf(n.ref.ID), custody.NewFeed()
	cfg := custody.Config{
		Self: n.ref.ID, Feed: feed, Logger: c.log,
		Source: func(from checkpoint.NodeRef) custody.Source { return storePeer{storePeers{c, n.ref.ID}, from.ID} },
	}
	if d.memory != nil {
		d.memory.Watch(feed.Changed)
		n.store = statestore.NewSwept(d.memory)
		cfg.Store = n.store
		return custody.New(cfg)
	}
	changed := func(change statestore.Change) {
		if change.Kind == statestore.ChunkCorrupt {
			c.noteDamage(n.ref.ID, change.Ref.ID)
		}
		feed.Changed(change)
	}
	var err error
	if n.local, err = statestore.OpenLocal(d.dir, statestore.LocalOptions{Node: n.ref.ID, Logger: c.log, OnChange: changed}); err != nil {
		return nil, err
	}
	n.store = statestore.NewSwept(n.local)
	cfg.Store, cfg.Report = n.store, n.storeReport
	return custody.New(cfg)
}

// storeReport is what the node tells of its store.
func (n *node) storeReport() checkpoint.StoreReport {
	stats, _ := n.local.Stats() // what cannot be measured is not told
	return checkpoint.StoreReport{
		Path: string(n.ref.ID), Chunks: stats.Chunks, Bytes: stats.Bytes, StoredBytes: stats.StoredBytes, Quarantined: stats.Quarantined,
		Scrub: n.local.ScrubProgress(),
	}
}

// scrub reads the node's chunks again and again, until ctx is done.
func (c *cluster) scrub(ctx context.Context, n *node) {
	for ctx.Err() == nil {
		if err := n.local.Scrub(ctx, statestore.ScrubOptions{Interval: c.keeping.Scrub}); err != nil && ctx.Err() == nil {
			c.log.Warn("scrub ended", "node", n.ref.ID, "cause", err)
			return
		}
	}
}

// damagedCopy is a copy of a chunk that has failed its check.
type damagedCopy struct {
	node  checkpoint.NodeID
	chunk checkpoint.ChunkID
}

func (c *cluster) noteDamage(node checkpoint.NodeID, chunk checkpoint.ChunkID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.damaged[damagedCopy{node, chunk}] = true
}
