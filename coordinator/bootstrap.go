package coordinator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"cairn/api"
	"cairn/checkpoint"
)

// Peer is a coordinator that gossip knows to be alive, this one included.
type Peer struct {
	ID              checkpoint.NodeID
	Address         string
	BootstrapExpect int
}

// bootstrap finds the place of a replica that has no state. There are two ways in. A new cluster is formed when
// gossip knows exactly the expected coordinators and all of them are without state: each bootstraps Raft with the
// same configuration, which Raft allows as long as the configurations are equal. A cluster that runs already takes
// the replica in: its leader adds it as a member without vote, and autopilot gives it one.
//
// Until then the replica's gate is closed. What makes opening it sound is said at form and admitted: this process
// must be sure that no earlier life of its, before its disk was wiped, has a vote to remember in the cluster.
type bootstrap struct {
	c       *Coordinator
	changed chan struct{} // capacity 1: a token says that peers changed

	mu struct {
		sync.Mutex
		peers   []Peer
		waiting string // why there is no cluster yet; empty once this replica has a configuration
		// ready is the configuration of a new cluster, set once all its members have been seen without state.
		ready []raft.Server
	}
}

// bootstrapRetry is how often the peers are asked again while this replica has no place.
const bootstrapRetry = 100 * time.Millisecond

func newBootstrap(c *Coordinator) *bootstrap {
	b := &bootstrap{c: c, changed: make(chan struct{}, 1)}
	if !c.replica.gate.isOpen() {
		b.mu.waiting = waitingText(1, c.cfg.BootstrapExpect)
	}
	return b
}

// SetPeers tells the coordinator which coordinators gossip knows to be alive.
func (c *Coordinator) SetPeers(peers []Peer) {
	b := c.bootstrap
	b.mu.Lock()
	b.mu.peers = slices.Clone(peers)
	b.mu.Unlock()
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

func (b *bootstrap) peers() []Peer {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.mu.peers)
}

// waiting says why there is no cluster yet, or is empty.
func (b *bootstrap) waiting() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.waiting
}

func (b *bootstrap) run(ctx context.Context) {
	ticker := time.NewTicker(bootstrapRetry)
	defer ticker.Stop()
	for b.waiting() != "" {
		select {
		case <-ctx.Done():
			return
		case <-b.changed:
		case <-ticker.C:
		}
		b.try(ctx)
	}
}

func (b *bootstrap) try(ctx context.Context) {
	if len(b.c.replica.servers()) > 0 {
		b.setWaiting("") // a leader has contacted this replica
		return
	}
	peers := b.peers()
	answers, silent := b.ask(ctx, peers)
	switch {
	case silent != "":
		b.setWaiting(silent)
	case slices.ContainsFunc(answers, func(a peerAnswer) bool { return len(a.status.Voters) > 0 }):
		b.setWaiting(b.join(answers))
	default:
		b.setWaiting(b.form(peers, answers))
	}
}

func (b *bootstrap) setWaiting(why string) {
	b.mu.Lock()
	changed := b.mu.waiting != why
	b.mu.waiting = why
	b.mu.Unlock()
	if changed && why != "" {
		b.c.log.Info("no cluster yet", "cause", why)
	}
}

// isReady reports whether this replica would form a new cluster.
func (b *bootstrap) isReady() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mu.ready != nil
}

// peerAnswer is what another coordinator says of itself and of the cluster.
type peerAnswer struct {
	peer   Peer
	status api.Status
}

