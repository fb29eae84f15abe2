package membership

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
	"golang.org/x/sync/errgroup"

	"cairn/checkpoint"
)

var (
	// ErrDuplicateID says that another live process holds the ID of this one.
	ErrDuplicateID = errors.New("node ID in use")
	// ErrClosed says that the gossip has been closed, or that it has left.
	ErrClosed = errors.New("gossip closed")
)

// Gossip is this process's part in the gossip of the cluster.
type Gossip struct {
	cfg     Config
	logger  *slog.Logger
	process process // this one

	// list is nil until memberlist.Create has returned; callbacks may come before. Never call it while
	// holding mu: its callbacks take mu while they hold memberlist's lock.
	list atomic.Pointer[memberlist.Memberlist]

	mu struct {
		sync.Mutex
		roster *roster
		queue  eventQueue
		meta   []byte           // what Self says of itself, encoded
		acks   map[process]bool // who knows that this process is leaving; nil until it is
		closed bool
		ready  bool // mirrors the channel
	}

	events chan Event    // capacity 0; closed by Run
	ready  chan struct{} // closed once this process counts as a member

	// Wake-up signals of capacity 1, never closed: set after the state they speak of has changed.
	queued, rivalSeen, acked chan struct{}

	running   atomic.Bool
	closing   chan struct{} // closed by Close: operations in progress give up
	ops       sync.WaitGroup
	closeOnce sync.Once
	closeErr  error
}

// New binds the gossip address and answers to others from then on; Run must follow to join them, or Close
// to let go. An address in use gives an error that wraps ErrAddressInUse and names it.
func New(cfg Config) (*Gossip, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	logger := cfg.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	transport, advertise, err := bind(cfg, newLibraryLogger(logger))
	if err != nil {
		return nil, err
	}
	self := cfg.Self
	self.GossipAddr, self.ProtocolVersion, self.State = advertise.String(), ProtocolVersion, StateAlive
	if self.Started == 0 {
		self.Started = checkpoint.Timestamp(time.Now().UnixMilli())
	}
	g := &Gossip{
		cfg: cfg, logger: logger, process: self.process(),
		events: make(chan Event), ready: make(chan struct{}), closing: make(chan struct{}),
		queued: make(chan struct{}, 1), rivalSeen: make(chan struct{}, 1), acked: make(chan struct{}, 1),
	}
	g.mu.roster = newRoster(self, time.Now())
	if g.mu.meta, err = encodeMeta(self); err != nil {
		return nil, errors.Join(err, transport.Shutdown())
	}
	list, err := memberlist.Create(g.memberlistConfig(transport, advertise))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("gossip on %s: %w", advertise, err), transport.Shutdown())
	}
	g.list.Store(list)
	return g, nil
}

func (g *Gossip) memberlistConfig(transport memberlist.Transport, advertise netip.AddrPort) *memberlist.Config {
	conf := g.cfg.Timing.memberlist()
	conf.Name = g.process.String()
	conf.Logger = newLibraryLogger(g.logger)
	conf.Transport = transport
	conf.AdvertiseAddr, conf.AdvertisePort = advertise.Addr().String(), int(advertise.Port())
	conf.BindPort = int(advertise.Port())
	d := delegate{g}
	conf.Delegate, conf.Events, conf.Alive, conf.Merge = d, d, d, d
	return conf
}

// Run joins the cluster and keeps in touch with it until ctx is done, which others see as a failure unless
// Leave came first. It closes Events and the gossip before it returns. The error is nil then; it wraps
// ErrDuplicateID when another process holds this one's ID, in which case this one has left. Run can be
// called once.
func (g *Gossip) Run(ctx context.Context) error {
	if !g.running.CompareAndSwap(false, true) {
		return errors.New("gossip: Run called twice")
	}
	group, gctx := errgroup.WithContext(ctx)
	group.Go(func() error { g.deliver(gctx); return nil })
	group.Go(func() error { g.keepJoined(gctx); return nil })
	group.Go(func() error { return g.guardID(gctx) })
	err := group.Wait()
	if err != nil {
		// The goodbye spares the others a failure to detect; it is best effort.
		if leaveErr := g.Leave(context.WithoutCancel(ctx)); leaveErr != nil {
			g.logger.Debug("leaving after a duplicate node ID", "error", leaveErr)
		}
	}
	return errors.Join(err, g.Close())
}

// Close stops gossip, which others see as a failure unless Leave came first. It cuts a Leave in progress
// short and waits for it and for UpdateMeta. Run closes by itself; Close is for a Gossip that does not get
// to run. It is idempotent.
func (g *Gossip) Close() error {
	g.closeOnce.Do(func() {
		g.mu.Lock()
		g.mu.closed = true
		g.mu.Unlock()
		close(g.closing)
		g.ops.Wait() // memberlist must not be asked to leave once it is shut down
		g.closeErr = g.list.Load().Shutdown()
	})
	return g.closeErr
}

// begin registers an operation that uses memberlist, so that Close waits for it; it returns false when the
// gossip is closed. The operation ends with ops.Done.
func (g *Gossip) begin() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.closed {
		return false
	}
	g.ops.Add(1)
	return true
}

// Events returns the channel of what becomes of the other members, in the order in which it happened for
// each of them. It has one consumer. Gossip does not depend on how fast that reads: events of one process
// that it has not taken yet are merged into the newest. Run closes the channel.
func (g *Gossip) Events() <-chan Event { return g.events }

// Ready returns a channel that is closed once this process counts as a member: it has found another one
// (or has nobody to join) and no older process holds its ID.
func (g *Gossip) Ready() <-chan struct{} { return g.ready }

// LocalAddr returns the gossip address of this process as others reach it, with the port that was bound.
func (g *Gossip) LocalAddr() string { return g.Self().GossipAddr }

// Self returns what this process says of itself.
func (g *Gossip) Self() Member {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.mu.roster.seats[g.process.ID].holder.member
}

// Members returns this process and all others known, by role and ID, one process per ID: the live one, or
// the last one for as long as Config.ForgetAfter. It may be ahead of Events.
func (g *Gossip) Members() []Member {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forgetLocked()
	return g.mu.roster.members()
}

func (g *Gossip) forgetLocked() { g.mu.roster.forget(time.Now().Add(-g.cfg.ForgetAfter)) }

// UpdateMeta changes the addresses that this process advertises and returns once the news has been sent to
// some other member, if there is one. When ctx ends first, the news still spreads.
func (g *Gossip) UpdateMeta(ctx context.Context, rpcAddr, httpAddr string) error {
	if !g.begin() {
		return ErrClosed
	}
	defer g.ops.Done()
	m := g.Self()
	m.RPCAddr, m.HTTPAddr = rpcAddr, httpAddr
	meta, err := encodeMeta(m)
	if err != nil {
		return err
	}
	g.mu.Lock()
	leaving := g.mu.acks != nil
	if !leaving {
		g.mu.roster.setSelf(m)
		g.mu.meta = meta
	}
	g.mu.Unlock()
	if leaving {
		return ErrClosed
	}
	if err := g.list.Load().UpdateNode(timeLeft(ctx, g.cfg.Timing.StreamTimeout)); err != nil {
		return fmt.Errorf("advertise the addresses of %s: %w", m.ID, err)
	}
	return nil
}

// timeLeft returns how long ctx allows, at least a millisecond (memberlist takes 0 for no limit) and at
// most limit.
func timeLeft(ctx context.Context, limit time.Duration) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline))
	}
	return max(limit, time.Millisecond)
}

// sleep waits for d; it returns false when ctx is done first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
