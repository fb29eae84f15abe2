package node

import (
	"log/slog"

	"cairn/checkpoint"
	"cairn/internal/daemon"
	"cairn/statestore"
	"cairn/statestore/custody"
	"cairn/transport"
)

// ownStore is a node's part of the state store, and what it does with it.
type ownStore struct {
	local     *statestore.Local
	swept     *statestore.Swept      // local, as peers and coordinators use it
	tasks     *statestore.Replicated // the whole, as the node's tasks use it
	custodian *custody.Custodian     // keeps local for the leader
}

// openStore opens the store in the node's data directory, which is held until it is closed.
func openStore(cfg Config, endpoint *daemon.Endpoint, log *slog.Logger) (*ownStore, error) {
	feed := custody.NewFeed()
	local, err := statestore.OpenLocal(cfg.DataDir, statestore.LocalOptions{Node: cfg.ID, Logger: log, OnChange: feed.Changed})
	if err != nil {
		return nil, err
	}
	s := &ownStore{local: local, swept: statestore.NewSwept(local)}
	s.custodian, err = custody.New(custody.Config{
		Self: cfg.ID, Store: s.swept, Feed: feed, Report: reportOf(cfg.DataDir, local, log), Source: ChunkSource(endpoint.Dialer), Logger: log,
	})
	if err != nil {
		return s, err
	}
	peers := StorePeers(endpoint.Gossip, endpoint.Dialer, cfg.ID, cfg.Replicas-1)
	s.tasks = statestore.NewReplicated(s.swept, cfg.ID, peers, statestore.Options{
		Replicas: cfg.Replicas, Zone: cfg.Zone, Locator: s.custodian, Logger: log, OnPut: WarnOfFewCopies(log),
	})
	return s, nil
}

func (s *ownStore) close() error { return s.local.Close() }

// ChunkSource returns where a custodian fetches chunks: the stores of the nodes that the leader names.
func ChunkSource(dialer *transport.Dialer) func(checkpoint.NodeRef) custody.Source {
	return func(n checkpoint.NodeRef) custody.Source { return storePeer{dialer.Peer(n.Address)} }
}

// reportOf returns a function that says how a store is.
func reportOf(path string, local *statestore.Local, log *slog.Logger) func() checkpoint.StoreReport {
	return func() checkpoint.StoreReport {
		stats, err := local.Stats()
		if err != nil {
			log.Warn("the state store cannot be measured", "cause", err)
		}
		return checkpoint.StoreReport{
			Path: path, Chunks: stats.Chunks, Bytes: stats.Bytes, StoredBytes: stats.StoredBytes,
			FreeBytes: stats.FreeBytes, TotalBytes: stats.TotalBytes, Quarantined: stats.Quarantined,
			Scrub: local.ScrubProgress(),
		}
	}
}
