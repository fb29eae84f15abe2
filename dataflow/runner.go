package dataflow

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"golang.org/x/sync/errgroup"

	"cairn/checkpoint"
	"cairn/dataflow/aligner"
	"cairn/dataflow/exchange"
)

// flushInterval is how long a record may wait in a batch that is not full.
const flushInterval = 10 * time.Millisecond

// runner is the part of a Task that belongs to the goroutine of Run.
type runner struct {
	task      *Task
	ctx       context.Context
	log       func(msg string, args ...any) // debug level
	chain     *chain
	operators []operator
	timed     []timed       // of the operators, those with timers in processing time
	source    puller        // nil when the task has inputs
	readers   []frameReader // by edge position, nil where the edge is not an input
	outputs   []*output
	backlog   *exchange.Backlog // of the outputs

	aligner  *aligner.Aligner
	begun    map[checkpoint.ID]beginning // of pending checkpoints
	captured map[checkpoint.ID]bool      // snapshots whose completion is to be heard, and has not been
	received int64                       // bytes of records taken in
	inputs   []inputEnd                  // by channel
	ended    bool                        // operators have finished and EndOfData has gone out
	// suspended is the savepoint behind whose barrier nothing is read or emitted any more; 0 for none.
	suspended checkpoint.ID
	// finalID is the completed checkpoint that the task ends with; 0 while there is none.
	finalID  checkpoint.ID
	flush    *time.Timer
	flushing bool // flush is armed
	flow     *timeFlow
	ticker   *time.Timer // runs while the chain has a generator of watermarks
	// overtaking runs out when a barrier begins to overtake, in the inputs or in the outputs.
	overtaking *time.Timer
}

// inputEnd is how far a channel is on the way to its end.
type inputEnd uint8

const (
	inputOpen      inputEnd = iota
	inputDataEnded          // EndOfData was read
	inputClosed             // EndOfPartition was read
)

func newRunner(ctx context.Context, t *Task) *runner {
	r := &runner{
		task: t, ctx: ctx, log: t.deps.Logger.Debug,
		aligner: aligner.New(len(t.inputs)),
		begun:   make(map[checkpoint.ID]beginning), captured: make(map[checkpoint.ID]bool),
		inputs:  make([]inputEnd, len(t.inputs)),
		readers: make([]frameReader, len(t.topology.Edges)),
		flush:   time.NewTimer(flushInterval), overtaking: time.NewTimer(flushInterval),
		backlog: exchange.NewBacklog(t.gate.Flow, outputObserver{t}),
	}
	r.flush.Stop()
	r.ticker = time.NewTimer(t.spec.Graph.watermarkInterval)
	r.ticker.Stop()
	r.overtaking.Stop()
	head := t.vertex.operators[0]
	r.chain = &chain{
		ctx: ctx, log: t.deps.Logger, subtask: t.spec.Subtask,
		parallelism: head.parallelism, groups: head.maxParallelism, now: t.clock, home: t.rowHome(), timestamp: NoTimestamp,
		channelName: func(channel int) string { return t.channelName(t.inputs[channel]) },
	}
	for _, o := range t.vertex.operators {
		r.chain.ids = append(r.chain.ids, o.id)
	}
	return r
}

// run returns the final state, or the error that ended the task. A panic in user code is an error.
func (r *runner) run() (final checkpoint.SubtaskState, err error) {
	defer r.recoverPanic(&err)
	if err := r.start(); err != nil {
		return checkpoint.SubtaskState{}, err
	}
	for !r.done() {
		if err := r.turn(); err != nil {
			return checkpoint.SubtaskState{}, err
		}
	}
	if r.finalID != 0 {
		final, _ = r.task.uploads.finalState(r.finalID)
		final.Handles = withoutInFlight(final.Handles)
	} else {
		r.leaveUnpublished()
	}
	if err := r.broadcast([]byte{exchange.FrameEndOfPartition}); err != nil {
		return checkpoint.SubtaskState{}, err
	}
	return final, r.backlog.SendAll(r.ctx) // nothing may follow: mail is not read any more
}

