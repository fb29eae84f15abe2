package main

import (
	"context"
	"time"

	"cairn/api"
	"cairn/checkpoint"
)

const exampleJobID = "0123456789abcdef0123456789abcdef"

var exampleNow = time.Date(2026, time.November, 21, 8, 30, 0, 0, time.UTC)

func ago(d time.Duration) int64 { return exampleNow.Add(-d).UnixMilli() }

// exampleService is a small healthy cluster, with a job under way.
func exampleService() *fakeService {
	job := exampleJob()
	return &fakeService{
		status: func(context.Context) (api.Status, error) { return exampleStatus(), nil },
		members: []api.Member{
			{ID: "c1", Role: "coordinator", Address: "10.0.0.1:7480", Gossip: "10.0.0.1:7481", State: "alive", Version: "v0.1.0"},
			{ID: "n1", Role: "node", Address: "10.0.0.1:7490", Gossip: "10.0.0.1:7491", State: "failed", Version: "v0.1.0", Zone: "rack-2"},
		},
		jobs: []api.Job{job.Job, {
			JobSummary: api.JobSummary{ID: "fedcba9876543210fedcba9876543210", Name: "letters", State: "CREATED"},
			Program:    "letters", SubmittedAt: ago(3 * time.Second), Reason: "needs 14 slots, 12 free",
		}},
		job:         job,
		metrics:     exampleMetrics(),
		cancel:      withState(job.Job, "CANCELLING", 0),
		checkpoints: exampleCheckpoints(),
		checkpoint:  exampleDetail(),
		statistics:  exampleStatistics(),
		savepoints:  exampleSavepoints(),
		savepoint: func(_ context.Context, stop api.Stop) (api.Savepoint, error) {
			s := exampleSavepoints()[0]
			s.Stop = string(stop)
			return s, nil
		},
		snapshot: api.SnapshotInfo{
			Version: 2, Index: 1234, Term: 3, Size: 70 << 10, Jobs: 2, Checkpoints: 4, Savepoints: 2,
			SHA256: "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9",
		},
		store:      exampleStore(),
		location:   exampleLocation(),
		locate:     onBoth,
		rescaled:   api.Rescaled{Job: exampleRescaled(), Checkpoint: 42},
		nodes:      exampleNodes(),
		programs:   examplePrograms(),
		snapshotOf: []byte("a snapshot"),
		trigger:    func(context.Context) (api.Checkpoint, error) { return exampleCheckpoints()[1], nil },
		peers:      exampleStatus().Voters,
		leader:     api.Leader{ID: "c2", Term: 4, Address: "10.0.0.2:7480"},
	}
}

func exampleStatus() api.Status {
	return api.Status{
		Leader: api.Leader{ID: "c1", Term: 3, Address: "10.0.0.1:7480"},
		Voters: []api.Voter{
			{ID: "c1", Address: "10.0.0.1:7480", State: "leader", Voter: true},
			{ID: "c2", Address: "10.0.0.2:7480", State: "follower", Voter: true, LastContactMillis: 12},
			{ID: "c3", Address: "10.0.0.3:7480", State: "failed", Voter: true, LastContactMillis: -1},
		},
		FailureTolerance: 0,
		Problems:         []string{"coordinator c3 at 10.0.0.3:7480 does not follow the leader", "node n2 at 10.0.0.2:7490 is lost"},
		Nodes: []api.Node{
			{ID: "n1", Address: "10.0.0.1:7490", State: "alive", Slots: 4, UsedSlots: 4, Subtasks: 8, Status: "ready", Leaving: []string{}},
			{ID: "n2", Address: "10.0.0.2:7490", State: "lost", Slots: 4, Status: "lost", Leaving: []string{}},
		},
		Jobs: []api.JobSummary{
			exampleJob().JobSummary,
			{ID: "fedcba9876543210fedcba9876543210", Name: "letters", State: "CREATED"},
		},
	}
}

func exampleJob() api.JobDetail {
	return api.JobDetail{
		Job: api.Job{
			JobSummary: api.JobSummary{
				ID: exampleJobID, Name: "wordcount", State: "RUNNING", Attempt: 2, Restarts: 1,
				Checkpoints: api.JobCheckpoints{
					LastCompletedID: 41, LastCompletedAt: ago(900 * time.Millisecond), InProgress: 1, Completed: 39, Failed: 2,
					Restored: 1,
				},
			},
			Program: "wordcount", SubmittedAt: ago(5 * time.Minute),
		},
		Params:       map[string]string{"output": "/tmp/words", "input": "/usr/share/doc,/usr/src"},
		Config:       exampleConfig(),
		RestoredFrom: 17, LastFailure: "count[0] on node n2: division by zero\ngoroutine 7 [running]:", LastFailureAt: ago(2 * time.Minute),
		Source: &api.Source{
			Job: "fedcba9876543210fedcba9876543210", Checkpoint: 12, Kind: "savepoint", Manifest: exampleManifest, ManifestSize: 2100,
			AllowNonRestoredState: true,
		},
		Vertices: []api.Vertex{
			{ID: "source", Name: "source -> split", Parallelism: 4, MaxParallelism: 128, Metrics: exampleVertexMetrics()},
			{ID: "count", Name: "count", Parallelism: 4, MaxParallelism: 128, SlotSharingGroup: "heavy"},
		},
		Subtasks: []api.Subtask{
			{ID: "source[0]", Node: "n1", Status: "RUNNING"},
			{ID: "count[0]", Node: "n2", Status: "INITIALIZING"},
		},
	}
}

