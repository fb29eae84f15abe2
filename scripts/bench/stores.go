package main

import (
	"context"

	"cairn/checkpoint"
	"cairn/membership"
	"cairn/node"
	"cairn/statestore"
	"cairn/transport"
)

// ownStore is one node's part of the state store, on disk.
type ownStore struct {
	local *statestore.Local
	swept *statestore.Swept
}

func openStore(dir string) (*ownStore, error) {
	local, err := statestore.OpenLocal(dir, statestore.LocalOptions{})
	if err != nil {
		return nil, err
	}
	return &ownStore{local, statestore.NewSwept(local)}, nil
}

// alone is the store as the tasks of the only node use it: one replica.
func (s *ownStore) alone() *statestore.Replicated {
	return statestore.NewReplicated(s.swept, "n1", noPeers{}, statestore.Options{Replicas: 1})
}

// delete removes the chunks of a checkpoint that a newer one (nil for none) does not name, as is done with one that was
// subsumed: what is measured is not to fill the disk.
func (s *ownStore) delete(ctx context.Context, old, newer *taken) error {
	if old == nil {
		return nil
	}
	kept := make(map[checkpoint.ChunkID]bool)
	if newer != nil {
		for _, ref := range newer.chunks() {
			kept[ref.ID] = true
		}
	}
	var ids []checkpoint.ChunkID
	for _, ref := range old.chunks() {
		ids = append(ids, ref.ID)
	}
	_, _, err := s.local.Delete(ctx, ids, func(id checkpoint.ChunkID) bool { return kept[id] })
	return err
}

func (s *ownStore) close() error { return s.local.Close() }

type noPeers struct{}

func (noPeers) Live() []statestore.PeerInfo { return nil }

// roster is members that do not change.
type roster []membership.Member

func (r roster) Members() []membership.Member { return r }

// replicated is the store as the tasks of a node use it: a copy on this node, and one on another.
func (s *ownStore) replicated(self checkpoint.NodeID, members roster, dialer *transport.Dialer) *statestore.Replicated {
	replicas := min(len(members), statestore.DefaultOptions().Replicas)
	return statestore.NewReplicated(s.swept, self, node.StorePeers(members, dialer, self, replicas-1), statestore.Options{Replicas: replicas})
}
