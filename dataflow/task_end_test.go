package dataflow

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
)

// TestEndOfInput takes a job through its end: FINISHING, a checkpoint that fails, the final one, FINISHED; then
// restores the final checkpoint, in which nothing may be written again.
func TestEndOfInput(t *testing.T) {
	source, store, out := newGatedSource(), newMemoryStore(), newLedger[int64]()
	a := startAttempt(t, passingJob(t, source, identity, out), 1, store, 0, nil)
	defer a.stop()
	source.send(1, 2, 3)
	source.end()
	awaitStatus(t, a, writeTask, checkpoint.SubtaskFinishing)

	a.tasks[readTask].Trigger(barrier(1))
	awaitAcks(t, a, 1, 2)
	for _, task := range a.tasks {
		task.NotifyAborted(1)
		task.NotifyComplete(0)
	}
	a.tasks[readTask].Trigger(barrier(2))
	states := awaitAcks(t, a, 2, 2)
	if len(out.output()) != 0 {
		t.Fatalf("%v is visible before the checkpoint has completed", out.output())
	}
	// The source finishes alone; the rest is triggered directly and finishes with a later checkpoint.
	a.tasks[readTask].NotifyComplete(2)
	r := awaitStatus(t, a, readTask, checkpoint.SubtaskFinished)
	if !r.Final.EndOfData || r.Final.Subtask != readTask || len(r.Final.Handles) != 1 {
		t.Errorf("final state %+v", r.Final)
	}
	a.tasks[readTask].Trigger(barrier(3))
	if d := await(t, a, func(checkpoint.Decline) bool { return true }); d.Reason != checkpoint.ReasonTaskClosing || d.Checkpoint != 3 {
		t.Errorf("a trigger after the end: %+v", d)
	}
	a.tasks[writeTask].Trigger(barrier(3))
	states[writeTask] = awaitAcks(t, a, 3, 1)[writeTask]
	a.tasks[writeTask].NotifyComplete(3)
	awaitStatus(t, a, writeTask, checkpoint.SubtaskFinished)
	wantOutput(t, out, 1, 2, 3)

	source = newGatedSource()
	source.send(99) // must not be read
	again := startAttempt(t, passingJob(t, source, identity, out), 2, store, 3, states)
	defer again.stop()
	awaitStatus(t, again, writeTask, checkpoint.SubtaskFinishing)
	again.tasks[readTask].Trigger(barrier(4))
	awaitAcks(t, again, 4, 2)
	for _, task := range again.tasks {
		task.NotifyComplete(4)
	}
	awaitStatus(t, again, writeTask, checkpoint.SubtaskFinished)
	wantOutput(t, out, 1, 2, 3)
}

func wantOutput(t *testing.T, out *ledger[int64], want ...int64) {
	t.Helper()
	got := out.output()
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("committed %v, want %v", got, want)
	}
}

// TestAbortedTransactionIsCommittedWithTheNext: the records before a failed checkpoint's barrier are part of
// the next one that completes, also when the job is restored from it.
func TestAbortedTransactionIsCommittedWithTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, store, out := newGatedSource(), newMemoryStore(), newLedger[int64]()
		g := passingJob(t, source, identity, out)
		a := startAttempt(t, g, 1, store, 0, nil)
		defer a.stop()
		awaitStatus(t, a, readTask, checkpoint.SubtaskRunning)
		var states map[checkpoint.SubtaskID]checkpoint.SubtaskState
		for id := range checkpoint.ID(2) {
			source.send(int64(id) + 1)
			synctest.Wait()
			a.tasks[readTask].Trigger(barrier(id + 1))
			states = awaitAcks(t, a, id+1, 2)
			if id == 0 {
				a.tasks[writeTask].NotifyAborted(1)
			}
		}
		a.stop() // dies before it hears that 2 has completed
		wantOutput(t, out)
		again := startAttempt(t, g, 2, store, 2, states)
		defer again.stop()
		awaitStatus(t, again, writeTask, checkpoint.SubtaskRunning)
		wantOutput(t, out, 1, 2)
	})
}

// busySink is a ledger whose writer is held up by the record 2 until it is let go.
type busySink struct {
	*ledger[int64]
	release chan struct{}
}

type busyWriter struct {
	SinkWriter[int64]
	release chan struct{}
}

func (s busySink) Open(ctx SinkContext) (SinkWriter[int64], error) {
	w, err := s.ledger.Open(ctx)
	return busyWriter{w, s.release}, err
}

func (w busyWriter) Write(v int64) error {
	if v == 2 {
		<-w.release
	}
	return w.SinkWriter.Write(v)
}

// TestI4_CompletionIsCarriedOutByATaskThatIsCancelled: the leader of a cancelled job sends the completion and the
// cancellation right behind each other, and there is no later attempt that would commit.
func TestI4_CompletionIsCarriedOutByATaskThatIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, out := newGatedSource(), busySink{newLedger[int64](), make(chan struct{})}
		a := startAttempt(t, passingJob(t, source, identity, out), 1, newMemoryStore(), 0, nil)
		awaitStatus(t, a, readTask, checkpoint.SubtaskRunning)
		source.send(1)
		synctest.Wait()
		a.tasks[readTask].Trigger(barrier(1))
		awaitAcks(t, a, 1, 2)
		source.send(2)
		time.Sleep(2 * flushInterval) // virtual time: the record reaches the sink, which is busy from now on
		a.tasks[writeTask].NotifyComplete(1)
		a.cancel()
		close(out.release)
		a.stop()
		wantOutput(t, out.ledger, 1)
	})
}
