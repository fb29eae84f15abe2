package statestore

import (
	"context"

	"cairn/checkpoint"
	"cairn/placement"
)

// Peer is the store of another node, as seen over the network. Chunks travel in the form in which they are stored. Its
// methods return when ctx is done, and keep no reference to the data that they are given.
type Peer interface {
	// Put makes a chunk durable on the peer, which verifies it first. A nil error is the peer's word that a
	// power failure on its side will not lose the chunk.
	Put(ctx context.Context, ref checkpoint.ChunkRef, e Encoded) error
	// Get returns a chunk of the peer. Its errors wrap ErrNotFound or ErrCorrupt where they apply; the
	// caller checks the content all the same, with Encoded.Decode. The data belongs to the caller.
	Get(ctx context.Context, ref checkpoint.ChunkRef) (Encoded, error)
	// Has reports whether the peer holds the chunk. A peer under sweeps takes the question for a wish to keep it.
	Has(ctx context.Context, ref checkpoint.ChunkRef) (bool, error)
}

// PeerInfo is one live node and its store.
type PeerInfo struct {
	ID   checkpoint.NodeID
	Zone string // see placement.Node
	Peer Peer
}

// Peers knows which task nodes are live. It is safe for concurrent use and does not block.
type Peers interface {
	// Live returns the task nodes that are live now, each once, in any order; the node that asks need not be
	// left out.
	Live() []PeerInfo
}

// AsPeer makes a store in this process look like a peer.
func AsPeer(s Store) Peer { return storePeer{s} }

type storePeer struct{ store Store }

func (p storePeer) Put(ctx context.Context, ref checkpoint.ChunkRef, e Encoded) error {
	if s, ok := p.store.(EncodedStore); ok {
		return s.WriteEncoded(ctx, ref, e)
	}
	data, err := e.Decode(ref)
	if err != nil {
		return err
	}
	return p.store.Write(ctx, ref, data)
}

func (p storePeer) Get(ctx context.Context, ref checkpoint.ChunkRef) (Encoded, error) {
	if s, ok := p.store.(EncodedStore); ok {
		return s.GetEncoded(ctx, ref)
	}
	data, err := p.store.Get(ctx, ref)
	return Encoded{Data: data}, err
}

func (p storePeer) Has(ctx context.Context, ref checkpoint.ChunkRef) (bool, error) {
	return p.store.Has(ctx, ref)
}

// candidates returns the live nodes other than self in the order in which they should hold the chunk, of which self, when
// there is one, holds the first copy.
func candidates(peers Peers, self placement.Node, chunk checkpoint.ChunkID) []PeerInfo {
	byID := make(map[checkpoint.NodeID]PeerInfo)
	var live, holders []placement.Node
	for _, p := range peers.Live() {
		if _, twice := byID[p.ID]; !twice && p.ID != self.ID {
			live = append(live, placement.Node{ID: p.ID, Zone: p.Zone})
		}
		byID[p.ID] = p
	}
	if self.ID != "" {
		holders = []placement.Node{self}
	}
	ordered := make([]PeerInfo, 0, len(live))
	for _, n := range placement.Order(chunk, live, holders) {
		ordered = append(ordered, byID[n.ID])
	}
	return ordered
}
