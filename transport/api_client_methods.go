package transport

import (
	"context"

	"cairn/api"
	"cairn/checkpoint"
	pb "cairn/transport/transportpb"
)

// rpcs is the generated client, whose methods are called by name.
type rpcs = pb.CoordinatorServiceClient

// Status implements api.Service.
func (c *Client) Status(ctx context.Context) (api.Status, error) {
	m := method[*pb.StatusRequest, *pb.StatusResponse]{manner{name: "status"}, rpcs.Status}
	return call(ctx, c, m, &pb.StatusRequest{}, statusFromPB)
}

// Members implements api.Service.
func (c *Client) Members(ctx context.Context) ([]api.Member, error) {
	m := method[*pb.MembersRequest, *pb.MembersResponse]{manner{name: "members"}, rpcs.Members}
	return call(ctx, c, m, &pb.MembersRequest{}, func(r *pb.MembersResponse) []api.Member {
		return list(r.GetMembers(), memberFromPB)
	})
}

// SubmitJob implements api.Service.
func (c *Client) SubmitJob(ctx context.Context, req api.SubmitJobRequest) (api.Job, error) {
	m := method[*pb.SubmitJobRequest, *pb.JobInfo]{manner{name: "submit job", once: true}, rpcs.SubmitJob}
	return call(ctx, c, m, submitToPB(req), jobFromPB)
}

// ListJobs implements api.Service.
func (c *Client) ListJobs(ctx context.Context) ([]api.Job, error) {
	m := method[*pb.ListJobsRequest, *pb.ListJobsResponse]{manner{name: "list jobs"}, rpcs.ListJobs}
	return call(ctx, c, m, &pb.ListJobsRequest{}, func(r *pb.ListJobsResponse) []api.Job {
		return list(r.GetJobs(), jobFromPB)
	})
}

// ShowJob implements api.Service.
func (c *Client) ShowJob(ctx context.Context, job string) (api.JobDetail, error) {
	m := method[*pb.JobRequest, *pb.JobDetail]{manner{name: "show job"}, rpcs.ShowJob}
	return call(ctx, c, m, &pb.JobRequest{Job: job}, jobDetailFromPB)
}

// SetJob implements api.Service.
func (c *Client) SetJob(ctx context.Context, job string, config map[string]string) (api.JobDetail, error) {
	m := method[*pb.SetJobRequest, *pb.JobDetail]{manner{name: "set job"}, rpcs.SetJob}
	return call(ctx, c, m, &pb.SetJobRequest{Job: job, Config: config}, jobDetailFromPB)
}

// RescaleJob implements api.Service. It is bounded by ctx alone.
func (c *Client) RescaleJob(ctx context.Context, job string, to api.Parallelism) (api.Rescaled, error) {
	m := method[*pb.RescaleJobRequest, *pb.RescaledInfo]{manner{name: "rescale job", once: true, patient: true}, rpcs.RescaleJob}
	return call(ctx, c, m, &pb.RescaleJobRequest{Job: job, To: parallelismToPB(to)}, rescaledFromPB)
}

// ListPrograms implements api.Service.
func (c *Client) ListPrograms(ctx context.Context) ([]api.Program, error) {
	m := method[*pb.ListProgramsRequest, *pb.ListProgramsResponse]{manner{name: "list programs"}, rpcs.ListPrograms}
	return call(ctx, c, m, &pb.ListProgramsRequest{}, func(r *pb.ListProgramsResponse) []api.Program {
		return list(r.GetPrograms(), programFromPB)
	})
}

// ListNodes implements api.Service.
func (c *Client) ListNodes(ctx context.Context) ([]api.Node, error) {
	m := method[*pb.ListNodesRequest, *pb.ListNodesResponse]{manner{name: "list nodes"}, rpcs.ListNodes}
	return call(ctx, c, m, &pb.ListNodesRequest{}, func(r *pb.ListNodesResponse) []api.Node {
		return list(r.GetNodes(), nodeInfoFromPB)
	})
}

// DrainNode implements api.Service.
func (c *Client) DrainNode(ctx context.Context, id string) (api.Node, error) {
	m := method[*pb.NodeRequest, *pb.NodeInfo]{manner{name: "drain node"}, rpcs.DrainNode}
	return call(ctx, c, m, &pb.NodeRequest{Id: id}, nodeInfoFromPB)
}

