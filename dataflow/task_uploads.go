package dataflow

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"cairn/checkpoint"
)

// uploads runs the asynchronous parts of a task's snapshots, each in a goroutine of its own: a slow one does
// not hold up the next. Its methods are safe for concurrent use.
type uploads struct {
	task    *Task
	running sync.WaitGroup

	mu struct {
		sync.Mutex
		cancel map[checkpoint.ID]context.CancelFunc // of those that run
		// final holds the acknowledged states that were captured after the end of the input: when one of
		// these checkpoints completes, the task has finished.
		final map[checkpoint.ID]checkpoint.SubtaskState
	}
}

func newUploads(t *Task) *uploads {
	u := &uploads{task: t}
	u.mu.cancel = make(map[checkpoint.ID]context.CancelFunc)
	u.mu.final = make(map[checkpoint.ID]checkpoint.SubtaskState)
	return u
}

// start uploads a snapshot and acknowledges it.
func (u *uploads) start(ctx context.Context, s *snapshot) {
	ctx, cancel := context.WithCancel(ctx)
	u.mu.Lock()
	u.mu.cancel[s.barrier.ID] = cancel
	u.mu.Unlock()
	u.running.Go(func() {
		defer cancel()
		u.run(ctx, s)
	})
}

func (u *uploads) run(ctx context.Context, s *snapshot) {
	t, id := u.task, s.barrier.ID
	state, err := u.store(ctx, s)
	s.metrics.AsyncMillis = t.clock().Sub(s.captured).Milliseconds()
	if !u.finished(ctx, state, id, err) {
		return // nobody waits for it any more
	}
	if err != nil {
		t.deps.OnDecline(checkpoint.Decline{
			Job: t.spec.Job, Attempt: t.spec.Attempt, Checkpoint: id, Subtask: t.spec.Subtask,
			Reason: checkpoint.ReasonDeclined, Message: err.Error(),
		})
		return
	}
	t.deps.OnAck(checkpoint.Ack{Job: t.spec.Job, Attempt: t.spec.Attempt, Checkpoint: id, State: state, Metrics: s.metrics})
}

// store uploads the snapshot. A panic in a user's codec fails the task: the checkpoint must not look like
// one that merely could not be stored.
func (u *uploads) store(ctx context.Context, s *snapshot) (state checkpoint.SubtaskState, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("subtask %s: panic while serializing state for checkpoint %d: %v\n%s",
				u.task.spec.Subtask, s.barrier.ID, r, debug.Stack())
			u.task.mailbox.fail(err)
		}
	}()
	return s.upload(ctx, u.task.deps.Store, u.task.spec.Subtask)
}

// finished takes an upload off the list and reports whether its result is to be told. It is not when the
// upload was cancelled meanwhile.
func (u *uploads) finished(ctx context.Context, state checkpoint.SubtaskState, id checkpoint.ID, err error) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.mu.cancel, id)
	if ctx.Err() != nil {
		return false
	}
	if err == nil && state.EndOfData {
		u.mu.final[id] = state
	}
	return true
}

// abort cancels the upload for a failed checkpoint, if it runs.
func (u *uploads) abort(id checkpoint.ID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if cancel, runs := u.mu.cancel[id]; runs {
		cancel()
	}
	delete(u.mu.final, id)
}

// finalState returns the acknowledged state for the checkpoint, if that was captured after the end of the
// input.
func (u *uploads) finalState(id checkpoint.ID) (checkpoint.SubtaskState, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	state, found := u.mu.final[id]
	return state, found
}

// stop cancels all uploads and waits for them.
func (u *uploads) stop() {
	u.mu.Lock()
	for _, cancel := range u.mu.cancel {
		cancel()
	}
	u.mu.Unlock()
	u.running.Wait()
}

// millisBetween returns the time from a to b in milliseconds, at least 0: the clocks may be of two machines.
func millisBetween(a, b time.Time) int64 { return max(0, b.Sub(a).Milliseconds()) }
