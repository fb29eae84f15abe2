package fsm

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"cairn/checkpoint"
)

// commandsOf2 are the commands in testdata/commands_v2.txt.
func commandsOf2() []Command {
	job := jobID(1)
	chunk := checkpoint.ChunkRef{ID: checkpoint.ChunkID{0xde, 31: 1}, Size: 90_000}
	restart := Restart{
		Count: 2, Delay: 1500, NextAt: 1_700_000_002_000, LastFailureAt: 1_700_000_000_500, SinceReset: 1,
		Failures: []checkpoint.Timestamp{1_699_999_999_000, 1_700_000_000_500},
	}
	config := checkpoint.Config{
		Interval: 10 * time.Second, MinPause: time.Second, Timeout: 10 * time.Minute, MaxConcurrent: 2, TolerableFailures: 3,
		Mode: checkpoint.AtLeastOnce, Alignment: checkpoint.AlignmentAligned, AlignmentTimeout: 7 * time.Second,
		Retain: 5, RetainOnCancel: true, AfterTasksFinish: true,
		Restart: checkpoint.RestartConfig{
			Strategy: checkpoint.FailureRate, InitialBackoff: time.Second, MaxBackoff: time.Minute, BackoffMultiplier: 1.5,
			ResetBackoffThreshold: time.Hour, JitterFactor: 0.25, MaxAttempts: 8, Attempts: 4, Delay: 3 * time.Second,
			MaxFailures: 6, FailureInterval: 9 * time.Minute,
		},
	}
	return []Command{
		SubmitJob{
			Job: job, Name: "wörd\xffcount", Program: "wordcount", Params: map[string]string{"input": "/data/\xfe", "b": "2", "": "empty"},
			Topology: topology(), Config: config, At: 1_700_000_000_000,
			Source:       Source{Job: jobID(7), Checkpoint: 16, Kind: checkpoint.KindSavepoint, Manifest: manifest(16), Claim: true, AllowNonRestoredState: true},
			Unregistered: true,
		},
		ConfigureJob{Job: job, Config: config, At: 1_700_000_000_008},
		StartAttempt{Job: job, Attempt: 4, Assignment: assignment(), RestoreFrom: 17, At: 1_700_000_000_001},
		FailAttempt{Job: job, Attempt: 4, Cause: "node n2 was lost", Restart: restart, Term: 9, At: 1_700_000_000_002},
		CancelJob{Job: job, Term: 9, At: 1_700_000_000_003},
		EndJob{Job: job, Status: JobFailed, Failure: "no such path", Term: 9, At: 1_700_000_000_004},
		BeginCheckpoint{
			Job: job, Attempt: 4, Kind: checkpoint.KindSavepoint, Stop: checkpoint.StopDrain, Manual: true, Term: 9, At: 1_700_000_000_005,
		},
		CompleteCheckpoint{
			Job: job, Attempt: 4, Checkpoint: 18, Manifest: manifest(18), NumSubtasks: 3, Term: 9, At: 1_700_000_000_006,
			Sizes: Sizes{State: 1 << 40, Checkpointed: 1 << 30, AlignmentMillis: 12, Processed: 13, Persisted: 14}, Detail: Detail{Chunk: chunk},
		},
		AbortCheckpoint{
			Job: job, Attempt: 4, Checkpoint: 19, Reason: checkpoint.ReasonExpired, Message: "count[1]", NumAcknowledged: 2,
			Term: 9, At: 1_700_000_000_007,
			Sizes: Sizes{State: 21, Checkpointed: 22, AlignmentMillis: 23, Processed: 24, Persisted: 25}, Detail: Detail{Inline: []byte("CRND")},
		},
		FinishDiscards{Job: job, Checkpoints: []checkpoint.ID{1, 300, 1 << 40}},
		DisposeSavepoint{Job: job, Savepoint: 20, At: 1_700_000_000_009},
	}
}

// stateOf2 is the state in testdata/snapshot_v2.bin.
func stateOf2(t testing.TB) *State {
	t.Helper()
	s := newScript(t)
	s.running(1, retain(2), concurrent(3))
	s.completed(1, 4)
	s.must(s.abort(1, s.begin(1, checkpoint.KindCheckpoint), checkpoint.ReasonExpired))
	s.must(s.fail(1, "node n2 was lost \xff"))
	s.must(s.start(1, 4))
	s.begin(1, checkpoint.KindSavepoint)
	s.begin(1, checkpoint.KindCheckpoint)
	s.must(s.submit(2))
	s.running(3)
	s.completed(3, 1)
	s.must(s.end(3, JobFinished))
	s.running(4)
	s.savepoint(4)
	s.savepoint(4)
	c := s.complete(4, s.begin(4, checkpoint.KindCheckpoint))
	c.Sizes = Sizes{State: 1 << 33, Checkpointed: 1 << 20, AlignmentMillis: 300, Processed: 4, Persisted: 5}
	c.Detail.Chunk = checkpoint.ChunkRef{ID: checkpoint.ChunkID{0xde, 31: 3}, Size: 90_000}
	s.must(c)
	f := s.fail(4, "disk full")
	f.Restart.SinceReset, f.Restart.Failures = 1, []checkpoint.Timestamp{s.at - 5, s.at}
	s.must(f)
	s.running(5)
	s.must(s.cancel(5))
	s.runningFrom(6, 4, checkpoint.KindSavepoint, 1, false)
	b := BeginCheckpoint{Job: jobID(6), Attempt: 1, Kind: checkpoint.KindSavepoint, Stop: checkpoint.StopSuspend, Manual: true, Term: 4, At: s.at}
	s.must(b)
	a := s.abort(6, s.begin(6, checkpoint.KindCheckpoint), checkpoint.ReasonAsyncException)
	a.Detail.Inline = checkpoint.EncodeDetail(checkpoint.Detail{Subtasks: []checkpoint.SubtaskDetail{{Node: "n1", AckMillis: 5}}})
	s.must(a)
	s.runningFrom(7, 4, checkpoint.KindSavepoint, 2, true)
	return s.state
}

// TestVersion2CommandsDecode reads what a coordinator of that version wrote into its log.
func TestVersion2CommandsDecode(t *testing.T) { decodesCommands(t, 2, commandsOf2()) }

// TestVersion2SnapshotDecodes, and goes on as a state of this version.
func TestVersion2SnapshotDecodes(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "snapshot_v2.bin"))
	if err != nil {
		t.Fatal(err)
	}
	s := newScript(t)
	s.state = restored(t, b)
	if want := stateOf2(t); !reflect.DeepEqual(s.state, want) {
		t.Errorf("restored %+v, want %+v", s.state.SortedJobs(), want.SortedJobs())
	}
	if info, err := Inspect(b); err != nil || info.Version != 2 {
		t.Errorf("inspected %+v, %v", info, err)
	}
	s.must(DrainNode{Node: "n1", At: s.at})
	s.must(s.complete(1, s.beginAligned(1)))
	s.must(s.rescale(1, 4))
	if again := restored(t, s.bytes()); !reflect.DeepEqual(again, s.state) {
		t.Error("it does not round-trip in this version")
	}
}
