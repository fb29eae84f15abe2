package coordinator

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// What clients are told through a history of crashes and hand-overs could have been told by one coordinator that
// never fails: with real Raft, the real leader loops and the real service, whose followers forward.
func TestTriggerAndListAreLinearizable(t *testing.T) {
	unanswered := 0
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			h := live(t, seed, func(ctx context.Context, c *Coordinator) ([]api.Checkpoint, error) {
				return c.Service().ListCheckpoints(ctx, "test")
			})
			triggers, unknown, lists := h.count()
			unanswered += unknown
			t.Logf("%d triggers, %d of them without an answer, %d listings", triggers, unknown, lists)
			if triggers < 20 || lists < 20 {
				t.Errorf("%d triggers and %d listings: too few to show anything", triggers, lists)
			}
			if err := h.check(); err != nil {
				t.Error(err)
			}
		})
	}
	if unanswered == 0 {
		t.Error("no trigger was under way when its leader crashed: the histories show little")
	}
}

// A coordinator that answered listings from what it happens to have, without asking whoever leads, is caught.
func TestCheckOfLinearizabilityCatchesStaleReads(t *testing.T) {
	h := live(t, 1, func(_ context.Context, c *Coordinator) ([]api.Checkpoint, error) {
		var all []api.Checkpoint
		for _, j := range c.replica.jobs() {
			for _, p := range j.Pending {
				all = append(all, api.Checkpoint{ID: uint64(p.ID), Status: "in_progress"})
			}
			for _, o := range j.History {
				all = append(all, api.Checkpoint{ID: uint64(o.ID), Status: "completed"})
			}
		}
		return all, nil
	})
	if err := h.check(); err == nil {
		t.Error("stale reads are taken for linearizable")
	}
}

func (h *history) count() (triggers, unknown, lists int) {
	for _, op := range h.ops {
		switch out := op.Output.(type) {
		case triggerOutput:
			triggers++
			if out == 0 {
				unknown++
			}
		case listOutput:
			lists++
		}
	}
	return triggers, unknown, lists
}

const (
	linearClients = 6
	linearCalls   = 25 // of each client
)

// live lets clients trigger and list checkpoints while leaders crash, come back and hand over.
func live(t *testing.T, seed uint64, list func(context.Context, *Coordinator) ([]api.Checkpoint, error)) *history {
	h := &history{}
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(seed, 0x11))
		c := newRestartableCluster(t)
		defer c.stop()
		c.submit()
		ctx, cancel := context.WithCancel(t.Context())
		var faults, clients sync.WaitGroup
		ofFaults := rand.New(rand.NewPCG(rng.Uint64(), 0))
		faults.Go(func() { c.disturb(ctx, ofFaults) })
		for i := range linearClients {
			own := rand.New(rand.NewPCG(rng.Uint64(), 0))
			clients.Go(func() { c.ask(i, own, h, list) })
		}
		clients.Wait()
		cancel()
		faults.Wait()
	})
	return h
}

// ask is a client that calls one coordinator after another, whichever comes to its mind.
func (c *restartableCluster) ask(client int, rng *rand.Rand, h *history, list func(context.Context, *Coordinator) ([]api.Checkpoint, error)) {
	for range linearCalls {
		time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond) // virtual time
		to, listing := c.current(c.ids[rng.IntN(len(c.ids))]), rng.IntN(2) == 0
		if to == nil {
			continue // it is down
		}
		h.record(client, func() any {
			ctx, cancel := context.WithTimeout(c.t.Context(), 2*time.Second)
			defer cancel()
			if listing {
				checkpoints, err := list(ctx, to)
				if err != nil {
					return nil
				}
				return listingOf(checkpoints)
			}
			done, err := to.Service().TriggerCheckpoint(ctx, "test")
			switch api.CodeOf(err) {
			case api.NotLeader, api.Conflict:
				return nil
			}
			if err != nil {
				return triggerOutput(0)
			}
			return triggerOutput(done.ID)
		})
	}
}

