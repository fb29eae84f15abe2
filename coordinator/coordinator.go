package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"cairn/api"
	"cairn/checkpoint"
)

// Config is what a coordinator is told at start-up. It does not change afterwards.
type Config struct {
	ID      checkpoint.NodeID
	Address string // host:port at which the other coordinators, the nodes and clients reach this one
	// BootstrapExpect is the number of coordinators that form a new cluster. It means nothing to one
	// that is a member already.
	BootstrapExpect int
	Replicas        int // nodes that should hold each piece of state, to say so when there are fewer
	Raft            RaftTiming
	Timing          Timing
	Logger          *slog.Logger
}

// Deps are what a coordinator works with.
type Deps struct {
	Stores    Stores
	Transport raft.Transport
	// Store keeps manifests.
	Store Store
	// Forward returns the client API of the coordinator at an address. Calls on it must not be forwarded
	// again by their receiver (see api.Service).
	Forward func(address string) api.Service
	// Forwarded reports whether a call was forwarded by another coordinator.
	Forwarded func(ctx context.Context) bool
	// Members lists what gossip knows.
	Members func() []api.Member
}

// Coordinator is one replica of the checkpoint coordinator. Its methods are safe for concurrent use.
type Coordinator struct {
	cfg       Config
	deps      Deps
	log       *slog.Logger
	replica   *replica
	sessions  *sessions
	bootstrap *bootstrap
}

// New opens the replica. It does not take part in anything before Run.
func New(cfg Config, deps Deps) (*Coordinator, error) {
	if err := cfg.Raft.Validate(); err != nil {
		return nil, err
	}
	log := cfg.Logger.With("coordinator", cfg.ID)
	existing, err := raft.HasExistingState(deps.Stores.Log, deps.Stores.Stable, deps.Stores.Snapshots)
	if err != nil {
		return nil, err
	}
	r, err := newReplica(cfg.ID, cfg.Raft, deps.Stores, deps.Transport, log)
	if err != nil {
		return nil, err
	}
	c := &Coordinator{cfg: cfg, deps: deps, log: log, replica: r, sessions: newSessions(log)}
	c.bootstrap = newBootstrap(c, existing)
	return c, nil
}

// Run leads whenever Raft says so, until ctx is done. Then it hands leadership over if it has it, stops the
// replica, and returns after everything it started has ended.
func (c *Coordinator) Run(ctx context.Context) error {
	var running sync.WaitGroup
	running.Go(func() { c.bootstrap.run(ctx) })
	c.leadUntil(ctx)
	running.Wait()
	return c.replica.shutdown()
}

// ServeSession keeps the session of a task node. It returns when the session ends.
func (c *Coordinator) ServeSession(ctx context.Context, hello checkpoint.Hello, s NodeSession) error {
	return c.sessions.serve(ctx, hello, s)
}

// NodeFailed tells the coordinator that gossip has given a task node up.
func (c *Coordinator) NodeFailed(id checkpoint.NodeID, inc checkpoint.Incarnation) {
	if l := c.sessions.leading(); l != nil {
		l.memberFailed(id, inc)
	}
}

// NodeLeft tells the coordinator that a task node has said goodbye.
func (c *Coordinator) NodeLeft(id checkpoint.NodeID, inc checkpoint.Incarnation) {
	if l := c.sessions.leading(); l != nil {
		l.memberLeft(id, inc)
	}
}

// leadUntil follows raft's notifications. While leading is true a leader loop runs; before a new one starts
// the old one has been cancelled and awaited. When ctx ends while leading, leadership is handed over while
// the loop still runs, so that no checkpoint waits for an election.
func (c *Coordinator) leadUntil(ctx context.Context) {
	var current *leadership
	defer func() { current.stop() }()
	for {
		select {
		case leading := <-c.replica.leadership:
			current.stop()
			current = nil
			if leading {
				current = c.lead()
			}
		case <-ctx.Done():
			if current != nil {
				c.handOver()
			}
			return
		}
	}
}

func (c *Coordinator) handOver() {
	if len(c.replica.voters()) < 2 {
		return
	}
	if err := c.replica.transfer("", c.transferLimit()); err != nil {
		c.log.Info("leadership was not handed over before the stop; an election will follow", "cause", err)
		return
	}
	c.log.Info("leadership handed over before the stop")
}

// transferLimit bounds a hand-over: an election timeout for the transfer itself, and as much for a busy disk.
func (c *Coordinator) transferLimit() time.Duration { return 4 * c.cfg.Raft.Election }

// leadership is a running leader loop.
type leadership struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func (l *leadership) stop() {
	if l != nil {
		l.cancel()
		<-l.done
	}
}

// leaderRetry is the pause before a leader loop that failed while Raft still calls this replica the leader
// is started again.
const leaderRetry = 100 * time.Millisecond

func (c *Coordinator) lead() *leadership {
	ctx, cancel := context.WithCancel(context.Background())
	l := &leadership{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for ctx.Err() == nil && c.replica.raft.State() == raft.Leader {
			term := checkpoint.Term(c.replica.raft.CurrentTerm())
			loop := newLeader(c.cfg.ID, term, c.replica, c.deps.Store, c.cfg.Timing, c.log)
			if err := loop.run(ctx, c.sessions); err != nil && !errors.Is(err, context.Canceled) {
				c.log.Warn("leader loop ended", "term", term, "cause", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(leaderRetry):
			}
		}
		c.log.Info("no longer leading")
	}()
	return l
}
