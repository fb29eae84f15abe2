package dataflow

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/exchange"
)

// uploads runs the asynchronous parts of a task's snapshots, each in a goroutine of its own: a slow one does
// not hold up the next. Its methods are safe for concurrent use.
type uploads struct {
	task    *Task
	running sync.WaitGroup

	mu struct {
		sync.Mutex
		active map[checkpoint.ID]activeUpload
		// final holds the acknowledged states that the task ends with when their checkpoint completes: those captured
		// after the end of the input, and for a savepoint that the job ends with.
		final map[checkpoint.ID]checkpoint.SubtaskState
	}
}

// activeUpload is an upload that runs.
type activeUpload struct {
	// owed: no final state stands in for this part.
	owed   bool
	cancel context.CancelFunc
}

func newUploads(t *Task) *uploads {
	u := &uploads{task: t}
	u.mu.active = make(map[checkpoint.ID]activeUpload)
	u.mu.final = make(map[checkpoint.ID]checkpoint.SubtaskState)
	return u
}

// start uploads a snapshot and acknowledges it.
func (u *uploads) start(ctx context.Context, s *snapshot) {
	ctx, cancel := context.WithCancel(ctx)
	u.mu.Lock()
	u.mu.active[s.barrier.ID] = activeUpload{owed: s.owed(), cancel: cancel}
	u.mu.Unlock()
	u.running.Go(func() {
		defer cancel()
		u.run(ctx, s)
	})
}

func (u *uploads) run(ctx context.Context, s *snapshot) {
	t, b := u.task, s.barrier
	t.progress(b, checkpoint.PhaseAsync, s.metrics)
	m := &meter{ChunkStore: t.deps.Store, clock: t.clock, first: func() { t.progress(b, checkpoint.PhaseUpload, s.metrics) }}
	state, err := u.store(ctx, s, m.asStore())
	s.metrics.AsyncMillis = millisBetween(s.captured, t.clock())
	s.metrics.UploadMillis = min(m.spent.Milliseconds(), s.metrics.AsyncMillis)
	s.metrics.CheckpointedBytes = m.stored
	if s.channels != nil {
		s.metrics.PersistedBytes = s.channels.Size()
	}
	if !u.finished(ctx, s, state, err) {
		return // nobody waits for it any more
	}
	if err != nil {
		u.giveUp(b, err, m.phase())
		return
	}
	ack := checkpoint.Ack{Job: t.spec.Job, Attempt: t.spec.Attempt, Checkpoint: b.ID, State: state, Metrics: s.metrics}
	t.stats.acknowledged(ack)
	t.deps.OnAck(ack, b.Kind)
}

// giveUp says that the task's part of the checkpoint can not be stored. A cancellation is no news to the coordinator.
func (u *uploads) giveUp(b checkpoint.Barrier, err error, phase checkpoint.Phase) {
	switch {
	case errors.Is(err, exchange.ErrOvertaken):
		u.task.decline(b, checkpoint.ReasonDeclinedSubsumed, checkpoint.PhaseAlignment, err.Error())
	case !errors.Is(err, exchange.ErrCancelled):
		u.task.decline(b, checkpoint.ReasonAsyncException, phase, err.Error())
	}
	u.task.mailbox.abort(b.ID) // it cannot complete: a task at its end need not wait for the leader to say so
}

// store uploads the snapshot. A panic in a user's codec fails the task: the checkpoint must not look like
// one that merely could not be stored.
func (u *uploads) store(ctx context.Context, s *snapshot, to ChunkStore) (state checkpoint.SubtaskState, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("subtask %s: panic while serializing state for checkpoint %d: %v\n%s",
				u.task.spec.Subtask, s.barrier.ID, r, debug.Stack())
			u.task.mailbox.fail(err)
		}
	}()
	return s.upload(ctx, to, u.task.spec.Subtask)
}

