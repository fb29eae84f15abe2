package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/coordinator"
	"cairn/internal/daemon"
	"cairn/membership"
	"cairn/node"
	"cairn/statestore"
	"cairn/transport"
)

// agentConfig is what a coordinator is told at start-up.
type agentConfig struct {
	daemon.EndpointConfig
	DataDir    string
	Raft       coordinator.RaftTiming
	Upkeep     coordinator.Upkeep
	Compaction coordinator.Compaction
	Timing     coordinator.Timing
	Repair     coordinator.Repair
	Replicas   int
}

func (c agentConfig) validate() error {
	if err := c.EndpointConfig.Validate(); err != nil {
		return err
	}
	switch {
	case c.DataDir == "":
		return errors.New("--data-dir is missing: name a directory for this coordinator's Raft files")
	case c.BootstrapExpect < 1:
		return fmt.Errorf("--bootstrap-expect %d: must be at least 1; 3 is usual", c.BootstrapExpect)
	case c.Replicas < 1:
		return fmt.Errorf("--replicas %d: must be at least 1", c.Replicas)
	}
	return cmp.Or(c.Raft.Validate(), c.Upkeep.Validate(), c.Compaction.Validate(), c.Repair.Validate())
}

const (
	// raftPool is how many idle connections Raft keeps to each peer.
	raftPool = 3
	// raftTimeout bounds Raft's reads and writes on a connection.
	raftTimeout = 10 * time.Second
)

// agent is a running coordinator: its ports, gossip, replica and services.
type agent struct {
	cfg         agentConfig
	log         *slog.Logger
	endpoint    *daemon.Endpoint
	server      *transport.Server
	coordinator *coordinator.Coordinator
}

// newAgent opens the coordinator's ports and its data directory. It takes part in nothing before run.
func newAgent(cfg agentConfig) (_ *agent, err error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	a := &agent{cfg: cfg, log: cfg.Logger.With("coordinator", cfg.ID)}
	if a.endpoint, err = daemon.OpenEndpoint(cfg.EndpointConfig); err != nil {
		return nil, err
	}
	if a.coordinator, err = a.openCoordinator(); err != nil {
		return nil, errors.Join(err, a.endpoint.Close())
	}
	a.server = transport.NewServer(transport.ServerOptions{
		Sessions: sessions{a.coordinator}, API: a.coordinator.Service(), Logger: a.log,
	})
	return a, nil
}

func (a *agent) openCoordinator() (*coordinator.Coordinator, error) {
	cfg := a.cfg
	if err := daemon.ClaimDataDir(cfg.DataDir, cfg.Role, cfg.ID); err != nil {
		return nil, err
	}
	stores, err := coordinator.OpenStores(cfg.DataDir, a.log)
	if err != nil {
		return nil, err
	}
	peers := node.StorePeers(a.endpoint.Gossip, a.endpoint.Dialer, "", cfg.Replicas)
	c, err := coordinator.New(
		coordinator.Config{
			ID: cfg.ID, Address: a.endpoint.Self.Address, BootstrapExpect: cfg.BootstrapExpect, Replicas: cfg.Replicas,
			Raft: cfg.Raft, Upkeep: cfg.Upkeep, Compaction: cfg.Compaction, Timing: cfg.Timing,
			Repair: cfg.Repair, Logger: cfg.Logger,
		},
		coordinator.Deps{
			Stores: stores,
			Transport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
				Stream: a.endpoint.Mux.Raft(), MaxPool: raftPool, Timeout: raftTimeout, Logger: coordinator.RaftLogger(a.log),
			}),
			Store: statestore.NewRemote(peers, statestore.Options{
				Replicas: cfg.Replicas, Logger: a.log, OnPut: node.WarnOfFewCopies(a.log),
			}),
			Forward:   a.forward,
			Forwarded: transport.Forwarded,
			Members:   a.members,
		})
	if err != nil {
		return nil, errors.Join(err, stores.Close())
	}
	return c, nil
}

