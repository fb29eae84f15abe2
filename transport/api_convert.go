package transport

import (
	"cairn/api"
	"cairn/transport/transportpb"
)

// The read model, to its wire form and back. Lists come back empty rather than nil, and so do maps, because
// the JSON form of the read model writes an empty list as [] but a nil one as null.

// list maps the elements of a list that is never nil.
func list[P, T any](from []P, f func(P) T) []T {
	to := make([]T, len(from))
	for i, v := range from {
		to[i] = f(v)
	}
	return to
}

// optional maps a value that may not be there.
func optional[P, T any](from *P, f func(*P) T) *T {
	if from == nil {
		return nil
	}
	to := f(from)
	return &to
}

// optionalToPB is optional in the other direction.
func optionalToPB[T, P any](from *T, f func(T) *P) *P {
	if from == nil {
		return nil
	}
	return f(*from)
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func statusToPB(s api.Status) *transportpb.StatusResponse {
	return &transportpb.StatusResponse{
		Leader: leaderToPB(s.Leader), Voters: list(s.Voters, voterToPB),
		FailureTolerance: int64(s.FailureTolerance), Healthy: s.Healthy,
		Problems: list(s.Problems, text), Nodes: list(s.Nodes, nodeInfoToPB), Jobs: list(s.Jobs, jobSummaryToPB),
		Stale: s.Stale, Replica: replicaToPB(s.Replica),
	}
}

func statusFromPB(pb *transportpb.StatusResponse) api.Status {
	return api.Status{
		Leader: leaderFromPB(pb.GetLeader()), Voters: list(pb.GetVoters(), voterFromPB),
		FailureTolerance: int(pb.GetFailureTolerance()), Healthy: pb.GetHealthy(),
		Problems: append([]string{}, pb.GetProblems()...), Nodes: list(pb.GetNodes(), nodeInfoFromPB),
		Jobs: list(pb.GetJobs(), jobSummaryFromPB), Stale: pb.GetStale(),
		Replica: replicaFromPB(pb.GetReplica()),
	}
}

func replicaToPB(r api.Replica) *transportpb.ReplicaInfo {
	return &transportpb.ReplicaInfo{
		Id: r.ID, Blank: r.Blank, Ready: r.Ready, LastIndex: r.LastIndex, LastTerm: r.LastTerm,
		LastContactMillis: r.LastContactMillis,
	}
}

func replicaFromPB(pb *transportpb.ReplicaInfo) api.Replica {
	return api.Replica{
		ID: pb.GetId(), Blank: pb.GetBlank(), Ready: pb.GetReady(), LastIndex: pb.GetLastIndex(), LastTerm: pb.GetLastTerm(),
		LastContactMillis: pb.GetLastContactMillis(),
	}
}

func leaderToPB(l api.Leader) *transportpb.LeaderInfo {
	return &transportpb.LeaderInfo{Id: l.ID, Term: l.Term, Address: l.Address}
}

func leaderFromPB(pb *transportpb.LeaderInfo) api.Leader {
	return api.Leader{ID: pb.GetId(), Term: pb.GetTerm(), Address: pb.GetAddress()}
}

func voterToPB(v api.Voter) *transportpb.VoterInfo {
	return &transportpb.VoterInfo{
		Id: v.ID, Address: v.Address, State: v.State, Voter: v.Voter, LastContactMillis: v.LastContactMillis,
	}
}

func voterFromPB(pb *transportpb.VoterInfo) api.Voter {
	return api.Voter{
		ID: pb.GetId(), Address: pb.GetAddress(), State: pb.GetState(), Voter: pb.GetVoter(),
		LastContactMillis: pb.GetLastContactMillis(),
	}
}

func nodeInfoToPB(n api.Node) *transportpb.NodeInfo {
	return &transportpb.NodeInfo{
		Id: n.ID, Address: n.Address, State: n.State, Slots: int64(n.Slots), UsedSlots: int64(n.UsedSlots),
		Subtasks: int64(n.Subtasks), Status: n.Status, Drained: n.Drained, DrainedAt: n.DrainedAt, Leaving: list(n.Leaving, text),
	}
}

func nodeInfoFromPB(pb *transportpb.NodeInfo) api.Node {
	return api.Node{
		ID: pb.GetId(), Address: pb.GetAddress(), State: pb.GetState(),
		Slots: int(pb.GetSlots()), UsedSlots: int(pb.GetUsedSlots()), Subtasks: int(pb.GetSubtasks()),
		Status: pb.GetStatus(), Drained: pb.GetDrained(), DrainedAt: pb.GetDrainedAt(), Leaving: append([]string{}, pb.GetLeaving()...),
	}
}

func memberToPB(m api.Member) *transportpb.MemberInfo {
	return &transportpb.MemberInfo{
		Id: m.ID, Role: m.Role, Address: m.Address, Gossip: m.Gossip, State: m.State, Version: m.Version,
		Zone: m.Zone,
	}
}

func memberFromPB(pb *transportpb.MemberInfo) api.Member {
	return api.Member{
		ID: pb.GetId(), Role: pb.GetRole(), Address: pb.GetAddress(), Gossip: pb.GetGossip(),
		State: pb.GetState(), Version: pb.GetVersion(), Zone: pb.GetZone(),
	}
}
