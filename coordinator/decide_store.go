package coordinator

import (
	"fmt"
	"slices"
	"time"

	"cairn/checkpoint"
	"cairn/placement"
)

// storeAction is something that the storekeeper has to do.
type storeAction interface {
	storeAction()
	String() string
}

// orderCopies tells a node to copy chunks.
type orderCopies struct {
	Node   checkpoint.NodeRef
	Order  uint64
	Copies []checkpoint.ChunkCopy
}

// readManifest reads a manifest, to know what it names.
type readManifest struct{ Manifest checkpoint.ChunkRef }

func (orderCopies) storeAction()  {}
func (readManifest) storeAction() {}

func (a orderCopies) String() string {
	return fmt.Sprintf("order %s to copy %d chunks", a.Node.ID, len(a.Copies))
}
func (a readManifest) String() string { return fmt.Sprintf("read manifest %s", a.Manifest.ID) }

// decideStore returns what the storekeeper has to do at time now: read manifests that it does not know, and have the
// chunks of the queue copied (see survey), the most endangered first. It is pure, and asked twice it answers the same.
//
// Copying deletes nothing. So an order that is based on what is not true any more, or comes from a leader that has been
// deposed, costs room on a disk and nothing else (I5, I11).
func decideStore(v *storeView, now time.Time) []storeAction {
	actions := v.readManifests(now)
	for _, a := range v.planCopies(now) {
		actions = append(actions, a)
	}
	return actions
}

func (v *storeView) readManifests(now time.Time) []storeAction {
	var actions []storeAction
	for _, n := range v.names.unread {
		if v.names.reading+len(actions) >= maxReading {
			break
		}
		if !n.reading && !now.Before(n.retryAt) {
			actions = append(actions, readManifest{n.ref})
		}
	}
	return actions
}

// planCopies turns as much of the queue into orders as the rate lets through now, one order for each node.
func (v *storeView) planCopies(now time.Time) []orderCopies {
	left := v.bucket.available(now)
	if len(v.queue) == 0 || left <= 0 {
		return nil
	}
	p := copyPlan{
		view: v, now: now, targets: v.targets(now), orders: make(map[checkpoint.NodeID]*plannedOrder), hopeless: make(map[int]bool),
	}
	p.free = len(p.targets)
	for _, n := range p.targets {
		p.orders[n.ref.ID] = new(plannedOrder)
		if n.orders >= ordersPerNode {
			p.close(n)
		}
	}
	for _, e := range v.queue {
		if left <= 0 || p.free == 0 {
			break
		}
		left -= float64(p.add(e))
	}
	var orders []orderCopies
	for _, n := range p.targets {
		if copies := p.orders[n.ref.ID].copies; len(copies) > 0 {
			orders = append(orders, orderCopies{n.ref, v.lastOrder + uint64(len(orders)) + 1, copies})
		}
	}
	return orders
}

// copyPlan is the work sheet of planCopies.
type copyPlan struct {
	view    *storeView
	now     time.Time
	targets []*storeNode
	orders  map[checkpoint.NodeID]*plannedOrder
	free    int // targets that can be given more
	// hopeless are the groups of chunks for which no target is left: those who do not have them are given no more. Most often
	// that is so of the whole queue, while orders are carried out, and then it must cost next to nothing to find out.
	hopeless map[int]bool
}

// plannedOrder is what a node is to be told.
type plannedOrder struct {
	copies []checkpoint.ChunkCopy
	bytes  int64
	closed bool // it is given no more now
}

func (p *copyPlan) close(n *storeNode) {
	if o := p.orders[n.ref.ID]; !o.closed {
		o.closed = true
		p.free--
	}
}

// add plans a copy of a chunk, where one is still wanted and the node that it belongs on can take it now. It returns the
// bytes of it.
func (p *copyPlan) add(e endangered) int64 {
	v, c := p.view, p.view.index.Chunk(e.chunk)
	if !c.Judged || p.hopeless[c.Group] || !v.mayCopy(c.Ref.ID, p.now) {
		return 0
	}
	holders := v.index.Holders(c.Ref.ID)
	if !p.somebodyFor(holders) {
		p.hopeless[c.Group] = true
		return 0
	}
	if _, wanting := v.wanting(holders, p.targets, p.now); !wanting {
		return 0
	}
	n := p.target(c.Ref, holders)
	if n == nil || p.orders[n.ref.ID].closed {
		return 0 // its turn comes: elsewhere it would have to be moved one day
	}
	from := v.sources(c.Ref.ID, holders)
	if len(from) == 0 {
		return 0
	}
	o := p.orders[n.ref.ID]
	o.copies = append(o.copies, checkpoint.ChunkCopy{Chunk: c.Ref, From: from})
	if o.bytes += c.Ref.Size; len(o.copies) >= copiesPerOrder || o.bytes >= bytesPerOrder {
		p.close(n)
	}
	return c.Ref.Size
}

// somebodyFor reports whether a node can be given more that is not among the holders.
func (p *copyPlan) somebodyFor(holders []checkpoint.NodeID) bool {
	return slices.ContainsFunc(p.targets, func(n *storeNode) bool {
		return !p.orders[n.ref.ID].closed && !slices.Contains(holders, n.ref.ID)
	})
}

// target returns the node on which the next copy of a chunk belongs, nil for none. A drained node is taken when there is
// no other, and one that has failed at it when all others have as well: no number of bad disks keeps a chunk from a good one.
func (p *copyPlan) target(chunk checkpoint.ChunkRef, holders []checkpoint.NodeID) *storeNode {
	var places, drained []placement.Node
	for _, n := range p.targets {
		if slices.Contains(holders, n.ref.ID) || !n.hasRoom(p.orders[n.ref.ID].bytes+chunk.Size) {
			continue
		}
		place := placement.Node{ID: n.ref.ID, Zone: n.zone}
		if n.drained {
			drained = append(drained, place)
		} else {
			places = append(places, place)
		}
	}
	if len(places) == 0 {
		places = drained
	}
	if len(places) == 0 {
		return nil
	}
	ordered := placement.Order(chunk.ID, places, p.view.places(holders))
	failed := p.view.retries[chunk.ID].failed
	next := slices.IndexFunc(ordered, func(n placement.Node) bool { return !slices.Contains(failed, n.ID) })
	return p.view.nodes[ordered[max(0, next)].ID]
}

// places returns those of the nodes that may have a copy in the end.
func (v *storeView) places(ids []checkpoint.NodeID) []placement.Node {
	var places []placement.Node
	for _, id := range ids {
		if n := v.nodes[id]; n != nil && n.lives() {
			places = append(places, placement.Node{ID: id, Zone: n.zone})
		}
	}
	return places
}

// sources returns the nodes from which a chunk can be fetched, in an order that spreads the load over them.
func (v *storeView) sources(chunk checkpoint.ChunkID, holders []checkpoint.NodeID) []checkpoint.NodeRef {
	var refs []checkpoint.NodeRef
	for _, place := range placement.Order(chunk, v.places(holders), nil) {
		refs = append(refs, v.nodes[place.ID].ref)
	}
	return refs
}