// UndrainNode implements api.Service.
func (c *Client) UndrainNode(ctx context.Context, id string) (api.Node, error) {
	m := method[*pb.NodeRequest, *pb.NodeInfo]{manner{name: "undrain node"}, rpcs.UndrainNode}
	return call(ctx, c, m, &pb.NodeRequest{Id: id}, nodeInfoFromPB)
}

// CancelJob implements api.Service.
func (c *Client) CancelJob(ctx context.Context, job string) (api.Job, error) {
	m := method[*pb.JobRequest, *pb.JobInfo]{manner{name: "cancel job"}, rpcs.CancelJob}
	return call(ctx, c, m, &pb.JobRequest{Job: job}, jobFromPB)
}

// JobMetrics implements api.Service.
func (c *Client) JobMetrics(ctx context.Context, job, vertex string) (api.JobMetrics, error) {
	m := method[*pb.JobMetricsRequest, *pb.JobMetricsResponse]{manner{name: "job metrics"}, rpcs.JobMetrics}
	return call(ctx, c, m, &pb.JobMetricsRequest{Job: job, Vertex: vertex}, jobMetricsFromPB)
}

// ListCheckpoints implements api.Service.
func (c *Client) ListCheckpoints(ctx context.Context, job string) ([]api.Checkpoint, error) {
	m := method[*pb.JobRequest, *pb.ListCheckpointsResponse]{manner{name: "list checkpoints"}, rpcs.ListCheckpoints}
	return call(ctx, c, m, &pb.JobRequest{Job: job}, func(r *pb.ListCheckpointsResponse) []api.Checkpoint {
		return list(r.GetCheckpoints(), checkpointFromPB)
	})
}

// ShowCheckpoint implements api.Service.
func (c *Client) ShowCheckpoint(ctx context.Context, job string, id uint64) (api.CheckpointDetail, error) {
	m := method[*pb.ShowCheckpointRequest, *pb.CheckpointDetail]{manner{name: "show checkpoint"}, rpcs.ShowCheckpoint}
	return call(ctx, c, m, &pb.ShowCheckpointRequest{Job: job, Id: id}, checkpointDetailFromPB)
}

// TriggerCheckpoint implements api.Service. It is bounded by ctx alone. When the coordinator is lost meanwhile,
// the next one is asked: that may trigger a second checkpoint, which does no harm.
func (c *Client) TriggerCheckpoint(ctx context.Context, job string) (api.Checkpoint, error) {
	m := method[*pb.JobRequest, *pb.CheckpointInfo]{manner{name: "trigger checkpoint", patient: true}, rpcs.TriggerCheckpoint}
	return call(ctx, c, m, &pb.JobRequest{Job: job}, checkpointFromPB)
}

// CheckpointStatistics implements api.Service.
func (c *Client) CheckpointStatistics(ctx context.Context, job string) (api.CheckpointStatistics, error) {
	m := method[*pb.JobRequest, *pb.CheckpointStatisticsResponse]{
		manner{name: "checkpoint statistics"}, rpcs.CheckpointStatistics,
	}
	return call(ctx, c, m, &pb.JobRequest{Job: job}, statisticsFromPB)
}

// TriggerSavepoint implements api.Service. It is bounded by ctx alone.
func (c *Client) TriggerSavepoint(ctx context.Context, job string, stop api.Stop) (api.Savepoint, error) {
	m := method[*pb.TriggerSavepointRequest, *pb.SavepointInfo]{
		manner{name: "trigger savepoint", once: true, patient: true}, rpcs.TriggerSavepoint,
	}
	return call(ctx, c, m, &pb.TriggerSavepointRequest{Job: job, Stop: string(stop)}, savepointFromPB)
}

// ListSavepoints implements api.Service.
func (c *Client) ListSavepoints(ctx context.Context, job string) ([]api.Savepoint, error) {
	m := method[*pb.JobRequest, *pb.ListSavepointsResponse]{manner{name: "list savepoints"}, rpcs.ListSavepoints}
	return call(ctx, c, m, &pb.JobRequest{Job: job}, func(r *pb.ListSavepointsResponse) []api.Savepoint {
		return list(r.GetSavepoints(), savepointFromPB)
	})
}

// DisposeSavepoint implements api.Service.
func (c *Client) DisposeSavepoint(ctx context.Context, job string, id uint64) error {
	m := method[*pb.DisposeSavepointRequest, *pb.DisposeSavepointResponse]{
		manner{name: "dispose savepoint", once: true}, rpcs.DisposeSavepoint,
	}
	_, err := call(ctx, c, m, &pb.DisposeSavepointRequest{Job: job, Id: id}, nothing[*pb.DisposeSavepointResponse])
	return err
}

