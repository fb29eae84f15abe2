package dataflow

import (
	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// NonKeyedProcessor is an operator without keys: it takes the records as they come to its subtask. There is one for each
// subtask; it belongs to one goroutine and needs no locks. It may have operator state (NewOperatorListState,
// NewUnionListState) and side outputs (SideEmitter), and be a CheckpointedProcessor; timers and state per key need keys.
type NonKeyedProcessor[In, Out any] interface {
	// Open declares state and side outputs. It is called before the state is restored: see CheckpointedProcessor.
	Open(*OperatorContext) error
	// Process takes in a record. emit is valid until it returns.
	Process(in In, emit func(Out)) error
	// Finish is called at the end of the input, once, and not again after a restore from a checkpoint that was taken later.
	Finish(emit func(Out)) error
}

// ProcessNonKeyed adds an operator without keys. newProcessor is called once for each subtask.
func ProcessNonKeyed[In, Out any](s Stream[In], id checkpoint.OperatorID, records codec.Codec[Out],
	newProcessor func() NonKeyedProcessor[In, Out], opts ...Option,
) Stream[Out] {
	build := func(c *chain, at int, outs outlets) (operator, []any) {
		p := newProcessor()
		o := &nonKeyedOperator[Out]{nonKeyed: p, chain: c, at: at, outs: outs, states: statesOf(c, p), emit: mainOutput[Out](outs)}
		return o, oneInput(func(v In) { callNonKeyed(o, v, p.Process) })
	}
	return transform(s, id, records, build, opts).as("non-keyed process")
}

// NonKeyedBroadcastProcessor is an operator without keys and with a second input that reaches every subtask whole. What is
// said of NonKeyedProcessor and, but for keys, of BroadcastProcessor holds for it.
type NonKeyedBroadcastProcessor[In, R, Out any] interface {
	// Open is what it is for a NonKeyedProcessor, and declares broadcast state, with NewBroadcastState.
	Open(*OperatorContext) error
	// Process takes in a record of the first stream. It may read broadcast state.
	Process(in In, emit func(Out)) error
	// ProcessBroadcast takes in a record of the broadcast stream, on every subtask. What it makes of broadcast state must
	// follow from the record and that state alone. What it emits is emitted by every subtask.
	ProcessBroadcast(rule R, emit func(Out)) error
	// Finish is called when both inputs have ended.
	Finish(emit func(Out)) error
}

// ProcessNonKeyedBroadcast adds an operator that every record of rules reaches on every subtask, however that stream is
// partitioned. What ProcessBroadcast says of watermarks holds for it.
func ProcessNonKeyedBroadcast[In, R, Out any](s Stream[In], rules Stream[R], id checkpoint.OperatorID, records codec.Codec[Out],
	newProcessor func() NonKeyedBroadcastProcessor[In, R, Out], opts ...Option,
) Stream[Out] {
	build := func(c *chain, at int, outs outlets) (operator, []any) {
		p := newProcessor()
		o := &nonKeyedOperator[Out]{nonKeyed: p, chain: c, at: at, outs: outs, states: statesOf(c, p), emit: mainOutput[Out](outs)}
		o.states.broadcast = true
		return o, []any{
			func(v In) { callNonKeyed(o, v, p.Process) },
			func(r R) {
				o.states.writable = true
				callNonKeyed(o, r, p.ProcessBroadcast)
				o.states.writable = false
			},
		}
	}
	return connect(s.graph, rules.graph, id, s.links(0), Broadcast(rules).links(1), records, build, opts)
}

// nonKeyed is what the processors without keys have in common.
type nonKeyed[Out any] interface {
	Open(*OperatorContext) error
	Finish(emit func(Out)) error
}

// nonKeyedOperator runs a processor without keys.
type nonKeyedOperator[Out any] struct {
	nonKeyed[Out]
	chain  *chain
	at     int
	outs   outlets
	states operatorStates
	ctx    OperatorContext
	emit   func(Out)
}

// callNonKeyed passes a record to one of the processor's methods. It is the hot path: it allocates nothing.
func callNonKeyed[In, Out any](o *nonKeyedOperator[Out], in In, process func(In, func(Out)) error) {
	c := o.chain
	if c.err != nil {
		return
	}
	previous := c.enter(o.at)
	if err := process(in, o.emit); err != nil {
		c.fail(err)
	}
	c.leave(previous)
}

func (o *nonKeyedOperator[Out]) open(start start) error {
	o.ctx = newOperatorContext(o.chain, o.at, o.outs, &o.states)
	if err := o.Open(&o.ctx); err != nil {
		return err
	}
	if o.ctx.err != nil {
		return o.ctx.err
	}
	if err := o.states.restore(start.state); err != nil {
		return err
	}
	if err := o.states.initialize(start.state.restored); err != nil {
		return err
	}
	return o.chain.err // of a state
}

func (o *nonKeyedOperator[Out]) onWatermark(w EventTime) { o.ctx.watermark = w }

func (o *nonKeyedOperator[Out]) finish() error { return o.Finish(o.emit) }

func (o *nonKeyedOperator[Out]) capture(s *snapshot) error {
	if err := o.states.prepare(s); err != nil {
		return err
	}
	o.states.capture(s, o.chain.ids[o.at])
	return nil
}

func (o *nonKeyedOperator[Out]) notifyComplete(checkpoint.ID) error { return nil }

func (o *nonKeyedOperator[Out]) close() error { return nil }
