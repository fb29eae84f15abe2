package dataflow

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
)

// TestI9_AckOnlyWhenStored holds the store: no ack may come until it lets go, and records flow meanwhile.
func TestI9_AckOnlyWhenStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, store, out := newGatedSource(), newMemoryStore(), newLedger[int64]()
		release := make(chan struct{})
		store.hold = release
		a := startAttempt(t, passingJob(t, source, identity, out), 1, store, 0, nil)
		defer a.stop()
		awaitStatus(t, a, readTask, checkpoint.SubtaskRunning)
		source.send(1)
		a.tasks[readTask].Trigger(barrier(1))
		synctest.Wait()
		source.send(2, 3)
		synctest.Wait()
		time.Sleep(flushInterval) // virtual
		synctest.Wait()
		if got := a.tasks[writeTask].Stats().RecordsIn; got != 3 {
			t.Errorf("%d records have arrived while the snapshot is stored, want 3", got)
		}
		for len(a.events) > 0 {
			if ack, is := (<-a.events).(checkpoint.Ack); is && ack.State.Subtask == readTask {
				t.Errorf("acknowledged before it was stored: %+v", ack)
			}
		}
		close(release)
		if ack := await(t, a, func(ack checkpoint.Ack) bool { return true }); ack.Checkpoint != 1 || !store.has(ack.State) {
			t.Errorf("%+v", ack)
		}
	})
}

func TestAbortCancelsTheUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, store := newGatedSource(), newMemoryStore()
		store.hold = make(chan struct{}) // never released
		a := startAttempt(t, passingJob(t, source, identity, newLedger[int64]()), 1, store, 0, nil)
		defer a.stop()
		awaitStatus(t, a, readTask, checkpoint.SubtaskRunning)
		a.tasks[readTask].Trigger(barrier(1))
		synctest.Wait()
		for _, task := range a.tasks {
			task.NotifyAborted(1)
		}
		a.tasks[readTask].uploads.running.Wait() // else the test does not end
		a.tasks[readTask].Trigger(barrier(1))    // late: nothing happens
		synctest.Wait()
		for len(a.events) > 0 {
			switch e := (<-a.events).(type) {
			case checkpoint.Ack: // write has no state to store, so it was first
				if e.State.Subtask == readTask {
					t.Errorf("acknowledged after the abort: %+v", e)
				}
			case checkpoint.Decline:
				t.Errorf("declined after the abort: %+v", e)
			}
		}
		store.mu.Lock()
		store.hold = nil
		store.mu.Unlock()
		a.tasks[readTask].Trigger(barrier(2))
		awaitAcks(t, a, 2, 2)
	})
}

func TestStoreFailureDeclines(t *testing.T) {
	store := newMemoryStore()
	store.fail = errors.New("no space left on device")
	a := startAttempt(t, passingJob(t, newGatedSource(), identity, newLedger[int64]()), 1, store, 0, nil)
	defer a.stop()
	awaitStatus(t, a, readTask, checkpoint.SubtaskRunning)
	a.tasks[readTask].Trigger(barrier(1))
	d := await(t, a, func(d checkpoint.Decline) bool { return d.Subtask == readTask })
	if d.Checkpoint != 1 || d.Reason != checkpoint.ReasonAsyncException || d.Phase != checkpoint.PhaseUpload {
		t.Errorf("%+v", d)
	}
	wantMessage(t, d.Message, "operator read", "no space left on device")
}

// TestSourceDeclines: the source cannot take its snapshot; downstream is told that no barrier will come, and
// the next checkpoint works.
func TestSourceDeclines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newGatedSource()
		source.fail = errors.New("the broker does not answer")
		a := startAttempt(t, passingJob(t, source, identity, newLedger[int64]()), 1, newMemoryStore(), 0, nil)
		defer a.stop()
		awaitStatus(t, a, readTask, checkpoint.SubtaskRunning)
		a.tasks[readTask].Trigger(barrier(1))
		d := await(t, a, func(checkpoint.Decline) bool { return true })
		wantMessage(t, d.Message, "operator read", source.fail.Error())
		synctest.Wait()
		source.fail = nil
		a.tasks[readTask].Trigger(barrier(2))
		awaitAcks(t, a, 2, 2)
	})
}
