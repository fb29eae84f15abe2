package main

import (
	"fmt"
	"time"

	"cairn/api"
)

const exampleManifest = "aa11bb22cc33dd44ee55ff6600778899aa11bb22cc33dd44ee55ff6600778899"

// exampleDetail is of checkpoint 41.
func exampleDetail() api.CheckpointDetail {
	triggered := ago(time.Second)
	return api.CheckpointDetail{
		Checkpoint: exampleCheckpoints()[1], Manifest: exampleManifest, ManifestSize: 2100,
		Tasks: []api.TaskCheckpoint{
			{
				Vertex: "source", NumSubtasks: 2, NumAcknowledgedSubtasks: 2, LatestAckTimestamp: triggered + 34,
				EndToEndDurationMillis: 34, StateSize: 2048, CheckpointedSize: 2048,
			},
			{
				Vertex: "count", NumSubtasks: 1, NumAcknowledgedSubtasks: 1, LatestAckTimestamp: triggered + 81,
				EndToEndDurationMillis: 81, StateSize: 3 << 20, CheckpointedSize: 298 << 10, ProcessedData: 70 << 10,
			},
		},
		Subtasks: []api.SubtaskCheckpoint{
			{
				ID: "source[0]", Node: "n1", Acknowledged: true, AckTimestamp: triggered + 34, StateSize: 2048, CheckpointedSize: 2048,
				StartDelayMillis: 1, SyncMillis: 2, AsyncMillis: 30, UploadMillis: 11,
			},
			{ID: "source[1]", Node: "n2", Acknowledged: true, Finished: true},
			{
				ID: "count[0]", Node: "n2", Acknowledged: true, AckTimestamp: triggered + 81, StateSize: 3 << 20, CheckpointedSize: 298 << 10,
				StartDelayMillis: 2, AlignmentMillis: 48, SyncMillis: 4, AsyncMillis: 25, UploadMillis: 20, ProcessedData: 70 << 10,
			},
		},
		Slowest: &api.SlowestSubtask{ID: "count[0]", Node: "n2", Phase: "alignment", Millis: 48},
	}
}

// pendingDetail is of checkpoint 42, which waits for an alignment.
func pendingDetail() api.CheckpointDetail {
	triggered := exampleCheckpoints()[0].TriggerTimestamp
	return api.CheckpointDetail{
		Checkpoint: exampleCheckpoints()[0],
		Tasks: []api.TaskCheckpoint{
			{
				Vertex: "source", NumSubtasks: 1, NumAcknowledgedSubtasks: 1, LatestAckTimestamp: triggered + 34,
				EndToEndDurationMillis: 34, StateSize: 512, CheckpointedSize: 512,
			},
			{Vertex: "count", NumSubtasks: 2},
		},
		Subtasks: []api.SubtaskCheckpoint{
			{
				ID: "source[0]", Node: "n1", Acknowledged: true, AckTimestamp: triggered + 34, StateSize: 512, CheckpointedSize: 512,
				StartDelayMillis: 1, SyncMillis: 2, AsyncMillis: 30, UploadMillis: 11,
			},
			{ID: "count[0]", Node: "n2", Phase: "upload", StartDelayMillis: 2, AlignmentMillis: 48, SyncMillis: 4},
			{ID: "count[1]", Node: "n3", Phase: "alignment", StartDelayMillis: 5},
		},
		Slowest: &api.SlowestSubtask{ID: "count[1]", Node: "n3", Phase: "alignment", Millis: 395},
	}
}

// manySubtasks is a checkpoint of 50 subtasks, the later of which took longer, and one of which is missing.
func manySubtasks() api.CheckpointDetail {
	d := exampleDetail()
	d.Subtasks = nil
	for i := range 50 {
		d.Subtasks = append(d.Subtasks, api.SubtaskCheckpoint{
			ID: fmt.Sprintf("count[%d]", i), Node: "n1", Acknowledged: i != 7, AckTimestamp: d.TriggerTimestamp + int64(i), Phase: "sync",
		})
	}
	return d
}

func exampleStatistics() api.CheckpointStatistics {
	checkpoints := exampleCheckpoints()
	of := func(low int64) api.Distribution {
		return api.Distribution{Min: low, Max: 100 * low, Avg: 3 * low, P50: 2 * low, P90: 10 * low, P95: 20 * low, P99: 50 * low, P999: 90 * low}
	}
	return api.CheckpointStatistics{
		Counts: api.CheckpointCounts{Restored: 1, Total: 42, InProgress: 1, Completed: 39, Failed: 2},
		Summary: api.CheckpointSummary{
			EndToEndDuration: of(30), StateSize: of(300_000), CheckpointedSize: of(9000), Alignment: of(1), ProcessedData: of(700),
		},
		Latest: api.LatestCheckpoints{Completed: &checkpoints[1], Savepoint: &checkpoints[3], Failed: &checkpoints[2], Restored: 17},
	}
}

func exampleSavepoints() []api.Savepoint {
	return []api.Savepoint{
		{
			Job: exampleJobID, JobName: "wordcount", ID: 43, TriggeredAt: ago(90 * time.Second), CompletedAt: ago(90*time.Second - 120*time.Millisecond),
			StateSize: 3 << 20, NumSubtasks: 14, Manifest: exampleManifest, ManifestSize: 2100,
		},
		{
			Job: "fedcba9876543210fedcba9876543210", JobName: "letters", ID: 12, Stop: "drain", TriggeredAt: ago(3 * time.Hour),
			CompletedAt: ago(3*time.Hour - time.Second), StateSize: 2 << 20, NumSubtasks: 14, Manifest: exampleManifest, ManifestSize: 2100,
			UsedBy: []string{exampleJobID},
		},
	}
}

// exampleImport was imported from a directory.
func exampleImport() api.Savepoint {
	return api.Savepoint{
		Job: "00112233445566778899aabbccddeeff", JobName: "orders", ID: 9, TriggeredAt: ago(50 * time.Hour), CompletedAt: ago(50 * time.Hour),
		StateSize: 3 << 20, NumSubtasks: 14, Manifest: exampleManifest, ManifestSize: 2100, Imported: true, ImportedAt: ago(time.Minute),
	}
}
