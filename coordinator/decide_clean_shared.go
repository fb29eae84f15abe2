package coordinator

import (
	"slices"
	"time"

	"cairn/checkpoint"
)

// What is in a shared store no node has an inventory of: one of those that use it is asked to list it. Each process
// deletes the objects that are its own. For those who have ended somebody else has to.

// sharedListing is a list of a shared store under way.
type sharedListing struct {
	stores  []string // that are still to be listed, the present one first
	node    checkpoint.NodeRef
	request uint64    // 0 while nobody is asked
	since   time.Time // when it last came on
	tried   []checkpoint.NodeRef
	chunks  []checkpoint.ChunkID
	owners  []checkpoint.NodeRef
}

// listNextStore goes on with the next shared store. When none is left the list is complete.
func (v *View) listNextStore() {
	f := &v.cleaning.full
	if f.phase = listShared; len(f.shared.stores) > 0 {
		return
	}
	f.phase, f.held.shared, f.owners = listReady, f.shared.chunks, f.shared.owners
	f.shared = sharedListing{}
}

// listShared asks a node for the list of the present store, and another one when it is gone or does not go on.
func (d *decision) listShared() {
	s := &d.view.cleaning.full.shared
	if s.request != 0 && d.view.lists(s.node, d.now) && d.now.Sub(s.since) <= d.view.Timing.SweepAnswer {
		return
	}
	for _, n := range d.view.sweepers(d.now) {
		asked := slices.Contains(s.tried, n.ref)
		if n.sharedStore == s.stores[0] && !asked {
			d.do(ListShared{Node: n.ref, Request: d.view.cleaning.full.request + 1})
			return
		}
	}
	d.do(ListShared{})
}

// lists reports whether a process that was asked for a list is still here.
func (v *View) lists(ref checkpoint.NodeRef, now time.Time) bool {
	n := v.nodes[ref.ID]
	return n != nil && n.ref == ref && n.reported && v.stateOf(n, now) == nodeAlive
}

// OnListingShared records that a node is asked for the list of a shared store, or that nobody is left who could be.
func (v *View) OnListingShared(a ListShared, now time.Time) {
	f := &v.cleaning.full
	if a.Request == 0 {
		v.listFailed(now)
		return
	}
	f.request = a.Request
	f.shared.node, f.shared.request, f.shared.since = a.Node, a.Request, now
	f.shared.tried = append(f.shared.tried, a.Node)
}

// onSharedPiece takes in a piece of a shared store's list. Pieces arrive in order, or not at all. What a node has listed
// that did not come to the end is there all the same.
func (v *View) onSharedPiece(id checkpoint.NodeID, m checkpoint.Inventory, now time.Time) {
	f := &v.cleaning.full
	s := &f.shared
	if f.phase != listShared || s.request != m.Request || s.node.ID != id {
		return
	}
	s.since = now
	for _, ref := range m.Chunks {
		s.chunks = append(s.chunks, ref.ID)
	}
	if m.Last {
		s.owners = append(s.owners, m.Owners...)
		s.stores, s.tried, s.request = s.stores[1:], nil, 0
		v.listNextStore()
	}
}

// takeOwners decides, before the first mark, who deletes on whose behalf in shared stores.
func (v *View) takeOwners(now time.Time) {
	c := &v.cleaning
	c.live, c.gone = nil, nil
	var suspect []checkpoint.NodeRef
	for _, n := range v.order {
		switch {
		case n.sharedStore == "":
		case n.reported && v.stateOf(n, now) == nodeAlive:
			c.live = append(c.live, n.ref)
		case v.stateOf(n, now) == nodeAlive, v.stateOf(n, now) == nodeSuspect:
			suspect = append(suspect, n.ref)
		}
	}
	if c.live = append(c.live, suspect...); len(c.live) == 0 {
		return
	}
	for _, owner := range c.full.owners {
		if v.hasEnded(owner, now) && !slices.Contains(c.gone, owner) {
			c.gone = append(c.gone, owner)
		}
	}
}

// hasEnded reports whether a process that owns objects has ended, as far as anybody can tell: it has said goodbye, another
// process of its node is here, or nobody has seen it for long. When it lives all the same nothing is lost, since the store
// fences it before anything of it is deleted; but from then on it has to store all anew.
func (v *View) hasEnded(owner checkpoint.NodeRef, now time.Time) bool {
	n := v.nodes[owner.ID]
	if n == nil {
		return now.Sub(v.Since) > v.Timing.OwnerGone
	}
	switch v.stateOf(n, now) {
	case nodeAlive:
		return n.reported && n.ref.Incarnation != owner.Incarnation
	case nodeLost: // the process that was seen last, and those before it
		return now.Sub(n.heardAt) > v.Timing.OwnerGone
	case nodeLeft:
		return true
	}
	return false
}
