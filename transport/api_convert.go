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
	}
}

func statusFromPB(pb *transportpb.StatusResponse) api.Status {
	return api.Status{
		Leader: leaderFromPB(pb.GetLeader()), Voters: list(pb.GetVoters(), voterFromPB),
		FailureTolerance: int(pb.GetFailureTolerance()), Healthy: pb.GetHealthy(),
		Problems: append([]string{}, pb.GetProblems()...), Nodes: list(pb.GetNodes(), nodeInfoFromPB),
		Jobs: list(pb.GetJobs(), jobSummaryFromPB),
	}
}

func leaderToPB(l api.Leader) *transportpb.LeaderInfo {
	return &transportpb.LeaderInfo{Id: l.ID, Term: l.Term, Address: l.Address}
}

func leaderFromPB(pb *transportpb.LeaderInfo) api.Leader {
	return api.Leader{ID: pb.GetId(), Term: pb.GetTerm(), Address: pb.GetAddress()}
}

func voterToPB(v api.Voter) *transportpb.VoterInfo {
	return &transportpb.VoterInfo{Id: v.ID, Address: v.Address, State: v.State, LastContactMillis: v.LastContactMillis}
}

func voterFromPB(pb *transportpb.VoterInfo) api.Voter {
	return api.Voter{
		ID: pb.GetId(), Address: pb.GetAddress(), State: pb.GetState(), LastContactMillis: pb.GetLastContactMillis(),
	}
}

func nodeInfoToPB(n api.Node) *transportpb.NodeInfo {
	return &transportpb.NodeInfo{
		Id: n.ID, Address: n.Address, State: n.State, Slots: int64(n.Slots), UsedSlots: int64(n.UsedSlots),
	}
}

func nodeInfoFromPB(pb *transportpb.NodeInfo) api.Node {
	return api.Node{
		ID: pb.GetId(), Address: pb.GetAddress(), State: pb.GetState(),
		Slots: int(pb.GetSlots()), UsedSlots: int(pb.GetUsedSlots()),
	}
}

func memberToPB(m api.Member) *transportpb.MemberInfo {
	return &transportpb.MemberInfo{
		Id: m.ID, Role: m.Role, Address: m.Address, Gossip: m.Gossip, State: m.State, Version: m.Version,
	}
}

func memberFromPB(pb *transportpb.MemberInfo) api.Member {
	return api.Member{
		ID: pb.GetId(), Role: pb.GetRole(), Address: pb.GetAddress(), Gossip: pb.GetGossip(),
		State: pb.GetState(), Version: pb.GetVersion(),
	}
}

func checkpointToPB(c api.Checkpoint) *transportpb.CheckpointInfo {
	return &transportpb.CheckpointInfo{
		Id: c.ID, Status: c.Status, Kind: c.Kind, Attempt: c.Attempt, BeganTerm: c.BeganTerm, EndedTerm: c.EndedTerm,
		TriggerTimestamp: c.TriggerTimestamp, EndToEndDurationMillis: c.EndToEndDurationMillis, StateSize: c.StateSize,
		NumSubtasks: int64(c.NumSubtasks), NumAcknowledgedSubtasks: int64(c.NumAcknowledgedSubtasks),
		FailureMessage: text(c.FailureMessage),
	}
}

func checkpointFromPB(pb *transportpb.CheckpointInfo) api.Checkpoint {
	return api.Checkpoint{
		ID: pb.GetId(), Status: pb.GetStatus(), Kind: pb.GetKind(), Attempt: pb.GetAttempt(),
		BeganTerm: pb.GetBeganTerm(), EndedTerm: pb.GetEndedTerm(), TriggerTimestamp: pb.GetTriggerTimestamp(),
		EndToEndDurationMillis: pb.GetEndToEndDurationMillis(), StateSize: pb.GetStateSize(),
		NumSubtasks: int(pb.GetNumSubtasks()), NumAcknowledgedSubtasks: int(pb.GetNumAcknowledgedSubtasks()),
		FailureMessage: pb.GetFailureMessage(),
	}
}

func checkpointDetailToPB(c api.CheckpointDetail) *transportpb.CheckpointDetail {
	return &transportpb.CheckpointDetail{
		Checkpoint: checkpointToPB(c.Checkpoint), Retained: c.Retained, Manifest: c.Manifest,
		Subtasks: list(c.Subtasks, func(s api.SubtaskCheckpoint) *transportpb.SubtaskCheckpointInfo {
			return &transportpb.SubtaskCheckpointInfo{
				Id: s.ID, Node: s.Node, Acknowledged: s.Acknowledged, StateSize: s.StateSize,
				StartDelayMillis: s.StartDelayMillis, AlignmentMillis: s.AlignmentMillis,
				SyncMillis: s.SyncMillis, AsyncMillis: s.AsyncMillis,
			}
		}),
	}
}

func checkpointDetailFromPB(pb *transportpb.CheckpointDetail) api.CheckpointDetail {
	return api.CheckpointDetail{
		Checkpoint: checkpointFromPB(pb.GetCheckpoint()), Retained: pb.GetRetained(), Manifest: pb.GetManifest(),
		Subtasks: list(pb.GetSubtasks(), func(s *transportpb.SubtaskCheckpointInfo) api.SubtaskCheckpoint {
			return api.SubtaskCheckpoint{
				ID: s.GetId(), Node: s.GetNode(), Acknowledged: s.GetAcknowledged(), StateSize: s.GetStateSize(),
				StartDelayMillis: s.GetStartDelayMillis(), AlignmentMillis: s.GetAlignmentMillis(),
				SyncMillis: s.GetSyncMillis(), AsyncMillis: s.GetAsyncMillis(),
			}
		}),
	}
}
