package coordinator

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"cairn/checkpoint"
)

const (
	// copiesPerOrder and bytesPerOrder bound one order, ordersPerNode those that a node has not answered.
	copiesPerOrder = 256
	bytesPerOrder  = 64 << 20
	ordersPerNode  = 2
	// copyAnswer is how long a node may take over an order.
	copyAnswer = 2 * time.Minute
	// copyPause is the pause before a chunk that could not be copied is tried again, and copyPauseMost what it grows to.
	copyPause, copyPauseMost = 10 * time.Second, 10 * time.Minute
	// nodePause is for how long a node is given no orders that has failed a whole one.
	nodePause = 30 * time.Second
	// roomLeft is the space that is left on a node's disk for what its own tasks store.
	roomLeft = 256 << 20
)

// copyOrder is an order that a node has not answered.
type copyOrder struct {
	node    checkpoint.NodeRef
	at      time.Time
	pending map[checkpoint.ChunkID]checkpoint.ChunkRef
	bytes   int64
}

// copyRetry says how often a chunk could not be copied, and when it may be tried again.
type copyRetry struct {
	tries  int
	at     time.Time
	failed []checkpoint.NodeID // since all had their turn
}

// OnCopiesOrdered records that an order is sent.
func (v *storeView) OnCopiesOrdered(a orderCopies, now time.Time) {
	o := &copyOrder{node: a.Node, at: now, pending: make(map[checkpoint.ChunkID]checkpoint.ChunkRef)}
	v.lastOrder = a.Order
	for _, c := range a.Copies {
		o.pending[c.Chunk.ID] = c.Chunk
		o.bytes += c.Chunk.Size
		v.copying[c.Chunk.ID] = a.Order
	}
	v.orders[a.Order] = o
	n := v.nodes[a.Node.ID]
	n.orders++
	n.bytes += o.bytes
	v.bucket.take(o.bytes, now)
	v.queue = slices.DeleteFunc(v.queue, func(e endangered) bool {
		return v.copying[v.index.Chunk(e.chunk).Ref.ID] != 0
	})
}

// copyFailure says why an order, or a part of it, came to nothing: for the log.
type copyFailure struct {
	node   checkpoint.NodeID
	copies int
	cause  string
}

// OnChunksCopied takes in the answer to an order.
func (v *storeView) OnChunksCopied(ref checkpoint.NodeRef, m checkpoint.ChunksCopied, now time.Time) {
	o, n := v.orders[m.Order], v.node(ref)
	if o == nil || n == nil || o.node.ID != ref.ID || o.node.Incarnation != ref.Incarnation {
		return
	}
	for _, id := range m.Copied {
		chunk, asked := o.pending[id]
		if !asked {
			continue
		}
		v.index.Add(ref.ID, chunk)
		delete(o.pending, id)
		delete(v.copying, id)
		delete(v.retries, id)
	}
	cause := "no reason was given"
	for _, f := range m.Failed {
		if _, asked := o.pending[f.Chunk]; asked {
			cause = fmt.Sprintf("chunk %s: %s", f.Chunk, f.Error)
		}
	}
	if len(o.pending) > 0 && len(m.Copied) == 0 {
		n.paused = now.Add(nodePause)
	}
	v.endOrder(m.Order, cause, now)
}

// endOrder forgets an order. What of it was not copied is planned again after a pause.
func (v *storeView) endOrder(number uint64, cause string, now time.Time) {
	o := v.orders[number]
	delete(v.orders, number)
	if n := v.node(o.node); n != nil {
		n.orders--
		n.bytes -= o.bytes
	}
	for id := range o.pending {
		delete(v.copying, id)
		r := v.retries[id]
		if r.tries++; slices.Contains(r.failed, o.node.ID) {
			r.failed = nil // all have failed: from the beginning
		}
		r.failed = append(slices.Clip(r.failed), o.node.ID)
		r.at = now.Add(doubled(copyPause, copyPauseMost, r.tries))
		v.retries[id] = r
	}
	if len(o.pending) > 0 {
		v.failures = append(v.failures, copyFailure{node: o.node.ID, copies: len(o.pending), cause: cause})
	}
}

// dropOrders ends the orders of a node that will not answer them.
func (v *storeView) dropOrders(n *storeNode, cause string, now time.Time) {
	for _, number := range slices.Sorted(maps.Keys(v.orders)) {
		if v.orders[number].node.ID == n.ref.ID {
			v.endOrder(number, cause, now)
		}
	}
}

// expireOrders ends the orders that were not answered in time.
func (v *storeView) expireOrders(now time.Time) {
	for _, number := range slices.Sorted(maps.Keys(v.orders)) {
		if o := v.orders[number]; now.Sub(o.at) > copyAnswer {
			v.nodes[o.node.ID].paused = now.Add(nodePause)
			v.endOrder(number, "no answer within "+copyAnswer.String(), now)
		}
	}
}

// forgetRetries forgets the tries of chunks that have had their turn long ago: they were copied, or nobody needs them.
func (v *storeView) forgetRetries(now time.Time) {
	for id, r := range v.retries {
		if now.Sub(r.at) > copyPauseMost {
			delete(v.retries, id)
		}
	}
}

// mayCopy reports whether a chunk is not being copied, nor waiting to be tried again.
func (v *storeView) mayCopy(id checkpoint.ChunkID, now time.Time) bool {
	if v.copying[id] != 0 {
		return false
	}
	return !now.Before(v.retries[id].at)
}

// targets returns the nodes that may be told to copy chunks, ordered by ID.
func (v *storeView) targets(now time.Time) []*storeNode {
	var nodes []*storeNode
	for _, n := range v.order {
		if n.obeys() && !now.Before(n.paused) && n.hasRoom(0) {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// hasRoom reports whether a node can take more bytes, as far as it has told.
func (n *storeNode) hasRoom(bytes int64) bool {
	return n.report.TotalBytes == 0 || n.report.FreeBytes-n.bytes-bytes > roomLeft
}
