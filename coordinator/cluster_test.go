package coordinator

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/zeebo/blake3"

	"cairn/api"
	"cairn/checkpoint"
)

// memoryStore keeps manifests for a test cluster.
type memoryStore struct {
	mu     sync.Mutex
	chunks map[checkpoint.ChunkID][]byte
	held   chan struct{}      // Get waits until it is closed; nil lets it go at once
	lost   checkpoint.ChunkID // Keep does not find it
}

// hold makes Get wait until the function that it returns is called.
func (s *memoryStore) hold() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := make(chan struct{})
	s.held = held
	return func() { close(held) }
}

func (s *memoryStore) Put(_ context.Context, data []byte) (checkpoint.ChunkRef, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ref := checkpoint.ChunkRef{ID: blake3.Sum256(data), Size: int64(len(data))}
	s.chunks[ref.ID] = data
	return ref, nil
}

func (s *memoryStore) Get(_ context.Context, ref checkpoint.ChunkRef) ([]byte, error) {
	s.mu.Lock()
	held := s.held
	s.mu.Unlock()
	if held != nil {
		<-held
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	data, found := s.chunks[ref.ID]
	if !found {
		return nil, fmt.Errorf("chunk %s: not found", ref.ID)
	}
	return data, nil
}

type forwardedKey struct{}

// forwarding marks the calls that one coordinator makes to another.
type forwarding struct{ api.Service }

func (f forwarding) Status(ctx context.Context) (api.Status, error) {
	return f.Service.Status(context.WithValue(ctx, forwardedKey{}, true))
}

// testCluster is coordinators, at first three, with real Raft over in-memory connections, and fake nodes.
type testCluster struct {
	t            *testing.T
	coordinators map[checkpoint.NodeID]*testCoordinator
	reachable    sync.Map // of the living: address to *testCoordinator
	fabric       *fabric
	store        Store
	configure    func(*Config)                                               // of each coordinator, if not nil
	wrapLog      func(id checkpoint.NodeID, log replicatedLog) replicatedLog // what its leader loop sees, if not nil
	running      sync.WaitGroup
}

type testCoordinator struct {
	*Coordinator
	transport *raft.InmemTransport
	stores    Stores
	cancel    context.CancelFunc
	dead      bool
}

func newTestCluster(t *testing.T, nodes ...checkpoint.NodeID) *testCluster {
	return newConfiguredCluster(t, nil, nodes...)
}

func newConfiguredCluster(t *testing.T, configure func(*Config), nodes ...checkpoint.NodeID) *testCluster {
	c := emptyCluster(t)
	c.configure = configure
	c.startThree(nodes...)
	return c
}

func emptyCluster(t *testing.T) *testCluster {
	return &testCluster{
		t: t, coordinators: make(map[checkpoint.NodeID]*testCoordinator), fabric: &fabric{},
		store: &memoryStore{chunks: make(map[checkpoint.ChunkID][]byte)},
	}
}

// startThree starts three coordinators that form a cluster, and the nodes.
func (c *testCluster) startThree(nodes ...checkpoint.NodeID) {
	for _, id := range []checkpoint.NodeID{"c1", "c2", "c3"} {
		c.start(id, string(id), blankStores())
	}
	c.gossip()
	for _, id := range nodes {
		c.fabric.nodes = append(c.fabric.nodes, c.startNode(id))
	}
}

// blankStores are the disk of a coordinator that never ran.
func blankStores() Stores {
	log := raft.NewInmemStore()
	unheld := make(chan struct{})
	close(unheld)
	return Stores{Log: log, Stable: log, Snapshots: &heldSnapshots{raft.NewInmemSnapshotStore(), unheld, unheld}}
}

// start runs a coordinator that is connected to all the others.
func (c *testCluster) start(id checkpoint.NodeID, address string, stores Stores) *testCoordinator {
	c.t.Helper()
	_, transport := raft.NewInmemTransport(raft.ServerAddress(address))
	cfg := Config{
		ID: id, Address: address, BootstrapExpect: 3, Raft: DefaultRaftTiming(), Timing: DefaultTiming(),
		Compaction: DefaultCompaction(), Upkeep: DefaultUpkeep(), Repair: DefaultRepair(), Logger: slog.New(slog.DiscardHandler),
	}
	if c.configure != nil {
		c.configure(&cfg)
	}
	coordinator, err := New(cfg, Deps{
		Stores: stores, Transport: transport, Store: c.store, Forward: c.forward,
		Forwarded: func(ctx context.Context) bool { return ctx.Value(forwardedKey{}) != nil },
		Members:   func() []api.Member { return nil },
	})
	if err != nil {
		c.t.Fatal(err)
	}
	if c.wrapLog != nil {
		coordinator.leaderLog = c.wrapLog(id, coordinator.leaderLog)
	}
	ctx, cancel := context.WithCancel(context.Background())
	coord := &testCoordinator{Coordinator: coordinator, transport: transport, stores: stores, cancel: cancel}
	c.coordinators[id] = coord
	c.reachable.Store(address, coord)
	c.connect(coord)
	c.running.Go(func() {
		if err := coord.Run(ctx); err != nil && !coord.dead {
			c.t.Errorf("coordinator %s: %v", id, err)
		}
	})
	for _, n := range c.fabric.nodes {
		c.openSession(n, coord)
	}
	return coord
}

// connect lets a coordinator and all the living others reach each other.
func (c *testCluster) connect(coord *testCoordinator) {
	for _, other := range c.coordinators {
		if other != coord && !other.dead {
			coord.transport.Connect(other.transport.LocalAddr(), other.transport)
			other.transport.Connect(coord.transport.LocalAddr(), coord.transport)
		}
	}
}

// cut is the reverse of connect.
func (c *testCluster) cut(coord *testCoordinator) {
	coord.transport.DisconnectAll()
	for _, other := range c.coordinators {
		other.transport.Disconnect(coord.transport.LocalAddr())
	}
}

// gossip tells every coordinator which ones live.
func (c *testCluster) gossip() {
	var peers []Peer
	for _, coord := range c.coordinators {
		if !coord.dead {
			peers = append(peers, Peer{ID: coord.cfg.ID, Address: coord.cfg.Address, BootstrapExpect: coord.cfg.BootstrapExpect})
		}
	}
	for _, coord := range c.coordinators {
		coord.SetPeers(peers)
	}
}

// forward returns the API of the coordinator at an address. Coordinators call it at any time.
func (c *testCluster) forward(address string) api.Service {
	if to, found := c.reachable.Load(address); found {
		return forwarding{to.(*testCoordinator).Service()}
	}
	return unreachable{}
}

// unreachable is a coordinator that is dead.
type unreachable struct{ api.Service }

func (unreachable) Status(context.Context) (api.Status, error) {
	return api.Status{}, api.Errorf(api.Unavailable, "connection refused")
}

// crash ends a coordinator without a goodbye to anybody.
func (c *testCluster) crash(id checkpoint.NodeID) *testCoordinator {
	coord := c.coordinators[id]
	coord.dead = true
	c.reachable.Delete(coord.cfg.Address)
	c.cut(coord)
	coord.replica.raft.Shutdown()
	c.fabric.disconnect(id)
	coord.cancel()
	return coord
}

// stop ends everything. Raft goes first, so that nobody hands leadership to a coordinator that is going too.
func (c *testCluster) stop() {
	for _, coord := range c.coordinators {
		coord.replica.raft.Shutdown()
	}
	for _, coord := range c.coordinators {
		coord.cancel()
	}
	c.fabric.disconnect("")
	c.running.Wait()
	time.Sleep(time.Second) // virtual time: what raft had on the way to coordinators that are gone times out
}

// leader waits for a coordinator other than not to lead.
func (c *testCluster) leader(not checkpoint.NodeID) *testCoordinator {
	c.t.Helper()
	for range 1000 {
		for id, coord := range c.coordinators {
			if id != not && !coord.dead && coord.sessions.leading() != nil {
				return coord
			}
		}
		time.Sleep(10 * time.Millisecond) // virtual time: this lets the bubble go on
	}
	c.t.Fatal("no leader within 10 s of virtual time")
	return nil
}

// awaitStatus asks any living coordinator until done says so.
func (c *testCluster) awaitStatus(what string, done func(api.Status) bool) api.Status {
	c.t.Helper()
	var last api.Status
	for range 1000 {
		for _, coord := range c.coordinators {
			if coord.dead {
				continue
			}
			if s, err := coord.Service().Status(context.Background()); err == nil && done(s) {
				return s
			} else {
				last = s
			}
		}
		time.Sleep(10 * time.Millisecond) // virtual time
	}
	c.t.Fatalf("%s: not within 10 s of virtual time; last status %+v", what, last)
	return last
}

func submitTestJob(c *testCluster) api.Job {
	c.t.Helper()
	job, err := c.leader("").Service().SubmitJob(context.Background(), api.SubmitJobRequest{
		Program: "test", Config: map[string]string{"checkpointing.interval": "200ms"},
	})
	if err != nil {
		c.t.Fatal(err)
	}
	return job
}

func twoAlive(s api.Status) bool {
	return len(s.Nodes) == 2 && s.Nodes[0].State == "alive" && s.Nodes[1].State == "alive"
}

func completedAtLeast(n uint64) func(api.Status) bool {
	return func(s api.Status) bool { return len(s.Jobs) == 1 && s.Jobs[0].Checkpoints.Completed >= n }
}

// The next leader finishes the checkpoint that was in flight, and no task notices: with real Raft, real time
// outs, and a crash of the leader.
func TestLeaderCrashMidCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, "n1", "n2")
		defer c.stop()
		c.awaitStatus("two nodes", twoAlive)
		submitTestJob(c)
		c.awaitStatus("three checkpoints", completedAtLeast(3))

		c.fabric.setHold("n2", true)
		s := c.awaitStatus("a checkpoint in flight", func(s api.Status) bool { return s.Jobs[0].Checkpoints.InProgress == 1 })
		inFlight := s.Jobs[0].Checkpoints.LastCompletedID + 1
		c.crash(checkpoint.NodeID(s.Leader.ID))
		c.fabric.setHold("n2", false)

		c.leader(checkpoint.NodeID(s.Leader.ID))
		after := c.awaitStatus("the checkpoint in flight to complete", func(s api.Status) bool {
			return len(s.Jobs) == 1 && s.Jobs[0].Checkpoints.LastCompletedID >= inFlight
		})
		if job := after.Jobs[0]; job.Attempt != 1 || job.Restarts != 0 || job.Checkpoints.Failed != 0 {
			t.Errorf("after the crash: %+v", job)
		}
		detail, err := c.leader("").Service().ShowCheckpoint(context.Background(), "test", inFlight)
		if err != nil || detail.Status != "completed" || detail.BeganTerm != s.Leader.Term || detail.EndedTerm <= s.Leader.Term {
			t.Errorf("checkpoint %d: %+v, %v", inFlight, detail, err)
		}
		for _, n := range c.fabric.nodes {
			if n.deploys != 1 {
				t.Errorf("node %s was deployed to %d times", n.id, n.deploys)
			}
		}
	})
}

func TestTransferOfLeadershipLosesNoCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, "n1", "n2")
		defer c.stop()
		c.awaitStatus("two nodes", twoAlive)
		submitTestJob(c)
		before := c.awaitStatus("a checkpoint", completedAtLeast(1))
		leader, err := c.leader("").Service().TransferLeadership(context.Background(), "")
		if err != nil || leader.ID == before.Leader.ID {
			t.Fatalf("new leader %+v, %v", leader, err)
		}
		after := c.awaitStatus("checkpoints to go on", completedAtLeast(before.Jobs[0].Checkpoints.Completed+3))
		if job := after.Jobs[0]; job.Attempt != 1 || job.Checkpoints.Failed != 0 {
			t.Errorf("after the transfer: %+v", job)
		}
	})
}

// I11: a leader that is cut off from the others completes nothing, and steps down.
func TestI11_MinorityCompletesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, "n1", "n2")
		defer c.stop()
		c.awaitStatus("two nodes", twoAlive)
		submitTestJob(c)
		c.awaitStatus("a checkpoint", completedAtLeast(1))
		cut := c.leader("")
		led := cut.sessions.opened()
		cut.transport.DisconnectAll()
		for _, other := range c.coordinators {
			other.transport.Disconnect(cut.transport.LocalAddr())
		}
		index := cut.replica.machine.LastIndex()
		c.leader(cut.cfg.ID)
		for cut.sessions.leading() != nil || cut.sessions.opened() == led {
			time.Sleep(10 * time.Millisecond) // virtual time: until it has ended the sessions it led
		}
		if got := cut.replica.machine.LastIndex(); got != index {
			t.Errorf("the cut-off leader applied entries %d to %d", index+1, got)
		}
	})
}

func TestTriggerAndCancelThroughAFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newTestCluster(t, "n1", "n2")
		defer c.stop()
		c.awaitStatus("two nodes", twoAlive)
		submitTestJob(c)
		leader := c.leader("")
		for id, coord := range c.coordinators {
			if id == leader.cfg.ID {
				continue
			}
			c.awaitStatus("checkpoints", completedAtLeast(1))
			done, err := coord.Service().TriggerCheckpoint(context.Background(), "test")
			if err != nil || done.Status != "completed" {
				t.Errorf("trigger through %s: %+v, %v", id, done, err)
			}
			_, err = coord.Service().ShowJob(context.Background(), "nosuch")
			if api.CodeOf(err) != api.NotFound {
				t.Errorf("unknown job through %s: %v", id, err)
			}
		}
		if _, err := leader.Service().SubmitJob(context.Background(), api.SubmitJobRequest{Program: "test"}); api.CodeOf(err) != api.AlreadyExists {
			t.Errorf("second submission: %v", err)
		}
		if _, err := leader.Service().SubmitJob(context.Background(), api.SubmitJobRequest{Program: "nosuch"}); api.CodeOf(err) != api.NotFound {
			t.Errorf("unknown program: %v", err)
		}
	})
}