// disturb makes leaders hand over, crash and come back until ctx is done.
func (c *restartableCluster) disturb(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil {
		time.Sleep(time.Duration(100+rng.IntN(500)) * time.Millisecond) // virtual time
		l := c.leading()
		switch {
		case l == nil:
		case rng.IntN(2) == 0:
			_ = l.replica.transfer(ctx, "", time.Second) // where there is nobody to hand over to, it goes on leading
		default:
			c.crash(l.cfg.ID)
			time.Sleep(time.Duration(rng.IntN(1000)) * time.Millisecond) // virtual time
			c.start(l.cfg.ID)
		}
	}
}

// restartableCluster is three coordinators with real Raft over in-memory connections whose disks survive them, and
// two fake nodes.
type restartableCluster struct {
	t         *testing.T
	ids       []checkpoint.NodeID
	disks     map[checkpoint.NodeID]Stores
	manifests *memoryStore
	fabric    *fabric
	running   sync.WaitGroup

	mu    sync.Mutex
	alive map[checkpoint.NodeID]*testCoordinator
}

func newRestartableCluster(t *testing.T) *restartableCluster {
	c := &restartableCluster{
		t: t, ids: []checkpoint.NodeID{"c1", "c2", "c3"}, disks: make(map[checkpoint.NodeID]Stores), fabric: &fabric{},
		manifests: &memoryStore{chunks: make(map[checkpoint.ChunkID][]byte)}, alive: make(map[checkpoint.NodeID]*testCoordinator),
	}
	for _, id := range c.ids {
		log := raft.NewInmemStore()
		c.disks[id] = Stores{Log: log, Stable: log, Snapshots: raft.NewInmemSnapshotStore()}
		c.start(id)
	}
	for _, id := range []checkpoint.NodeID{"n1", "n2"} {
		n := newFakeNode(id, c.fabric)
		c.fabric.nodes = append(c.fabric.nodes, n)
		for _, to := range c.ids {
			ctx, cancel := context.WithCancel(t.Context())
			n.cancel[to] = cancel
			c.running.Go(func() {
				n.keepSession(ctx, func(ctx context.Context, hello checkpoint.Hello, s NodeSession) error {
					if coord := c.current(to); coord != nil {
						return coord.ServeSession(ctx, hello, slowSession{s})
					}
					return nil
				})
			})
		}
	}
	return c
}

// slowSession takes its time, so that something can happen meanwhile.
type slowSession struct{ NodeSession }

func (s slowSession) Recv() (checkpoint.FromNode, error) {
	m, err := s.NodeSession.Recv()
	time.Sleep(20 * time.Millisecond) // virtual time
	return m, err
}

// start begins a coordinator's process with what is on its disk.
func (c *restartableCluster) start(id checkpoint.NodeID) {
	_, transport := raft.NewInmemTransport(raft.ServerAddress(id))
	coord, err := New(
		Config{
			ID: id, Address: string(id), BootstrapExpect: 3, Raft: DefaultRaftTiming(), Timing: DefaultTiming(),
			Compaction: DefaultCompaction(), Upkeep: DefaultUpkeep(), Repair: DefaultRepair(), Logger: slog.New(slog.DiscardHandler),
		},
		Deps{
			Stores: c.disks[id], Transport: transport, Store: c.manifests,
			Forward: func(address string) api.Service {
				if to := c.current(checkpoint.NodeID(address)); to != nil {
					return marking{to.Service()}
				}
				return refusing{}
			},
			Forwarded: func(ctx context.Context) bool { return ctx.Value(forwardedKey{}) != nil },
			Members:   func() []api.Member { return nil },
		})
	if err != nil {
		c.t.Error(err)
		return
	}
	ctx, cancel := context.WithCancel(c.t.Context())
	tc := &testCoordinator{Coordinator: coord, transport: transport, cancel: cancel}
	c.mu.Lock()
	for _, other := range c.alive {
		other.transport.Connect(transport.LocalAddr(), transport)
		transport.Connect(other.transport.LocalAddr(), other.transport)
	}
	c.alive[id] = tc
	c.mu.Unlock()
	c.running.Go(func() { _ = coord.Run(ctx) }) // what it says of its raft, which a crash stops under it, is no news
	var peers []Peer
	for _, id := range c.ids {
		peers = append(peers, Peer{ID: id, Address: string(id), BootstrapExpect: 3})
	}
	coord.SetPeers(peers)
}

