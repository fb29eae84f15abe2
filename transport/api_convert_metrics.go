package transport

import (
	"cairn/api"
	"cairn/transport/transportpb"
)

func jobMetricsToPB(m api.JobMetrics) *transportpb.JobMetricsResponse {
	return &transportpb.JobMetricsResponse{
		Job: m.Job, Name: m.Name, Attempt: m.Attempt,
		Subtasks: list(m.Subtasks, func(s api.SubtaskMetrics) *transportpb.SubtaskMetricsInfo {
			return &transportpb.SubtaskMetricsInfo{
				Id: s.ID, Node: s.Node, Status: s.Status, MeasuredAt: s.MeasuredAt, Totals: optionalToPB(s.Totals, totalsToPB),
				Load: optionalToPB(s.Load, loadToPB), Watermark: s.Watermark, LastCheckpoint: optionalToPB(s.LastCheckpoint, lastCheckpointToPB),
			}
		}),
	}
}

func jobMetricsFromPB(pb *transportpb.JobMetricsResponse) api.JobMetrics {
	return api.JobMetrics{
		Job: pb.GetJob(), Name: pb.GetName(), Attempt: pb.GetAttempt(),
		Subtasks: list(pb.GetSubtasks(), func(s *transportpb.SubtaskMetricsInfo) api.SubtaskMetrics {
			return api.SubtaskMetrics{
				ID: s.GetId(), Node: s.GetNode(), Status: s.GetStatus(), MeasuredAt: s.GetMeasuredAt(), Totals: optional(s.GetTotals(), totalsFromPB),
				Load: optional(s.GetLoad(), loadFromPB), Watermark: s.Watermark, LastCheckpoint: optional(s.GetLastCheckpoint(), lastCheckpointFromPB),
			}
		}),
	}
}

func vertexMetricsToPB(m api.VertexMetrics) *transportpb.VertexMetricsInfo {
	return &transportpb.VertexMetricsInfo{
		Measured: int64(m.Measured), Loads: int64(m.Loads), Totals: totalsToPB(m.Totals), Load: optionalToPB(m.Load, loadToPB),
		Watermark: m.Watermark, StateBytes: m.StateBytes,
	}
}

func vertexMetricsFromPB(pb *transportpb.VertexMetricsInfo) api.VertexMetrics {
	return api.VertexMetrics{
		Measured: int(pb.GetMeasured()), Loads: int(pb.GetLoads()), Totals: totalsFromPB(pb.GetTotals()), Load: optional(pb.GetLoad(), loadFromPB),
		Watermark: pb.Watermark, StateBytes: pb.GetStateBytes(),
	}
}

func totalsToPB(t api.TaskTotals) *transportpb.TaskTotalsInfo {
	return &transportpb.TaskTotalsInfo{
		RecordsIn: t.RecordsIn, RecordsOut: t.RecordsOut, BytesIn: t.BytesIn, BytesOut: t.BytesOut, LateRecords: t.LateRecords,
	}
}

func totalsFromPB(pb *transportpb.TaskTotalsInfo) api.TaskTotals {
	return api.TaskTotals{
		RecordsIn: pb.GetRecordsIn(), RecordsOut: pb.GetRecordsOut(), BytesIn: pb.GetBytesIn(), BytesOut: pb.GetBytesOut(),
		LateRecords: pb.GetLateRecords(),
	}
}

func loadToPB(l api.TaskLoad) *transportpb.TaskLoadInfo {
	return &transportpb.TaskLoadInfo{
		RecordsInPerSecond: l.RecordsInPerSecond, RecordsOutPerSecond: l.RecordsOutPerSecond,
		BytesInPerSecond: l.BytesInPerSecond, BytesOutPerSecond: l.BytesOutPerSecond,
		BusyMillisPerSecond: l.BusyMillisPerSecond, BackpressuredMillisPerSecond: l.BackpressuredMillisPerSecond,
		IdleMillisPerSecond: l.IdleMillisPerSecond, InFlightBytes: l.InFlightBytes,
	}
}

func loadFromPB(pb *transportpb.TaskLoadInfo) api.TaskLoad {
	return api.TaskLoad{
		RecordsInPerSecond: pb.GetRecordsInPerSecond(), RecordsOutPerSecond: pb.GetRecordsOutPerSecond(),
		BytesInPerSecond: pb.GetBytesInPerSecond(), BytesOutPerSecond: pb.GetBytesOutPerSecond(),
		BusyMillisPerSecond: pb.GetBusyMillisPerSecond(), BackpressuredMillisPerSecond: pb.GetBackpressuredMillisPerSecond(),
		IdleMillisPerSecond: pb.GetIdleMillisPerSecond(), InFlightBytes: pb.GetInFlightBytes(),
	}
}

func lastCheckpointToPB(c api.LastCheckpoint) *transportpb.LastCheckpointInfo {
	return &transportpb.LastCheckpointInfo{
		Id: c.ID, StateBytes: c.StateBytes, AlignmentMillis: c.AlignmentMillis, StartDelayMillis: c.StartDelayMillis,
	}
}

func lastCheckpointFromPB(pb *transportpb.LastCheckpointInfo) api.LastCheckpoint {
	return api.LastCheckpoint{
		ID: pb.GetId(), StateBytes: pb.GetStateBytes(), AlignmentMillis: pb.GetAlignmentMillis(), StartDelayMillis: pb.GetStartDelayMillis(),
	}
}