// finished takes an upload off the list and reports whether its result is to be told. It is not when the
// upload was cancelled meanwhile.
func (u *uploads) finished(ctx context.Context, s *snapshot, state checkpoint.SubtaskState, err error) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.mu.active, s.barrier.ID)
	if ctx.Err() != nil {
		return false
	}
	if err == nil && s.ends() {
		u.mu.final[s.barrier.ID] = state
	}
	return true
}

// abort cancels the upload for a failed checkpoint, if it runs.
func (u *uploads) abort(id checkpoint.ID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if a, runs := u.mu.active[id]; runs {
		a.cancel()
	}
	delete(u.mu.final, id)
}

// finalState returns the acknowledged state for the checkpoint, if the task ends with its completion.
func (u *uploads) finalState(id checkpoint.ID) (checkpoint.SubtaskState, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	state, found := u.mu.final[id]
	return state, found
}

// end waits for all uploads. It cancels them, save for those that a task which has finished owes. They last until they are
// stored, aborted, or the task is cancelled.
func (u *uploads) end(finished bool) {
	u.mu.Lock()
	for _, a := range u.mu.active {
		if !finished || !a.owed {
			a.cancel()
		}
	}
	u.mu.Unlock()
	u.running.Wait()
}

// meter is a store that measures what one upload asks of it. Its fields are read when the upload is over.
type meter struct {
	ChunkStore
	clock func() time.Time
	first func() // called before the first chunk is stored

	mu     sync.Mutex
	began  bool
	failed bool          // storing, rather than serializing, has failed
	stored int64         // bytes
	asked  int           // what the store is asked for now
	since  time.Time     // when it was nothing last
	spent  time.Duration // in storing
}

// Put implements ChunkStore.
func (m *meter) Put(ctx context.Context, data []byte) (checkpoint.ChunkRef, error) {
	return m.measure(func() (checkpoint.ChunkRef, error) { return m.ChunkStore.Put(ctx, data) })
}

// fileMeter is the meter of a store that takes files over.
type fileMeter struct {
	*meter
	files FileTaker
}

// PutFile implements FileTaker. What is taken over counts as stored.
func (m fileMeter) PutFile(ctx context.Context, path string) (checkpoint.ChunkRef, error) {
	return m.measure(func() (checkpoint.ChunkRef, error) { return m.files.PutFile(ctx, path) })
}

// asStore is the store that the upload sees.
func (m *meter) asStore() ChunkStore {
	if files, is := m.ChunkStore.(FileTaker); is {
		return fileMeter{m, files}
	}
	return m
}

func (m *meter) measure(put func() (checkpoint.ChunkRef, error)) (checkpoint.ChunkRef, error) {
	m.begin()
	defer m.enter()()
	ref, err := put()
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil {
		m.failed = true
	} else {
		m.stored += ref.Size
	}
	return ref, err
}

func (m *meter) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.began {
		m.began = true
		m.first()
	}
}

// Keep implements ChunkKeeper. What is kept is not stored, and not counted.
func (m *meter) Keep(ctx context.Context, ref checkpoint.ChunkRef) (bool, error) {
	keeper, is := m.ChunkStore.(ChunkKeeper)
	if !is {
		return false, nil
	}
	defer m.enter()()
	return keeper.Keep(ctx, ref)
}

// enter notes that the store is asked for something, until the function that it returns is called. What is asked for at
// the same time takes that time once.
func (m *meter) enter() (leave func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.asked++; m.asked == 1 {
		m.since = m.clock()
	}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.asked--; m.asked == 0 {
			m.spent += m.clock().Sub(m.since)
		}
	}
}

// phase is the one in which a failed upload gave up.
func (m *meter) phase() checkpoint.Phase {
	if m.failed {
		return checkpoint.PhaseUpload
	}
	return checkpoint.PhaseAsync
}

// millisBetween returns the time from a to b in milliseconds, at least 0: the clocks may be of two machines.
func millisBetween(a, b time.Time) int64 { return max(0, b.Sub(a).Milliseconds()) }
