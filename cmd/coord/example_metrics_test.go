package main

import (
	"time"

	"cairn/api"
)

func eventTime(ms int64) *int64 { return &ms }

func exampleVertexMetrics() *api.VertexMetrics {
	return &api.VertexMetrics{
		Measured: 4, Loads: 3, Totals: api.TaskTotals{RecordsIn: 12_345_678, RecordsOut: 12_345_000, BytesIn: 1 << 30, BytesOut: 1 << 29, LateRecords: 17},
		Load: &api.TaskLoad{
			RecordsInPerSecond: 104_857.6, RecordsOutPerSecond: 0.4, BytesInPerSecond: 3 << 20, BytesOutPerSecond: 12,
			BusyMillisPerSecond: 871.4, BackpressuredMillisPerSecond: 1000, IdleMillisPerSecond: 3, InFlightBytes: 262_144,
		},
		Watermark: eventTime(1_795_249_740_123), StateBytes: 1023 << 20,
	}
}

// exampleMetrics has a subtask of which everything is known, one that has finished, and one of which nothing is known.
func exampleMetrics() api.JobMetrics {
	return api.JobMetrics{Job: exampleJobID, Name: "wordcount", Attempt: 2, Subtasks: []api.SubtaskMetrics{{
		ID: "source[0]", Node: "n1", Status: "RUNNING", MeasuredAt: ago(600 * time.Millisecond),
		Totals: &api.TaskTotals{RecordsIn: 12_345_678, RecordsOut: 12_345_000, BytesIn: 1 << 30, BytesOut: 1 << 29, LateRecords: 17},
		Load: &api.TaskLoad{
			RecordsInPerSecond: 104_857.6, RecordsOutPerSecond: 0.4, BytesInPerSecond: 3 << 20, BytesOutPerSecond: 12,
			BusyMillisPerSecond: 871.4, BackpressuredMillisPerSecond: 100.2, IdleMillisPerSecond: 28.4, InFlightBytes: 262_144,
		},
		Watermark:      eventTime(1_795_249_740_123),
		LastCheckpoint: &api.LastCheckpoint{ID: 41, StateBytes: 1023 << 20, AlignmentMillis: 48, StartDelayMillis: 1250},
	}, {
		ID: "source[1]", Node: "n2", Status: "FINISHED", MeasuredAt: ago(2 * time.Minute),
		Totals: &api.TaskTotals{RecordsIn: 10, RecordsOut: 10, BytesOut: 80}, Watermark: eventTime(1<<63 - 1),
	}, {
		ID: "count[0]", Node: "n2", Status: "INITIALIZING",
	}}}
}
