package coordinator

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	autopilot "github.com/hashicorp/raft-autopilot"

	"cairn/api"
)

// Upkeep says how the leader looks after Raft's configuration.
type Upkeep struct {
	// Stabilization is how long a newcomer must have kept up with the leader before it gets a vote, and how long a
	// voter must have been out of reach before a replacement may take its place.
	Stabilization time.Duration
}

// DefaultUpkeep returns times that outlast a restart.
func DefaultUpkeep() Upkeep { return Upkeep{Stabilization: 10 * time.Second} }

// Validate returns an error that names the time that makes no sense.
func (u Upkeep) Validate() error {
	if u.Stabilization <= 0 {
		return fmt.Errorf("raft stabilization time %s: must be positive", u.Stabilization)
	}
	return nil
}

const (
	// upkeepInterval is the time between two looks at the members.
	upkeepInterval = time.Second
	// maxTrailing is how many entries a member may be behind and still count as keeping up: what a busy log grows
	// by while it is asked.
	maxTrailing = 1000
)

// upkeep keeps Raft's configuration in step with the coordinators that there are, while this replica leads: it takes
// newcomers in without a vote (admit), and autopilot gives them one and removes the dead. It is what autopilot asks
// about the world, and what tells it whom to promote and whom to spare.
type upkeep struct {
	c       *Coordinator
	log     *slog.Logger
	refused map[raft.ServerID]bool // who was told so in this leadership; belongs to the goroutine in run

	mu struct {
		sync.Mutex
		answers map[raft.ServerID]memberAnswer // the last one of each
		began   time.Time                      // of this leadership
	}
}

// memberAnswer is what a coordinator said when it was last asked, and when that was.
type memberAnswer struct {
	at      time.Time
	replica api.Replica
	voters  []api.Voter // of its own configuration, which may be old
}

var (
	_ autopilot.ApplicationIntegration = (*upkeep)(nil)
	_ autopilot.Promoter               = (*upkeep)(nil)
)

func newUpkeep(c *Coordinator) *upkeep { return &upkeep{c: c, log: c.log} }

