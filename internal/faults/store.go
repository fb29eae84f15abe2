package faults

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"cairn/checkpoint"
	"cairn/statestore"
)

// storeReplicas is how many nodes hold each chunk.
const storeReplicas = 2

func storeOptions(log *slog.Logger) statestore.Options {
	return statestore.Options{Replicas: storeReplicas, PutTimeout: 500 * time.Millisecond, GetTimeout: 500 * time.Millisecond, Logger: log}
}

// storePeers are the nodes' stores, as one process reaches them.
type storePeers struct {
	c    *cluster
	self checkpoint.NodeID
}

var _ statestore.Peers = storePeers{}

// Live returns all nodes that have a process. One that is cut off is among them: gossip would take its time to notice.
func (p storePeers) Live() []statestore.PeerInfo {
	p.c.mu.Lock()
	defer p.c.mu.Unlock()
	var live []statestore.PeerInfo
	for id := range p.c.mu.nodes {
		live = append(live, statestore.PeerInfo{ID: id, Peer: storePeer{p, id}})
	}
	return live
}

// storePeer is the store of another node.
type storePeer struct {
	storePeers
	id checkpoint.NodeID
}

var _ statestore.Peer = storePeer{}

// reach returns the node's store when the network has carried the question, and as soon as it would carry the answer.
func (p storePeer) reach(ctx context.Context) (statestore.Peer, error) {
	if err := p.c.network.carry(ctx, p.self, p.id); err != nil {
		return nil, err
	}
	n := p.c.nodeOf(p.id)
	if n == nil {
		return nil, errDown
	}
	return statestore.AsPeer(n.store), nil
}

func (p storePeer) Put(ctx context.Context, ref checkpoint.ChunkRef, e statestore.Encoded) error {
	peer, err := p.reach(ctx)
	if err != nil {
		return err
	}
	p.c.moments.come(Event{Moment: Storing, Node: p.id})
	return peer.Put(ctx, ref, e)
}

func (p storePeer) Get(ctx context.Context, ref checkpoint.ChunkRef) (statestore.Encoded, error) {
	peer, err := p.reach(ctx)
	if err != nil {
		return statestore.Encoded{}, err
	}
	return peer.Get(ctx, ref)
}

func (p storePeer) Has(ctx context.Context, ref checkpoint.ChunkRef) (bool, error) {
	peer, err := p.reach(ctx)
	if err != nil {
		return false, err
	}
	return peer.Has(ctx, ref)
}

// hold keeps the tasks' snapshots from being stored, from time to time.
type hold struct {
	mu   sync.Mutex
	held chan struct{} // nil while nothing is held up
}

// set holds up everything from now on, until release is called.
func (h *hold) set() (release func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := make(chan struct{})
	h.held = held
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.held = nil
		close(held)
	}
}

func (h *hold) wait(ctx context.Context) error {
	h.mu.Lock()
	held := h.held
	h.mu.Unlock()
	if held == nil {
		return nil
	}
	select {
	case <-held:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// heldStore is a node's state store as its tasks see it.
type heldStore struct {
	*statestore.Replicated
	hold *hold
}

func (s heldStore) Put(ctx context.Context, data []byte) (checkpoint.ChunkRef, error) {
	if err := s.hold.wait(ctx); err != nil {
		return checkpoint.ChunkRef{}, err
	}
	return s.Replicated.Put(ctx, data)
}
