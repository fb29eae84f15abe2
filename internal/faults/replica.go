package faults

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/coordinator"
	"cairn/statestore"
)

// raftTiming is tight: nothing takes time here but what the network adds.
var raftTiming = coordinator.RaftTiming{
	Heartbeat: 200 * time.Millisecond, Election: 200 * time.Millisecond, Lease: 100 * time.Millisecond,
}

// leaderTiming makes the leader's mind up sooner than it would in a real network. Faults follow each other quickly.
func leaderTiming() coordinator.Timing {
	t := coordinator.DefaultTiming()
	t.SessionGrace, t.AdoptionGrace, t.HeartbeatTimeout = 250*time.Millisecond, time.Second, 2*time.Second
	t.LoadRetry, t.PlanAnswer, t.SweepAnswer = 200*time.Millisecond, time.Second, time.Second
	return t
}

// replica is one process of a coordinator.
type replica struct {
	*coordinator.Coordinator
	id        checkpoint.NodeID
	transport *raft.InmemTransport
	stores    coordinator.Stores // its disk
	cancel    context.CancelFunc
	stopped   chan struct{} // closed when everything of it has ended
	parted    bool          // from the other coordinators; guarded by the cluster's mutex

	mu struct {
		sync.Mutex
		dead     bool
		sessions map[*session]bool
	}
}

// blankDisk is the disk of a coordinator that never ran.
func blankDisk() coordinator.Stores {
	log := raft.NewInmemStore()
	return coordinator.Stores{Log: log, Stable: log, Snapshots: raft.NewInmemSnapshotStore()}
}

// startCoordinator starts a process on a disk, connected to all the others that are alive.
func (c *cluster) startCoordinator(id checkpoint.NodeID, disk coordinator.Stores) error {
	_, transport := raft.NewInmemTransport(raft.ServerAddress(id))
	coord, err := coordinator.New(coordinator.Config{
		ID: id, Address: string(id), BootstrapExpect: numCoordinators, Replicas: storeReplicas, Raft: raftTiming,
		Compaction: coordinator.DefaultCompaction(), Upkeep: coordinator.DefaultUpkeep(), Timing: c.keeping.Timing,
		Repair: c.keeping.Repair, Logger: c.log,
	}, coordinator.Deps{
		Stores: disk, Transport: transport, Store: statestore.NewRemote(storePeers{c, id}, storeOptions(c.log)), Forward: c.forward,
		Forwarded: func(ctx context.Context) bool { return ctx.Value(forwardedKey{}) != nil },
		Members:   func() []api.Member { return nil },
	})
	if err != nil {
		return fmt.Errorf("coordinator %s: %w", id, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &replica{Coordinator: coord, id: id, transport: transport, stores: disk, cancel: cancel, stopped: make(chan struct{})}
	r.mu.sessions = make(map[*session]bool)
	c.mu.Lock()
	c.mu.replicas[id] = r
	c.connectLocked(r)
	c.mu.Unlock()
	c.running.Go(func() {
		defer close(r.stopped)
		if err := coord.Run(ctx); err != nil {
			c.log.Warn("coordinator ended", "coordinator", id, "cause", err)
		}
	})
	c.gossip()
	return nil
}

// connectLocked lets a coordinator and all the others that are there reach each other.
func (c *cluster) connectLocked(r *replica) {
	for _, other := range c.mu.replicas {
		if other != r && !other.parted {
			r.transport.Connect(other.transport.LocalAddr(), other.transport)
			other.transport.Connect(r.transport.LocalAddr(), r.transport)
		}
	}
}

// disconnectLocked is the reverse of connectLocked.
func (c *cluster) disconnectLocked(r *replica) {
	r.transport.DisconnectAll()
	for _, other := range c.mu.replicas {
		other.transport.Disconnect(r.transport.LocalAddr())
	}
}

// gossip tells every coordinator which ones live.
func (c *cluster) gossip() {
	c.mu.Lock()
	defer c.mu.Unlock()
	var peers []coordinator.Peer
	for id := range c.mu.replicas {
		peers = append(peers, coordinator.Peer{ID: id, Address: string(id), BootstrapExpect: numCoordinators})
	}
	for _, r := range c.mu.replicas {
		r.SetPeers(peers)
	}
}

// killCoordinator ends a process without a hand-over: before it is told to stop, nobody hears of it any more, and it
// reaches nobody. What it still writes to its disk until it has stopped might have been written before. A new process on
// that disk has to wait for that.
func (c *cluster) killCoordinator(r *replica) {
	c.mu.Lock()
	if c.mu.replicas[r.id] == r {
		delete(c.mu.replicas, r.id)
	}
	c.disconnectLocked(r)
	c.mu.Unlock()
	r.die()
	r.cancel()
}

// partRaft separates a coordinator from the others. Nodes reach it as before.
func (c *cluster) partRaft(r *replica) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.parted = true
	c.disconnectLocked(r)
}

// mendRaft is the reverse of partRaft.
func (c *cluster) mendRaft(r *replica) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.parted = false
	if c.mu.replicas[r.id] == r {
		c.connectLocked(r)
	}
}

// breakSessionsOf breaks the sessions of a node.
func (c *cluster) breakSessionsOf(id checkpoint.NodeID) {
	for _, coord := range coordinatorIDs {
		if r := c.coordinatorOf(coord); r != nil {
			r.breakSessionsOf(id)
		}
	}
}

// coordinatorOf returns the process of that name, nil while there is none.
func (c *cluster) coordinatorOf(id checkpoint.NodeID) *replica {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.replicas[id]
}

// open notes a session that is to end with the process, unless that has ended already.
func (r *replica) open(s *session) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.mu.dead {
		r.mu.sessions[s] = true
	}
	return !r.mu.dead
}

func (r *replica) forget(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.mu.sessions, s)
}

func (r *replica) breakSessionsOf(node checkpoint.NodeID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for s := range r.mu.sessions {
		if s.node == node {
			s.end()
		}
	}
}

func (r *replica) die() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.dead = true
	for s := range r.mu.sessions {
		s.end()
	}
}

type forwardedKey struct{}

// forwarded marks the calls that are not to be forwarded any further.
func forwarded(ctx context.Context) context.Context {
	return context.WithValue(ctx, forwardedKey{}, true)
}

// forward returns what a coordinator sees of the one at an address. It asks it for its status only: clients here find
// the leader themselves.
func (c *cluster) forward(address string) api.Service {
	if r := c.coordinatorOf(checkpoint.NodeID(address)); r != nil {
		return forwarding{r.Service()}
	}
	return unreachable{}
}

type forwarding struct{ api.Service }

func (f forwarding) Status(ctx context.Context) (api.Status, error) {
	return f.Service.Status(forwarded(ctx))
}

type unreachable struct{ api.Service }

func (unreachable) Status(context.Context) (api.Status, error) {
	return api.Status{}, api.Errorf(api.Unavailable, "%v", errDown)
}
