package dataflow

import (
	"time"

	"cairn/dataflow/exchange"
)

// watermarkGenerator is an operator that says itself how far event time has come, instead of its input.
type watermarkGenerator interface {
	watermark(now time.Time) (w EventTime, idle bool)
}

// timeFlow is how event time passes through the operators of a chain: from the input channels to the head, from each
// operator to those behind it, and into the outputs. It belongs to the task's goroutine.
type timeFlow struct {
	inputs     *eventClock
	parents    []int // by operator: the position of the one before it, -1 for the head
	generators []watermarkGenerator
	told       []EventTime // by operator: the watermark that it has been told
	passed     []EventTime // by operator: the watermark behind it
	idle       []bool      // by operator
	generates  bool        // some operator is a generator
}

func newTimeFlow(channels, operators int) *timeFlow {
	f := &timeFlow{
		inputs: newEventClock(channels), parents: make([]int, operators), generators: make([]watermarkGenerator, operators),
		told: make([]EventTime, operators), passed: make([]EventTime, operators), idle: make([]bool, operators),
	}
	for at := range operators {
		f.parents[at], f.told[at], f.passed[at] = -1, MinEventTime, MinEventTime
	}
	return f
}

// before returns the watermark that reaches the operator, and whether its input is idle.
func (f *timeFlow) before(at int) (EventTime, bool) {
	if p := f.parents[at]; p >= 0 {
		return f.passed[p], f.idle[p]
	}
	return f.inputs.now, f.inputs.idle()
}

// advanceTime tells the operators how far event time has come, in the order of the chain, since each may emit
// records into those behind it. Then it tells the outputs.
func (r *runner) advanceTime() error {
	if r.ended || r.suspended != 0 {
		return nil // time has come to its end, or stands still behind the savepoint
	}
	f := r.flow
	for at := range r.operators {
		w, idle := f.before(at)
		if err := r.tellTime(at, w); err != nil {
			return err
		}
		if g := f.generators[at]; g != nil {
			w, idle = g.watermark(r.task.clock())
		}
		f.passed[at], f.idle[at] = max(f.passed[at], w), idle
	}
	r.task.stats.watermark.Store(int64(f.passed[len(f.passed)-1]))
	return r.sendTime()
}

// tellTime lets an operator act on a watermark.
func (r *runner) tellTime(at int, w EventTime) error {
	if w <= r.flow.told[at] {
		return nil
	}
	r.flow.told[at] = w
	r.chain.enter(at)
	r.operators[at].onWatermark(w)
	return r.chain.err
}

// sendTime sends what is new about event time down the timed outputs, behind the records emitted so far.
func (r *runner) sendTime() error {
	for _, o := range r.outputs {
		if !o.Timed {
			continue
		}
		if w := r.flow.passed[o.at]; w > o.watermark {
			o.watermark, o.idle = w, false
			if err := o.Broadcast(exchange.AppendWatermark(nil, int64(w))); err != nil {
				return err
			}
		}
		if idle := r.flow.idle[o.at]; idle != o.idle {
			o.idle = idle
			if err := o.Broadcast(exchange.AppendIdle(nil, idle)); err != nil {
				return err
			}
		}
	}
	r.countOutput()
	return nil
}

// tickTime is called at the watermark interval when the chain has a generator.
func (r *runner) tickTime() error {
	r.ticker.Reset(r.task.spec.Graph.watermarkInterval)
	return r.advanceTime()
}

// onTime takes in what a channel says about event time.
func (r *runner) onTime(channel int, e exchange.Event) error {
	if r.ended {
		return nil
	}
	if e.Kind == exchange.FrameIdle {
		r.flow.inputs.onIdle(channel, e.Idle)
	} else {
		r.flow.inputs.onWatermark(channel, EventTime(e.Watermark))
	}
	return r.advanceTime()
}

// endTime brings event time to its end at one operator.
func (r *runner) endTime(at int) error { return r.tellTime(at, MaxEventTime) }

// parentsOf returns, for each operator of a chain, the position of the one before it, -1 for the head.
func parentsOf(operators []*node) []int {
	position := make(map[*node]int, len(operators))
	parents := make([]int, len(operators))
	for at, o := range operators {
		position[o] = at
		parents[at] = -1
		if at > 0 {
			parents[at] = position[o.inputs[0].from]
		}
	}
	return parents
}
