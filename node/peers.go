package node

import (
	"context"
	"time"

	"cairn/checkpoint"
	"cairn/membership"
	"cairn/statestore"
	"cairn/transport"
)

// Roster knows the members of the cluster; *membership.Gossip is one.
type Roster interface {
	Members() []membership.Member
}

// StorePeers offers the state store the task nodes that gossip calls alive, the one named in except left out.
// When those are fewer than needed, it offers the ones that gossip calls failed too: gossip may be mistaken, most
// of all in a process that was held still for a while and takes the others for dead. Taking its word there would
// mean to acknowledge state that is on one disk only.
func StorePeers(gossip Roster, dialer *transport.Dialer, except checkpoint.NodeID, needed int) statestore.Peers {
	return storePeers{gossip, dialer, except, needed}
}

type storePeers struct {
	gossip Roster
	dialer *transport.Dialer
	except checkpoint.NodeID
	needed int
}

func (p storePeers) Live() []statestore.PeerInfo {
	var alive, failed []statestore.PeerInfo
	for _, m := range p.gossip.Members() {
		if m.Role != membership.RoleNode || m.ID == p.except {
			continue
		}
		peer := p.dialer.Peer(m.RPCAddr)
		switch m.State {
		case membership.StateAlive:
			alive = append(alive, statestore.PeerInfo{ID: m.ID, Zone: m.Zone, Peer: storePeer{peer}})
		case membership.StateFailed:
			failed = append(failed, statestore.PeerInfo{ID: m.ID, Zone: m.Zone, Peer: doubtfulPeer{storePeer{peer}}})
		}
	}
	if len(alive) < p.needed {
		return append(alive, failed...)
	}
	return alive
}

// doubtLimit is how long a node that gossip calls failed is given to take or to give a chunk: enough for one that
// lives, and little for every checkpoint to wait for one that does not.
const doubtLimit = time.Second

// doubtfulPeer is a node that gossip calls failed.
type doubtfulPeer struct{ storePeer }

func (p doubtfulPeer) Put(ctx context.Context, ref checkpoint.ChunkRef, e statestore.Encoded) error {
	ctx, cancel := context.WithTimeout(ctx, doubtLimit)
	defer cancel()
	return p.storePeer.Put(ctx, ref, e)
}

func (p doubtfulPeer) Has(ctx context.Context, ref checkpoint.ChunkRef) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, doubtLimit)
	defer cancel()
	return p.storePeer.Has(ctx, ref)
}

func (p doubtfulPeer) Get(ctx context.Context, ref checkpoint.ChunkRef) (statestore.Encoded, error) {
	ctx, cancel := context.WithTimeout(ctx, doubtLimit)
	defer cancel()
	return p.storePeer.Get(ctx, ref)
}
