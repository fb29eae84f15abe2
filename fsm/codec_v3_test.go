package fsm

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"cairn/checkpoint"
)

// commandsOf3 are the commands in testdata/commands_v3.txt.
func commandsOf3() []Command {
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
			Topology: topology(), Fingerprint: "1-0123", Parallelism: map[checkpoint.OperatorID]int{"count": 2, "read": 1}, Config: config, At: 1_700_000_000_000,
			Source:       Source{Job: jobID(7), Checkpoint: 16, Kind: checkpoint.KindSavepoint, Manifest: manifest(16), Claim: true, AllowNonRestoredState: true},
			Unregistered: true,
		},
		ConfigureJob{Job: job, Config: config, At: 1_700_000_000_008},
		StartAttempt{Job: job, Attempt: 4, Assignment: assignment(), Kept: []int{0, 2}, RestoreFrom: 17, At: 1_700_000_000_001},
		FailAttempt{Job: job, Attempt: 4, Cause: "node n2 was lost", Global: true, Restart: restart, Term: 9, At: 1_700_000_000_002},
		CancelJob{Job: job, Term: 9, At: 1_700_000_000_003},
		EndJob{Job: job, Status: JobFailed, Failure: "no such path", Term: 9, At: 1_700_000_000_004},
		BeginCheckpoint{
			Job: job, Attempt: 4, Kind: checkpoint.KindSavepoint, Stop: checkpoint.StopDrain, Manual: true, Aligned: true,
			Term: 9, At: 1_700_000_000_005,
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
		RescaleJob{
			Job: job, Attempt: 4, Checkpoint: 21, Topology: scaled(5), Parallelism: map[checkpoint.OperatorID]int{"count": 5, "read": 1},
			Term: 9, At: 1_700_000_000_010,
		},
		MoveJob{Job: job, Attempt: 4, Checkpoint: 22, Cause: "node n2 is drained \xff", Term: 9, At: 1_700_000_000_011},
		DrainNode{Node: "n2", At: 1_700_000_000_012},
		UndrainNode{Node: "n2"},
	}
}

// stateOf3 is the state in testdata/snapshot_v3.bin.
func stateOf3(t testing.TB) *State {
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
	s.running(8)
	s.must(s.complete(8, s.beginAligned(8)))
	s.must(s.rescale(8, 5))
	s.must(s.startScaled(8, 5))
	s.must(s.complete(8, s.beginAligned(8)))
	s.must(s.rescale(8, 3))
	s.running(9)
	s.must(s.complete(9, s.beginAligned(9)))
	s.must(MoveJob{Job: jobID(9), Attempt: 1, Checkpoint: 1, Cause: "node n2 is drained", Term: 3, At: s.at})
	s.running(10)
	s.beginAligned(10)
	s.must(DrainNode{Node: "n2", At: s.at})
	s.must(DrainNode{Node: "n9", At: s.at})
	g := s.submit(11)
	g.Topology.Vertices[1].SharingGroup, g.Fingerprint = "heavy", "1-0123"
	s.must(g)
	s.runningLanes(12)
	s.must(s.fail(12, "node n2 was lost"))
	s.must(s.startLanes(12, 0, 2))
	h := s.fail(12, "of all")
	h.Global = true
	s.must(h)
	return s.state
}

// TestVersion3CommandsDecode reads what a coordinator of that version wrote into its log.
func TestVersion3CommandsDecode(t *testing.T) { decodesCommands(t, 3, commandsOf3()) }

// TestVersion3SnapshotDecodes, and goes on as a state of this version.
func TestVersion3SnapshotDecodes(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "snapshot_v3.bin"))
	if err != nil {
		t.Fatal(err)
	}
	s := newScript(t)
	s.state = restored(t, b)
	if want := stateOf3(t); !reflect.DeepEqual(s.state, want) {
		t.Errorf("restored %+v, want %+v", s.state.SortedJobs(), want.SortedJobs())
	}
	if info, err := Inspect(b); err != nil || info.Version != 3 {
		t.Errorf("inspected %+v, %v", info, err)
	}
	s.must(s.beginImport(99, 7))
	s.must(s.complete(1, s.beginAligned(1)))
	s.must(s.allowFallback(1))
	s.must(s.fail(1, "node n2 was lost"))
	s.must(s.giveUp(1))
	if again := restored(t, s.bytes()); !reflect.DeepEqual(again, s.state) {
		t.Error("it does not round-trip in this version")
	}
}
