package dataflow

import (
	"errors"
	"log/slog"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/exchange"
	"cairn/dataflow/rowstore"
)

// TaskSpec says which subtask of which attempt a Task runs, and what it starts from.
type TaskSpec struct {
	Job        checkpoint.JobID
	Attempt    checkpoint.Attempt
	Subtask    checkpoint.SubtaskID
	Graph      *Graph // sealed; shared by the tasks of a process
	Assignment checkpoint.Assignment
	Mode       checkpoint.Mode // of the job; each barrier carries its own
	// AfterTasksFinish makes the task wait, at the end of its input, for a checkpoint that covers all its output.
	AfterTasksFinish bool
	// Backend is where keyed state is kept. WorkDir is a directory of the task's own for what the backend needs on disk: it
	// is emptied at the start and removed at the end. A backend in memory needs none.
	Backend checkpoint.StateBackend
	WorkDir string
	Restore checkpoint.ID // the checkpoint that State comes from, 0 for a fresh start
	State   checkpoint.SubtaskState
}

// TaskDeps is what a Task needs of its surroundings. The callbacks return quickly and may be called from
// several goroutines at once; OnStatus is called from the one that runs Run. Answers to a checkpoint come with its
// kind: what settles one kind need not settle the other.
type TaskDeps struct {
	Store     ChunkStore
	Rows      rowstore.Backend // of jobs that keep their state on disk; nil where there is none
	Connector exchange.Connector
	Logger    *slog.Logger
	Clock     func() time.Time // nil means time.Now
	OnStatus  func(checkpoint.SubtaskReport)
	OnAck     func(checkpoint.Ack, checkpoint.Kind)
	OnDecline func(checkpoint.Decline, checkpoint.Kind)
	// OnProgress is told, before the answer, each phase that the task enters for a checkpoint; nil is allowed.
	OnProgress func(checkpoint.Barrier, checkpoint.SubtaskProgress)
}

func (d TaskDeps) validate() error {
	if d.Store == nil || d.Connector == nil || d.Logger == nil || d.OnStatus == nil || d.OnAck == nil || d.OnDecline == nil {
		return errors.New("dataflow: Store, Connector, Logger and the callbacks of TaskDeps must be set")
	}
	return nil
}
