package fsm

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"cairn/checkpoint"
)

// entry returns c as Raft hands it to Apply.
func entry(t testing.TB, index uint64, c Command) *raft.Log {
	t.Helper()
	b, err := EncodeCommand(c)
	if err != nil {
		t.Fatal(err)
	}
	return &raft.Log{Index: index, Term: 2, Type: raft.LogCommand, Data: b}
}

// sink is a raft.SnapshotSink in memory.
type sink struct {
	bytes.Buffer
	fail             error // of Write
	closed, canceled bool
}

func (s *sink) Write(b []byte) (int, error) {
	if s.fail != nil {
		return 0, s.fail
	}
	return s.Buffer.Write(b)
}
func (s *sink) ID() string    { return "2-7-1700000000000" }
func (s *sink) Close() error  { s.closed = true; return nil }
func (s *sink) Cancel() error { s.canceled = true; return nil }

func TestMachineAppliesAndAnswers(t *testing.T) {
	m, s := NewMachine(), newScript(t)
	if got := m.Apply(entry(t, 5, s.submit(1))).(Response); got.Err != nil {
		t.Fatal(got.Err)
	}
	if got := m.Apply(entry(t, 6, s.submit(1))).(Response); !errors.Is(got.Err, ErrJobExists) {
		t.Errorf("a second submission: %v", got.Err)
	}
	start := StartAttempt{Job: jobID(1), Attempt: 1, Assignment: assignment()}
	if got := m.Apply(entry(t, 7, start)).(Response); got.Err != nil {
		t.Fatal(got.Err)
	}
	begin := BeginCheckpoint{Job: jobID(1), Attempt: 1, Kind: checkpoint.KindCheckpoint}
	if got := m.Apply(entry(t, 8, begin)).(Response); got.Err != nil || got.Result.Checkpoint != 1 {
		t.Errorf("begin: %+v", got)
	}
	if j := m.Job(jobID(1)); j == nil || len(j.Pending) != 1 || m.JobByName("job-1") != j || m.Jobs()[0] != j {
		t.Errorf("job %+v", j)
	}
	if m.Job(jobID(2)) != nil || m.JobByName("job-2") != nil {
		t.Error("found a job that was never submitted")
	}
	if got := m.LastIndex(); got != 8 {
		t.Errorf("last index %d", got)
	}
}

// TestJobsAreSortedOncePerChange: whoever holds an older answer keeps it as it was.
func TestJobsAreSortedOncePerChange(t *testing.T) {
	m, s := NewMachine(), newScript(t)
	if got := m.Jobs(); len(got) != 0 {
		t.Errorf("%d jobs before the first", len(got))
	}
	m.Apply(entry(t, 1, s.submit(1)))
	first := m.Jobs()
	if again := m.Jobs(); len(first) != 1 || &first[0] != &again[0] {
		t.Error("sorted again although nothing had changed")
	}
	m.Apply(entry(t, 2, s.submit(2)))
	m.Apply(entry(t, 3, CancelJob{Job: jobID(1)}))
	if got := m.Jobs(); len(got) != 2 || got[0].Status != JobCancelling || got[1].ID != jobID(2) {
		t.Errorf("after two more commands: %v", got)
	}
	if len(first) != 1 || first[0].Status != JobCreated {
		t.Error("the older answer changed")
	}
	if err := m.Restore(io.NopCloser(bytes.NewReader(encoded(t, NewState())))); err != nil {
		t.Fatal(err)
	}
	if got := m.Jobs(); len(got) != 0 {
		t.Errorf("%d jobs after an empty snapshot was restored", len(got))
	}
}

func TestMachinePanicsOnAnUnreadableEntry(t *testing.T) {
	for _, data := range [][]byte{nil, {commandVersion + 1, 0x0a}, {1, 0xff}} {
		text := panicText(func() { NewMachine().Apply(&raft.Log{Index: 41, Term: 3, Data: data}) })
		if !strings.Contains(text, "index 41") || !strings.Contains(text, "version") {
			t.Errorf("%x: panic %q", data, text)
		}
	}
}

func TestChangedIsClosedByTheNextChange(t *testing.T) {
	closed := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	m, s := NewMachine(), newScript(t)
	first := m.Changed()
	if closed(first) {
		t.Fatal("closed before any change")
	}
	m.Apply(entry(t, 1, s.submit(1)))
	second := m.Changed()
	if !closed(first) || closed(second) {
		t.Errorf("after a command: first closed %t, second closed %t", closed(first), closed(second))
	}
	if err := m.Restore(io.NopCloser(bytes.NewReader(encoded(t, sampleState(t))))); err != nil {
		t.Fatal(err)
	}
	if !closed(second) || closed(m.Changed()) {
		t.Error("a restore was not told as one change")
	}
}

// TestSnapshotIsOfTheMomentItWasTaken applies more between Snapshot and Persist, as Raft does.
func TestSnapshotIsOfTheMomentItWasTaken(t *testing.T) {
	m, s := NewMachine(), newScript(t)
	m.Apply(entry(t, 1, s.submit(1)))
	snapshot, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	m.Apply(entry(t, 2, s.submit(2)))
	m.Apply(entry(t, 3, CancelJob{Job: jobID(1)}))
	var out sink
	if err := snapshot.Persist(&out); err != nil || !out.closed || out.canceled {
		t.Fatalf("persist: %v, closed %t, canceled %t", err, out.closed, out.canceled)
	}
	snapshot.Release()
	other := NewMachine()
	if err := other.Restore(io.NopCloser(&out.Buffer)); err != nil {
		t.Fatal(err)
	}
	if j := other.Job(jobID(1)); len(other.Jobs()) != 1 || j.Status != JobCreated || other.LastIndex() != 1 {
		t.Errorf("restored %d jobs at index %d, the first %s", len(other.Jobs()), other.LastIndex(), j.Status)
	}
}

