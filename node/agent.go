package node

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/executor"
	"cairn/internal/version"
	"cairn/membership"
	"cairn/statestore"
	"cairn/transport"
)

// stopTimeout bounds each step of a graceful stop.
const stopTimeout = 3 * time.Second

// Agent is a running task node. Create one with New.
type Agent struct {
	cfg      Config
	log      *slog.Logger
	mux      *transport.Mux
	server   *transport.Server
	dialer   *transport.Dialer
	gossip   *membership.Gossip
	local    *statestore.Local
	executor *executor.Executor
}

// New opens the node's ports and its data directory. It takes part in nothing before Run; a node that does not
// get to run is released with Close.
func New(cfg Config) (_ *Agent, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a := &Agent{cfg: cfg, log: cfg.Logger.With("node", cfg.ID), dialer: transport.NewDialer(transport.DialerOptions{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	if a.mux, err = transport.Listen(cfg.Bind, transport.MuxOptions{Advertise: cfg.Advertise, Logger: a.log}); err != nil {
		return nil, err
	}
	if a.local, err = statestore.OpenLocal(cfg.DataDir, statestore.LocalOptions{Node: cfg.ID, Logger: a.log}); err != nil {
		return nil, err
	}
	self := checkpoint.NodeRef{ID: cfg.ID, Incarnation: newIncarnation(), Address: a.address()}
	if a.gossip, err = membership.New(a.gossipConfig(self)); err != nil {
		return nil, err
	}
	peers := StorePeers(a.gossip, a.dialer, cfg.ID, cfg.Replicas-1)
	store := statestore.NewReplicated(a.local, cfg.ID, peers, statestore.Options{Replicas: cfg.Replicas, Logger: a.log})
	a.executor, err = executor.New(executor.Config{
		Self: self, Slots: cfg.Slots, Version: version.Version, Registry: cfg.Registry,
		Store: store, Dialer: dialer{a.dialer}, OrphanTimeout: cfg.OrphanTimeout, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	a.server = transport.NewServer(transport.ServerOptions{
		Channels: channels{a.executor}, Chunks: chunks{a.local}, Logger: a.log,
	})
	return a, nil
}

// newIncarnation draws the number that tells this process from an earlier one of the same node.
func newIncarnation() checkpoint.Incarnation {
	var b [8]byte
	rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	return checkpoint.Incarnation(binary.BigEndian.Uint64(b[:]) | 1)
}

func (a *Agent) address() string {
	if a.cfg.Advertise != "" {
		return a.cfg.Advertise
	}
	return a.mux.Addr().String()
}

func (a *Agent) gossipConfig(self checkpoint.NodeRef) membership.Config {
	g := membership.DefaultConfig()
	g.Self = membership.Member{
		ID: self.ID, Role: membership.RoleNode, RPCAddr: self.Address, Incarnation: self.Incarnation, Version: version.Version,
	}
	g.BindAddr, g.Join, g.Logger = a.cfg.GossipBind, a.cfg.Join, a.log
	return g
}

// Run serves until ctx is done, or until something it cannot do without fails. It returns nil after a stop that
// ctx asked for.
func (a *Agent) Run(ctx context.Context) error {
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	start := func(what string, run func(context.Context) error) {
		running.Go(func() {
			if err := run(work); err != nil && work.Err() == nil {
				cancel(fmt.Errorf("%s: %w", what, err))
			}
		})
	}
	start("server", func(context.Context) error { return a.server.Serve(a.mux.GRPC()) })
	start("executor", a.executor.Run)
	start("gossip", a.gossip.Run)
	start("sessions", a.keepSessions)
	a.log.Info("node is up", "address", a.address(), "gossip", a.gossip.LocalAddr(), "slots", a.cfg.Slots,
		"data_dir", a.cfg.DataDir, "programs", a.cfg.Registry.Names())

	select {
	case <-ctx.Done():
		a.sayGoodbye()
	case <-work.Done():
	}
	cancel(nil)
	err := context.Cause(work)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	err = errors.Join(err, a.closeServer())
	running.Wait()
	return errors.Join(err, a.Close())
}

func (a *Agent) sayGoodbye() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := a.gossip.Leave(ctx); err != nil {
		a.log.Warn("others may take this stop for a failure", "cause", err)
	}
}

func (a *Agent) closeServer() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := a.server.Close(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// Close releases what New has opened. Run closes by itself.
func (a *Agent) Close() error {
	var err error
	if a.gossip != nil {
		err = errors.Join(err, a.gossip.Close())
	}
	err = errors.Join(err, a.dialer.Close())
	if a.mux != nil {
		err = errors.Join(err, a.mux.Close())
	}
	if a.local != nil {
		err = errors.Join(err, a.local.Close())
	}
	return err
}
