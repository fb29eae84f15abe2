package dataflow

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"cairn/checkpoint"
)

// startUnattended runs a job that does not wait for a checkpoint after its tasks finish.
func startUnattended(t *testing.T, g *Graph, store ChunkStore) *attempt {
	t.Helper()
	return startAttemptWith(t, g, store, TaskSpec{Attempt: 1, Mode: checkpoint.ExactlyOnce}, nil)
}

// Without checkpoints after tasks finish, tasks end with their input. What no checkpoint has covered is not published:
// a restart would publish it again.
func TestWithoutAFinalCheckpoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, out := newGatedSource(), newLedger[int64]()
		a := startUnattended(t, passingJob(t, source, identity, out), newMemoryStore())
		defer a.stop()
		awaitStatus(t, a, writeTask, checkpoint.SubtaskRunning)
		source.send(1)
		settle()
		a.tasks[readTask].Trigger(barrier(1))
		awaitAcks(t, a, 1, 2)
		for _, task := range a.tasks {
			task.NotifyComplete(1)
		}
		source.send(2)
		source.end()
		for range a.tasks {
			r := await(t, a, func(r checkpoint.SubtaskReport) bool { return r.Status == checkpoint.SubtaskFinished })
			if r.FinalCheckpoint != 0 || len(r.Final.Handles) != 0 {
				t.Errorf("%s has finished with %+v", r.Subtask, r)
			}
		}
		wantOutput(t, out, 1)
	})
}

// A checkpoint that a task has acknowledged may complete after the end of its input, and its sinks have to publish what
// it covers: the task waits until it has heard the outcome, or until there cannot be one.
func TestWithoutAFinalCheckpointOutcomesAreHeard(t *testing.T) {
	for name, test := range map[string]struct {
		outcome func(*attempt, *memoryStore)
		want    []int64
	}{
		"completed": {func(a *attempt, _ *memoryStore) {
			for _, task := range a.tasks {
				task.NotifyComplete(1)
			}
		}, []int64{1}},
		"aborted": {func(a *attempt, _ *memoryStore) {
			for _, task := range a.tasks {
				task.NotifyAborted(1)
			}
		}, nil},
		"not stored": {func(_ *attempt, store *memoryStore) {
			store.fail = errors.New("no space left on device")
			close(store.hold)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, store, out := newGatedSource(), newMemoryStore(), newLedger[int64]()
				store.hold = make(chan struct{})
				a := startUnattended(t, passingJob(t, source, identity, out), failingLate{store})
				defer a.stop()
				awaitStatus(t, a, writeTask, checkpoint.SubtaskRunning)
				source.send(1)
				settle()
				a.tasks[readTask].Trigger(barrier(1))
				if name != "not stored" {
					close(store.hold)
					awaitAcks(t, a, 1, 2)
				}
				source.send(2)
				source.end()
				settle()
				for len(a.events) > 0 {
					if r, is := (<-a.events).(checkpoint.SubtaskReport); is && r.Status == checkpoint.SubtaskFinished {
						t.Errorf("%s has finished before it heard the outcome of checkpoint 1", r.Subtask)
					}
				}
				test.outcome(a, store)
				a.done.Wait()
				wantOutput(t, out, test.want...)
			})
		})
	}
}

// failingLate lets a store fail behind the hold.
type failingLate struct{ *memoryStore }

func (s failingLate) Put(ctx context.Context, data []byte) (checkpoint.ChunkRef, error) {
	ref, err := s.memoryStore.Put(ctx, data)
	if err == nil && s.fail != nil {
		err = s.fail
	}
	return ref, err
}

// C18: the completion of a newer checkpoint, and even the end of the task with it, does not end the upload of a
// savepoint: no final state stands in for it.
func TestC18_SavepointIsStoredThoughTheTaskFinishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, store := newGatedSource(), newMemoryStore()
		a := startAttempt(t, passingJob(t, source, identity, newLedger[int64]()), 1, store, 0, nil)
		defer a.stop()
		awaitStatus(t, a, readTask, checkpoint.SubtaskRunning)
		hold := make(chan struct{})
		store.setHold(hold)
		a.tasks[readTask].Trigger(savepoint(1, checkpoint.StopNone))
		a.tasks[readTask].Trigger(barrier(2)) // superseded by 3: its upload is worth nothing when the task finishes
		settle()
		store.setHold(nil)
		source.end()
		awaitStatus(t, a, writeTask, checkpoint.SubtaskFinishing)
		a.tasks[readTask].Trigger(barrier(3))
		awaitAcks(t, a, 3, 2)
		for _, task := range a.tasks {
			task.NotifyComplete(3)
		}
		settle()
		for len(a.events) > 0 {
			if r, is := (<-a.events).(checkpoint.SubtaskReport); is && r.Subtask == readTask {
				t.Errorf("%s while it owes its part in the savepoint", r.Status)
			}
		}
		close(hold)
		ack := await(t, a, func(ack checkpoint.Ack) bool { return ack.State.Subtask == readTask })
		if ack.Checkpoint != 1 || !store.has(ack.State) {
			t.Errorf("%+v", ack)
		}
		if r := awaitStatus(t, a, readTask, checkpoint.SubtaskFinished); r.FinalCheckpoint != 3 {
			t.Errorf("finished with %+v", r)
		}
	})
}

// A savepoint that the task cannot store any more must not keep it for ever: its abort ends the wait, and so does the
// end of the attempt.
func TestC18_SavepointKeepsATaskNoLongerThanItLasts(t *testing.T) {
	for name, end := range map[string]func(*attempt){
		"aborted":   func(a *attempt) { a.tasks[readTask].NotifyAborted(1) },
		"cancelled": func(a *attempt) { a.cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, store := newGatedSource(), newMemoryStore()
				a := startAttempt(t, passingJob(t, source, identity, newLedger[int64]()), 1, store, 0, nil)
				defer a.stop()
				awaitStatus(t, a, readTask, checkpoint.SubtaskRunning)
				store.setHold(make(chan struct{})) // never released
				a.tasks[readTask].Trigger(savepoint(1, checkpoint.StopNone))
				settle()
				store.setHold(nil)
				source.end()
				awaitStatus(t, a, writeTask, checkpoint.SubtaskFinishing)
				a.tasks[readTask].Trigger(barrier(2))
				awaitAcks(t, a, 2, 2)
				for _, task := range a.tasks {
					task.NotifyComplete(2)
				}
				settle()
				end(a)
				awaitStatus(t, a, readTask, checkpoint.SubtaskFinished)
			})
		})
	}
}

// A savepoint that the job goes on after publishes nothing and ends nothing, also when it was taken at the end of the
// input.
func TestSavepointEndsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, out := newGatedSource(), newLedger[int64]()
		a := startAttempt(t, passingJob(t, source, identity, out), 1, newMemoryStore(), 0, nil)
		defer a.stop()
		source.send(1)
		source.end()
		awaitStatus(t, a, writeTask, checkpoint.SubtaskFinishing)
		a.tasks[readTask].Trigger(savepoint(1, checkpoint.StopNone))
		awaitAcks(t, a, 1, 2)
		settle()
		a.tasks[readTask].Trigger(barrier(2))
		awaitAcks(t, a, 2, 2)
		for _, task := range a.tasks {
			if _, final := task.uploads.finalState(1); final {
				t.Errorf("%s would end with the savepoint", task.spec.Subtask)
			}
			task.NotifyComplete(2)
		}
		a.done.Wait()
		wantOutput(t, out, 1)
	})
}
