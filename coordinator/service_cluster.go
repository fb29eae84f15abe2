package coordinator

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"cairn/api"
	"cairn/checkpoint"
)

// peerTimeout bounds how long the leader waits for a voter to say when it last heard from the leader.
const peerTimeout = 500 * time.Millisecond

// Status answers from the leader when there is one, and from what this replica knows otherwise. A forwarded
// call asks for this replica's own view: that is how the leader learns when its voters last heard of it.
func (s service) Status(ctx context.Context) (api.Status, error) {
	if s.c.deps.Forwarded(ctx) {
		return s.localStatus(ctx), nil
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
			if err == nil && status.Leader.ID == string(id) {
				return status, nil
			}
		}
		// Without a configuration there will be no leader soon: say so at once.
		if s.c.bootstrap.waiting() != "" || time.Now().After(deadline) {
			return s.localStatus(ctx), nil
		}
		select {
		case <-ctx.Done():
			return s.localStatus(ctx), nil
		case <-time.After(leaderPoll):
		}
	}
}

// localStatus is what this replica knows by itself. On the leader it is the whole of it.
func (s service) localStatus(ctx context.Context) api.Status {
	if l := s.c.sessions.leading(); l != nil {
		if status, err := s.leaderStatus(ctx, l); err == nil {
			return status
		}
	}
	status := api.Status{Nodes: []api.Node{}, Jobs: []api.JobSummary{}, Problems: []string{}, Voters: []api.Voter{}}
	leaderID, _ := s.c.replica.leader()
	for _, server := range s.c.replica.voters() {
		v := api.Voter{ID: string(server.ID), Address: string(server.Address), State: "unknown", LastContactMillis: -1}
		if v.ID == string(s.c.cfg.ID) {
			v.State, v.LastContactMillis = "follower", millis(s.c.replica.lastContact())
		}
		status.Voters = append(status.Voters, v)
	}
	if leaderID == "" {
		status.Problems = append(status.Problems, s.c.noLeader().Error())
	}
	return status
}

func (s service) leaderStatus(ctx context.Context, l *leader) (api.Status, error) {
	status, err := ask(ctx, l, func() (api.Status, error) {
		l.view.SetJobs(l.raft.jobs())
		status := api.Status{Leader: api.Leader{ID: string(s.c.cfg.ID), Term: uint64(l.term), Address: s.c.cfg.Address}}
		fillStatus(&status, l.view, s.c.cfg.Replicas, time.Now())
		return status, nil
	})
	if err != nil {
		return status, err
	}
	status.Voters = s.voters(ctx)
	judgeVoters(&status)
	status.Healthy = len(status.Problems) == 0
	return status, nil
}

// voters asks every voter when it last heard from us.
func (s service) voters(ctx context.Context) []api.Voter {
	servers := s.c.replica.voters()
	voters := make([]api.Voter, len(servers))
	var asking sync.WaitGroup
	for i, server := range servers {
		asking.Go(func() { voters[i] = s.voter(ctx, server) })
	}
	asking.Wait()
	return voters
}

func (s service) voter(ctx context.Context, server raft.Server) api.Voter {
	v := api.Voter{ID: string(server.ID), Address: string(server.Address), State: "failed", LastContactMillis: -1}
	if server.ID == raft.ServerID(s.c.cfg.ID) {
		v.State, v.LastContactMillis = "leader", 0
		return v
	}
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	status, err := s.c.deps.Forward(v.Address).Status(ctx)
	if err != nil {
		return v
	}
	i := slices.IndexFunc(status.Voters, func(o api.Voter) bool { return o.ID == v.ID })
	if i < 0 {
		return v
	}
	v.LastContactMillis = status.Voters[i].LastContactMillis
	if c := v.LastContactMillis; c >= 0 && c <= millis(4*s.c.cfg.Raft.Heartbeat) {
		v.State = "follower"
	}
	return v
}

// judgeVoters derives the failure tolerance, and the problems that follow from failed voters.
func judgeVoters(status *api.Status) {
	sound := 0
	for _, v := range status.Voters {
		if v.State == "failed" {
			status.Problems = append(status.Problems, fmt.Sprintf("coordinator %s at %s does not follow the leader", v.ID, v.Address))
			continue
		}
		sound++
	}
	majority := len(status.Voters)/2 + 1
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
	return call[[]api.Voter]{
		local:      func(ctx context.Context, _ *leader) ([]api.Voter, error) { return s.voters(ctx), nil },
		remote:     func(ctx context.Context, r api.Service) ([]api.Voter, error) { return r.RaftPeers(ctx) },
		repeatable: true,
	}.run(ctx, s.c)
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
	if err := s.c.replica.transfer(checkpoint.NodeID(target), s.c.transferLimit()); err != nil {
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
	ids := ""
	for i, s := range servers {
		if i > 0 {
			ids += ", "
		}
		ids += string(s.ID)
	}
	return ids
}
