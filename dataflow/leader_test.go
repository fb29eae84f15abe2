package dataflow

import (
	"math/rand/v2"
	"testing"
	"time"

	"cairn/checkpoint"
)

// leader coordinates the attempts of one job as the coordinator does, and plays tricks: it triggers, aborts,
// kills and forgets to notify at random points.
type leader struct {
	t     *testing.T
	rng   *rand.Rand
	graph *Graph
	store *memoryStore

	counter   checkpoint.ID
	completed checkpoint.ID
	states    map[checkpoint.SubtaskID]checkpoint.SubtaskState // of completed
	faults    int                                              // kills left
	number    checkpoint.Attempt
	counts    struct{ completed, aborted, declined, killed int }
	persisted int64 // bytes in flight in acknowledged snapshots

	// Of the attempt that runs.
	attempt *attempt
	status  map[checkpoint.SubtaskID]checkpoint.SubtaskStatus
	final   map[checkpoint.SubtaskID]checkpoint.SubtaskState
	pending map[checkpoint.ID]map[checkpoint.SubtaskID]checkpoint.SubtaskState
	mode    checkpoint.Mode
	// alignment and timeout are those of every checkpoint.
	alignment checkpoint.Alignment
	timeout   time.Duration
	tune      []func(*Task)

	// stop makes the leader end the job with a savepoint, at some time behind the given number of checkpoints.
	stop      checkpoint.Stop
	stopAfter int
	stopping  checkpoint.ID // the savepoint that the attempt is to end with; 0 for none
}

func newLeader(t *testing.T, g *Graph, seed uint64, faults int) *leader {
	store := newMemoryStore()
	store.delay = func() time.Duration { return time.Duration(rand.IntN(8000)) * time.Microsecond }
	return &leader{
		t: t, rng: rand.New(rand.NewPCG(seed, 0)), graph: g, store: store, faults: faults,
		mode: checkpoint.ExactlyOnce, alignment: checkpoint.AlignmentAligned,
	}
}

// run takes the job to its end, through as many attempts as that takes.
func (l *leader) run() {
	for !l.runAttempt() {
		if l.number > 200 {
			l.t.Fatal("the job does not end")
		}
	}
}

// runAttempt returns true when every subtask has finished, and false when the attempt was killed or failed.
func (l *leader) runAttempt() bool {
	l.number++
	l.stopping = 0
	l.attempt = startAttemptWith(l.t, l.graph, l.store, TaskSpec{
		Attempt: l.number, Mode: checkpoint.ExactlyOnce, AfterTasksFinish: true, Restore: l.completed,
	}, l.states, l.tune...)
	defer l.attempt.stop()
	l.status = make(map[checkpoint.SubtaskID]checkpoint.SubtaskStatus)
	l.final = make(map[checkpoint.SubtaskID]checkpoint.SubtaskState)
	l.pending = make(map[checkpoint.ID]map[checkpoint.SubtaskID]checkpoint.SubtaskState)
	for {
		tick := time.NewTimer(time.Duration(l.rng.IntN(4000)) * time.Microsecond)
		select {
		case e := <-l.attempt.events:
			tick.Stop()
			if !l.handle(e) {
				return false
			}
			if l.finished() {
				return true
			}
		case <-tick.C:
			if !l.act() {
				return false
			}
		}
	}
}

func (l *leader) handle(e any) (goesOn bool) {
	switch e := e.(type) {
	case checkpoint.SubtaskReport:
		l.status[e.Subtask] = e.Status
		switch e.Status {
		case checkpoint.SubtaskFailed:
			l.t.Errorf("attempt %d: %s failed: %s", l.number, e.Subtask, e.Failure.Message)
			return false
		case checkpoint.SubtaskFinished:
			l.final[e.Subtask] = e.Final
			for id := range l.pending {
				if !l.tryComplete(id) {
					return false
				}
			}
		}
	case checkpoint.Ack:
		if !l.store.has(e.State) {
			l.t.Errorf("%s acknowledged checkpoint %d before its chunks were stored", e.State.Subtask, e.Checkpoint)
		}
		l.persisted += e.Metrics.PersistedBytes
		if p := l.pending[e.Checkpoint]; p != nil {
			p[e.State.Subtask] = e.State
			return l.tryComplete(e.Checkpoint)
		}
	case checkpoint.Decline:
		l.counts.declined++
		if e.Reason == checkpoint.ReasonTaskClosing {
			return true
		}
		return l.abort(e.Checkpoint)
	}
	return true
}

