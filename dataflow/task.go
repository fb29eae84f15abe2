package dataflow

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/exchange"
)

// Task runs one subtask of one attempt. Create it with NewTask, then call Run once. Before Run it accepts
// channels and mail already.
type Task struct {
	spec     TaskSpec
	deps     TaskDeps
	vertex   *vertex
	topology checkpoint.Topology
	inputs   []exchange.Input
	gate     *exchange.Gate
	mailbox  *mailbox
	uploads  *uploads
	started  atomic.Bool
	finished atomic.Bool
	stats    taskStats
}

// NewTask returns a task that does nothing until Run. An error means that the specification and the graph do
// not fit together.
func NewTask(spec TaskSpec, deps TaskDeps) (*Task, error) {
	if err := deps.validate(); err != nil {
		return nil, err
	}
	if spec.Graph == nil || !spec.Graph.sealed {
		return nil, errors.New("dataflow: the graph of a task must have been sealed")
	}
	if spec.Mode != checkpoint.ExactlyOnce && spec.Mode != checkpoint.AtLeastOnce {
		return nil, fmt.Errorf("subtask %s: unknown checkpointing %s", spec.Subtask, spec.Mode)
	}
	if err := checkBackend(spec, deps); err != nil {
		return nil, err
	}
	v, err := spec.Graph.vertexOf(spec.Subtask)
	if err != nil {
		return nil, err
	}
	t := &Task{spec: spec, deps: deps, vertex: v, topology: spec.Graph.Topology(), mailbox: newMailbox()}
	if placed, want := len(spec.Assignment.NodeOf), t.topology.NumSubtasks(); placed != want {
		return nil, fmt.Errorf("subtask %s: the assignment places %d subtasks, the job has %d", spec.Subtask, placed, want)
	}
	if t.deps.Clock == nil {
		t.deps.Clock = time.Now
	}
	t.deps.Logger = deps.Logger.With("job", spec.Job, "attempt", spec.Attempt, "task", spec.Subtask)
	t.inputs = inputsOf(v.inputs, spec.Subtask.Index)
	t.gate = exchange.NewGate(len(t.inputs))
	t.uploads = newUploads(t)
	t.stats.watermark.Store(int64(MinEventTime))
	return t, nil
}

// inputsOf lists the channels that lead to a subtask, edge after edge.
func inputsOf(edges []*edge, index int) []exchange.Input {
	var refs []exchange.Input
	for _, e := range edges {
		if e.link.partitioning == checkpoint.Forward {
			refs = append(refs, exchange.Input{Edge: e.index, From: index})
			continue
		}
		for from := range e.link.from.parallelism {
			refs = append(refs, exchange.Input{Edge: e.index, From: from})
		}
	}
	return refs
}

// Accept connects an input channel and returns where the sender's frames are to be written, in order, by one
// goroutine. grant is called with the credit that the sender has at first, before Accept returns, and whenever the task
// gives more, from its goroutine; it returns at once. A frame for which there is no credit is not taken. Closing the
// writer before the end of the partition has been written breaks the channel, and the task with it; the writer is an
// exchange.FailingWriter, so that the cause can be told. Writes to a task that has failed or was cancelled return an error; what
// is written to one that has finished is dropped, as it needs nothing more.
func (t *Task) Accept(_ context.Context, id exchange.ChannelID, grant func(exchange.Credit)) (exchange.FrameWriter, error) {
	if id.Job != t.spec.Job || id.Attempt != t.spec.Attempt || id.To != t.spec.Subtask.Index {
		return nil, fmt.Errorf("channel %s does not lead to subtask %s of attempt %d of job %s",
			id, t.spec.Subtask, t.spec.Attempt, t.spec.Job)
	}
	for channel, ref := range t.inputs {
		if ref.Edge != id.Edge || ref.From != id.From {
			continue
		}
		return t.gate.Accept(channel, t.channelName(ref), grant)
	}
	return nil, fmt.Errorf("channel %s: subtask %s has no such input", id, t.spec.Subtask)
}

// channelName names an input channel in errors.
func (t *Task) channelName(ref exchange.Input) string {
	from := checkpoint.SubtaskID{Vertex: t.topology.Vertices[t.topology.Edges[ref.Edge].From].ID, Index: ref.From}
	node := t.spec.Assignment.Node(t.topology.Ordinal(from))
	return fmt.Sprintf("channel %s -> %s from node %s", from, t.spec.Subtask, node.ID)
}

