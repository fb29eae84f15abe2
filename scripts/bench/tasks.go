package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"cairn/checkpoint"
	"cairn/dataflow"
	"cairn/dataflow/exchange"
	"cairn/dataflow/pebblestate"
)

// backends are those that keyed state may be kept in.
var backends = []checkpoint.StateBackend{checkpoint.BackendMemory, checkpoint.BackendPebble}

// taskRun is a job whose tasks run in this process and are connected directly, for what has to be watched from within.
type taskRun struct {
	*jobRun
	tasks   map[checkpoint.SubtaskID]*dataflow.Task
	cancel  context.CancelFunc
	running sync.WaitGroup
	rows    *pebblestate.Backend
	workDir string
}

// taskOptions say what is to be run, and how.
type taskOptions struct {
	build    func(*dataflow.Graph)
	backend  checkpoint.StateBackend
	store    dataflow.ChunkStore
	dir      string // for the state of the tasks, which is removed with the run
	restore  *taken // nil for a fresh start
	progress func(checkpoint.Barrier, checkpoint.SubtaskProgress)
}

// startTasks starts a job. The caller ends it.
func startTasks(o taskOptions) (_ *taskRun, err error) {
	g := dataflow.NewGraph()
	o.build(g)
	if err := g.Seal(); err != nil {
		return nil, err
	}
	t := &taskRun{jobRun: newRun(g.Topology()), tasks: make(map[checkpoint.SubtaskID]*dataflow.Task)}
	if t.workDir, err = os.MkdirTemp(o.dir, "work-"); err != nil {
		return nil, err
	}
	if t.rows, err = pebblestate.New(pebblestate.Options{Logger: quiet}); err != nil {
		return nil, err
	}
	t.trigger = func(b checkpoint.Barrier, sources []checkpoint.SubtaskID) {
		for _, s := range sources {
			t.tasks[s].Trigger(b)
		}
	}
	t.complete = func(id checkpoint.ID) {
		for _, task := range t.tasks {
			task.NotifyComplete(id)
		}
	}
	var ctx context.Context
	ctx, t.cancel = context.WithCancel(context.Background())
	if o.restore != nil {
		t.lastID = o.restore.id
	}
	for _, s := range t.topology.Subtasks() {
		if t.tasks[s], err = dataflow.NewTask(t.spec(s, g, o), t.deps(o)); err != nil {
			return nil, errors.Join(err, t.stop())
		}
	}
	for _, task := range t.tasks {
		t.running.Go(func() { _ = task.Run(ctx) }) // how it ends, it reports
	}
	return t, nil
}

func (t *taskRun) spec(s checkpoint.SubtaskID, g *dataflow.Graph, o taskOptions) dataflow.TaskSpec {
	spec := dataflow.TaskSpec{
		Job: benchJob, Attempt: 1, Subtask: s, Graph: g, Mode: checkpoint.ExactlyOnce, AfterTasksFinish: true,
		Assignment: checkpoint.Assignment{Nodes: []checkpoint.NodeRef{{ID: "n1", Incarnation: 1}}, NodeOf: make([]int, t.topology.NumSubtasks())},
		Backend:    o.backend, WorkDir: filepath.Join(t.workDir, fmt.Sprintf("%s-%d", s.Vertex, s.Index)),
	}
	if o.restore != nil {
		spec.Restore, spec.State = o.restore.id, o.restore.states[s]
	}
	return spec
}

func (t *taskRun) deps(o taskOptions) dataflow.TaskDeps {
	tell := func(m checkpoint.FromNode) { _ = t.tell(m) } // what is lost is waited for in vain, until the user gives up
	return dataflow.TaskDeps{
		Store: o.store, Rows: t.rows, Connector: t, Logger: quiet,
		OnStatus:   func(r checkpoint.SubtaskReport) { tell(checkpoint.StatusChange{Report: r}) },
		OnAck:      func(a checkpoint.Ack, _ checkpoint.Kind) { tell(checkpoint.AckBatch{Acks: []checkpoint.Ack{a}}) },
		OnDecline:  func(d checkpoint.Decline, _ checkpoint.Kind) { tell(d) },
		OnProgress: o.progress,
	}
}

// Connect implements exchange.Connector.
func (t *taskRun) Connect(ctx context.Context, _ checkpoint.NodeRef, id exchange.ChannelID, ready func()) (exchange.FrameWriter, error) {
	to := checkpoint.SubtaskID{Vertex: t.topology.Vertices[t.topology.Edges[id.Edge].To].ID, Index: id.To}
	return t.tasks[to].Accept(ctx, id, func(exchange.Credit) { ready() })
}

func (t *taskRun) stop() error {
	t.cancel()
	t.running.Wait()
	t.rows.Close()
	return os.RemoveAll(t.workDir)
}

// quiet is the log of everything: what fails ends the measurement with an error.
var quiet = slog.New(slog.DiscardHandler)
