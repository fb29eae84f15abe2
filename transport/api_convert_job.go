package transport

import (
	"cairn/api"
	"cairn/transport/transportpb"
)

func submitToPB(r api.SubmitJobRequest) *transportpb.SubmitJobRequest {
	return &transportpb.SubmitJobRequest{
		Program: r.Program, Name: r.Name, Params: r.Params, Config: r.Config, Source: optionalToPB(r.Source, sourceToPB),
		Parallelism: parallelismToPB(r.Parallelism),
	}
}

func submitFromPB(pb *transportpb.SubmitJobRequest) api.SubmitJobRequest {
	return api.SubmitJobRequest{
		Program: pb.GetProgram(), Name: pb.GetName(), Params: orEmpty(pb.GetParams()), Config: orEmpty(pb.GetConfig()),
		Source: optional(pb.GetSource(), sourceFromPB), Parallelism: parallelismFromPB(pb.GetParallelism()),
	}
}

func sourceToPB(s api.Source) *transportpb.Source {
	return &transportpb.Source{
		Job: s.Job, Checkpoint: s.Checkpoint, Kind: s.Kind, Manifest: s.Manifest, ManifestSize: s.ManifestSize,
		Claim: s.Claim, AllowNonRestoredState: s.AllowNonRestoredState,
	}
}

func sourceFromPB(pb *transportpb.Source) api.Source {
	return api.Source{
		Job: pb.GetJob(), Checkpoint: pb.GetCheckpoint(), Kind: pb.GetKind(), Manifest: pb.GetManifest(),
		ManifestSize: pb.GetManifestSize(), Claim: pb.GetClaim(), AllowNonRestoredState: pb.GetAllowNonRestoredState(),
	}
}

func jobSummaryToPB(j api.JobSummary) *transportpb.JobSummary {
	return &transportpb.JobSummary{
		Id: j.ID, Name: j.Name, State: j.State, Attempt: j.Attempt, Restarts: int64(j.Restarts),
		Checkpoints: &transportpb.JobCheckpoints{
			LastCompletedId: j.Checkpoints.LastCompletedID, LastCompletedAt: j.Checkpoints.LastCompletedAt,
			InProgress: int64(j.Checkpoints.InProgress), Completed: j.Checkpoints.Completed, Failed: j.Checkpoints.Failed,
			Restored: j.Checkpoints.Restored,
		},
	}
}

func jobSummaryFromPB(pb *transportpb.JobSummary) api.JobSummary {
	c := pb.GetCheckpoints()
	return api.JobSummary{
		ID: pb.GetId(), Name: pb.GetName(), State: pb.GetState(), Attempt: pb.GetAttempt(), Restarts: int(pb.GetRestarts()),
		Checkpoints: api.JobCheckpoints{
			LastCompletedID: c.GetLastCompletedId(), LastCompletedAt: c.GetLastCompletedAt(),
			InProgress: int(c.GetInProgress()), Completed: c.GetCompleted(), Failed: c.GetFailed(), Restored: c.GetRestored(),
		},
	}
}

func jobToPB(j api.Job) *transportpb.JobInfo {
	return &transportpb.JobInfo{
		Summary: jobSummaryToPB(j.JobSummary), Program: j.Program,
		SubmittedAt: j.SubmittedAt, EndedAt: j.EndedAt, Reason: text(j.Reason),
	}
}

func jobFromPB(pb *transportpb.JobInfo) api.Job {
	return api.Job{
		JobSummary: jobSummaryFromPB(pb.GetSummary()), Program: pb.GetProgram(),
		SubmittedAt: pb.GetSubmittedAt(), EndedAt: pb.GetEndedAt(), Reason: pb.GetReason(),
	}
}

func jobDetailToPB(j api.JobDetail) *transportpb.JobDetail {
	return &transportpb.JobDetail{
		Job: jobToPB(j.Job), Params: j.Params, Config: j.Config, RestoredFrom: j.RestoredFrom,
		Source: optionalToPB(j.Source, sourceToPB),
		Vertices: list(j.Vertices, func(v api.Vertex) *transportpb.VertexInfo {
			return &transportpb.VertexInfo{
				Id: v.ID, Name: v.Name, Parallelism: int64(v.Parallelism), MaxParallelism: int64(v.MaxParallelism),
				SlotSharingGroup: v.SlotSharingGroup,
				Metrics:          optionalToPB(v.Metrics, vertexMetricsToPB),
			}
		}),
		Subtasks: list(j.Subtasks, func(s api.Subtask) *transportpb.SubtaskInfo {
			return &transportpb.SubtaskInfo{Id: s.ID, Node: s.Node, Status: s.Status, Failure: text(s.Failure), Secondary: s.Secondary}
		}),
		Problems: list(j.Problems, text), Parallelism: countsToPB(j.Parallelism),
		LastFailure: text(j.LastFailure), LastFailureAt: j.LastFailureAt,
	}
}

func jobDetailFromPB(pb *transportpb.JobDetail) api.JobDetail {
	return api.JobDetail{
		Job: jobFromPB(pb.GetJob()), Params: orEmpty(pb.GetParams()), Config: orEmpty(pb.GetConfig()),
		RestoredFrom: pb.GetRestoredFrom(), Source: optional(pb.GetSource(), sourceFromPB),
		Vertices: list(pb.GetVertices(), func(v *transportpb.VertexInfo) api.Vertex {
			return api.Vertex{
				ID: v.GetId(), Name: v.GetName(), Parallelism: int(v.GetParallelism()), MaxParallelism: int(v.GetMaxParallelism()),
				SlotSharingGroup: v.GetSlotSharingGroup(),
				Metrics:          optional(v.GetMetrics(), vertexMetricsFromPB),
			}
		}),
		Subtasks: list(pb.GetSubtasks(), func(s *transportpb.SubtaskInfo) api.Subtask {
			return api.Subtask{ID: s.GetId(), Node: s.GetNode(), Status: s.GetStatus(), Failure: s.GetFailure(), Secondary: s.GetSecondary()}
		}),
		Problems: list(pb.GetProblems(), func(s string) string { return s }), Parallelism: countsFromPB(pb.GetParallelism()),
		LastFailure: pb.GetLastFailure(), LastFailureAt: pb.GetLastFailureAt(),
	}
}
