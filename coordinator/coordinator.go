package coordinator

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

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
	Compaction      Compaction
	Upkeep          Upkeep
	Timing          Timing
	Repair          Repair
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
	upkeep    *upkeep
	// leaderLog is the replica, as the leader loop sees it.
	leaderLog replicatedLog
	// handingOver is held while a hand-over is under way.
	handingOver sync.Mutex
	current     atomic.Pointer[leadership] // nil while another coordinator leads
	// stopped is closed when the replica is about to be stopped: it hears of nothing any more.
	stopped chan struct{}
}

// New opens the replica. It does not take part in anything before Run.
func New(cfg Config, deps Deps) (*Coordinator, error) {
	if err := cmp.Or(cfg.Raft.Validate(), cfg.Compaction.Validate(), cfg.Upkeep.Validate(), cfg.Repair.Validate()); err != nil {
		return nil, err
	}
	log := cfg.Logger.With("coordinator", cfg.ID)
	r, err := newReplica(cfg, deps, log)
	if err != nil {
		return nil, err
	}
	c := &Coordinator{cfg: cfg, deps: deps, log: log, replica: r, leaderLog: r, sessions: newSessions(log), stopped: make(chan struct{})}
	c.bootstrap, c.upkeep = newBootstrap(c), newUpkeep(c)
	return c, nil
}

// Run leads whenever Raft says so, until ctx is done. Then it hands leadership over if it has it, stops the
// replica, and returns after everything it started has ended. It is called once.
func (c *Coordinator) Run(ctx context.Context) error {
	var running sync.WaitGroup
	running.Go(func() { c.bootstrap.run(ctx) })
	c.leadUntil(ctx)
	running.Wait()
	close(c.stopped)
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
	defer func() { c.current.Swap(nil).stop() }()
	for {
		select {
		case leading := <-c.replica.leadership:
			c.current.Swap(nil).stop()
			if leading {
				c.current.Store(c.lead())
			}
		case <-ctx.Done():
			if c.current.Load() != nil {
				c.handOverBeforeStop()
			}
			return
		}
	}
}
