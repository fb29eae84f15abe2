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

// bootstrap forms the cluster: as soon as gossip knows exactly the expected coordinators, each of them
// bootstraps Raft with the same configuration, and an election follows. Raft allows that on several
// servers as long as the configurations are equal. It happens once in the life of a cluster: a replica with
// state of its own, or one that finds a peer with a configuration, waits to be contacted instead.
type bootstrap struct {
	c       *Coordinator
	changed chan struct{} // capacity 1: a token says that peers changed

	mu struct {
		sync.Mutex
		peers   []Peer
		waiting string // why there is no cluster yet; empty once this replica has a configuration
	}
}

// bootstrapRetry is how often the peers are asked again while they do not form a cluster.
const bootstrapRetry = 250 * time.Millisecond

func newBootstrap(c *Coordinator, existing bool) *bootstrap {
	b := &bootstrap{c: c, changed: make(chan struct{}, 1)}
	if !existing {
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
	if len(b.c.replica.voters()) > 0 {
		b.setWaiting("") // a leader has contacted this replica
		return
	}
	b.mu.Lock()
	peers := slices.Clone(b.mu.peers)
	b.mu.Unlock()
	waiting := b.existingCluster(ctx, peers)
	var servers []raft.Server
	if waiting == "" {
		servers, waiting = plan(peers, b.c.cfg.BootstrapExpect)
	}
	if waiting != "" {
		b.setWaiting(waiting)
		return
	}
	err := b.c.replica.raft.BootstrapCluster(raft.Configuration{Servers: servers}).Error()
	if err != nil {
		b.setWaiting(fmt.Sprintf("bootstrapping failed: %v", err))
		return
	}
	b.c.log.Info("cluster bootstrapped", "voters", len(servers))
	b.setWaiting("")
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

// existingCluster says which peer is a member of a cluster already, or cannot be asked; both forbid to form
// a new one. If the cluster has this replica in its configuration, its leader makes contact; that is also what
// happens when the peers were a moment faster in bootstrapping the cluster that this replica is part of.
func (b *bootstrap) existingCluster(ctx context.Context, peers []Peer) string {
	for _, p := range peers {
		if p.ID == b.c.cfg.ID {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		status, err := b.c.deps.Forward(p.Address).Status(ctx)
		cancel()
		switch {
		case err != nil:
			return fmt.Sprintf("waiting for coordinator %s at %s to answer: %v", p.ID, p.Address, err)
		case len(status.Voters) > 0:
			return b.outside(p, status.Voters)
		}
	}
	return ""
}

// outside says how this replica stands to the cluster that a peer is a member of.
func (b *bootstrap) outside(p Peer, voters []api.Voter) string {
	self := b.c.cfg
	for _, v := range voters {
		switch {
		case v.ID == string(self.ID) && v.Address == self.Address:
			return fmt.Sprintf("waiting for the leader of coordinator %s's cluster to make contact", p.ID)
		case v.ID == string(self.ID):
			return fmt.Sprintf("the cluster of coordinator %s knows %s at %s, but this process is at %s: start it with its old addresses",
				p.ID, self.ID, v.Address, self.Address)
		}
	}
	return fmt.Sprintf("coordinator %s is a member of a cluster that %s does not belong to: adding a coordinator to a running cluster is not possible yet",
		p.ID, self.ID)
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
