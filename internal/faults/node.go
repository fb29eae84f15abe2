package faults

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/executor"
	"cairn/statestore"
)

// orphanTimeout is how long tasks go on that hear of no leader.
const orphanTimeout = 2 * time.Second

// node is one process of a task node.
type node struct {
	*executor.Executor
	ref     checkpoint.NodeRef
	store   *statestore.Swept // its own part of the state store
	local   *statestore.Local // which is that, on a disk that is real
	dead    atomic.Bool
	cancel  context.CancelFunc
	stopped chan struct{} // closed when everything of the executor has ended
}

// startNode starts a process on the node's disk, which is made when there is none.
func (c *cluster) startNode(id checkpoint.NodeID) error {
	c.mu.Lock()
	c.mu.processes++
	ref := checkpoint.NodeRef{ID: id, Incarnation: c.mu.processes, Address: string(id)}
	c.mu.Unlock()

	workDir := filepath.Join(c.workDir, string(id))
	if err := os.RemoveAll(workDir); err != nil { // what the process before has left
		return err
	}
	n := &node{ref: ref, stopped: make(chan struct{})}
	custodian, err := c.openStore(n)
	if err != nil {
		return fmt.Errorf("node %s: %w", id, err)
	}
	options := storeOptions(c.log)
	options.Locator = custodian
	n.Executor, err = executor.New(executor.Config{
		Self: ref, Slots: c.slots, Registry: c.registry, Sweeper: n.store, Custodian: custodian, Dialer: dialer{c, id},
		OrphanTimeout: orphanTimeout, Logger: c.log, Rows: c.rows, WorkDir: workDir,
		Store: heldStore{statestore.NewReplicated(n.store, id, storePeers{c, id}, options), &c.hold},
	})
	if err != nil {
		return fmt.Errorf("node %s: %w", id, err)
	}
	var ctx context.Context
	ctx, n.cancel = context.WithCancel(context.Background())
	c.mu.Lock()
	c.mu.nodes[id] = n
	c.mu.Unlock()
	c.running.Go(func() {
		defer close(n.stopped)
		if err := n.Run(ctx); err != nil {
			c.log.Warn("executor ended", "node", id, "cause", err)
		}
	})
	if n.local != nil && c.keeping.Scrub > 0 {
		c.running.Go(func() { c.scrub(ctx, n) })
	}
	for _, coord := range coordinatorIDs {
		c.running.Go(func() { c.keepSession(ctx, n, coord) })
	}
	return nil
}

// killNode ends a process: its connections break, then it stops. It returns when its tasks have ended.
func (c *cluster) killNode(id checkpoint.NodeID) bool {
	c.mu.Lock()
	n := c.mu.nodes[id]
	delete(c.mu.nodes, id)
	c.mu.Unlock()
	if n == nil {
		return false
	}
	n.dead.Store(true)
	c.links.breakOf(id, errDown)
	n.cancel() // the sessions end, too
	<-n.stopped
	if n.local != nil {
		if err := n.local.Close(); err != nil {
			c.log.Warn("store not closed", "node", id, "cause", err)
		}
	}
	return true
}

// aliveNodes returns the nodes that have a process, in order.
func (c *cluster) aliveNodes() []checkpoint.NodeID {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Sorted(maps.Keys(c.mu.nodes))
}

// nodeOf returns the process of that name, nil while there is none.
func (c *cluster) nodeOf(id checkpoint.NodeID) *node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.nodes[id]
}
