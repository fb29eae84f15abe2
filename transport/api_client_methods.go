package transport

import (
	"context"

	"cairn/api"
	pb "cairn/transport/transportpb"
)

// rpcs is the generated client, whose methods are called by name.
type rpcs = pb.CoordinatorServiceClient

// Status implements api.Service.
func (c *Client) Status(ctx context.Context) (api.Status, error) {
	m := method[*pb.StatusRequest, *pb.StatusResponse]{name: "status", invoke: rpcs.Status}
	return call(ctx, c, m, &pb.StatusRequest{}, statusFromPB)
}

// Members implements api.Service.
func (c *Client) Members(ctx context.Context) ([]api.Member, error) {
	m := method[*pb.MembersRequest, *pb.MembersResponse]{name: "members", invoke: rpcs.Members}
	return call(ctx, c, m, &pb.MembersRequest{}, func(r *pb.MembersResponse) []api.Member {
		return list(r.GetMembers(), memberFromPB)
	})
}

// SubmitJob implements api.Service.
func (c *Client) SubmitJob(ctx context.Context, req api.SubmitJobRequest) (api.Job, error) {
	m := method[*pb.SubmitJobRequest, *pb.JobInfo]{name: "submit job", invoke: rpcs.SubmitJob, once: true}
	return call(ctx, c, m, submitToPB(req), jobFromPB)
}

// ListJobs implements api.Service.
func (c *Client) ListJobs(ctx context.Context) ([]api.Job, error) {
	m := method[*pb.ListJobsRequest, *pb.ListJobsResponse]{name: "list jobs", invoke: rpcs.ListJobs}
	return call(ctx, c, m, &pb.ListJobsRequest{}, func(r *pb.ListJobsResponse) []api.Job {
		return list(r.GetJobs(), jobFromPB)
	})
}

// ShowJob implements api.Service.
func (c *Client) ShowJob(ctx context.Context, job string) (api.JobDetail, error) {
	m := method[*pb.JobRequest, *pb.JobDetail]{name: "show job", invoke: rpcs.ShowJob}
	return call(ctx, c, m, &pb.JobRequest{Job: job}, jobDetailFromPB)
}

// CancelJob implements api.Service.
func (c *Client) CancelJob(ctx context.Context, job string) (api.Job, error) {
	m := method[*pb.JobRequest, *pb.JobInfo]{name: "cancel job", invoke: rpcs.CancelJob}
	return call(ctx, c, m, &pb.JobRequest{Job: job}, jobFromPB)
}

// ListCheckpoints implements api.Service.
func (c *Client) ListCheckpoints(ctx context.Context, job string) ([]api.Checkpoint, error) {
	m := method[*pb.JobRequest, *pb.ListCheckpointsResponse]{name: "list checkpoints", invoke: rpcs.ListCheckpoints}
	return call(ctx, c, m, &pb.JobRequest{Job: job}, func(r *pb.ListCheckpointsResponse) []api.Checkpoint {
		return list(r.GetCheckpoints(), checkpointFromPB)
	})
}

// ShowCheckpoint implements api.Service.
func (c *Client) ShowCheckpoint(ctx context.Context, job string, id uint64) (api.CheckpointDetail, error) {
	m := method[*pb.ShowCheckpointRequest, *pb.CheckpointDetail]{name: "show checkpoint", invoke: rpcs.ShowCheckpoint}
	return call(ctx, c, m, &pb.ShowCheckpointRequest{Job: job, Id: id}, checkpointDetailFromPB)
}

// TriggerCheckpoint implements api.Service. It is bounded by ctx alone. When the coordinator is lost meanwhile,
// the next one is asked: that may trigger a second checkpoint, which does no harm.
func (c *Client) TriggerCheckpoint(ctx context.Context, job string) (api.Checkpoint, error) {
	m := method[*pb.JobRequest, *pb.CheckpointInfo]{name: "trigger checkpoint", invoke: rpcs.TriggerCheckpoint, patient: true}
	return call(ctx, c, m, &pb.JobRequest{Job: job}, checkpointFromPB)
}

// RaftPeers implements api.Service.
func (c *Client) RaftPeers(ctx context.Context) ([]api.Voter, error) {
	m := method[*pb.RaftPeersRequest, *pb.RaftPeersResponse]{name: "raft peers", invoke: rpcs.RaftPeers}
	return call(ctx, c, m, &pb.RaftPeersRequest{}, func(r *pb.RaftPeersResponse) []api.Voter {
		return list(r.GetVoters(), voterFromPB)
	})
}

// TransferLeadership implements api.Service.
func (c *Client) TransferLeadership(ctx context.Context, target string) (api.Leader, error) {
	m := method[*pb.TransferLeadershipRequest, *pb.LeaderInfo]{
		name: "transfer leadership", invoke: rpcs.TransferLeadership, once: true,
	}
	return call(ctx, c, m, &pb.TransferLeadershipRequest{Target: target}, leaderFromPB)
}