// forward returns the client API of another coordinator, for calls that it may not forward again.
func (a *agent) forward(address string) api.Service {
	return transport.NewClient([]string{address}, transport.ClientOptions{Dialer: a.endpoint.Dialer, Forwarding: true})
}

// sessions hands the nodes' sessions to the coordinator, which has its own name for the stream.
type sessions struct{ coordinator *coordinator.Coordinator }

func (s sessions) ServeSession(ctx context.Context, hello checkpoint.Hello, stream transport.NodeSession) error {
	return s.coordinator.ServeSession(ctx, hello, stream)
}

// run serves until ctx is done, or until something it cannot do without fails. A stop hands leadership over
// first, and is seen by the others as leaving, not as failing.
func (a *agent) run(ctx context.Context) error {
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	var running, leading sync.WaitGroup
	start := func(group *sync.WaitGroup, ctx context.Context, what string, run func(context.Context) error) {
		group.Go(func() {
			if err := run(ctx); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("%s: %w", what, err))
			}
		})
	}
	coordinate, stopCoordinating := context.WithCancel(work)
	start(&leading, coordinate, "coordinator", a.coordinator.Run)
	start(&running, work, "server", func(context.Context) error { return a.server.Serve(a.endpoint.Mux.GRPC()) })
	start(&running, work, "gossip", a.endpoint.Gossip.Run)
	start(&running, work, "membership", a.follow)
	a.log.Info("coordinator is up", "address", a.endpoint.Self.Address, "gossip", a.endpoint.Gossip.LocalAddr(),
		"bootstrap_expect", a.cfg.BootstrapExpect, "data_dir", a.cfg.DataDir)

	select {
	case <-ctx.Done():
	case <-work.Done():
	}
	stopCoordinating()
	leading.Wait() // leadership is handed over while sessions and gossip still work
	if work.Err() == nil {
		a.endpoint.SayGoodbye()
	}
	cancel(nil)
	err := context.Cause(work)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	err = errors.Join(err, a.endpoint.CloseServer(a.server))
	running.Wait()
	return errors.Join(err, a.endpoint.Close())
}

// follow tells the coordinator what gossip says: who could form a cluster, and which nodes have gone.
func (a *agent) follow(ctx context.Context) error {
	select { // an ID that another process holds must not form a cluster
	case <-ctx.Done():
		return nil
	case <-a.endpoint.Gossip.Ready():
	}
	a.coordinator.SetPeers(a.peers())
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, open := <-a.endpoint.Gossip.Events():
			if !open {
				<-ctx.Done()
				return nil
			}
			m := event.Member
			switch {
			case m.Role == membership.RoleCoordinator:
				a.coordinator.SetPeers(a.peers())
			case m.State == membership.StateFailed:
				a.coordinator.NodeFailed(m.ID, m.Incarnation)
			case m.State == membership.StateLeft:
				a.coordinator.NodeLeft(m.ID, m.Incarnation)
			}
		}
	}
}

// peers returns the living coordinators, this one included.
func (a *agent) peers() []coordinator.Peer {
	var peers []coordinator.Peer
	for _, m := range a.endpoint.Gossip.Members() {
		if m.Role == membership.RoleCoordinator && m.State == membership.StateAlive {
			peers = append(peers, coordinator.Peer{ID: m.ID, Address: m.RPCAddr, BootstrapExpect: m.BootstrapExpect})
		}
	}
	return peers
}

func (a *agent) members() []api.Member {
	var members []api.Member
	for _, m := range a.endpoint.Gossip.Members() {
		members = append(members, api.Member{
			ID: string(m.ID), Role: string(m.Role), Address: m.RPCAddr, Gossip: m.GossipAddr, State: m.State.String(), Version: m.Version,
			Zone: m.Zone,
		})
	}
	slices.SortFunc(members, func(x, y api.Member) int {
		return strings.Compare(x.Role+"/"+x.ID, y.Role+"/"+y.ID)
	})
	return members
}
