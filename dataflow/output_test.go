package dataflow

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
)

// someTime is when outputs are tested that do not depend on it.
var someTime = time.UnixMilli(1_000_000)

// stubChannel is a channel whose credit the test gives. It is a Connector, too.
type stubChannel struct {
	credit int // frames
	frames [][]byte
	ready  func()
}

func (s *stubChannel) Connect(_ context.Context, _ checkpoint.NodeRef, _ ChannelID, ready func()) (FrameWriter, error) {
	s.ready = ready
	return s, nil
}

func (s *stubChannel) TryWrite(frame []byte) (bool, error) {
	if s.credit == 0 {
		return false, nil
	}
	s.credit--
	return true, s.Force(frame)
}

func (s *stubChannel) Force(frame []byte) error {
	s.frames = append(s.frames, slices.Clone(frame))
	return nil
}

func (s *stubChannel) Close() error { return nil }

// kinds returns the kind of each frame sent, and the ID of each barrier as ten times that.
func (s *stubChannel) kinds(t *testing.T) (kinds []int) {
	t.Helper()
	for _, f := range s.frames {
		if holdsRecords(f) {
			kinds = append(kinds, int(f[0]))
			continue
		}
		e, err := decodeEvent(f)
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, int(e.kind)+10*int(e.barrier.ID+e.cancel))
	}
	return kinds
}

// stubOutput is an output with one channel that has no credit.
func stubOutput(t *testing.T) (*output, *stubChannel) {
	t.Helper()
	s := &stubChannel{}
	b := newBacklog(defaultFlow(), time.Now, new(taskStats))
	o := &output{chain: &chain{ctx: t.Context()}, backlog: b, channels: []*outputChannel{{writer: s, name: "the channel"}}}
	o.begin(o.channels[0])
	return o, s
}

// emit adds a batch of records to an output.
func emit(t *testing.T, o *output, n int) {
	t.Helper()
	c := o.channels[0]
	c.frame, c.count = append(c.frame[:0], records(n)...), n
	if err := o.send(c); err != nil {
		t.Fatal(err)
	}
}

func sendBarrier(t *testing.T, o *output, id checkpoint.ID, alignment checkpoint.Alignment) *channelState {
	t.Helper()
	s := &channelState{wake: make(chan struct{}, 1)}
	b := barrierOf(id, alignment)
	b.Timestamp, b.AlignmentTimeout = checkpoint.Timestamp(someTime.UnixMilli()), time.Second
	if err := o.barrier(b, someTime, s); err != nil {
		t.Fatal(err)
	}
	return s
}

// wantInFlight checks which batches, by their numbers of records, a snapshot has of an output, and whether it is complete.
func wantInFlight(t *testing.T, what string, s *channelState, complete bool, batches ...int) {
	t.Helper()
	frames, done, err := s.poll()
	if err != nil || done != complete || len(frames) != len(batches) {
		t.Fatalf("%s: %d batches are in flight, complete %t, %v; want %d, %t", what, len(frames), done, err, len(batches), complete)
	}
	for i, n := range batches {
		if !slices.Equal(frames[i].frame.data, records(n)) {
			t.Errorf("%s: batch %d is not the one of %d records", what, i, n)
		}
	}
}

// TestBarrierOvertakesTheOutputQueue: it goes out at once, and what it overtakes is in the snapshot and follows.
func TestBarrierOvertakesTheOutputQueue(t *testing.T) {
	o, s := stubOutput(t)
	emit(t, o, 1)
	emit(t, o, 2)
	state := sendBarrier(t, o, 7, checkpoint.AlignmentUnaligned)
	emit(t, o, 3)
	wantInFlight(t, "unaligned", state, true, 1, 2)
	if got := s.kinds(t); !slices.Equal(got, []int{72}) {
		t.Errorf("sent %v", got)
	}
	s.credit = 10
	if err := o.backlog.drain(); err != nil {
		t.Fatal(err)
	}
	if got := s.kinds(t); !slices.Equal(got, []int{72, 1, 1, 1}) || o.backlog.bytes != 0 || o.backlog.full != 0 {
		t.Errorf("sent %v, %d bytes left in %d full channels", got, o.backlog.bytes, o.backlog.full)
	}
}

// TestBarriersDoNotOvertakeEachOther: the receiver relies on their order. What lies before the older one is before the
// newer one, too, and in nobody's snapshot.
func TestBarriersDoNotOvertakeEachOther(t *testing.T) {
	o, s := stubOutput(t)
	emit(t, o, 1)
	sendBarrier(t, o, 7, checkpoint.AlignmentAligned)
	emit(t, o, 2)
	wantInFlight(t, "behind an aligned one", sendBarrier(t, o, 8, checkpoint.AlignmentUnaligned), true, 2)
	s.credit = 10
	if err := o.backlog.drain(); err != nil {
		t.Fatal(err)
	}
	if got := s.kinds(t); !slices.Equal(got, []int{1, 72, 82, 1}) {
		t.Errorf("sent %v", got)
	}
}

