package node

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow"
	"cairn/internal/daemon"
	"cairn/statestore"
	"cairn/statestore/custody"
	"cairn/statestore/objectstore"
	"cairn/transport"
)

// ownStore is a node's part of the state store, or a store that it shares with all others, and what it does with it.
type ownStore struct {
	local     *statestore.Local   // nil for a shared store
	shared    string              // the name of a shared store
	swept     *statestore.Swept   // local or the shared store, as peers and coordinators use it
	tasks     dataflow.ChunkStore // the whole, as the node's tasks use it
	custodian *custody.Custodian  // keeps it for the leader
}

// openStore opens the store that is configured.
func openStore(cfg Config, endpoint *daemon.Endpoint, log *slog.Logger) (*ownStore, error) {
	if cfg.Store == NodesStore {
		return openLocalStore(cfg, endpoint, log)
	}
	return openSharedStore(cfg, endpoint, log)
}

// openLocalStore opens the store in the node's data directory, which is held until it is closed.
func openLocalStore(cfg Config, endpoint *daemon.Endpoint, log *slog.Logger) (*ownStore, error) {
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

// openTimeout bounds how long a node tries to use its shared store at start-up.
const openTimeout = time.Minute

// openSharedStore opens a store that the node shares with the others. Nothing is replicated: the tasks store there.
func openSharedStore(cfg Config, endpoint *daemon.Endpoint, log *slog.Logger) (*ownStore, error) {
	at, err := objectstore.Parse(cfg.Store)
	if err != nil {
		return nil, err
	}
	objects, err := objectstore.Open(at, log)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), openTimeout, fmt.Errorf("it did not answer within %s", openTimeout))
	defer cancel()
	shared, err := statestore.OpenShared(ctx, objects, statestore.SharedOptions{Node: endpoint.Self, Logger: log})
	if err != nil {
		return nil, err
	}
	s := &ownStore{shared: shared.Name(), swept: statestore.NewSwept(shared)}
	s.tasks = s.swept
	s.custodian, err = custody.New(custody.Config{
		Self: cfg.ID, Store: s.swept, Report: shared.Report, Source: ChunkSource(endpoint.Dialer), Logger: log,
	})
	return s, err
}

func (s *ownStore) close() error {
	if s.local == nil {
		return nil
	}
	return s.local.Close()
}

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