// act does one random thing. It returns false for a kill.
func (l *leader) act() bool {
	switch n := l.rng.IntN(20); {
	case n == 0 && l.faults > 0:
		l.faults--
		l.counts.killed++
		return false
	case n < 4:
		for id := range l.pending {
			return l.abort(id)
		}
	case len(l.pending) < 2 && l.running() && l.stopping == 0:
		l.trigger()
	}
	return true
}

func (l *leader) running() bool {
	for _, s := range l.graph.Topology().Subtasks() {
		if l.status[s] < checkpoint.SubtaskRunning {
			return false
		}
	}
	return true
}

// trigger begins a checkpoint at the subtasks whose predecessors have all finished.
func (l *leader) trigger() {
	l.counter++
	l.pending[l.counter] = make(map[checkpoint.SubtaskID]checkpoint.SubtaskState)
	b := barrierOf(l.counter, l.alignment)
	b.AlignmentTimeout = l.timeout
	if l.stop != checkpoint.StopNone && l.counts.completed >= l.stopAfter {
		b, l.stopping = savepoint(l.counter, l.stop), l.counter
	}
	b.Mode = l.mode
	for s, task := range l.attempt.tasks {
		if _, finished := l.final[s]; finished || !l.predecessorsFinished(task) {
			continue
		}
		l.send(func() { task.Trigger(b) })
		if l.rng.IntN(4) == 0 {
			l.send(func() { task.Trigger(b) }) // a new leader triggers again
		}
	}
}

// send delivers a message to a task after a random delay, like a network: without it all channels would
// deliver their barriers at the same time.
func (l *leader) send(deliver func()) {
	delay := time.Duration(l.rng.IntN(5000)) * time.Microsecond
	ctx := l.attempt.ctx
	l.attempt.done.Go(func() {
		select {
		case <-time.After(delay):
			deliver()
		case <-ctx.Done():
		}
	})
}

func (l *leader) predecessorsFinished(task *Task) bool {
	for _, ref := range task.inputs {
		from := l.graph.Topology().Edges[ref.Edge].From
		s := checkpoint.SubtaskID{Vertex: l.graph.Topology().Vertices[from].ID, Index: ref.From}
		if _, finished := l.final[s]; !finished {
			return false
		}
	}
	return true
}

// abort gives a checkpoint up. It returns false when the job was to end with it: the attempt has to end instead.
func (l *leader) abort(id checkpoint.ID) (goesOn bool) {
	if l.pending[id] == nil {
		return true
	}
	delete(l.pending, id)
	l.counts.aborted++
	for _, task := range l.attempt.tasks {
		l.send(func() { task.NotifyAborted(id) })
	}
	return id != l.stopping
}

// tryComplete commits the checkpoint when every subtask has done its part. It returns false when the process
// dies at that moment, before anybody has heard of it.
func (l *leader) tryComplete(id checkpoint.ID) (goesOn bool) {
	states := make(map[checkpoint.SubtaskID]checkpoint.SubtaskState)
	for _, s := range l.graph.Topology().Subtasks() {
		state, acked := l.pending[id][s]
		if final, finished := l.final[s]; finished && !acked {
			state, acked = final, true
		}
		if !acked {
			return true
		}
		states[s] = state
	}
	l.completed, l.states = id, states
	l.counts.completed++
	delete(l.pending, id)
	for older := range l.pending {
		if older < id {
			l.abort(older)
		}
	}
	if l.faults > 0 && l.rng.IntN(8) == 0 {
		l.faults--
		l.counts.killed++
		return false
	}
	for _, task := range l.attempt.tasks {
		l.send(func() { task.NotifyComplete(id) })
		if l.rng.IntN(4) == 0 {
			l.send(func() { task.NotifyComplete(id) }) // again
		}
	}
	return true
}

func (l *leader) finished() bool { return len(l.final) == l.graph.Topology().NumSubtasks() }
