package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"cairn/checkpoint"
)

// jobRun is a job under way, with just enough of a leader for its checkpoints. It belongs to one goroutine; only tell is for
// others.
type jobRun struct {
	topology checkpoint.Topology
	// trigger and complete reach the subtasks: trigger the sources, complete all.
	trigger  func(checkpoint.Barrier, []checkpoint.SubtaskID)
	complete func(checkpoint.ID)

	events chan checkpoint.FromNode // capacity far above what piles up while nobody looks; never closed
	lastID checkpoint.ID
	status map[checkpoint.SubtaskID]checkpoint.SubtaskStatus
}

var benchJob = checkpoint.JobID{0xbe}

func newRun(topology checkpoint.Topology) *jobRun {
	return &jobRun{
		topology: topology, events: make(chan checkpoint.FromNode, 1<<16),
		status: make(map[checkpoint.SubtaskID]checkpoint.SubtaskStatus),
	}
}

// tell takes in what a node or a task says. It is safe for concurrent use and does not wait.
func (r *jobRun) tell(m checkpoint.FromNode) error {
	select {
	case r.events <- m:
		return nil
	default:
		return fmt.Errorf("%T: nobody listens", m)
	}
}

// awaitRunning returns when all subtasks process records.
func (r *jobRun) awaitRunning(ctx context.Context) error {
	for {
		running := 0
		for _, s := range r.status {
			if s == checkpoint.SubtaskRunning {
				running++
			}
		}
		if running == r.topology.NumSubtasks() {
			return nil
		}
		if err := r.next(ctx, nil); err != nil {
			return err
		}
	}
}

// taken is a checkpoint that has completed.
type taken struct {
	id      checkpoint.ID
	states  map[checkpoint.SubtaskID]checkpoint.SubtaskState
	metrics map[checkpoint.SubtaskID]checkpoint.Metrics
	took    time.Duration // from the trigger to the last ack
}

// stored is the bytes that were stored for this checkpoint.
func (t *taken) stored() (n int64) {
	for _, m := range t.metrics {
		n += m.CheckpointedBytes
	}
	return n
}

// chunks are all that the checkpoint names, in the order of the subtasks and of their content.
func (t *taken) chunks() []checkpoint.ChunkRef {
	var refs []checkpoint.ChunkRef
	for _, s := range slices.SortedFunc(maps.Keys(t.states), compareSubtasks) {
		for _, h := range t.states[s].Handles {
			refs = append(refs, h.Chunks...)
		}
	}
	return refs
}

func compareSubtasks(a, b checkpoint.SubtaskID) int {
	if a.Vertex != b.Vertex {
		if a.Vertex < b.Vertex {
			return -1
		}
		return 1
	}
	return a.Index - b.Index
}

// checkpoint takes one and waits until it has completed.
func (r *jobRun) checkpoint(ctx context.Context, alignment checkpoint.Alignment) (*taken, error) {
	r.lastID++
	t := &taken{
		id: r.lastID, states: make(map[checkpoint.SubtaskID]checkpoint.SubtaskState),
		metrics: make(map[checkpoint.SubtaskID]checkpoint.Metrics),
	}
	start := time.Now()
	r.trigger(checkpoint.Barrier{
		ID: r.lastID, Timestamp: checkpoint.Timestamp(start.UnixMilli()), Kind: checkpoint.KindCheckpoint,
		Mode: checkpoint.ExactlyOnce, Alignment: alignment,
	}, r.sources())
	for len(t.states) < r.topology.NumSubtasks() {
		if err := r.next(ctx, t); err != nil {
			return nil, fmt.Errorf("checkpoint %d: %w", t.id, err)
		}
	}
	t.took = time.Since(start)
	r.complete(t.id)
	return t, nil
}

// sources are the subtasks that a checkpoint begins at.
func (r *jobRun) sources() []checkpoint.SubtaskID {
	fed := make(map[int]bool)
	for _, e := range r.topology.Edges {
		fed[e.To] = true
	}
	var sources []checkpoint.SubtaskID
	for _, s := range r.topology.Subtasks() {
		if !fed[r.topology.VertexIndex(s.Vertex)] {
			sources = append(sources, s)
		}
	}
	return sources
}

// next takes in one message. Acks go to the pending checkpoint, if there is one.
func (r *jobRun) next(ctx context.Context, pending *taken) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case m := <-r.events:
		return r.handle(m, pending)
	}
}

func (r *jobRun) handle(m checkpoint.FromNode, pending *taken) error {
	switch m := m.(type) {
	case checkpoint.StatusChange:
		r.status[m.Report.Subtask] = m.Report.Status
		if m.Report.Status != checkpoint.SubtaskInitializing && m.Report.Status != checkpoint.SubtaskRunning {
			return fmt.Errorf("%s is %s: %s", m.Report.Subtask, m.Report.Status, m.Report.Failure.Message)
		}
	case checkpoint.AckBatch:
		for _, a := range m.Acks {
			if pending != nil && a.Checkpoint == pending.id {
				pending.states[a.State.Subtask], pending.metrics[a.State.Subtask] = a.State, a.Metrics
			}
		}
	case checkpoint.Decline:
		return fmt.Errorf("%s declined checkpoint %d: %s", m.Subtask, m.Checkpoint, m.Message)
	}
	return nil
}

// check returns an error if a subtask has failed meanwhile.
func (r *jobRun) check() error {
	for {
		select {
		case m := <-r.events:
			if err := r.handle(m, nil); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}
