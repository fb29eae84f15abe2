package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"cairn/api"
	"cairn/checkpoint"
)

// peerTimeout bounds how long the leader waits for a voter to say when it last heard from the leader.
const peerTimeout = 500 * time.Millisecond

// Status answers from the leader when there is one, and from what this replica knows otherwise, or when the caller
// asked for that. A forwarded call asks for this replica's own view: that is how coordinators learn of each other.
func (s service) Status(ctx context.Context) (api.Status, error) {
	if api.Stale(ctx) {
		status := s.localStatus()
		if id, address := s.c.replica.leader(); id != "" {
			status.Leader = api.Leader{ID: string(id), Address: address, Term: s.c.replica.raft.CurrentTerm()}
		}
		return status, nil
	}
	if s.c.deps.Forwarded(ctx) {
		return s.ownStatus(ctx), nil
	}
	deadline := waitUntil(ctx)
	for {
		if l := s.c.sessions.leading(); l != nil {
			status, err := s.leaderStatus(ctx, l)
			if err == nil {
				return status, nil
			}
		} else if id, address := s.c.replica.leader(); address != "" && id != s.c.cfg.ID {
			status, err := s.c.deps.Forward(address).Status(ctx)
			if err == nil && status.Leader.ID == string(id) && !status.Stale {
				return status, nil
			}
		}
		// Without a configuration there will be no leader soon: say so at once.
		if s.c.bootstrap.waiting() != "" || time.Now().After(deadline) {
			return s.localStatus(), nil
		}
		select {
		case <-ctx.Done():
			return s.localStatus(), nil
		case <-time.After(leaderPoll):
		}
	}
}

// ownStatus is what this replica answers to another coordinator: the whole on the leader, once it has made sure that
// it leads, and what it knows by itself elsewhere.
func (s service) ownStatus(ctx context.Context) api.Status {
	if l := s.c.sessions.leading(); l != nil {
		if status, err := s.leaderStatus(ctx, l); err == nil {
			return status
		}
	}
	return s.localStatus()
}

// localStatus is what this replica knows by itself.
func (s service) localStatus() api.Status {
	status := api.Status{
		Nodes: []api.Node{}, Jobs: []api.JobSummary{}, Problems: []string{}, Voters: []api.Voter{},
		Stale: true, Replica: s.c.report(),
	}
	leaderID, _ := s.c.replica.leader()
	for _, server := range s.c.replica.servers() {
		v := memberModel(server)
		v.State = "unknown"
		if v.ID == string(s.c.cfg.ID) {
			v.State, v.LastContactMillis = "follower", status.Replica.LastContactMillis
		}
		status.Voters = append(status.Voters, v)
	}
	for _, j := range s.c.replica.jobs() {
		status.Jobs = append(status.Jobs, jobSummary(j))
	}
	if leaderID == "" {
		status.Problems = append(status.Problems, s.c.noLeader().Error())
	}
	return status
}

func memberModel(server raft.Server) api.Voter {
	return api.Voter{
		ID: string(server.ID), Address: string(server.Address), Voter: server.Suffrage == raft.Voter, LastContactMillis: -1,
	}
}

func (s service) leaderStatus(ctx context.Context, l *leader) (api.Status, error) {
	if err := l.readIndex(ctx); err != nil {
		return api.Status{}, err
	}
	status, err := ask(ctx, l, func() (api.Status, error) {
		l.refresh()
		status := api.Status{Leader: api.Leader{ID: string(s.c.cfg.ID), Term: uint64(l.term), Address: s.c.cfg.Address}}
		fillStatus(&status, l.view, l.copiesOnNodes(s.c.cfg.Replicas), time.Now())
		return status, nil
	})
	if err != nil {
		return status, err
	}
	status.Voters, status.Replica = s.members(ctx), s.c.report()
	judgeVoters(&status)
	status.Problems = append(status.Problems, l.keeperProblems(ctx)...)
	status.Healthy = len(status.Problems) == 0
	return status, nil
}

// copiesOnNodes returns on how many nodes chunks should be: none in particular when the nodes share a store.
func (l *leader) copiesOnNodes(replicas int) int {
	for _, o := range l.sessions {
		if o.hello.SharedStore != "" {
			return 0
		}
	}
	return replicas
}

// keeperProblems says what is wrong with the store. The storekeeper may be busy with many chunks: then it is left out.
func (l *leader) keeperProblems(ctx context.Context) []string {
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	problems, err := l.keeper.problems(ctx)
	if err != nil {
		return nil
	}
	return problems
}

// members asks every member of the configuration when it last heard from us.
func (s service) members(ctx context.Context) []api.Voter {
	servers := s.c.replica.servers()
	members := make([]api.Voter, len(servers))
	var asking sync.WaitGroup
	for i, server := range servers {
		asking.Go(func() { members[i] = s.member(ctx, server) })
	}
	asking.Wait()
	return members
}

func (s service) member(ctx context.Context, server raft.Server) api.Voter {
	v := memberModel(server)
	v.State = "failed"
	if server.ID == raft.ServerID(s.c.cfg.ID) {
		v.State, v.LastContactMillis = "leader", 0
		return v
	}
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	status, err := s.c.deps.Forward(v.Address).Status(ctx)
	if err != nil || status.Replica.ID != v.ID {
		return v
	}
	v.LastContactMillis = status.Replica.LastContactMillis
	if c := v.LastContactMillis; c >= 0 && c <= millis(s.c.contactLimit()) {
		v.State = "follower"
	}
	return v
}

