package dataflow

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"cairn/checkpoint"
	"cairn/dataflow/exchange"
)

// stubChannel is a channel whose credit the test gives. It is a Connector, too.
type stubChannel struct {
	credit int // frames
	frames [][]byte
	ready  func()
}

func (s *stubChannel) Connect(_ context.Context, _ checkpoint.NodeRef, _ exchange.ChannelID, ready func()) (exchange.FrameWriter, error) {
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