// BeginImport implements api.Service. It may be repeated without harm.
func (c *Client) BeginImport(ctx context.Context, manifest checkpoint.ChunkRef, jobName string) (api.Savepoint, error) {
	m := method[*pb.BeginImportRequest, *pb.SavepointInfo]{manner{name: "begin import", patient: true}, rpcs.BeginImport}
	request := &pb.BeginImportRequest{Manifest: checkpoint.ChunkRefToPB(manifest), JobName: jobName}
	return call(ctx, c, m, request, savepointFromPB)
}

// FinishImport implements api.Service. It may be repeated without harm.
func (c *Client) FinishImport(ctx context.Context, job string, id uint64) (api.Savepoint, error) {
	m := method[*pb.FinishImportRequest, *pb.SavepointInfo]{manner{name: "finish import", patient: true}, rpcs.FinishImport}
	return call(ctx, c, m, &pb.FinishImportRequest{Job: job, Id: id}, savepointFromPB)
}

// StoreStatus implements api.Service.
func (c *Client) StoreStatus(ctx context.Context) (api.StoreStatus, error) {
	m := method[*pb.StoreStatusRequest, *pb.StoreStatusResponse]{manner{name: "store status"}, rpcs.StoreStatus}
	return call(ctx, c, m, &pb.StoreStatusRequest{}, storeStatusFromPB)
}

// LocateCheckpoint implements api.Service.
func (c *Client) LocateCheckpoint(ctx context.Context, job string, id uint64) (api.CheckpointLocation, error) {
	m := method[*pb.LocateCheckpointRequest, *pb.CheckpointLocation]{manner{name: "locate checkpoint"}, rpcs.LocateCheckpoint}
	found, err := call(ctx, c, m, &pb.LocateCheckpointRequest{Job: job, Id: id}, func(r *pb.CheckpointLocation) decoded[api.CheckpointLocation] {
		v, err := locationFromPB(r)
		return decoded[api.CheckpointLocation]{v, err}
	})
	return found.of("locate checkpoint", err)
}

// LocateChunks implements api.Service.
func (c *Client) LocateChunks(ctx context.Context, chunks []checkpoint.ChunkRef) (api.ChunkLocations, error) {
	m := method[*pb.LocateChunksRequest, *pb.ChunkLocations]{manner{name: "locate chunks"}, rpcs.LocateChunks}
	request := &pb.LocateChunksRequest{Chunks: list(chunks, checkpoint.ChunkRefToPB)}
	found, err := call(ctx, c, m, request, func(r *pb.ChunkLocations) decoded[api.ChunkLocations] {
		v, err := chunkLocationsFromPB(r, len(chunks))
		return decoded[api.ChunkLocations]{v, err}
	})
	return found.of("locate chunks", err)
}

// decoded is an answer that may turn out to make no sense.
type decoded[T any] struct {
	value T
	err   error
}

func (d decoded[T]) of(method string, err error) (T, error) {
	if err == nil && d.err != nil {
		err = api.Errorf(api.Internal, "%s: the answer makes no sense: %v", method, d.err)
	}
	return d.value, err
}

// nothing takes a response that says nothing.
func nothing[R any](R) struct{} { return struct{}{} }

// RaftPeers implements api.Service.
func (c *Client) RaftPeers(ctx context.Context) ([]api.Voter, error) {
	m := method[*pb.RaftPeersRequest, *pb.RaftPeersResponse]{manner{name: "raft peers"}, rpcs.RaftPeers}
	return call(ctx, c, m, &pb.RaftPeersRequest{}, func(r *pb.RaftPeersResponse) []api.Voter {
		return list(r.GetVoters(), voterFromPB)
	})
}

// RemovePeer implements api.Service.
func (c *Client) RemovePeer(ctx context.Context, id string) error {
	m := method[*pb.RemovePeerRequest, *pb.RemovePeerResponse]{manner{name: "remove peer", once: true}, rpcs.RemovePeer}
	_, err := call(ctx, c, m, &pb.RemovePeerRequest{Id: id}, nothing[*pb.RemovePeerResponse])
	return err
}

// TransferLeadership implements api.Service.
func (c *Client) TransferLeadership(ctx context.Context, target string) (api.Leader, error) {
	m := method[*pb.TransferLeadershipRequest, *pb.LeaderInfo]{manner{name: "transfer leadership", once: true}, rpcs.TransferLeadership}
	return call(ctx, c, m, &pb.TransferLeadershipRequest{Target: target}, leaderFromPB)
}