func (r *runner) recoverPanic(err *error) {
	if p := recover(); p != nil {
		*err = r.chain.blame(fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
	}
}

// start makes the chain, restores it, connects the outputs, and reports that the task runs.
func (r *runner) start() (err error) {
	defer func() { err = r.lacking(err) }()
	if err := r.task.clearWorkDir(); err != nil {
		return err
	}
	states, err := restoredStates(r.ctx, r.task.deps.Store, r.task.spec, r.chain.ids)
	if err != nil {
		return err
	}
	r.buildChain()
	// Sinks before sources: what an operator emits into is ready when it is opened.
	for at := len(r.operators) - 1; at >= 0; at-- {
		if err := r.open(at, states[at]); err != nil {
			return err
		}
	}
	if err := r.connect(); err != nil {
		return err
	}
	if err := r.restoreInFlight(); err != nil {
		return err
	}
	if r.task.spec.State.EndOfData {
		return r.announceEnd()
	}
	if r.flow.generates {
		r.ticker.Reset(r.task.spec.Graph.watermarkInterval)
	}
	r.task.report(checkpoint.SubtaskReport{Status: checkpoint.SubtaskRunning})
	return nil
}

// lacking adds to an error, when it is about a chunk that could not be had, what it was needed for.
func (r *runner) lacking(err error) error {
	if _, lacking := unavailableChunk(err); lacking {
		s := r.task.spec
		return fmt.Errorf("subtask %s of job %s cannot be restored from checkpoint %d: %w", s.Subtask, s.Job, s.Restore, err)
	}
	return err
}

func (r *runner) open(at int, state *operatorState) error {
	r.chain.enter(at)
	err := r.operators[at].open(start{job: r.task.spec.Job, attempt: r.task.spec.Attempt, state: state})
	if err == nil {
		if err = state.leftover(); err != nil {
			err = Permanent(err)
		}
	}
	if err != nil {
		return r.chain.blame(err)
	}
	return nil
}

// connect opens all output channels, side by side: each may have to wait for its node.
func (r *runner) connect() error {
	group, ctx := errgroup.WithContext(r.ctx)
	group.SetLimit(64)
	for _, o := range r.outputs {
		for _, c := range o.Channels {
			group.Go(func() error { return o.Connect(ctx, r.task.deps.Connector, c) })
		}
	}
	return group.Wait()
}

// buildChain makes the operators from the tail to the head, as each needs the one that takes its records.
func (r *runner) buildChain() {
	operators := r.task.vertex.operators
	r.operators = make([]operator, len(operators))
	position := make(map[*node]int, len(operators))
	for at, o := range operators {
		position[o] = at
	}
	ins := make([][]any, len(operators))
	r.flow = newTimeFlow(len(r.inputs), len(operators))
	r.flow.parents = parentsOf(operators)
	for at := len(operators) - 1; at >= 0; at-- {
		o := operators[at]
		r.operators[at], ins[at] = o.build(r.chain, at, r.outlets(o, func(l *link) any {
			if l.edge < 0 {
				return ins[position[l.to]][l.input]
			}
			return r.newOutput(l, at)
		}))
		ins[at] = r.tapped(at, ins[at])
		r.flow.generators[at], _ = r.operators[at].(watermarkGenerator)
		r.flow.generates = r.flow.generates || r.flow.generators[at] != nil
	}
	r.source, _ = r.operators[0].(puller)
	r.timed = r.timers()
	for _, in := range r.task.vertex.inputs {
		r.readers[in.index] = in.link.port.reader(r.chain, ins[0][in.link.input])
	}
}

// outlets joins what takes the records of an operator: one function for its main output and one for each side output.
func (r *runner) outlets(o *node, taking func(*link) any) outlets {
	byTag := make(map[string][]any)
	for _, l := range o.outputs {
		byTag[l.tag] = append(byTag[l.tag], taking(l))
	}
	outs := outlets{sides: make(map[string]any, len(o.sides))}
	if o.join != nil {
		outs.main = o.join(byTag[""])
	}
	for tag, side := range o.sides {
		outs.sides[tag] = side.join(byTag[tag])
	}
	return outs
}

// newOutput prepares the sending end of an edge behind the operator at the given position, and returns the function
// that takes its records.
func (r *runner) newOutput(l *link, at int) any {
	t, to := r.task, l.to
	o := &output{
		Output: exchange.Output{Backlog: r.backlog, Timed: l.from.timed},
		chain:  r.chain, groups: to.maxParallelism, at: at, watermark: MinEventTime,
	}
	vertex := t.topology.Vertices[to.vertex].ID
	for index := range to.parallelism {
		if l.partitioning == checkpoint.Forward && index != t.spec.Subtask.Index {
			continue
		}
		peer := checkpoint.SubtaskID{Vertex: vertex, Index: index}
		ref := t.spec.Assignment.Node(t.topology.Ordinal(peer))
		o.Channels = append(o.Channels, &exchange.OutputChannel{
			ID: exchange.ChannelID{
				Job: t.spec.Job, Attempt: t.spec.Attempt, Edge: l.edge, From: t.spec.Subtask.Index, To: index,
			},
			Node: ref,
			Name: fmt.Sprintf("channel %s -> %s to node %s", t.spec.Subtask, peer, ref.ID),
		})
	}
	r.outputs = append(r.outputs, o)
	return l.port.emitter(o)
}

// close ends the output channels and the operators. A panic in an operator's Close is an error.
func (r *runner) close() error {
	r.flush.Stop()
	r.ticker.Stop()
	r.overtaking.Stop()
	var errs []error
	for at, o := range r.operators {
		r.chain.enter(at)
		errs = append(errs, r.closeOperator(o))
	}
	for _, o := range r.outputs {
		errs = append(errs, o.Close())
	}
	return errors.Join(errs...)
}

func (r *runner) closeOperator(o operator) (err error) {
	defer r.recoverPanic(&err)
	if o == nil {
		return nil // the chain was not built
	}
	return o.close()
}

// broadcast sends an event down every output channel.
func (r *runner) broadcast(frame []byte) error {
	for _, o := range r.outputs {
		if err := o.Broadcast(frame); err != nil {
			return err
		}
	}
	r.countOutput()
	return nil
}