// crash ends a coordinator's process without a goodbye to anybody.
func (c *restartableCluster) crash(id checkpoint.NodeID) {
	c.mu.Lock()
	coord := c.alive[id]
	delete(c.alive, id)
	coord.transport.DisconnectAll()
	for _, other := range c.alive {
		other.transport.Disconnect(coord.transport.LocalAddr())
	}
	c.mu.Unlock()
	// Raft forgets to answer what is on its way to the state machine when it is shut down, and whoever asked would
	// wait for ever: nothing may be.
	synctest.Wait()
	coord.replica.raft.Shutdown()
	coord.cancel()
}

func (c *restartableCluster) stop() {
	for _, n := range c.fabric.nodes {
		n.disconnect("")
	}
	for _, id := range c.ids {
		if c.current(id) != nil {
			c.crash(id)
		}
	}
	c.running.Wait()
}

// current returns a coordinator's living process, nil while there is none.
func (c *restartableCluster) current(id checkpoint.NodeID) *Coordinator {
	c.mu.Lock()
	defer c.mu.Unlock()
	if coord := c.alive[id]; coord != nil {
		return coord.Coordinator
	}
	return nil
}

func (c *restartableCluster) leading() *Coordinator {
	for _, id := range c.ids {
		if coord := c.current(id); coord != nil && coord.sessions.leading() != nil {
			return coord
		}
	}
	return nil
}

// submit submits a job with manual checkpoints, and waits until it runs.
func (c *restartableCluster) submit() {
	c.t.Helper()
	submitted := false
	for range 1000 {
		time.Sleep(10 * time.Millisecond) // virtual time
		l := c.leading()
		if l == nil {
			continue
		}
		if !submitted {
			_, err := l.Service().SubmitJob(c.t.Context(), api.SubmitJobRequest{
				Program: "test", Config: map[string]string{"checkpointing.interval": "0s"},
			})
			submitted = err == nil
		}
		if jobs := l.replica.jobs(); len(jobs) == 1 && jobs[0].Status == fsm.JobRunning {
			return
		}
	}
	c.t.Fatal("the job does not run within 10 s of virtual time")
}

// marking marks the calls that one coordinator forwards to another.
type marking struct{ api.Service }

func forwarded(ctx context.Context) context.Context {
	return context.WithValue(ctx, forwardedKey{}, true)
}

func (m marking) Status(ctx context.Context) (api.Status, error) {
	return m.Service.Status(forwarded(ctx))
}
func (m marking) ListCheckpoints(ctx context.Context, job string) ([]api.Checkpoint, error) {
	return m.Service.ListCheckpoints(forwarded(ctx), job)
}
func (m marking) TriggerCheckpoint(ctx context.Context, job string) (api.Checkpoint, error) {
	return m.Service.TriggerCheckpoint(forwarded(ctx), job)
}

// refusing is a coordinator that is down.
type refusing struct{ unreachable }

func (refusing) ListCheckpoints(context.Context, string) ([]api.Checkpoint, error) {
	return nil, api.Errorf(api.NotLeader, "connection refused")
}
func (refusing) TriggerCheckpoint(context.Context, string) (api.Checkpoint, error) {
	return api.Checkpoint{}, api.Errorf(api.NotLeader, "connection refused")
}
