package transport

import (
	"cairn/api"
	"cairn/transport/transportpb"
)

func checkpointToPB(c api.Checkpoint) *transportpb.CheckpointInfo {
	return &transportpb.CheckpointInfo{
		Id: c.ID, Status: c.Status, Kind: c.Kind, Stop: c.Stop, Attempt: c.Attempt,
		BeganTerm: c.BeganTerm, EndedTerm: c.EndedTerm,
		TriggerTimestamp: c.TriggerTimestamp, EndToEndDurationMillis: c.EndToEndDurationMillis,
		StateSize: c.StateSize, CheckpointedSize: c.CheckpointedSize, AlignmentMillis: c.AlignmentMillis,
		ProcessedData: c.ProcessedData, PersistedData: c.PersistedData,
		NumSubtasks: int64(c.NumSubtasks), NumAcknowledgedSubtasks: int64(c.NumAcknowledgedSubtasks),
		FailureReason: c.FailureReason, FailureMessage: text(c.FailureMessage),
		Retained: c.Retained, RestoredFrom: c.RestoredFrom, GivenUp: text(c.GivenUp),
	}
}

func checkpointFromPB(pb *transportpb.CheckpointInfo) api.Checkpoint {
	return api.Checkpoint{
		ID: pb.GetId(), Status: pb.GetStatus(), Kind: pb.GetKind(), Stop: pb.GetStop(), Attempt: pb.GetAttempt(),
		BeganTerm: pb.GetBeganTerm(), EndedTerm: pb.GetEndedTerm(),
		TriggerTimestamp: pb.GetTriggerTimestamp(), EndToEndDurationMillis: pb.GetEndToEndDurationMillis(),
		StateSize: pb.GetStateSize(), CheckpointedSize: pb.GetCheckpointedSize(), AlignmentMillis: pb.GetAlignmentMillis(),
		ProcessedData: pb.GetProcessedData(), PersistedData: pb.GetPersistedData(),
		NumSubtasks: int(pb.GetNumSubtasks()), NumAcknowledgedSubtasks: int(pb.GetNumAcknowledgedSubtasks()),
		FailureReason: pb.GetFailureReason(), FailureMessage: pb.GetFailureMessage(),
		Retained: pb.GetRetained(), RestoredFrom: pb.GetRestoredFrom(), GivenUp: pb.GetGivenUp(),
	}
}

func checkpointDetailToPB(c api.CheckpointDetail) *transportpb.CheckpointDetail {
	return &transportpb.CheckpointDetail{
		Checkpoint: checkpointToPB(c.Checkpoint), Manifest: c.Manifest, ManifestSize: c.ManifestSize,
		Tasks: list(c.Tasks, taskToPB), Subtasks: list(c.Subtasks, subtaskCheckpointToPB),
		Slowest: optionalToPB(c.Slowest, slowestToPB), DetailMissing: text(c.DetailMissing),
	}
}

func checkpointDetailFromPB(pb *transportpb.CheckpointDetail) api.CheckpointDetail {
	return api.CheckpointDetail{
		Checkpoint: checkpointFromPB(pb.GetCheckpoint()),
		Manifest:   pb.GetManifest(), ManifestSize: pb.GetManifestSize(),
		Tasks: list(pb.GetTasks(), taskFromPB), Subtasks: list(pb.GetSubtasks(), subtaskCheckpointFromPB),
		Slowest: optional(pb.GetSlowest(), slowestFromPB), DetailMissing: pb.GetDetailMissing(),
	}
}

func taskToPB(t api.TaskCheckpoint) *transportpb.TaskCheckpointInfo {
	return &transportpb.TaskCheckpointInfo{
		Vertex: t.Vertex, NumSubtasks: int64(t.NumSubtasks), NumAcknowledgedSubtasks: int64(t.NumAcknowledgedSubtasks),
		LatestAckTimestamp: t.LatestAckTimestamp, EndToEndDurationMillis: t.EndToEndDurationMillis,
		StateSize: t.StateSize, CheckpointedSize: t.CheckpointedSize,
		ProcessedData: t.ProcessedData, PersistedData: t.PersistedData,
	}
}

func taskFromPB(pb *transportpb.TaskCheckpointInfo) api.TaskCheckpoint {
	return api.TaskCheckpoint{
		Vertex: pb.GetVertex(), NumSubtasks: int(pb.GetNumSubtasks()), NumAcknowledgedSubtasks: int(pb.GetNumAcknowledgedSubtasks()),
		LatestAckTimestamp: pb.GetLatestAckTimestamp(), EndToEndDurationMillis: pb.GetEndToEndDurationMillis(),
		StateSize: pb.GetStateSize(), CheckpointedSize: pb.GetCheckpointedSize(),
		ProcessedData: pb.GetProcessedData(), PersistedData: pb.GetPersistedData(),
	}
}

func subtaskCheckpointToPB(s api.SubtaskCheckpoint) *transportpb.SubtaskCheckpointInfo {
	return &transportpb.SubtaskCheckpointInfo{
		Id: s.ID, Node: s.Node, Acknowledged: s.Acknowledged, Finished: s.Finished, Phase: s.Phase,
		AckTimestamp: s.AckTimestamp, StateSize: s.StateSize, CheckpointedSize: s.CheckpointedSize,
		StartDelayMillis: s.StartDelayMillis, AlignmentMillis: s.AlignmentMillis, SyncMillis: s.SyncMillis,
		AsyncMillis: s.AsyncMillis, UploadMillis: s.UploadMillis,
		ProcessedData: s.ProcessedData, PersistedData: s.PersistedData,
	}
}

func subtaskCheckpointFromPB(pb *transportpb.SubtaskCheckpointInfo) api.SubtaskCheckpoint {
	return api.SubtaskCheckpoint{
		ID: pb.GetId(), Node: pb.GetNode(), Acknowledged: pb.GetAcknowledged(), Finished: pb.GetFinished(), Phase: pb.GetPhase(),
		AckTimestamp: pb.GetAckTimestamp(), StateSize: pb.GetStateSize(), CheckpointedSize: pb.GetCheckpointedSize(),
		StartDelayMillis: pb.GetStartDelayMillis(), AlignmentMillis: pb.GetAlignmentMillis(), SyncMillis: pb.GetSyncMillis(),
		AsyncMillis: pb.GetAsyncMillis(), UploadMillis: pb.GetUploadMillis(),
		ProcessedData: pb.GetProcessedData(), PersistedData: pb.GetPersistedData(),
	}
}

func slowestToPB(s api.SlowestSubtask) *transportpb.SlowestSubtask {
	return &transportpb.SlowestSubtask{Id: s.ID, Node: s.Node, Phase: s.Phase, Millis: s.Millis}
}

func slowestFromPB(pb *transportpb.SlowestSubtask) api.SlowestSubtask {
	return api.SlowestSubtask{ID: pb.GetId(), Node: pb.GetNode(), Phase: pb.GetPhase(), Millis: pb.GetMillis()}
}