func TestPersistCancelsWhatItCannotWrite(t *testing.T) {
	snapshot, err := NewMachine().Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	out := sink{fail: errors.New("disk full")}
	if err := snapshot.Persist(&out); !errors.Is(err, out.fail) || !out.canceled || out.closed {
		t.Errorf("persist: %v, closed %t, canceled %t", err, out.closed, out.canceled)
	}
}

// failingReader is a snapshot that breaks off.
type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }
func (r failingReader) Close() error             { return nil }

func TestAFailedRestoreKeepsTheOldState(t *testing.T) {
	broken := errors.New("connection reset")
	newer := encoded(t, NewState())
	newer[5]++
	for name, test := range map[string]struct {
		r    io.ReadCloser
		want error
	}{
		"breaks off":      {failingReader{broken}, broken},
		"foreign":         {io.NopCloser(strings.NewReader("PK\x03\x04 something else")), ErrCorrupt},
		"a newer version": {io.NopCloser(bytes.NewReader(newer)), ErrNewerVersion},
	} {
		t.Run(name, func(t *testing.T) {
			m, s := NewMachine(), newScript(t)
			m.Apply(entry(t, 1, s.submit(1)))
			if err := m.Restore(test.r); !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
			if m.Job(jobID(1)) == nil || m.LastIndex() != 1 {
				t.Error("the state before the restore is gone")
			}
		})
	}
}

// TestReadersSeeWholeJobs reads while commands are applied. Under the race detector it shows that a held
// *Job is never written; the assertion, that no reader sees half a command.
func TestReadersSeeWholeJobs(t *testing.T) {
	m, s := NewMachine(), newScript(t)
	m.Apply(entry(t, 1, s.submit(1)))
	m.Apply(entry(t, 2, StartAttempt{Job: jobID(1), Attempt: 1, Assignment: assignment()}))
	const rounds = 400
	done := make(chan struct{}) // closed by the writer
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for {
				for _, j := range m.Jobs() {
					if err := j.check(); err != nil {
						t.Errorf("a reader saw: %v", err)
					}
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	index := uint64(2)
	apply := func(c Command) Response {
		index++
		return m.Apply(entry(t, index, c)).(Response)
	}
	for range rounds {
		id := apply(BeginCheckpoint{Job: jobID(1), Attempt: 1, Kind: checkpoint.KindCheckpoint}).Result.Checkpoint
		apply(CompleteCheckpoint{Job: jobID(1), Attempt: 1, Checkpoint: id, Manifest: manifest(id), NumSubtasks: 3})
	}
	close(done)
	readers.Wait()
	if got := m.Job(jobID(1)).Counters.Completed; got != rounds {
		t.Errorf("%d completed", got)
	}
}

// single is a Raft cluster of one, with its stores in memory.
type single struct {
	raft    *raft.Raft
	machine *Machine
}

type memoryStores struct {
	log       *raft.InmemStore
	snapshots *raft.InmemSnapshotStore
}

func startSingle(t *testing.T, stores memoryStores) *single {
	t.Helper()
	s := &single{machine: NewMachine()}
	address, transport := raft.NewInmemTransport("c1")
	config := raft.DefaultConfig()
	config.LocalID, config.Logger, config.TrailingLogs = "c1", hclog.NewNullLogger(), 0
	var err error
	if s.raft, err = raft.NewRaft(config, s.machine, stores.log, stores.log, stores.snapshots, transport); err != nil {
		t.Fatal(err)
	}
	s.raft.BootstrapCluster(raft.Configuration{Servers: []raft.Server{{ID: "c1", Address: address}}}) // harmless the second time
	for leads := range s.raft.LeaderCh() {
		if leads {
			return s
		}
	}
	t.Fatal("never led")
	return nil
}

func (s *single) propose(t *testing.T, c Command) Response {
	t.Helper()
	f := s.raft.Apply(entry(t, 0, c).Data, 0)
	if err := f.Error(); err != nil {
		t.Fatal(err)
	}
	return f.Response().(Response)
}

func (s *single) stop(t *testing.T) {
	t.Helper()
	if err := s.raft.Shutdown().Error(); err != nil {
		t.Error(err)
	}
}

// TestI1_IDsGoOnAfterRaftRestores runs the machine under Raft itself: the log is compacted into a snapshot,
// a new process restores it and replays the rest.
func TestI1_IDsGoOnAfterRaftRestores(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stores := memoryStores{raft.NewInmemStore(), raft.NewInmemSnapshotStore()}
		first := startSingle(t, stores)
		begin := BeginCheckpoint{Job: jobID(1), Attempt: 1, Kind: checkpoint.KindCheckpoint}
		first.propose(t, newScript(t).submit(1))
		first.propose(t, StartAttempt{Job: jobID(1), Attempt: 1, Assignment: assignment()})
		first.propose(t, begin)
		if err := first.raft.Snapshot().Error(); err != nil {
			t.Fatal(err)
		}
		if oldest, err := stores.log.FirstIndex(); err != nil || oldest == 1 {
			t.Fatalf("the log still begins at %d (%v): the snapshot would not be needed", oldest, err)
		}
		first.propose(t, begin)
		before := encoded(t, first.machine.mu.state)
		first.stop(t)

		second := startSingle(t, stores)
		defer second.stop(t)
		if err := second.raft.Barrier(0).Error(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(before, encoded(t, second.machine.mu.state)) {
			t.Error("the restored replica holds other bytes (I10)")
		}
		if got := second.propose(t, begin); got.Err != nil || got.Result.Checkpoint != 3 {
			t.Errorf("the next checkpoint is %d, %v; want 3", got.Result.Checkpoint, got.Err)
		}
	})
}