// run looks after the configuration until ctx, the leadership, is done. It returns when all it started has ended.
func (u *upkeep) run(ctx context.Context) {
	u.mu.Lock()
	u.mu.answers, u.mu.began = make(map[raft.ServerID]memberAnswer), time.Now()
	u.mu.Unlock()
	u.refused = make(map[raft.ServerID]bool)
	pilot := autopilot.New(pilotedRaft{u.c.replica.raft, u.log}, u,
		autopilot.WithLogger(RaftLogger(u.log)), autopilot.WithPromoter(u),
		autopilot.WithUpdateInterval(upkeepInterval), autopilot.WithReconcileInterval(upkeepInterval))
	pilot.Start(ctx)
	defer func() { <-pilot.Stop() }()
	ticker := time.NewTicker(upkeepInterval)
	defer ticker.Stop()
	for {
		u.admit()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// pilotedRaft tells the log what autopilot does.
type pilotedRaft struct {
	*raft.Raft
	log *slog.Logger
}

// AddVoter implements autopilot.Raft.
func (r pilotedRaft) AddVoter(id raft.ServerID, address raft.ServerAddress, prevIndex uint64, timeout time.Duration) raft.IndexFuture {
	r.log.Info("coordinator gets a vote", "peer", id, "address", address)
	return r.Raft.AddVoter(id, address, prevIndex, timeout)
}

// AutopilotConfig implements autopilot.ApplicationIntegration.
func (u *upkeep) AutopilotConfig() *autopilot.Config {
	return &autopilot.Config{
		CleanupDeadServers: true, LastContactThreshold: u.c.contactLimit(), MaxTrailingLogs: maxTrailing,
		MinQuorum: uint(u.c.cfg.BootstrapExpect), ServerStabilizationTime: u.c.cfg.Upkeep.Stabilization,
	}
}

// KnownServers implements autopilot.ApplicationIntegration: the members of the configuration, each as gossip sees
// it. It leaves out none, so that autopilot never takes one for a leftover that can go without further questions.
func (u *upkeep) KnownServers() map[raft.ServerID]*autopilot.Server {
	alive := u.c.livingPeers()
	known := make(map[raft.ServerID]*autopilot.Server)
	for _, s := range u.c.replica.servers() {
		status := autopilot.NodeAlive
		if _, found := alive[s.ID]; !found {
			status = autopilot.NodeFailed
		}
		known[s.ID] = &autopilot.Server{
			ID: s.ID, Name: string(s.ID), Address: s.Address, NodeStatus: status, NodeType: autopilot.NodeVoter,
			RaftVersion: int(raft.ProtocolVersionMax), IsLeader: s.ID == raft.ServerID(u.c.cfg.ID),
		}
	}
	return known
}

// FetchServerStats implements autopilot.ApplicationIntegration. It asks all coordinators at once, members and
// newcomers; admit acts on what the latter say.
func (u *upkeep) FetchServerStats(ctx context.Context, _ map[raft.ServerID]*autopilot.Server) map[raft.ServerID]*autopilot.ServerStats {
	addresses := make(map[raft.ServerID]string)
	for _, s := range u.c.replica.servers() {
		addresses[s.ID] = string(s.Address)
	}
	for id, address := range u.c.livingPeers() {
		addresses[id] = address // where it is now
	}
	var asking sync.WaitGroup
	for id, address := range addresses {
		asking.Go(func() { u.ask(ctx, id, address) })
	}
	asking.Wait()
	u.mu.Lock()
	defer u.mu.Unlock()
	stats := make(map[raft.ServerID]*autopilot.ServerStats)
	for id, a := range u.mu.answers {
		s := &autopilot.ServerStats{
			LastContact: time.Duration(a.replica.LastContactMillis) * time.Millisecond,
			LastTerm:    a.replica.LastTerm, LastIndex: a.replica.LastIndex,
		}
		if time.Since(a.at) > upkeepInterval {
			s.LastContact = -1 // it has not answered this time
		}
		stats[id] = s
	}
	return stats
}

func (u *upkeep) ask(ctx context.Context, id raft.ServerID, address string) {
	answer := memberAnswer{replica: u.c.report()}
	if id != raft.ServerID(u.c.cfg.ID) {
		status, err := u.c.deps.Forward(address).Status(ctx)
		if err != nil || status.Replica.ID != string(id) {
			return
		}
		answer = memberAnswer{replica: status.Replica, voters: status.Voters}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	answer.at = time.Now()
	u.mu.answers[id] = answer
}

// NotifyState implements autopilot.ApplicationIntegration.
func (u *upkeep) NotifyState(*autopilot.State) {}

// RemoveFailedServer implements autopilot.ApplicationIntegration: FilterFailedServerRemovals has found it dead.
func (u *upkeep) RemoveFailedServer(s *autopilot.Server) {
	u.log.Warn("coordinator is out of reach and has been replaced; it leaves the configuration", "peer", s.ID, "address", s.Address)
	if err := u.c.replica.raft.RemoveServer(s.ID, 0, 0).Error(); err != nil {
		u.log.Warn("coordinator was not removed", "peer", s.ID, "cause", err)
	}
}

// CalculatePromotionsAndDemotions implements autopilot.Promoter: whoever has kept up for the stabilization time gets
// a vote. Autopilot's own rule waives that time for a new leader, which this one does not.
func (u *upkeep) CalculatePromotionsAndDemotions(c *autopilot.Config, s *autopilot.State) autopilot.RaftChanges {
	var changes autopilot.RaftChanges
	now := time.Now()
	for id, server := range s.Servers {
		if server.State == autopilot.RaftNonVoter && server.Health.IsStable(now, c.ServerStabilizationTime) {
			changes.Promotions = append(changes.Promotions, id)
		}
	}
	slices.Sort(changes.Promotions)
	return changes
}

// FilterFailedServerRemovals implements autopilot.Promoter. A voter goes only when it has been out of reach for the
// stabilization time and the healthy voters besides it are as many as the cluster was formed of: so never before a
// replacement votes in its place, and one at a time.
func (u *upkeep) FilterFailedServerRemovals(c *autopilot.Config, s *autopilot.State, failed *autopilot.FailedServers) *autopilot.FailedServers {
	healthy := 0
	for _, server := range s.Servers {
		if server.HasVotingRights() && server.Health.Healthy {
			healthy++
		}
	}
	dead := func(server *autopilot.Server) bool { return u.outOfReach(server.ID) >= c.ServerStabilizationTime }
	kept := &autopilot.FailedServers{}
	for _, server := range failed.FailedNonVoters {
		if dead(server) {
			kept.FailedNonVoters = append(kept.FailedNonVoters, server)
		}
	}
	for _, server := range failed.FailedVoters {
		if dead(server) && healthy >= int(c.MinQuorum) && len(kept.FailedVoters) == 0 {
			kept.FailedVoters = append(kept.FailedVoters, server)
		}
	}
	return kept
}

// outOfReach returns for how long a member has not answered, as far as this leadership knows.
func (u *upkeep) outOfReach(id raft.ServerID) time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	since := u.mu.began
	if a, found := u.mu.answers[id]; found {
		since = a.at
	}
	return time.Since(since)
}

// GetServerExt implements autopilot.Promoter.
func (u *upkeep) GetServerExt(*autopilot.Config, *autopilot.ServerState) any { return nil }

// GetStateExt implements autopilot.Promoter.
func (u *upkeep) GetStateExt(*autopilot.Config, *autopilot.State) any { return nil }

// GetNodeTypes implements autopilot.Promoter: every coordinator is there to vote.
func (u *upkeep) GetNodeTypes(_ *autopilot.Config, s *autopilot.State) map[raft.ServerID]autopilot.NodeType {
	types := make(map[raft.ServerID]autopilot.NodeType, len(s.Servers))
	for id := range s.Servers {
		types[id] = autopilot.NodeVoter
	}
	return types
}

// IsPotentialVoter implements autopilot.Promoter.
func (u *upkeep) IsPotentialVoter(t autopilot.NodeType) bool { return t == autopilot.NodeVoter }

// report is what this replica says of itself.
func (c *Coordinator) report() api.Replica {
	return api.Replica{
		ID: string(c.cfg.ID), Blank: !c.replica.gate.isOpen(), Ready: c.bootstrap.isReady(),
		LastIndex: c.replica.raft.LastIndex(), LastTerm: c.replica.lastTerm(),
		LastContactMillis: millis(c.replica.lastContact()),
	}
}

// livingPeers returns the addresses of the coordinators that gossip knows to be alive, this one included.
func (c *Coordinator) livingPeers() map[raft.ServerID]string {
	peers := map[raft.ServerID]string{raft.ServerID(c.cfg.ID): c.cfg.Address}
	for _, p := range c.bootstrap.peers() {
		peers[raft.ServerID(p.ID)] = p.Address
	}
	return peers
}

// contactLimit is how long a follower may not have heard of the leader and still count as following.
func (c *Coordinator) contactLimit() time.Duration { return 4 * c.cfg.Raft.Heartbeat }
