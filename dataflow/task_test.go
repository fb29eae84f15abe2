package dataflow

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
	"cairn/dataflow/exchange"
)

// gatedSource emits what a test sends it, and ends when the channel is closed.
type gatedSource struct {
	values chan int64    // closed by the test
	wake   chan struct{} // capacity 1
	fail   error         // of Snapshot
}

func newGatedSource() *gatedSource {
	return &gatedSource{values: make(chan int64, 100), wake: make(chan struct{}, 1)}
}

func (s *gatedSource) send(values ...int64) {
	for _, v := range values {
		s.values <- v
	}
	signal(s.wake)
}

func (s *gatedSource) end() {
	close(s.values)
	signal(s.wake)
}

func (s *gatedSource) Open(SourceContext) (SourceReader[int64], error) { return s, nil }

func (s *gatedSource) Next(emit func(int64)) (ReadStatus, error) {
	select {
	case v, more := <-s.values:
		if !more {
			return End(), nil
		}
		emit(v)
		return Ready(), nil
	default:
		return IdleOn(s.wake), nil
	}
}

func (s *gatedSource) Snapshot() ([][]byte, error) { return nil, s.fail }
func (s *gatedSource) Position() string            { return "split s offset 7" }
func (s *gatedSource) Close() error                { return nil }

// passingJob leads a source to a sink on another task, through a function.
func passingJob(t *testing.T, source Source[int64], f func(int64) int64, out Sink[int64]) *Graph {
	t.Helper()
	g := NewGraph()
	read := From(g, "read", source, codec.Int64)
	To(Rebalance(Map(read, "pass", codec.Int64, f)), "write", out)
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	return g
}

func identity(v int64) int64 { return v }

var (
	readTask  = checkpoint.SubtaskID{Vertex: "read"}
	writeTask = checkpoint.SubtaskID{Vertex: "write"}
)

// await returns the next event of type E that satisfies the condition, and drops those before it. It does not wait on
// behind a failure, unless that only follows from another one: which of the two is reported first is a matter of chance.
func await[E any](t *testing.T, a *attempt, condition func(E) bool) E {
	t.Helper()
	followed := "nothing failed"
	for {
		select {
		case e := <-a.events:
			if found, ok := e.(E); ok && condition(found) {
				return found
			}
			if r, ok := e.(checkpoint.SubtaskReport); ok && r.Status == checkpoint.SubtaskFailed {
				followed = fmt.Sprintf("%s failed: %s", r.Subtask, r.Failure.Message)
				if !r.Failure.Secondary {
					t.Fatalf("waiting for %T: %s", *new(E), followed)
				}
			}
		case <-time.After(time.Minute): // virtual in most tests
			t.Fatalf("waiting for %T in vain: %s", *new(E), followed)
		}
	}
}

func awaitStatus(t *testing.T, a *attempt, s checkpoint.SubtaskID, status checkpoint.SubtaskStatus) checkpoint.SubtaskReport {
	t.Helper()
	return await(t, a, func(r checkpoint.SubtaskReport) bool { return r.Subtask == s && r.Status == status })
}

func awaitAcks(t *testing.T, a *attempt, id checkpoint.ID, n int) map[checkpoint.SubtaskID]checkpoint.SubtaskState {
	t.Helper()
	states := make(map[checkpoint.SubtaskID]checkpoint.SubtaskState)
	for range n {
		ack := await(t, a, func(ack checkpoint.Ack) bool { return ack.Checkpoint == id })
		states[ack.State.Subtask] = ack.State
	}
	return states
}

// failureOf runs the job until a task fails and returns the failure.
func failureOf(t *testing.T, g *Graph, store ChunkStore, restore checkpoint.ID, states map[checkpoint.SubtaskID]checkpoint.SubtaskState) checkpoint.SubtaskReport {
	t.Helper()
	a := startAttempt(t, g, 1, store, restore, states)
	defer a.stop()
	return await(t, a, func(r checkpoint.SubtaskReport) bool {
		return r.Status == checkpoint.SubtaskFailed && !r.Failure.Secondary
	})
}

func wantMessage(t *testing.T, message string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(message, p) {
			t.Errorf("the message does not have %q: %s", p, message)
		}
	}
}

func TestPanicFailsTheTaskOnly(t *testing.T) {
	source := newGatedSource()
	source.send(1, 2)
	g := passingJob(t, source, func(v int64) int64 {
		if v == 2 {
			panic("two is too much")
		}
		return v
	}, newLedger[int64]())
	r := failureOf(t, g, newMemoryStore(), 0, nil)
	wantMessage(t, r.Failure.Message, "operator pass", "subtask read[0]", "split s offset 7", "two is too much", "task_test.go")
}

type failingSource struct{ err error }

func (s failingSource) Open(SourceContext) (SourceReader[int64], error) { return nil, s.err }

func TestPermanentFailure(t *testing.T) {
	missing := errors.New("input /nowhere: no such directory")
	g := passingJob(t, failingSource{Permanent(fmt.Errorf("listing: %w", missing))}, identity, newLedger[int64]())
	r := failureOf(t, g, newMemoryStore(), 0, nil)
	if !r.Failure.Permanent {
		t.Error("the failure is not permanent")
	}
	wantMessage(t, r.Failure.Message, "operator read", missing.Error())
}

