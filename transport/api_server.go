package transport

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"cairn/api"
	"cairn/transport/transportpb"
)

// forwardedKey marks, in a call's metadata, that one coordinator forwarded it to another.
const forwardedKey = "cairn-forwarded"

// Forwarded reports whether a call to this process's api.Service comes from another coordinator. Such a call
// is not forwarded again, so that coordinators with different ideas of who leads cannot pass it round.
func Forwarded(ctx context.Context) bool {
	md, _ := metadata.FromIncomingContext(ctx)
	return len(md.Get(forwardedKey)) > 0
}

// staleKey marks, in a call's metadata, that the caller is content with what the addressed coordinator knows itself.
const staleKey = "cairn-stale"

// outgoingStale and incomingStale carry api.WithStale over the network. Every read is a unary call.
func outgoingStale(ctx context.Context) context.Context {
	if !api.Stale(ctx) {
		return ctx
	}
	return metadata.AppendToOutgoingContext(ctx, staleKey, "1")
}

func incomingStale(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	if md, _ := metadata.FromIncomingContext(ctx); len(md.Get(staleKey)) > 0 {
		ctx = api.WithStale(ctx)
	}
	return handle(ctx, request)
}

// apiServer answers CoordinatorService.
type apiServer struct {
	transportpb.UnimplementedCoordinatorServiceServer
	service api.Service
}

// respond turns the result of a method of api.Service into a response.
func respond[T, P any](v T, err error, toPB func(T) *P) (*P, error) {
	if err != nil {
		return nil, apiToStatus(err)
	}
	return toPB(v), nil
}

func (s *apiServer) Status(ctx context.Context, _ *transportpb.StatusRequest) (*transportpb.StatusResponse, error) {
	v, err := s.service.Status(ctx)
	return respond(v, err, statusToPB)
}

func (s *apiServer) Members(ctx context.Context, _ *transportpb.MembersRequest) (*transportpb.MembersResponse, error) {
	v, err := s.service.Members(ctx)
	return respond(v, err, func(members []api.Member) *transportpb.MembersResponse {
		return &transportpb.MembersResponse{Members: list(members, memberToPB)}
	})
}

func (s *apiServer) SubmitJob(ctx context.Context, r *transportpb.SubmitJobRequest) (*transportpb.JobInfo, error) {
	v, err := s.service.SubmitJob(ctx, submitFromPB(r))
	return respond(v, err, jobToPB)
}

func (s *apiServer) ListJobs(ctx context.Context, _ *transportpb.ListJobsRequest) (*transportpb.ListJobsResponse, error) {
	v, err := s.service.ListJobs(ctx)
	return respond(v, err, func(jobs []api.Job) *transportpb.ListJobsResponse {
		return &transportpb.ListJobsResponse{Jobs: list(jobs, jobToPB)}
	})
}

func (s *apiServer) ShowJob(ctx context.Context, r *transportpb.JobRequest) (*transportpb.JobDetail, error) {
	v, err := s.service.ShowJob(ctx, r.GetJob())
	return respond(v, err, jobDetailToPB)
}

func (s *apiServer) SetJob(ctx context.Context, r *transportpb.SetJobRequest) (*transportpb.JobDetail, error) {
	v, err := s.service.SetJob(ctx, r.GetJob(), orEmpty(r.GetConfig()))
	return respond(v, err, jobDetailToPB)
}

func (s *apiServer) RescaleJob(ctx context.Context, r *transportpb.RescaleJobRequest) (*transportpb.RescaledInfo, error) {
	v, err := s.service.RescaleJob(ctx, r.GetJob(), parallelismFromPB(r.GetTo()))
	return respond(v, err, rescaledToPB)
}

func (s *apiServer) ListPrograms(ctx context.Context, _ *transportpb.ListProgramsRequest) (*transportpb.ListProgramsResponse, error) {
	v, err := s.service.ListPrograms(ctx)
	return respond(v, err, func(programs []api.Program) *transportpb.ListProgramsResponse {
		return &transportpb.ListProgramsResponse{Programs: list(programs, programToPB)}
	})
}

func (s *apiServer) ListNodes(ctx context.Context, _ *transportpb.ListNodesRequest) (*transportpb.ListNodesResponse, error) {
	v, err := s.service.ListNodes(ctx)
	return respond(v, err, func(nodes []api.Node) *transportpb.ListNodesResponse {
		return &transportpb.ListNodesResponse{Nodes: list(nodes, nodeInfoToPB)}
	})
}

func (s *apiServer) DrainNode(ctx context.Context, r *transportpb.NodeRequest) (*transportpb.NodeInfo, error) {
	v, err := s.service.DrainNode(ctx, r.GetId())
	return respond(v, err, nodeInfoToPB)
}

func (s *apiServer) UndrainNode(ctx context.Context, r *transportpb.NodeRequest) (*transportpb.NodeInfo, error) {
	v, err := s.service.UndrainNode(ctx, r.GetId())
	return respond(v, err, nodeInfoToPB)
}

func (s *apiServer) CancelJob(ctx context.Context, r *transportpb.JobRequest) (*transportpb.JobInfo, error) {
	v, err := s.service.CancelJob(ctx, r.GetJob())
	return respond(v, err, jobToPB)
}