func exampleNodes() []api.Node {
	return []api.Node{
		{ID: "n1", Address: "10.0.0.1:7490", State: "alive", Slots: 4, UsedSlots: 4, Subtasks: 8, Status: "ready", Leaving: []string{}},
		{
			ID: "n2", Address: "10.0.0.2:7490", State: "alive", Slots: 4, UsedSlots: 2, Subtasks: 3, Status: "draining", Drained: true,
			DrainedAt: ago(time.Minute), Leaving: []string{"job wordcount leaves with checkpoint 42, which is being taken"},
		},
		{ID: "n3", State: "lost", Slots: 4, Status: "lost", Drained: true, DrainedAt: ago(time.Hour), Leaving: []string{}},
	}
}

func examplePrograms() []api.Program {
	return []api.Program{
		{Name: "letters", Nodes: []string{"n2"}},
		{
			Name: "wordcount", Doc: "counts the words in the files of a directory", Nodes: []string{"n1", "n2"},
			Params: []api.Param{{Name: "input", Doc: "the directory to be read; required"}, {Name: "rate", Doc: "lines per second; 0, the default, means no bound"}},
		},
	}
}

func exampleRescaled() api.JobDetail {
	job := exampleJob()
	job.State, job.Parallelism = "RESTARTING", map[string]int{"count": 5}
	job.Reason = "goes on from its last checkpoint: its parallelism is changed"
	job.Vertices[1].Parallelism = 5
	return job
}

func exampleConfig() map[string]string {
	config := checkpoint.DefaultConfig()
	config.Interval = 500 * time.Millisecond
	config.Retain = 5
	return config.Values()
}

func exampleCheckpoints() []api.Checkpoint {
	return []api.Checkpoint{
		{
			ID: 42, Status: "in_progress", Kind: "checkpoint", Attempt: 2, BeganTerm: 3, TriggerTimestamp: ago(400 * time.Millisecond),
			EndToEndDurationMillis: 400, StateSize: 512, CheckpointedSize: 512, NumSubtasks: 14, NumAcknowledgedSubtasks: 3,
		},
		{
			ID: 41, Status: "completed", Kind: "checkpoint", Attempt: 2, BeganTerm: 2, EndedTerm: 3, TriggerTimestamp: ago(time.Second),
			EndToEndDurationMillis: 83, StateSize: 3 << 20, CheckpointedSize: 300 << 10, AlignmentMillis: 48, ProcessedData: 70 << 10,
			NumSubtasks: 14, NumAcknowledgedSubtasks: 14, Retained: true, RestoredFrom: true,
		},
		{
			ID: 40, Status: "failed", Kind: "checkpoint", Attempt: 1, BeganTerm: 2, EndedTerm: 2, TriggerTimestamp: ago(2 * time.Hour),
			EndToEndDurationMillis: 600_000, StateSize: 1 << 10, CheckpointedSize: 1 << 10, NumSubtasks: 14, NumAcknowledgedSubtasks: 13,
			FailureReason: "checkpoint_expired", FailureMessage: "checkpoint_expired: count[0] on n2\nhas not acknowledged",
		},
		{
			ID: 12, Status: "completed", Kind: "savepoint", Attempt: 1, BeganTerm: 1, EndedTerm: 1, TriggerTimestamp: ago(3 * time.Hour),
			EndToEndDurationMillis: 120, StateSize: 2 << 20, CheckpointedSize: 2 << 20, NumSubtasks: 14, NumAcknowledgedSubtasks: 14,
			Retained: true,
		},
		{
			ID: 11, Status: "completed", Kind: "checkpoint", Attempt: 1, BeganTerm: 1, EndedTerm: 1, TriggerTimestamp: ago(4 * time.Hour),
			EndToEndDurationMillis: 70, StateSize: 1 << 20, CheckpointedSize: 64 << 10, NumSubtasks: 14, NumAcknowledgedSubtasks: 14,
			GivenUp: "chunk 0a1b of count[0] was on node n3, which is lost",
		},
	}
}

func withState(job api.Job, state string, endedAt int64) api.Job {
	job.State, job.EndedAt = state, endedAt
	return job
}
