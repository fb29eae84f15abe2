package fsm

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"cairn/checkpoint"
)

var update = flag.Bool("update", false, "rewrite the golden files of the current format versions")

// sampleCommands has every field of every command set to something of its own.
func sampleCommands() []Command {
	job := jobID(1)
	chunk := checkpoint.ChunkRef{ID: checkpoint.ChunkID{0xde, 31: 1}, Size: 90_000}
	restart := Restart{
		Count: 2, Delay: 1500, NextAt: 1_700_000_002_000, LastFailureAt: 1_700_000_000_500, SinceReset: 1,
		Failures: []checkpoint.Timestamp{1_699_999_999_000, 1_700_000_000_500},
	}
	config := checkpoint.Config{
		Interval: 10 * time.Second, MinPause: time.Second, Timeout: 10 * time.Minute, MaxConcurrent: 2, TolerableFailures: 3,
		Mode: checkpoint.AtLeastOnce, Alignment: checkpoint.AlignmentAligned, AlignmentTimeout: 7 * time.Second,
		Retain: 5, RetainOnCancel: true, AfterTasksFinish: true, RestoreFallback: true,
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
			Source: Source{Job: jobID(7), Checkpoint: 16, Kind: checkpoint.KindSavepoint, Manifest: manifest(16), Claim: true, AllowNonRestoredState: true}, Unregistered: true,
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
		BeginImport{
			Job: jobID(7), JobName: "wörd\xff", Checkpoint: 23, Manifest: manifest(23), TriggeredAt: 1_699_000_000_000, StateSize: 1 << 40,
			NumSubtasks: 3, At: 1_700_000_000_013,
		},
		FinishImport{Job: jobID(7), Checkpoint: 23, Manifest: manifest(23), At: 1_700_000_000_014},
		GiveUpCheckpoint{Job: job, Checkpoint: 23, Cause: "a chunk was on n3 only \xff", Term: 9, At: 1_700_000_000_013},
	}
}

// sampleState is a state with a job in every stage of its life, savepoints, and sources.
func sampleState(t testing.TB) *State {
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
	s.imported(99, 7)
	s.must(s.beginImport(98, 8))
	s.running(13, fallback)
	s.completed(13, 3)
	s.must(s.fail(13, "node n3 was lost"))
	s.must(s.giveUp(13))
	return s.state
}

// golden returns the content of a file in testdata, rewritten first where -update asks for it.
func golden(t testing.TB, name string, current []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, current, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSampleSetsEveryField(t *testing.T) {
	for _, c := range sampleCommands() {
		v := reflect.ValueOf(c)
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("%T.%s is not set: the golden file would not pin it", c, v.Type().Field(i).Name)
			}
		}
	}
	if got, want := len(sampleCommands()), reflect.TypeFor[commandList]().NumField(); got != want {
		t.Errorf("%d sample commands of %d", got, want)
	}
}

// commandList names every type of command once.
type commandList struct {
	SubmitJob
	ConfigureJob
	StartAttempt
	FailAttempt
	CancelJob
	EndJob
	BeginCheckpoint
	CompleteCheckpoint
	AbortCheckpoint
	FinishDiscards
	DisposeSavepoint
	RescaleJob
	MoveJob
	DrainNode
	UndrainNode
	BeginImport
	FinishImport
	GiveUpCheckpoint
}

func TestCommandGolden(t *testing.T) {
	var current strings.Builder
	for _, c := range sampleCommands() {
		b, err := EncodeCommand(c)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&current, "%T %s\n", c, hex.EncodeToString(b))
	}
	text := string(golden(t, fmt.Sprintf("commands_v%d.txt", commandVersion), []byte(current.String())))
	if text != current.String() {
		t.Errorf("the encoding of commands changed without a new version:\n%s\nwas\n%s", current.String(), text)
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, want := range sampleCommands() {
		_, digits, _ := strings.Cut(lines[i], " ")
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeCommand(b)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("line %d: %+v, %v; want %+v", i+1, got, err, want)
		}
	}
}

func TestSnapshotGolden(t *testing.T) {
	want := sampleState(t)
	current := encoded(t, want)
	b := golden(t, fmt.Sprintf("snapshot_v%d.bin", snapshotVersion), current)
	if !bytes.Equal(b, current) {
		t.Error("the encoding of snapshots changed without a new version")
	}
	if got := restored(t, b); !reflect.DeepEqual(got, want) {
		t.Errorf("restored %+v, want %+v", got, want)
	}
}

func TestEmptyStateRoundTrips(t *testing.T) {
	if got := restored(t, encoded(t, NewState())); !reflect.DeepEqual(got, NewState()) {
		t.Errorf("restored %+v", got)
	}
}

func TestEncodeCommandRefusesForeignTypes(t *testing.T) {
	for _, c := range []Command{nil, foreignCommand{}, &CancelJob{}} {
		if _, err := EncodeCommand(c); !errors.Is(err, ErrInvalid) {
			t.Errorf("%T: %v", c, err)
		}
	}
}