// TestB7_BarrierOvertakesTheOutputQueueAfterItsTimeout: until then its snapshot stays open.
func TestB7_BarrierOvertakesTheOutputQueueAfterItsTimeout(t *testing.T) {
	o, s := stubOutput(t)
	emit(t, o, 1)
	sent := sendBarrier(t, o, 7, checkpoint.AlignmentAdaptive)
	emit(t, o, 2)
	late := sendBarrier(t, o, 8, checkpoint.AlignmentAdaptive)
	wantInFlight(t, "queued", sent, false)
	s.credit = 2
	if err := o.backlog.drain(); err != nil {
		t.Fatal(err)
	}
	wantInFlight(t, "sent in its turn", sent, true)
	due, set := o.backlog.deadline()
	if want := someTime.Add(time.Second); !set || !due.Equal(want) {
		t.Fatalf("it overtakes at %s (%t), want %s", due, set, want)
	}
	if err := o.backlog.onTimeout(due.Add(-1)); err != nil {
		t.Fatal(err)
	}
	wantInFlight(t, "before its time", late, false)
	if err := o.backlog.onTimeout(due); err != nil {
		t.Fatal(err)
	}
	wantInFlight(t, "after its time", late, true, 2)
	if got := s.kinds(t); !slices.Equal(got, []int{1, 72, 82}) {
		t.Errorf("sent %v", got)
	}
	last, err := decodeEvent(s.frames[2])
	if err != nil || last.barrier.Alignment != checkpoint.AlignmentUnaligned {
		t.Errorf("the barrier that overtakes is %s, %v", last.barrier.Alignment, err)
	}
	if _, set := o.backlog.deadline(); set {
		t.Error("the timeout of a barrier that has gone out is still awaited")
	}
}

func TestCancellationTakesTheBarrierBack(t *testing.T) {
	o, s := stubOutput(t)
	emit(t, o, 1)
	sendBarrier(t, o, 7, checkpoint.AlignmentAligned)
	if err := o.cancel(7); err != nil {
		t.Fatal(err)
	}
	s.credit = 10
	if err := o.backlog.drain(); err != nil {
		t.Fatal(err)
	}
	if got := s.kinds(t); !slices.Equal(got, []int{73, 1}) {
		t.Errorf("sent %v", got)
	}
}

// TestFinishedTaskOwesWhatItsBarrierHasOvertaken: a checkpoint that ends the task completes while a newer one is being
// stored. The final state has no records in flight, so the task must answer the newer one before it finishes.
func TestFinishedTaskOwesWhatItsBarrierHasOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := passingJob(t, numbers{n: 5, splits: 1, batch: 10}, identity, newLedger[int64]())
		store, channel := newMemoryStore(), &stubChannel{}
		a := &attempt{events: make(chan any, 100)}
		deps := a.deps(store)
		deps.Connector = channel
		task, err := NewTask(TaskSpec{
			Job: checkpoint.JobID{1}, Attempt: 1, Subtask: readTask, Graph: g, Assignment: oneNode(g),
			Mode: checkpoint.ExactlyOnce, AfterTasksFinish: true,
		}, deps)
		if err != nil {
			t.Fatal(err)
		}
		a.done.Go(func() { _ = task.Run(t.Context()) })
		awaitStatus(t, a, readTask, checkpoint.SubtaskFinishing)
		task.Trigger(barrierOf(1, checkpoint.AlignmentUnaligned))
		if ack := await(t, a, func(checkpoint.Ack) bool { return true }); ack.Metrics.PersistedBytes == 0 {
			t.Fatal("nothing was in flight")
		}
		hold := make(chan struct{})
		store.setHold(hold)
		task.Trigger(barrierOf(2, checkpoint.AlignmentUnaligned))
		synctest.Wait()
		task.NotifyComplete(1)
		synctest.Wait()
		channel.credit = 100
		channel.ready()
		synctest.Wait()
		close(hold)
		a.done.Wait()
		if ack := await(t, a, func(checkpoint.Ack) bool { return true }); ack.Checkpoint != 2 || ack.Metrics.PersistedBytes == 0 {
			t.Errorf("acknowledged %+v", ack)
		}
		report := awaitStatus(t, a, readTask, checkpoint.SubtaskFinished)
		if len(report.Final.Handles) == 0 || slices.ContainsFunc(report.Final.Handles, func(h checkpoint.Handle) bool {
			return h.Kind == checkpoint.ChannelState
		}) {
			t.Errorf("the final state is %v", report.Final.Handles)
		}
	})
}
