package statestore

import (
	"context"
	"slices"

	"cairn/checkpoint"
)

// Peer is the store of another node, as seen over the network. Its methods return when ctx is done, and keep no
// reference to data.
type Peer interface {
	// Put makes a chunk durable on the peer, which verifies it first. A nil error is the peer's word that a
	// power failure on its side will not lose the chunk.
	Put(ctx context.Context, ref checkpoint.ChunkRef, data []byte) error
	// Get returns a chunk of the peer. Its errors wrap ErrNotFound or ErrCorrupt where they apply; the
	// caller checks the bytes all the same.
	Get(ctx context.Context, ref checkpoint.ChunkRef) ([]byte, error)
	// Has reports whether the peer holds the chunk. A peer under sweeps takes the question for a wish to keep it.
	Has(ctx context.Context, ref checkpoint.ChunkRef) (bool, error)
}

// PeerInfo is one live node and its store.
type PeerInfo struct {
	ID   checkpoint.NodeID
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

func (p storePeer) Put(ctx context.Context, ref checkpoint.ChunkRef, data []byte) error {
	return p.store.Write(ctx, ref, data)
}

func (p storePeer) Get(ctx context.Context, ref checkpoint.ChunkRef) ([]byte, error) {
	return p.store.Get(ctx, ref)
}

func (p storePeer) Has(ctx context.Context, ref checkpoint.ChunkRef) (bool, error) {
	return p.store.Has(ctx, ref)
}

// candidates returns the live nodes other than self in the order in which they should hold the chunk.
func candidates(peers Peers, self checkpoint.NodeID, chunk checkpoint.ChunkID) []PeerInfo {
	live := slices.DeleteFunc(slices.Clone(peers.Live()), func(p PeerInfo) bool { return p.ID == self })
	byID := make(map[checkpoint.NodeID]PeerInfo, len(live))
	ids := make([]checkpoint.NodeID, 0, len(live))
	for _, p := range live {
		if _, twice := byID[p.ID]; !twice {
			ids = append(ids, p.ID)
		}
		byID[p.ID] = p
	}
	ordered := make([]PeerInfo, 0, len(ids))
	for _, id := range rendezvous(chunk, ids) {
		ordered = append(ordered, byID[id])
	}
	return ordered
}