func TestDecodeCommandRefuses(t *testing.T) {
	good, err := EncodeCommand(sampleCommands()[7])
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		b    []byte
		want error
	}{
		{"nothing", nil, ErrCorrupt},
		{"no content", []byte{1}, ErrCorrupt},
		{"version 0", append([]byte{0}, good[1:]...), ErrCorrupt},
		{"a newer version", append([]byte{commandVersion + 1}, good[1:]...), ErrNewerVersion},
		{"a truncated one", good[:len(good)-3], ErrCorrupt},
		{"an unknown command", []byte{1, 0xfa, 0x01, 0x00}, ErrCorrupt},
		{"a short job ID", []byte{1, 0x22, 0x04, 0x0a, 0x02, 0x01, 0x02}, ErrCorrupt},
		{"an enum beyond a byte", replaced(t, sampleCommands()[6], func(b []byte) []byte {
			return bytes.Replace(b, []byte{0x18, 0x02}, []byte{0x18, 0x80, 0x02}, 1)
		}), ErrCorrupt},
		{"parameters out of order", replaced(t, sampleCommands()[0], func(b []byte) []byte {
			return bytes.Replace(b, []byte("input"), []byte("Input"), 1)
		}), ErrCorrupt},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if c, err := DecodeCommand(test.b); !errors.Is(err, test.want) || c != nil {
				t.Errorf("%+v, %v; want %v", c, err, test.want)
			}
		})
	}
}

// replaced encodes c and changes its message, with the length of the message put right.
func replaced(t *testing.T, c Command, change func([]byte) []byte) []byte {
	t.Helper()
	b, err := EncodeCommand(c)
	if err != nil {
		t.Fatal(err)
	}
	changed := change(bytes.Clone(b))
	if bytes.Equal(b, changed) {
		t.Fatalf("%T: nothing was replaced", c)
	}
	if len(changed) != len(b) { // version, tag, one byte of length
		changed[2] += byte(len(changed) - len(b))
	}
	return changed
}

func TestDecodeSnapshotRefuses(t *testing.T) {
	good := encoded(t, sampleState(t))
	change := func(f func([]byte) []byte) []byte { return f(bytes.Clone(good)) }
	tests := []struct {
		name string
		b    []byte
		want error
	}{
		{"nothing", nil, ErrCorrupt},
		{"half a header", good[:5], ErrCorrupt},
		{"another magic", change(func(b []byte) []byte { b[3]++; return b }), ErrCorrupt},
		{"version 0", change(func(b []byte) []byte { b[5] = 0; return b }), ErrCorrupt},
		{"the next version", change(func(b []byte) []byte { b[5]++; return b }), ErrNewerVersion},
		{"a much newer version", change(func(b []byte) []byte { b[4]++; return b }), ErrNewerVersion},
		{"a truncated one", good[:len(good)-1], ErrCorrupt},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if s, err := DecodeSnapshot(test.b); !errors.Is(err, test.want) || s != nil {
				t.Errorf("%+v, %v; want %v", s, err, test.want)
			}
		})
	}
}

// TestTheLogCarriesLittlePerCheckpoint: two entries of less than 8 KiB together, whatever the parallelism, what failed,
// and how it was said.
func TestTheLogCarriesLittlePerCheckpoint(t *testing.T) {
	size := func(c Command) int {
		b, err := EncodeCommand(c)
		if err != nil {
			t.Fatal(err)
		}
		return len(b)
	}
	const most = 1<<63 - 1
	sizes := Sizes{State: most, Checkpointed: most, AlignmentMillis: most, Processed: most, Persisted: most}
	begin := size(BeginCheckpoint{
		Job: jobID(1), Attempt: 1<<32 - 1, Kind: checkpoint.KindSavepoint, Stop: checkpoint.StopDrain, Manual: true, Term: most, At: most,
	})
	chunk := checkpoint.ChunkRef{ID: checkpoint.ChunkID{1, 31: 1}, Size: most}
	complete := CompleteCheckpoint{
		Job: jobID(1), Attempt: 1<<32 - 1, Checkpoint: most, Manifest: chunk, Sizes: sizes, NumSubtasks: 10_000, Term: most, At: most,
	}
	abort := AbortCheckpoint{
		Job: jobID(1), Attempt: 1<<32 - 1, Checkpoint: most, Reason: 255, Message: strings.Repeat("count[1] on node n1: upload; ", 10_000),
		NumAcknowledged: 9_999, Sizes: sizes, Term: most, At: most,
	}
	for _, detail := range []Detail{{Inline: make([]byte, MaxInlineDetail)}, {Chunk: chunk}} {
		complete.Detail, abort.Detail = detail, detail
		if got := begin + size(complete); got >= 2<<10 {
			t.Errorf("a completed checkpoint costs %d bytes", got)
		}
		if got := begin + size(abort); got >= 8<<10 {
			t.Errorf("a failed checkpoint costs %d bytes", got)
		}
	}
}

func FuzzDecodeCommand(f *testing.F) {
	for _, c := range sampleCommands() {
		b, err := EncodeCommand(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeCommand(b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewerVersion) {
				t.Errorf("error without a sentinel: %v", err)
			}
			return
		}
		once, err := EncodeCommand(c)
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := EncodeCommand(recode(t, c)); err != nil || !bytes.Equal(once, twice) {
			t.Errorf("%+v does not round-trip: %v", c, err)
		}
		s := sampleState(t)
		_, _ = s.Step(s.LastIndex+1, c) // total: whatever it is, it is accepted or rejected
		if err := s.check(); err != nil {
			t.Errorf("%+v broke the state: %v", c, err)
		}
	})
}

func FuzzDecodeSnapshot(f *testing.F) {
	f.Add(encoded(f, NewState()))
	f.Add(encoded(f, sampleState(f)))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := DecodeSnapshot(b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewerVersion) {
				t.Errorf("error without a sentinel: %v", err)
			}
			return
		}
		once := encoded(t, s)
		if !bytes.Equal(once, encoded(t, restored(t, once))) {
			t.Error("it does not round-trip")
		}
	})
}
