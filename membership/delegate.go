package membership

import (
	"time"

	"github.com/hashicorp/memberlist"
)

// delegate receives memberlist's callbacks. They run on memberlist's goroutines, most of them under its
// lock, so they only change the roster and return. Some can still come after Close; they do no harm.
type delegate struct{ g *Gossip }

var (
	_ memberlist.Delegate      = delegate{}
	_ memberlist.EventDelegate = delegate{}
	_ memberlist.AliveDelegate = delegate{}
	_ memberlist.MergeDelegate = delegate{}
)

// NotifyAlive refuses nodes that are not processes of Cairn or speak another version of the protocol.
// memberlist logs the error as a warning.
func (d delegate) NotifyAlive(n *memberlist.Node) error {
	_, err := memberOf(n)
	return err
}

// NotifyMerge refuses to join, or to be joined by, a cluster that NotifyAlive would refuse member by
// member: so that the side that joins gets the reason as an error instead of staying alone silently.
func (d delegate) NotifyMerge(peers []*memberlist.Node) error {
	for _, n := range peers {
		if n.State != memberlist.StateAlive {
			continue
		}
		if _, err := memberOf(n); err != nil {
			return err
		}
	}
	return nil
}

// NotifyJoin implements memberlist.EventDelegate.
func (d delegate) NotifyJoin(n *memberlist.Node) { d.alive(n) }

// NotifyUpdate implements memberlist.EventDelegate.
func (d delegate) NotifyUpdate(n *memberlist.Node) { d.alive(n) }

func (d delegate) alive(n *memberlist.Node) {
	m, err := memberOf(n)
	if err != nil {
		return // not reached: NotifyAlive has refused it
	}
	d.g.change(func(r *roster, now time.Time) []Event { return r.alive(m, now) })
}

// NotifyLeave implements memberlist.EventDelegate. A process that left deliberately has said so before.
func (d delegate) NotifyLeave(n *memberlist.Node) {
	p, err := parseProcess(n.Name)
	if err != nil {
		return // not reached: NotifyAlive has refused it
	}
	d.g.change(func(r *roster, now time.Time) []Event { return r.gone(p, StateFailed, now) })
}

// NodeMeta implements memberlist.Delegate. encodeMeta has made sure that the limit is kept.
func (d delegate) NodeMeta(int) []byte {
	d.g.mu.Lock()
	defer d.g.mu.Unlock()
	return d.g.mu.meta
}

// NotifyMsg implements memberlist.Delegate.
func (d delegate) NotifyMsg(b []byte) { d.g.receive(b) }

// GetBroadcasts implements memberlist.Delegate: there is nothing to broadcast.
func (d delegate) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState tells a member that this one synchronises with who has left: it may have missed the goodbye.
func (d delegate) LocalState(bool) []byte { return d.g.leftMessage() }

// MergeRemoteState implements memberlist.Delegate.
func (d delegate) MergeRemoteState(b []byte, _ bool) { d.g.receive(b) }
