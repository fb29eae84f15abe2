package fsm

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"cairn/checkpoint"
)

// commandsOf1 are the commands in testdata/commands_v1.txt, with the defaults of what version 1 did not have.
func commandsOf1() []Command {
	job := jobID(1)
	restart := Restart{Count: 2, Delay: 1500, NextAt: 1_700_000_002_000, LastFailureAt: 1_700_000_000_500}
	restarts := checkpoint.DefaultRestartConfig()
	restarts.ResetBackoffThreshold, restarts.MaxAttempts = time.Hour, 7
	config := checkpoint.Config{
		Interval: 10 * time.Second, MinPause: time.Second, Timeout: 10 * time.Minute, MaxConcurrent: 2, TolerableFailures: 3,
		Mode: checkpoint.AtLeastOnce, Retain: 5, RetainOnCancel: true,
		Alignment: checkpoint.AlignmentAdaptive, AlignmentTimeout: 10 * time.Second, AfterTasksFinish: true,
		Restart: restarts,
	}
	return []Command{
		SubmitJob{
			Job: job, Name: "wörd\xffcount", Program: "wordcount", Params: map[string]string{"input": "/data/\xfe", "b": "2", "": "empty"},
			Topology: topology(), Config: config, At: 1_700_000_000_000,
		},
		StartAttempt{Job: job, Attempt: 4, Assignment: assignment(), RestoreFrom: 17, At: 1_700_000_000_001},
		FailAttempt{Job: job, Attempt: 4, Cause: "node n2 was lost", Restart: restart, Term: 9, At: 1_700_000_000_002},
		CancelJob{Job: job, Term: 9, At: 1_700_000_000_003},
		EndJob{Job: job, Status: JobFailed, Failure: "no such path", Term: 9, At: 1_700_000_000_004},
		BeginCheckpoint{Job: job, Attempt: 4, Kind: checkpoint.KindSavepoint, Term: 9, At: 1_700_000_000_005},
		CompleteCheckpoint{
			Job: job, Attempt: 4, Checkpoint: 18, Manifest: manifest(18), Sizes: Sizes{State: 1 << 40}, NumSubtasks: 3, Term: 9, At: 1_700_000_000_006,
		},
		AbortCheckpoint{
			Job: job, Attempt: 4, Checkpoint: 19, Reason: checkpoint.ReasonExpired, Message: "count[1]", NumAcknowledged: 2,
			Term: 9, At: 1_700_000_000_007,
		},
		FinishDiscards{Job: job, Checkpoints: []checkpoint.ID{1, 300, 1 << 40}},
	}
}

// stateOf1 is the state in testdata/snapshot_v1.bin, which holds no savepoints, summaries and sources.
func stateOf1(t testing.TB) *State {
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
	s.must(s.fail(4, "disk full"))
	s.running(5)
	s.must(s.cancel(5))
	for _, j := range s.state.Jobs {
		j.Summary = Summary{}
	}
	s.job(3).Discards[0].Manifest = manifest(1) // the manifests of version 1's test were not told apart by their jobs
	return s.state
}

// TestVersion1CommandsDecode reads what a coordinator of that version wrote into its log.
func TestVersion1CommandsDecode(t *testing.T) {
	decodesCommands(t, 1, commandsOf1())
}

// decodesCommands compares the commands of a version's golden file with those that it was written from.
func decodesCommands(t *testing.T, version int, commands []Command) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", fmt.Sprintf("commands_v%d.txt", version)))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	if len(lines) != len(commands) {
		t.Fatalf("%d lines", len(lines))
	}
	for i, want := range commands {
		_, digits, _ := strings.Cut(lines[i], " ")
		b, err := hex.DecodeString(digits)
		if err != nil || int(b[0]) != version {
			t.Fatalf("line %d: %v, version %d", i+1, err, b[0])
		}
		if got, err := DecodeCommand(b); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("line %d: %+v, %v; want %+v", i+1, got, err, want)
		}
	}
}

// TestVersion1SnapshotDecodes, and goes on as a state of this version.
func TestVersion1SnapshotDecodes(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "snapshot_v1.bin"))
	if err != nil {
		t.Fatal(err)
	}
	s := newScript(t)
	s.state = restored(t, b)
	if want := stateOf1(t); !reflect.DeepEqual(s.state, want) {
		t.Errorf("restored %+v, want %+v", s.state.SortedJobs(), want.SortedJobs())
	}
	if info, err := Inspect(b); err != nil || info.Version != 1 {
		t.Errorf("inspected %+v, %v", info, err)
	}
	if got := s.job(1).LastSuccess; got != 4 {
		t.Errorf("last success %d, want 4: it is the newest in the log", got)
	}
	s.must(s.complete(1, 6))
	s.must(s.complete(1, 7))
	if j := s.job(1); j.LastSuccess != 7 || j.Summary.Duration.Count != 2 || len(j.Savepoints) != 1 {
		t.Errorf("last success %d, %d summed up, savepoints %v", j.LastSuccess, j.Summary.Duration.Count, j.Savepoints)
	}
	if again := restored(t, s.bytes()); !reflect.DeepEqual(again, s.state) {
		t.Error("it does not round-trip in this version")
	}
}

// TestVersion1LastSuccessMayBeASavepoint, which version 1 kept in the history alone.
func TestVersion1LastSuccessMayBeASavepoint(t *testing.T) {
	j := Job{Completed: []Completed{{ID: 3}}, History: []Outcome{
		{ID: 3, Status: OutcomeCompleted}, {ID: 5, Status: OutcomeCompleted, Kind: checkpoint.KindSavepoint}, {ID: 6, Status: OutcomeFailed},
	}}
	if got := j.deriveLastSuccess(); got != 5 {
		t.Errorf("last success %d, want 5", got)
	}
}