func TestRestoreRefusesStateItCannotPlace(t *testing.T) {
	store := newMemoryStore()
	w := &chunkWriter{ctx: t.Context(), store: store}
	if err := errors.Join(w.writeList([][]byte{{1}}), w.flush()); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		handle checkpoint.Handle
		want   string
	}{
		"an operator that is gone": {checkpoint.Handle{Operator: "old", Kind: checkpoint.ListState, Entries: 1, Chunks: w.refs}, "operator old"},
		"a list that is gone":      {checkpoint.Handle{Operator: "read", Name: "x", Kind: checkpoint.ListState, Entries: 1, Chunks: w.refs}, "list state x"},
		"keyed state, not list":    {checkpoint.Handle{Operator: "pass", Kind: checkpoint.KeyedState, Chunks: w.refs}, "keyed state"},
		"a foreign chunk":          {checkpoint.Handle{Operator: "read", Kind: checkpoint.ListState, Entries: 1, Chunks: w.refs[:0]}, "malformed"},
		"another number":           {checkpoint.Handle{Operator: "read", Kind: checkpoint.ListState, Entries: 2, Chunks: w.refs}, "1 entries, want 2"},
		"a part that is not there": {checkpoint.Handle{Operator: "read", Kind: checkpoint.ListState, Entries: 1, Chunks: w.refs, Take: checkpoint.EntryRange{First: 1, Count: 1}}, "want 1 from 1 on"},
		"a kind of the future":     {checkpoint.Handle{Operator: "read", Kind: 9, Chunks: w.refs}, "handle(9)"},
	} {
		t.Run(name, func(t *testing.T) {
			g := passingJob(t, newGatedSource(), identity, newLedger[int64]())
			states := map[checkpoint.SubtaskID]checkpoint.SubtaskState{
				readTask: {Subtask: readTask, Handles: []checkpoint.Handle{test.handle}},
			}
			r := failureOf(t, g, store, 5, states)
			wantMessage(t, r.Failure.Message, test.want)
		})
	}
}

func noGrant(exchange.Credit) {}

func TestBrokenChannelIsSecondary(t *testing.T) {
	g := passingJob(t, newGatedSource(), identity, newLedger[int64]())
	a := &attempt{tasks: make(map[checkpoint.SubtaskID]*Task), events: make(chan any, 100)}
	spec := TaskSpec{Job: checkpoint.JobID{1}, Attempt: 1, Subtask: writeTask, Graph: g, Assignment: oneNode(g), Mode: checkpoint.ExactlyOnce}
	task, err := NewTask(spec, a.deps(newMemoryStore()))
	if err != nil {
		t.Fatal(err)
	}
	id := exchange.ChannelID{Job: spec.Job, Attempt: 1}
	w, err := task.Accept(t.Context(), id, noGrant)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := task.Accept(t.Context(), id, noGrant); err == nil {
		t.Error("the channel was accepted twice")
	}
	if _, err := task.Accept(t.Context(), exchange.ChannelID{Job: spec.Job, Attempt: 2}, noGrant); err == nil {
		t.Error("a channel of another attempt was accepted")
	}
	w.(exchange.FailingWriter).Fail(errors.New("connection reset"))
	if err := task.Run(t.Context()); err == nil {
		t.Error("the task ran on")
	}
	r := await(t, a, func(r checkpoint.SubtaskReport) bool { return r.Status == checkpoint.SubtaskFailed })
	if !r.Failure.Secondary || r.Failure.Permanent {
		t.Errorf("%+v", r.Failure)
	}
	wantMessage(t, r.Failure.Message, "channel read[0] -> write[0] from node n1 broke: connection reset")
	if _, err := w.TryWrite([]byte{exchange.FrameEndOfData}); !errors.Is(err, exchange.ErrTaskEnded) {
		t.Errorf("a write to a failed task: %v", err)
	}
}

// TestStalledOutputStopsWithTheContext: a task that waits for room downstream is cancelled at once.
func TestStalledOutputStopsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blocked := make(chan struct{})
		out := blockingSink{entered: make(chan struct{}), release: blocked}
		g := passingJob(t, numbers{n: 1 << 30, splits: 1, batch: 1000}, identity, out)
		a := startAttempt(t, g, 1, newMemoryStore(), 0, nil)
		<-out.entered
		synctest.Wait() // the queue is full, the source waits
		before := a.tasks[readTask].Stats()
		a.tasks[readTask].Trigger(barrier(1)) // does not make the caller wait
		a.tasks[readTask].NotifyComplete(1)
		a.tasks[readTask].NotifyAborted(1)
		synctest.Wait()
		if after := a.tasks[readTask].Stats(); after != before || before.RecordsOut == 0 {
			t.Errorf("the source went on from %+v to %+v", before, after)
		}
		a.cancel()
		awaitStatus(t, a, readTask, checkpoint.SubtaskCanceled)
		close(blocked)
		a.stop()
	})
}

// blockingSink blocks in its first write.
type blockingSink struct{ entered, release chan struct{} }

func (s blockingSink) Open(SinkContext) (SinkWriter[int64], error) {
	return &blockingWriter{blockingSink: s}, nil
}

type blockingWriter struct {
	blockingSink
	blocked bool
}

func (w *blockingWriter) Recover(context.Context, [][]byte) error { return nil }

func (w *blockingWriter) Write(int64) error {
	if !w.blocked {
		w.blocked = true
		close(w.entered)
		<-w.release
	}
	return nil
}

func (w *blockingWriter) PreCommit(context.Context, checkpoint.ID) ([]byte, error) { return nil, nil }
func (w *blockingWriter) Commit(context.Context, []byte) error                     { return nil }
func (w *blockingWriter) Close() error                                             { return nil }