// judgeVoters derives the failure tolerance, and the problems that follow from failed voters.
func judgeVoters(status *api.Status) {
	sound, voters := 0, 0
	for _, v := range status.Voters {
		if v.Voter {
			voters++
		}
		if v.State == "failed" {
			status.Problems = append(status.Problems, fmt.Sprintf("coordinator %s at %s does not follow the leader", v.ID, v.Address))
			continue
		}
		if v.Voter {
			sound++
		}
	}
	majority := voters/2 + 1
	status.FailureTolerance = max(0, sound-majority)
}

func millis(d time.Duration) int64 {
	if d < 0 {
		return -1
	}
	return d.Milliseconds()
}

func (s service) Members(context.Context) ([]api.Member, error) { return s.c.deps.Members(), nil }

func (s service) RaftPeers(ctx context.Context) ([]api.Voter, error) {
	if api.Stale(ctx) {
		return s.localStatus().Voters, nil
	}
	return call[[]api.Voter]{
		local: func(ctx context.Context, l *leader) ([]api.Voter, error) {
			if err := l.readIndex(ctx); err != nil {
				return nil, err
			}
			return s.members(ctx), nil
		},
		remote:     func(ctx context.Context, r api.Service) ([]api.Voter, error) { return r.RaftPeers(ctx) },
		repeatable: true,
	}.run(ctx, s.c)
}

// RemovePeer takes a coordinator that has stopped out of the configuration. One that runs would be taken in again.
func (s service) RemovePeer(ctx context.Context, id string) error {
	_, err := call[struct{}]{
		local: func(ctx context.Context, _ *leader) (struct{}, error) { return struct{}{}, s.removeHere(ctx, id) },
		remote: func(ctx context.Context, r api.Service) (struct{}, error) {
			return struct{}{}, r.RemovePeer(ctx, id)
		},
	}.run(ctx, s.c)
	return err
}

func (s service) removeHere(ctx context.Context, id string) error {
	servers := s.c.replica.servers()
	i := slices.IndexFunc(servers, func(v raft.Server) bool { return string(v.ID) == id })
	switch {
	case i < 0:
		return api.Errorf(api.NotFound, "no coordinator is named %q; the members are %s", id, serverIDs(servers))
	case len(votersOf(servers)) == 1 && servers[i].Suffrage == raft.Voter:
		return api.Errorf(api.Conflict, "coordinator %s is the last voter: without it there is no cluster", id)
	case id == string(s.c.cfg.ID):
		return api.Errorf(api.Conflict, "coordinator %s leads: transfer the leadership to another one first, and stop %s", id, id)
	}
	if address, alive := s.c.livingPeers()[servers[i].ID]; alive {
		return api.Errorf(api.Conflict, "coordinator %s runs at %s and would join again: stop it first", id, address)
	}
	if err := await(ctx, s.c.replica.raft.RemoveServer(servers[i].ID, 0, 0)); err != nil {
		return api.Errorf(api.Unavailable, "whether coordinator %s was removed is unknown: %v", id, err)
	}
	s.c.log.Warn("coordinator removed by an operator", "peer", id, "address", servers[i].Address)
	return nil
}

func (s service) TransferLeadership(ctx context.Context, target string) (api.Leader, error) {
	return call[api.Leader]{
		local: func(ctx context.Context, l *leader) (api.Leader, error) { return s.transferHere(ctx, l, target) },
		remote: func(ctx context.Context, r api.Service) (api.Leader, error) {
			return r.TransferLeadership(ctx, target)
		},
	}.run(ctx, s.c)
}

func (s service) transferHere(ctx context.Context, l *leader, target string) (api.Leader, error) {
	if target == string(s.c.cfg.ID) {
		return api.Leader{}, api.Errorf(api.Conflict, "coordinator %s leads already", target)
	}
	voters := s.c.replica.voters()
	if target != "" && !slices.ContainsFunc(voters, func(v raft.Server) bool { return string(v.ID) == target }) {
		return api.Leader{}, api.Errorf(api.NotFound, "no voter is named %q; the voters are %s", target, serverIDs(voters))
	}
	if err := s.c.handOver(ctx, checkpoint.NodeID(target)); errors.Is(err, errHandingOver) {
		return api.Leader{}, api.Errorf(api.Conflict, "%v", err)
	} else if err != nil {
		return api.Leader{}, api.Errorf(api.Unavailable, "leadership was not handed over: %v", err)
	}
	for {
		if id, address := s.c.replica.leader(); id != "" && id != s.c.cfg.ID {
			return api.Leader{ID: string(id), Address: address, Term: s.c.replica.raft.CurrentTerm()}, nil
		}
		select {
		case <-ctx.Done():
			return api.Leader{}, api.Errorf(api.Unavailable, "term %d has ended, but no new leader was seen in time", l.term)
		case <-time.After(leaderPoll):
		}
	}
}

func serverIDs(servers []raft.Server) string {
	ids := make([]string, len(servers))
	for i, s := range servers {
		ids[i] = string(s.ID)
	}
	return strings.Join(ids, ", ")
}
