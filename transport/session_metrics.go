package transport

import (
	"math"

	"cairn/checkpoint"
	"cairn/transport/transportpb"
)

func taskMetricsToPB(m checkpoint.TaskMetrics) *transportpb.TaskMetrics {
	return &transportpb.TaskMetrics{
		Job: m.Job[:], Attempt: uint32(m.Attempt), Subtasks: each(m.Subtasks, subtaskMetricsToPB),
	}
}

func subtaskMetricsToPB(m checkpoint.SubtaskMetrics) *transportpb.SubtaskMetrics {
	return &transportpb.SubtaskMetrics{
		Subtask: subtaskToPB(m.Subtask), RecordsIn: m.RecordsIn, RecordsOut: m.RecordsOut, BytesIn: m.BytesIn, BytesOut: m.BytesOut,
		LateRecords: m.LateRecords,
		Load:        optionalToPB(m.Load, taskLoadToPB), Watermark: m.Watermark, Checkpoint: uint64(m.Checkpoint), StateBytes: m.StateBytes,
		AlignmentMillis: m.AlignmentMillis, StartDelayMillis: m.StartDelayMillis,
	}
}

func taskLoadToPB(l checkpoint.TaskLoad) *transportpb.TaskLoad {
	return &transportpb.TaskLoad{
		RecordsIn: l.RecordsIn, RecordsOut: l.RecordsOut, BytesIn: l.BytesIn, BytesOut: l.BytesOut,
		BusyMillis: l.BusyMillis, BackpressuredMillis: l.BackpressuredMillis, IdleMillis: l.IdleMillis, InFlightBytes: l.InFlightBytes,
	}
}

func (d *decoder) taskMetrics(pb *transportpb.TaskMetrics) checkpoint.TaskMetrics {
	return checkpoint.TaskMetrics{
		Job: d.job(pb.GetJob()), Attempt: checkpoint.Attempt(pb.GetAttempt()), Subtasks: each(pb.GetSubtasks(), d.subtaskMetrics),
	}
}

func (d *decoder) subtaskMetrics(pb *transportpb.SubtaskMetrics) checkpoint.SubtaskMetrics {
	return checkpoint.SubtaskMetrics{
		Subtask:     d.subtask(pb.GetSubtask()),
		RecordsIn:   d.count("records in", pb.GetRecordsIn()),
		RecordsOut:  d.count("records out", pb.GetRecordsOut()),
		BytesIn:     d.count("bytes in", pb.GetBytesIn()),
		BytesOut:    d.count("bytes out", pb.GetBytesOut()),
		LateRecords: d.count("late records", pb.GetLateRecords()),
		Load:        optional(pb.GetLoad(), d.taskLoad),
		Watermark:   pb.Watermark,
		Checkpoint:  checkpoint.ID(pb.GetCheckpoint()),

		StateBytes:       d.count("state bytes", pb.GetStateBytes()),
		AlignmentMillis:  d.count("alignment", pb.GetAlignmentMillis()),
		StartDelayMillis: d.count("start delay", pb.GetStartDelayMillis()),
	}
}

func (d *decoder) taskLoad(pb *transportpb.TaskLoad) checkpoint.TaskLoad {
	return checkpoint.TaskLoad{
		RecordsIn:           d.rate("records in", pb.GetRecordsIn()),
		RecordsOut:          d.rate("records out", pb.GetRecordsOut()),
		BytesIn:             d.rate("bytes in", pb.GetBytesIn()),
		BytesOut:            d.rate("bytes out", pb.GetBytesOut()),
		BusyMillis:          d.rate("busy time", pb.GetBusyMillis()),
		BackpressuredMillis: d.rate("backpressured time", pb.GetBackpressuredMillis()),
		IdleMillis:          d.rate("idle time", pb.GetIdleMillis()),
		InFlightBytes:       d.count("bytes in flight", pb.GetInFlightBytes()),
	}
}

// rate reads a figure that sums are made of: one that is negative, infinite or no number would spoil them, and JSON
// has no form for it.
func (d *decoder) rate(name string, v float64) float64 {
	if !(v >= 0) || math.IsInf(v, 1) {
		d.failf("%s per second %v is no finite number from 0", name, v)
		return 0
	}
	return v
}