func (s *apiServer) JobMetrics(ctx context.Context, r *transportpb.JobMetricsRequest) (*transportpb.JobMetricsResponse, error) {
	v, err := s.service.JobMetrics(ctx, r.GetJob(), r.GetVertex())
	return respond(v, err, jobMetricsToPB)
}

func (s *apiServer) ListCheckpoints(ctx context.Context, r *transportpb.JobRequest) (*transportpb.ListCheckpointsResponse, error) {
	v, err := s.service.ListCheckpoints(ctx, r.GetJob())
	return respond(v, err, func(all []api.Checkpoint) *transportpb.ListCheckpointsResponse {
		return &transportpb.ListCheckpointsResponse{Checkpoints: list(all, checkpointToPB)}
	})
}

func (s *apiServer) ShowCheckpoint(ctx context.Context, r *transportpb.ShowCheckpointRequest) (*transportpb.CheckpointDetail, error) {
	v, err := s.service.ShowCheckpoint(ctx, r.GetJob(), r.GetId())
	return respond(v, err, checkpointDetailToPB)
}

func (s *apiServer) TriggerCheckpoint(ctx context.Context, r *transportpb.JobRequest) (*transportpb.CheckpointInfo, error) {
	v, err := s.service.TriggerCheckpoint(ctx, r.GetJob())
	return respond(v, err, checkpointToPB)
}

func (s *apiServer) CheckpointStatistics(ctx context.Context, r *transportpb.JobRequest) (*transportpb.CheckpointStatisticsResponse, error) {
	v, err := s.service.CheckpointStatistics(ctx, r.GetJob())
	return respond(v, err, statisticsToPB)
}

func (s *apiServer) TriggerSavepoint(ctx context.Context, r *transportpb.TriggerSavepointRequest) (*transportpb.SavepointInfo, error) {
	v, err := s.service.TriggerSavepoint(ctx, r.GetJob(), api.Stop(r.GetStop()))
	return respond(v, err, savepointToPB)
}

func (s *apiServer) ListSavepoints(ctx context.Context, r *transportpb.JobRequest) (*transportpb.ListSavepointsResponse, error) {
	v, err := s.service.ListSavepoints(ctx, r.GetJob())
	return respond(v, err, func(all []api.Savepoint) *transportpb.ListSavepointsResponse {
		return &transportpb.ListSavepointsResponse{Savepoints: list(all, savepointToPB)}
	})
}

func (s *apiServer) DisposeSavepoint(ctx context.Context, r *transportpb.DisposeSavepointRequest) (*transportpb.DisposeSavepointResponse, error) {
	err := s.service.DisposeSavepoint(ctx, r.GetJob(), r.GetId())
	return &transportpb.DisposeSavepointResponse{}, apiToStatus(err)
}

func (s *apiServer) BeginImport(ctx context.Context, r *transportpb.BeginImportRequest) (*transportpb.SavepointInfo, error) {
	manifest, err := chunkRefFromPB(r.GetManifest())
	if err != nil {
		return nil, apiToStatus(api.Errorf(api.Invalid, "begin import: %v", err))
	}
	v, err := s.service.BeginImport(ctx, manifest, r.GetJobName())
	return respond(v, err, savepointToPB)
}

func (s *apiServer) FinishImport(ctx context.Context, r *transportpb.FinishImportRequest) (*transportpb.SavepointInfo, error) {
	v, err := s.service.FinishImport(ctx, r.GetJob(), r.GetId())
	return respond(v, err, savepointToPB)
}

func (s *apiServer) StoreStatus(ctx context.Context, _ *transportpb.StoreStatusRequest) (*transportpb.StoreStatusResponse, error) {
	v, err := s.service.StoreStatus(ctx)
	return respond(v, err, storeStatusToPB)
}

func (s *apiServer) LocateCheckpoint(ctx context.Context, r *transportpb.LocateCheckpointRequest) (*transportpb.CheckpointLocation, error) {
	v, err := s.service.LocateCheckpoint(ctx, r.GetJob(), r.GetId())
	return respond(v, err, locationToPB)
}

func (s *apiServer) LocateChunks(ctx context.Context, r *transportpb.LocateChunksRequest) (*transportpb.ChunkLocations, error) {
	chunks, err := chunkRefsFromPB(r.GetChunks())
	if err != nil {
		return nil, apiToStatus(api.Errorf(api.Invalid, "locate chunks: %v", err))
	}
	v, err := s.service.LocateChunks(ctx, chunks)
	return respond(v, err, chunkLocationsToPB)
}

func (s *apiServer) RemovePeer(ctx context.Context, r *transportpb.RemovePeerRequest) (*transportpb.RemovePeerResponse, error) {
	err := s.service.RemovePeer(ctx, r.GetId())
	return &transportpb.RemovePeerResponse{}, apiToStatus(err)
}

func (s *apiServer) RaftPeers(ctx context.Context, _ *transportpb.RaftPeersRequest) (*transportpb.RaftPeersResponse, error) {
	v, err := s.service.RaftPeers(ctx)
	return respond(v, err, func(voters []api.Voter) *transportpb.RaftPeersResponse {
		return &transportpb.RaftPeersResponse{Voters: list(voters, voterToPB)}
	})
}

func (s *apiServer) TransferLeadership(ctx context.Context, r *transportpb.TransferLeadershipRequest) (*transportpb.LeaderInfo, error) {
	v, err := s.service.TransferLeadership(ctx, r.GetTarget())
	return respond(v, err, leaderToPB)
}