// ask asks every other coordinator, or says which one does not answer: it might be a member of a cluster.
func (b *bootstrap) ask(ctx context.Context, peers []Peer) (answers []peerAnswer, silent string) {
	for _, p := range peers {
		if p.ID == b.c.cfg.ID {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		status, err := b.c.deps.Forward(p.Address).Status(ctx)
		cancel()
		if err != nil {
			return nil, fmt.Sprintf("waiting for coordinator %s at %s to answer: %v", p.ID, p.Address, err)
		}
		answers = append(answers, peerAnswer{p, status})
	}
	return answers, ""
}

// form bootstraps a new cluster, or says why that has to wait. It happens in two steps: a replica that has seen all
// the others without state is ready, and bootstraps when all are, or have been. So each one's state, if it ever had
// any, is gone together with that of all the others, and there is no cluster left that could miss its vote.
func (b *bootstrap) form(peers []Peer, answers []peerAnswer) string {
	servers, waiting := plan(peers, b.c.cfg.BootstrapExpect)
	if waiting != "" {
		return waiting
	}
	b.mu.Lock()
	b.mu.ready = servers
	b.mu.Unlock()
	for _, a := range answers {
		if !a.status.Replica.Ready {
			return fmt.Sprintf("waiting for coordinator %s to see all %d", a.peer.ID, len(servers))
		}
	}
	return b.bootstrapWith(servers)
}

func (b *bootstrap) bootstrapWith(servers []raft.Server) string {
	if err := b.c.replica.raft.BootstrapCluster(raft.Configuration{Servers: servers}).Error(); err != nil {
		return fmt.Sprintf("bootstrapping failed: %v", err)
	}
	b.c.log.Info("cluster bootstrapped", "voters", len(servers))
	b.c.replica.gate.open()
	return ""
}

// join says how this replica stands to the cluster that some of the peers are members of, and takes part in it as
// soon as that is sound.
func (b *bootstrap) join(answers []peerAnswer) string {
	b.mu.Lock()
	ready := b.mu.ready
	b.mu.Unlock()
	for _, a := range answers {
		if len(a.status.Voters) > 0 && ready != nil && sameMembers(a.status.Voters, ready) {
			return b.bootstrapWith(ready) // the others were a moment faster
		}
	}
	if b.admitted(answers) {
		b.c.replica.gate.open()
		return "waiting for the leader to send the state"
	}
	for _, a := range answers {
		if len(a.status.Voters) > 0 {
			return b.outside(a)
		}
	}
	return ""
}

// admitted reports whether the leader lists this replica as a member without vote. Only the leader knows: a
// follower's configuration may be older than a vote that this replica got afterwards, and has forgotten.
func (b *bootstrap) admitted(answers []peerAnswer) bool {
	for _, a := range answers {
		if a.status.Leader.ID != string(a.peer.ID) || a.status.Stale {
			continue
		}
		return slices.ContainsFunc(a.status.Voters, func(v api.Voter) bool {
			return !v.Voter && v.ID == string(b.c.cfg.ID) && v.Address == b.c.cfg.Address
		})
	}
	return false
}

// outside says what has to happen before the cluster takes this replica in.
func (b *bootstrap) outside(a peerAnswer) string {
	for _, v := range a.status.Voters {
		if v.ID == string(b.c.cfg.ID) && v.Voter {
			return fmt.Sprintf("the cluster of coordinator %s knows %s as a voter, but its state is gone: waiting for the leader to take its vote back",
				a.peer.ID, v.ID)
		}
	}
	return fmt.Sprintf("waiting for the leader of coordinator %s's cluster to take this coordinator in", a.peer.ID)
}

func sameMembers(voters []api.Voter, servers []raft.Server) bool {
	same := func(v api.Voter) bool {
		return v.Voter && slices.ContainsFunc(servers, func(s raft.Server) bool {
			return v.ID == string(s.ID) && v.Address == string(s.Address)
		})
	}
	return len(voters) == len(servers) && !slices.ContainsFunc(voters, func(v api.Voter) bool { return !same(v) })
}

// plan returns the configuration to bootstrap with, or why that has to wait.
func plan(peers []Peer, expect int) ([]raft.Server, string) {
	var differing []string
	for _, p := range peers {
		differing = append(differing, fmt.Sprintf("%s expects %d", p.ID, p.BootstrapExpect))
	}
	slices.Sort(differing)
	for _, p := range peers {
		if p.BootstrapExpect != expect {
			return nil, "the coordinators disagree on --bootstrap-expect: " + strings.Join(differing, ", ")
		}
	}
	if len(peers) < expect {
		return nil, waitingText(len(peers), expect)
	}
	if len(peers) > expect {
		return nil, fmt.Sprintf("%d coordinators are there, but --bootstrap-expect is %d: %s",
			len(peers), expect, strings.Join(differing, ", "))
	}
	servers := make([]raft.Server, 0, len(peers))
	for _, p := range peers {
		servers = append(servers, raft.Server{
			Suffrage: raft.Voter, ID: raft.ServerID(p.ID), Address: raft.ServerAddress(p.Address),
		})
	}
	slices.SortFunc(servers, func(a, b raft.Server) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return servers, ""
}

func waitingText(have, expect int) string {
	missing := max(1, expect-have)
	noun := "coordinators"
	if missing == 1 {
		noun = "coordinator"
	}
	return fmt.Sprintf("waiting for %d more %s (%d of %d are there)", missing, noun, have, expect)
}
