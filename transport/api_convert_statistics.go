package transport

import (
	"cairn/api"
	"cairn/transport/transportpb"
)

func statisticsToPB(s api.CheckpointStatistics) *transportpb.CheckpointStatisticsResponse {
	return &transportpb.CheckpointStatisticsResponse{
		Counts: &transportpb.CheckpointCounts{
			Restored: s.Counts.Restored, Total: s.Counts.Total, InProgress: int64(s.Counts.InProgress),
			Completed: s.Counts.Completed, Failed: s.Counts.Failed,
		},
		Summary: &transportpb.CheckpointSummary{
			EndToEndDuration: distributionToPB(s.Summary.EndToEndDuration),
			StateSize:        distributionToPB(s.Summary.StateSize),
			CheckpointedSize: distributionToPB(s.Summary.CheckpointedSize),
			Alignment:        distributionToPB(s.Summary.Alignment),
			ProcessedData:    distributionToPB(s.Summary.ProcessedData),
			PersistedData:    distributionToPB(s.Summary.PersistedData),
		},
		Latest: &transportpb.LatestCheckpoints{
			Completed: optionalToPB(s.Latest.Completed, checkpointToPB),
			Savepoint: optionalToPB(s.Latest.Savepoint, checkpointToPB),
			Failed:    optionalToPB(s.Latest.Failed, checkpointToPB),
			Restored:  s.Latest.Restored,
		},
	}
}

func statisticsFromPB(pb *transportpb.CheckpointStatisticsResponse) api.CheckpointStatistics {
	counts, summary, latest := pb.GetCounts(), pb.GetSummary(), pb.GetLatest()
	return api.CheckpointStatistics{
		Counts: api.CheckpointCounts{
			Restored: counts.GetRestored(), Total: counts.GetTotal(), InProgress: int(counts.GetInProgress()),
			Completed: counts.GetCompleted(), Failed: counts.GetFailed(),
		},
		Summary: api.CheckpointSummary{
			EndToEndDuration: distributionFromPB(summary.GetEndToEndDuration()),
			StateSize:        distributionFromPB(summary.GetStateSize()),
			CheckpointedSize: distributionFromPB(summary.GetCheckpointedSize()),
			Alignment:        distributionFromPB(summary.GetAlignment()),
			ProcessedData:    distributionFromPB(summary.GetProcessedData()),
			PersistedData:    distributionFromPB(summary.GetPersistedData()),
		},
		Latest: api.LatestCheckpoints{
			Completed: optional(latest.GetCompleted(), checkpointFromPB),
			Savepoint: optional(latest.GetSavepoint(), checkpointFromPB),
			Failed:    optional(latest.GetFailed(), checkpointFromPB),
			Restored:  latest.GetRestored(),
		},
	}
}

func distributionToPB(d api.Distribution) *transportpb.Distribution {
	return &transportpb.Distribution{
		Min: d.Min, Max: d.Max, Avg: d.Avg, P50: d.P50, P90: d.P90, P95: d.P95, P99: d.P99, P999: d.P999,
	}
}

func distributionFromPB(pb *transportpb.Distribution) api.Distribution {
	return api.Distribution{
		Min: pb.GetMin(), Max: pb.GetMax(), Avg: pb.GetAvg(), P50: pb.GetP50(), P90: pb.GetP90(), P95: pb.GetP95(),
		P99: pb.GetP99(), P999: pb.GetP999(),
	}
}

func savepointToPB(s api.Savepoint) *transportpb.SavepointInfo {
	return &transportpb.SavepointInfo{
		Job: s.Job, JobName: text(s.JobName), Id: s.ID, Stop: s.Stop, TriggeredAt: s.TriggeredAt, CompletedAt: s.CompletedAt,
		StateSize: s.StateSize, NumSubtasks: int64(s.NumSubtasks), Manifest: s.Manifest, ManifestSize: s.ManifestSize,
		UsedBy: s.UsedBy, Imported: s.Imported, ImportedAt: s.ImportedAt, Incomplete: s.Incomplete,
	}
}

func savepointFromPB(pb *transportpb.SavepointInfo) api.Savepoint {
	return api.Savepoint{
		Job: pb.GetJob(), JobName: pb.GetJobName(), ID: pb.GetId(), Stop: pb.GetStop(),
		TriggeredAt: pb.GetTriggeredAt(), CompletedAt: pb.GetCompletedAt(), StateSize: pb.GetStateSize(),
		NumSubtasks: int(pb.GetNumSubtasks()), Manifest: pb.GetManifest(), ManifestSize: pb.GetManifestSize(),
		UsedBy:   append([]string{}, pb.GetUsedBy()...),
		Imported: pb.GetImported(), ImportedAt: pb.GetImportedAt(), Incomplete: pb.GetIncomplete(),
	}
}