// Trigger starts a checkpoint at this task, which is a source or has no unfinished predecessor. Triggering a
// checkpoint again, or one that was aborted, changes nothing. It returns at once.
func (t *Task) Trigger(b checkpoint.Barrier) {
	if !t.mailbox.trigger(b) {
		t.declineEnded(b)
	}
}

// NotifyComplete says that a checkpoint, or a savepoint that the job ends with, is committed: sinks commit what it
// covers, and a task that was at the end of its input in it, or was suspended by it, finishes. It returns at once.
func (t *Task) NotifyComplete(id checkpoint.ID) { t.mailbox.complete(id) }

// NotifyAborted says that a checkpoint has failed: what is held for it is released. It returns at once.
func (t *Task) NotifyAborted(id checkpoint.ID) {
	t.uploads.abort(id) // even while the task is stalled
	t.mailbox.abort(id)
}

// Run does the subtask's work: it restores the state, connects the outputs, processes until the end of the
// input and its final checkpoint, or until a savepoint that the job ends with has completed, and returns nil then.
// Otherwise it returns the error that ended it, which
// is ctx's when ctx was cancelled. Before it returns it reports how the subtask ended, and everything that it
// started has ended.
func (t *Task) Run(ctx context.Context) error {
	if t.started.Swap(true) {
		return fmt.Errorf("subtask %s: Run was called twice", t.spec.Subtask)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t.report(checkpoint.SubtaskReport{Status: checkpoint.SubtaskInitializing})
	r := newRunner(ctx, t)
	final, err := r.run()
	report := checkpoint.SubtaskReport{Status: checkpoint.SubtaskFinished, Final: final, FinalCheckpoint: r.finalID}
	switch {
	case err == nil:
		t.finished.Store(true)
	case ctx.Err() != nil:
		err = ctx.Err() // whatever broke on the way down
		report = checkpoint.SubtaskReport{Status: checkpoint.SubtaskCanceled}
	default:
		report = checkpoint.SubtaskReport{Status: checkpoint.SubtaskFailed, Failure: FailureOf(err)}
	}
	late := t.end(r, err)
	t.report(report)
	for _, b := range late {
		t.declineEnded(b)
	}
	return err
}

// end releases everything and returns the triggers that have come too late.
func (t *Task) end(r *runner, err error) []checkpoint.Barrier {
	unread := t.mailbox.close()
	if err == nil {
		t.gate.End(nil)
	} else {
		t.gate.End(exchange.ErrTaskEnded)
	}
	t.uploads.end(err == nil)
	if unread.completed != 0 {
		if settling := r.settle(unread.completed); settling != nil {
			// The next attempt, if there is one, commits it from the restored state.
			t.deps.Logger.Warn("committing while the task ends", "checkpoint", unread.completed, "cause", settling)
		}
	}
	if closing := errors.Join(r.close(), t.clearWorkDir()); closing != nil {
		// The last checkpoint holds everything: what cannot be closed now costs nothing but a message.
		t.deps.Logger.Warn("closing the task", "cause", closing)
	}
	return unread.triggers
}

func (t *Task) report(r checkpoint.SubtaskReport) {
	r.Subtask = t.spec.Subtask
	t.deps.OnStatus(r)
}

// declineEnded answers a trigger that came too late.
func (t *Task) declineEnded(b checkpoint.Barrier) {
	if t.finished.Load() {
		t.decline(b, checkpoint.ReasonTaskClosing, 0, "the task has finished")
		return
	}
	t.decline(b, checkpoint.ReasonTaskFailure, 0, "the task has ended")
}

// decline says that the task cannot take part in a checkpoint; phase is how far it came, 0 when it had not begun.
func (t *Task) decline(b checkpoint.Barrier, reason checkpoint.Reason, phase checkpoint.Phase, message string) {
	t.deps.OnDecline(checkpoint.Decline{
		Job: t.spec.Job, Attempt: t.spec.Attempt, Checkpoint: b.ID, Subtask: t.spec.Subtask,
		Reason: reason, Phase: phase, Message: message,
	}, b.Kind)
}

// progress tells that the task enters a phase, and the figures of those that are over.
func (t *Task) progress(b checkpoint.Barrier, phase checkpoint.Phase, m checkpoint.Metrics) {
	if t.deps.OnProgress != nil {
		t.deps.OnProgress(b, checkpoint.SubtaskProgress{Subtask: t.spec.Subtask, Phase: phase, Metrics: m})
	}
}

func (t *Task) clock() time.Time { return t.deps.Clock() }
