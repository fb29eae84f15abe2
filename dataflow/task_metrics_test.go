package dataflow

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
	"cairn/dataflow/exchange"
)

// joiner is a task with two input channels, whose frames the test writes itself.
type joiner struct {
	*attempt
	task     *Task
	channels [2]exchange.FrameWriter
}

// startJoiner runs the sink of a job with two sources.
func startJoiner(t *testing.T, out Sink[int64], store ChunkStore) *joiner {
	t.Helper()
	g := NewGraph()
	To(Rebalance(From(g, "read", numbers{}, codec.Int64, Parallelism(2))), "write", out, Parallelism(1))
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	j := &joiner{attempt: &attempt{events: make(chan any, 100)}}
	j.ctx, j.cancel = context.WithCancel(t.Context())
	spec := TaskSpec{
		Job: checkpoint.JobID{1}, Attempt: 1, Subtask: writeTask, Graph: g, Assignment: oneNode(g),
		Mode: checkpoint.ExactlyOnce, AfterTasksFinish: true,
	}
	var err error
	if j.task, err = NewTask(spec, j.deps(store)); err != nil {
		t.Fatal(err)
	}
	for from := range j.channels {
		if j.channels[from], err = j.task.Accept(t.Context(), exchange.ChannelID{Job: spec.Job, Attempt: 1, From: from}, noGrant); err != nil {
			t.Fatal(err)
		}
	}
	j.done.Go(func() { _ = j.task.Run(j.ctx) }) // the error is in its report
	return j
}

func (j *joiner) write(t *testing.T, channel int, frame []byte) {
	t.Helper()
	if sent, err := j.channels[channel].TryWrite(frame); err != nil || !sent {
		t.Fatal(sent, err)
	}
	synctest.Wait()
}

// records is a frame of n numbers.
func records(n int) []byte {
	frame := exchange.ResetRecords(nil, exchange.FrameRecords)
	for v := range int64(n) {
		frame = codec.Int64.Append(frame, v)
	}
	exchange.SealRecords(frame, n)
	return frame
}

// TestMetrics measures a checkpoint in virtual time: 100 ms until the first barrier, 200 ms until the last, in which the
// other channel delivers 20 records, 30 ms to capture, 40 ms to store.
func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newMemoryStore()
		store.delay = func() time.Duration { return 40 * time.Millisecond }
		j := startJoiner(t, slowSink{newLedger[int64](), 30 * time.Millisecond}, store)
		defer j.stop()
		b := barrier(1)
		j.write(t, 0, records(5))
		time.Sleep(100 * time.Millisecond)
		j.write(t, 0, exchange.AppendBarrier(nil, b))
		j.write(t, 0, records(50)) // behind the barrier: it waits
		time.Sleep(150 * time.Millisecond)
		j.write(t, 1, records(20))
		time.Sleep(50 * time.Millisecond)
		j.write(t, 1, exchange.AppendBarrier(nil, b))
		ack := await(t, j.attempt, func(checkpoint.Ack) bool { return true })
		want := checkpoint.Metrics{
			StartDelayMillis: 100, AlignmentMillis: 200, SyncMillis: 30, AsyncMillis: 40, UploadMillis: 40,
			CheckpointedBytes: ack.State.Size(), ProcessedBytes: int64(len(records(20))),
		}
		if ack.Metrics != want || ack.State.Size() == 0 {
			t.Errorf("measured %+v\nwant     %+v", ack.Metrics, want)
		}
		if got := j.phases(1, writeTask); !slices.Equal(got, []checkpoint.Phase{
			checkpoint.PhaseAlignment, checkpoint.PhaseSync, checkpoint.PhaseAsync, checkpoint.PhaseUpload,
		}) {
			t.Errorf("the phases told are %v", got)
		}
	})
}

// slowSink takes its time to pre-commit.
type slowSink struct {
	*ledger[int64]
	pause time.Duration
}

type slowWriter struct {
	SinkWriter[int64]
	pause time.Duration
}

func (s slowSink) Open(ctx SinkContext) (SinkWriter[int64], error) {
	w, err := s.ledger.Open(ctx)
	return slowWriter{w, s.pause}, err
}

func (w slowWriter) PreCommit(ctx context.Context, id checkpoint.ID) ([]byte, error) {
	time.Sleep(w.pause)
	return w.SinkWriter.PreCommit(ctx, id)
}

// B2: a newer barrier on a channel that has not delivered the older one gives that up, a savepoint too.
func TestB2_NewerBarrierDuringTheAlignmentDeclines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := startJoiner(t, newLedger[int64](), newMemoryStore())
		defer j.stop()
		j.write(t, 0, exchange.AppendBarrier(nil, savepoint(1, checkpoint.StopNone)))
		j.write(t, 1, exchange.AppendBarrier(nil, barrier(2)))
		d := await(t, j.attempt, func(checkpoint.Decline) bool { return true })
		if d.Checkpoint != 1 || d.Reason != checkpoint.ReasonDeclinedSubsumed || d.Phase != checkpoint.PhaseAlignment {
			t.Errorf("declined with %+v", d)
		}
		j.write(t, 0, exchange.AppendBarrier(nil, barrier(2)))
		if ack := await(t, j.attempt, func(checkpoint.Ack) bool { return true }); ack.Checkpoint != 2 {
			t.Errorf("acknowledged %+v", ack)
		}
	})
}

// Each decline says how far the subtask had come, and a reason that tells the causes apart.
func TestDeclinesNameReasonAndPhase(t *testing.T) {
	for name, test := range map[string]struct {
		fail       func(*gatedSource, *memoryStore)
		wantReason checkpoint.Reason
		wantPhase  checkpoint.Phase
	}{
		"capture": {func(s *gatedSource, _ *memoryStore) { s.fail = errors.New("no") }, checkpoint.ReasonDeclined, checkpoint.PhaseSync},
		"storing": {func(_ *gatedSource, s *memoryStore) { s.fail = errors.New("no") }, checkpoint.ReasonAsyncException, checkpoint.PhaseUpload},
	} {
		t.Run(name, func(t *testing.T) {
			source, store := newGatedSource(), newMemoryStore()
			test.fail(source, store)
			a := startAttempt(t, passingJob(t, source, identity, newLedger[int64]()), 1, store, 0, nil)
			defer a.stop()
			awaitStatus(t, a, readTask, checkpoint.SubtaskRunning)
			a.tasks[readTask].Trigger(barrier(1))
			d := await(t, a, func(d checkpoint.Decline) bool { return d.Subtask == readTask })
			if d.Reason != test.wantReason || d.Phase != test.wantPhase {
				t.Errorf("declined with %+v", d)
			}
		})
	}
}
