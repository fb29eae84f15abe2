package executor

import (
	"context"

	"cairn/checkpoint"
	"cairn/dataflow"
	"cairn/dataflow/exchange"
)

// task is what the executor needs of a dataflow.Task. Its methods may be called from any goroutine; all
// but Run and Accept return at once.
type task interface {
	// Run does the subtask's work and returns when everything that it started has ended.
	Run(ctx context.Context) error
	Trigger(checkpoint.Barrier)
	NotifyComplete(checkpoint.ID)
	NotifyAborted(checkpoint.ID)
	Stats() dataflow.Stats
	Accept(ctx context.Context, id exchange.ChannelID, grant func(exchange.Credit)) (exchange.FrameWriter, error)
}

// taskFactory makes tasks. Tests put tasks of their own in the place of real ones.
type taskFactory func(dataflow.TaskSpec, dataflow.TaskDeps) (task, error)

func newDataflowTask(spec dataflow.TaskSpec, deps dataflow.TaskDeps) (task, error) {
	t, err := dataflow.NewTask(spec, deps)
	if err != nil {
		return nil, err // not t: a nil *dataflow.Task in the interface would not be nil
	}
	return t, nil
}
