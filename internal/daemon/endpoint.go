package daemon

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"cairn/checkpoint"
	"cairn/internal/version"
	"cairn/membership"
	"cairn/transport"
)

// EndpointConfig says where a daemon is reached and how it finds the others.
type EndpointConfig struct {
	ID         checkpoint.NodeID
	Role       membership.Role
	Bind       string   // host:port of RPC; port 0 picks one
	Advertise  string   // host:port at which others reach Bind, where it differs
	GossipBind string   // host:port of gossip, UDP and TCP; port 0 picks one
	Join       []string // gossip addresses of other members
	// Zone is what a task node fails together with; empty when it was told none.
	Zone string
	// BootstrapExpect is how many coordinators form a new cluster; 0 for task nodes.
	BootstrapExpect int
	Logger          *slog.Logger
}

// Validate returns an error that names the first flag with a value that is not allowed, and what is.
func (c EndpointConfig) Validate() error {
	if err := checkID(string(c.ID)); err != nil {
		return err
	}
	if err := checkAddress("bind", c.Bind, "127.0.0.1:7480"); err != nil {
		return err
	}
	if c.Advertise == "" && !names(c.Bind) {
		return fmt.Errorf("--bind %s listens on all addresses of this host: say with --advertise HOST:PORT at which one others reach it", c.Bind)
	}
	if c.Advertise != "" {
		if err := checkAddress("advertise", c.Advertise, "10.0.0.1:7480"); err != nil {
			return err
		}
	}
	if err := checkAddress("gossip-bind", c.GossipBind, "127.0.0.1:7481"); err != nil {
		return err
	}
	for _, addr := range c.Join {
		if err := checkAddress("join", addr, "10.0.0.2:7481"); err != nil {
			return err
		}
	}
	if c.Zone != "" {
		if err := membership.ValidateZone(c.Zone); err != nil {
			return fmt.Errorf("--zone: %w", err)
		}
	}
	return nil
}

// Endpoint is a daemon's ports: the one for RPC, the way out to others, and gossip.
type Endpoint struct {
	Self   checkpoint.NodeRef // with a new incarnation
	Mux    *transport.Mux
	Dialer *transport.Dialer
	Gossip *membership.Gossip

	log *slog.Logger
}

// OpenEndpoint binds the ports. It takes part in gossip only when Gossip.Run is called.
func OpenEndpoint(cfg EndpointConfig) (*Endpoint, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	log := cfg.Logger.With(string(cfg.Role), cfg.ID)
	mux, err := transport.Listen(cfg.Bind, transport.MuxOptions{Advertise: cfg.Advertise, Logger: log})
	if err != nil {
		return nil, err
	}
	e := &Endpoint{
		Self: checkpoint.NodeRef{ID: cfg.ID, Incarnation: newIncarnation(), Address: mux.Addr().String()},
		Mux:  mux, Dialer: transport.NewDialer(transport.DialerOptions{}), log: log,
	}
	if cfg.Advertise != "" {
		e.Self.Address = cfg.Advertise
	}
	g := membership.DefaultConfig()
	g.Self = membership.Member{
		ID: cfg.ID, Role: cfg.Role, RPCAddr: e.Self.Address, Incarnation: e.Self.Incarnation,
		BootstrapExpect: cfg.BootstrapExpect, Version: version.Version, Zone: cfg.Zone,
	}
	g.BindAddr, g.Join, g.Logger = cfg.GossipBind, cfg.Join, log
	if e.Gossip, err = membership.New(g); err != nil {
		return nil, errors.Join(err, e.Dialer.Close(), mux.Close())
	}
	return e, nil
}

// newIncarnation draws the number that tells this process from an earlier one of the same node.
func newIncarnation() checkpoint.Incarnation {
	var b [8]byte
	rand.Read(b[:]) // never fails: crypto/rand aborts the program instead
	return checkpoint.Incarnation(binary.BigEndian.Uint64(b[:]) | 1)
}

// stopTimeout bounds each step of a graceful stop.
const stopTimeout = 3 * time.Second

// SayGoodbye leaves gossip, so that the others see a stop and not a failure.
func (e *Endpoint) SayGoodbye() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := e.Gossip.Leave(ctx); err != nil {
		e.log.Warn("others may take this stop for a failure", "cause", err)
	}
}

// CloseServer ends a server of this endpoint gracefully, or by force when that takes too long.
func (e *Endpoint) CloseServer(s *transport.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := s.Close(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// Close releases the ports. It is idempotent.
func (e *Endpoint) Close() error {
	return errors.Join(e.Gossip.Close(), e.Dialer.Close(), e.Mux.Close())
}
