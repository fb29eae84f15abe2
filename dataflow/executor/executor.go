package executor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow"
	"cairn/dataflow/exchange"
	"cairn/dataflow/rowstore"
)

// DefaultOrphanTimeout is how long tasks go on with no leader to report to.
const DefaultOrphanTimeout = 60 * time.Second

// Config is what an Executor needs to know. It is not changed after New.
type Config struct {
	Self     checkpoint.NodeRef // this process; its Incarnation must not be zero
	Slots    int                // offered to the leader, at least 1
	Version  string             // of the build, for the leader's member list
	Registry *dataflow.Registry // the programs that the node can run
	Store    dataflow.ChunkStore
	Sweeper  ChunkSweeper // of the node's own part of Store
	// Custodian keeps that part for the leader besides. Without it the leader is not told what is in it.
	Custodian Custodian
	// Zone is what the node fails together with, empty when it was told none.
	Zone string
	// SharedStore names the store that Sweeper stands for when other nodes use it too, and is empty when they do not.
	SharedStore string
	// Dialer connects to tasks on other nodes. Tasks on this node are connected without it. It returns an
	// error that is ErrUnknownAttempt when the other side has not been told of the attempt yet.
	Dialer exchange.Connector
	// OrphanTimeout is how long tasks go on with no leader to report to; 0 means DefaultOrphanTimeout.
	OrphanTimeout time.Duration
	// CancellationTimeout is how long a cancelled task may take to return before Fatal is called; 0 means for ever.
	// Before that its stack is logged every CancellationInterval; 0 means DefaultCancellationInterval.
	CancellationTimeout, CancellationInterval time.Duration
	// Fatal ends the process at once, for the given reason. It is needed with a CancellationTimeout.
	Fatal func(error)
	// Rows keeps the state of jobs with state.backend pebble, below WorkDir; without it the node refuses them. What is in
	// WorkDir belongs to the executor.
	Rows    rowstore.Backend
	WorkDir string
	Logger  *slog.Logger
}

// Validate returns an error that names the first field that is missing or has a value that is not allowed.
func (c Config) Validate() error {
	switch {
	case c.Self.ID == "" || c.Self.Incarnation == 0:
		return fmt.Errorf("executor: Self %+v: the ID and the incarnation must be set", c.Self)
	case c.Slots < 1:
		return fmt.Errorf("executor: Slots %d: must be at least 1", c.Slots)
	case c.Registry == nil, c.Store == nil, c.Sweeper == nil, c.Dialer == nil, c.Logger == nil:
		return errors.New("executor: Registry, Store, Sweeper, Dialer and Logger must be set")
	case c.OrphanTimeout < 0:
		return fmt.Errorf("executor: OrphanTimeout %s: must not be negative", c.OrphanTimeout)
	case c.CancellationTimeout < 0 || c.CancellationInterval < 0:
		return fmt.Errorf("executor: CancellationTimeout %s, CancellationInterval %s: must not be negative",
			c.CancellationTimeout, c.CancellationInterval)
	case c.CancellationTimeout > 0 && c.Fatal == nil:
		return errors.New("executor: Fatal must be set with a CancellationTimeout")
	}
	return nil
}

// Session is the executor's way to one coordinator. The executor sends on it from one goroutine at a time.
// Send queues the message and does not wait for the network; an error means that the session is of no more
// use. Sessions are compared with ==: an implementation is a pointer.
type Session interface {
	Send(checkpoint.FromNode) error
	// Offer queues messages that may be lost, all or none: none, and false, when anything that was sent before still
	// waits. It may be called while Send is.
	Offer(...checkpoint.FromNode) bool
	// Close ends the session. It is idempotent.
	Close() error
}

// Executor runs a node's share of jobs. Create one with New. All methods are safe for concurrent use and
// none waits for tasks, except Run.
type Executor struct {
	cfg     Config
	log     *slog.Logger
	newTask taskFactory

	outboxReady   chan struct{}  // capacity 1: the outbox is not empty; never closed
	leaderChanged chan struct{}  // capacity 1: the leader's session opened or closed; never closed
	attemptEnded  chan struct{}  // capacity 1: an attempt's tasks have ended; never closed
	progressed    chan struct{}  // capacity 1: a checkpoint has got on, or there is somebody new to tell; never closed
	reported      chan struct{}  // capacity 1: the leader has been sent the Report; never closed
	running       sync.WaitGroup // attempts, plans, copies and deletions; nothing is added once mu.closed is set

	life context.Context // ends when Run does
	end  context.CancelFunc

	mu struct {
		sync.Mutex
		closed bool // Run has ended or is ending: nothing new starts
		fence  fence
		// leaderless is since when no session of a leader is open; zero while one is.
		leaderless time.Time
		jobs       map[checkpoint.JobID]*job
		outbox     outbox
		leadership *leadership // nil while no session of a leader is open
	}
}

// New returns an executor that does nothing until Run.
func New(cfg Config) (*Executor, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.OrphanTimeout == 0 {
		cfg.OrphanTimeout = DefaultOrphanTimeout
	}
	if cfg.CancellationInterval == 0 {
		cfg.CancellationInterval = DefaultCancellationInterval
	}
	if cfg.Custodian == nil {
		cfg.Custodian = noCustodian{}
	}
	e := &Executor{
		cfg:           cfg,
		log:           cfg.Logger.With("node", cfg.Self.ID),
		newTask:       newDataflowTask,
		outboxReady:   make(chan struct{}, 1),
		leaderChanged: make(chan struct{}, 1),
		progressed:    make(chan struct{}, 1),
		attemptEnded:  make(chan struct{}, 1),
		reported:      make(chan struct{}, 1),
	}
	e.life, e.end = context.WithCancel(context.Background())
	e.mu.jobs = make(map[checkpoint.JobID]*job)
	e.mu.leaderless = time.Now()
	return e, nil
}

// Hello introduces the node at the beginning of a session.
func (e *Executor) Hello() checkpoint.Hello {
	return checkpoint.Hello{
		Node: e.cfg.Self, Slots: e.cfg.Slots, Programs: e.cfg.Registry.Names(), Docs: e.cfg.Registry.Docs(), Version: e.cfg.Version,
		Zone: e.cfg.Zone, SharedStore: e.cfg.SharedStore,
	}
}

// Run serves until ctx is done, then stops all tasks and returns when they and everything else that the
// executor started have ended. It is called once. What is received after it has ended is ignored.
func (e *Executor) Run(ctx context.Context) error {
	var loops sync.WaitGroup
	loops.Go(func() { e.sendLoop(ctx) })
	loops.Go(func() { e.watchForLeader(ctx) })
	loops.Go(func() { e.progressLoop(ctx) })
	loops.Go(func() { e.metricsLoop(ctx) })
	loops.Go(func() { e.custodyLoop(ctx) })
	loops.Wait() // until ctx is done
	e.end()
	e.mu.Lock()
	for _, j := range e.mu.jobs {
		if j.current != nil {
			e.cancelLocked(j.current)
		}
	}
	e.mu.closed = true
	e.mu.Unlock()
	e.running.Wait()
	return nil
}

// goLocked starts a goroutine that Run waits for, unless Run is ending.
func (e *Executor) goLocked(f func()) bool {
	if e.mu.closed {
		return false
	}
	e.running.Go(f)
	return true
}
