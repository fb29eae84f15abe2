package dataflow

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"cairn/dataflow/codec"
)

// windowCell is what is kept for a window of a key.
//
// A cell waits with one timer: one whose contents have not been emitted for the end of the window, one whose contents
// have for the end of the lateness. A session that has grown keeps the timer that it has, and waits anew when that
// fires. So a record costs a timer only where it opens a window, or comes late.
type windowCell[Acc any] struct {
	acc     Acc
	emitted bool // as it is; what has been restored is not emitted a second time
}

// The name of the table of windows. It is persisted.
const windowTable = "windows"

// windowOperator collects the records of each key in windows.
type windowOperator[K comparable, In, Acc, Out any] struct {
	keyedOperator[K]
	assigner   WindowAssigner
	lateness   EventTime // milliseconds
	processing bool
	contents   windowContents[K, In, Acc, Out]
	emit       func(Out)
	lateTag    *OutputTag[In]
	late       func(In) // nil: late data is dropped

	ctx      *ProcessContext[K]
	cells    *MapState[K, TimeWindow, windowCell[Acc]]
	assigned []TimeWindow // of the record under way
	merging  []TimeWindow // that the record under way makes one of
}

func newWindowOperator[K comparable, In, Acc, Out any](c *chain, at int, outs outlets, w WindowedStream[K, In],
	contents windowContents[K, In, Acc, Out],
) *windowOperator[K, In, Acc, Out] {
	o := &windowOperator[K, In, Acc, Out]{
		keyedOperator: newKeyedOperator(c, at, w.keyed.keys, outs, nil), contents: contents, emit: mainOutput[Out](outs),
		assigner: w.assigner, lateness: millis(w.options.lateness), processing: w.options.processing,
	}
	o.onTimer = o.fireTimer
	o.lateTag = w.late
	return o
}

func (o *windowOperator[K, In, Acc, Out]) open(start start) error {
	return o.openWith(start.state, func(ctx *ProcessContext[K]) error {
		o.ctx = ctx
		if o.lateTag != nil {
			o.late = SideEmitter(ctx, *o.lateTag)
		}
		o.cells = NewMapState(ctx, windowTable, codec.Codec[TimeWindow](windowCodec{}), cellCodec(o.contents.open(ctx)))
		return nil
	})
}

// cellCodec is whether the contents have been emitted, and the contents.
func cellCodec[Acc any](accumulators codec.Codec[Acc]) codec.Codec[windowCell[Acc]] {
	return codec.Struct2(codec.Bool, accumulators,
		func(c windowCell[Acc]) (bool, Acc) { return c.emitted, c.acc },
		func(emitted bool, acc Acc) windowCell[Acc] { return windowCell[Acc]{acc: acc, emitted: emitted} })
}

// process takes in one record. It is the hot path: where windows do not merge it allocates nothing.
func (o *windowOperator[K, In, Acc, Out]) process(key K, v In) {
	c := o.chain
	if c.err != nil {
		return
	}
	previous := c.enter(o.at)
	if o.enterKey(key) {
		o.assign(key, v)
	}
	c.leave(previous)
}

// assign puts the record into its windows.
func (o *windowOperator[K, In, Acc, Out]) assign(key K, v In) {
	at := o.timeOfRecord()
	if err := checkWindowed(at); err != nil {
		o.failAt(key, err)
		return
	}
	o.assigned = o.assigner.assign(at, o.assigned[:0])
	taken := false
	for _, w := range o.assigned {
		if o.assigner.merges() {
			taken = o.addToSession(key, w, v) || taken
		} else if !o.isOver(w) {
			cell, found := o.cells.take(w)
			o.add(key, w, cell, !found, v)
			taken = true
		}
	}
	if !taken && len(o.assigned) > 0 { // between windows that slide over gaps, nothing is late
		o.drop(v)
	}
}

// timeOfRecord is what the record's windows are found by.
func (o *windowOperator[K, In, Acc, Out]) timeOfRecord() EventTime {
	if o.processing {
		return o.ctx.ProcessingTime()
	}
	return o.chain.timestamp
}

// checkWindowed makes sure that a record has an event time that windows can be found by.
func checkWindowed(at EventTime) error {
	if at == NoTimestamp {
		return Permanent(errors.New("the record has no event time: AssignTimestampsAndWatermarks has to come before"))
	}
	if at < -maxWindowed || at > maxWindowed {
		return fmt.Errorf("the record has the event time %d: allowed are those from %d to %d", int64(at), -maxWindowed, maxWindowed)
	}
	return nil
}

// add takes a record into the contents of a window.
func (o *windowOperator[K, In, Acc, Out]) add(key K, w TimeWindow, cell windowCell[Acc], empty bool, v In) {
	cell.acc = o.contents.add(w, cell.acc, empty, v)
	waiting := !empty && !cell.emitted
	switch {
	case !o.processing && w.MaxTimestamp() <= o.context.watermark: // late, but allowed
		o.result(key, w, cell.acc)
		cell.emitted = true
		o.wait(o.end(w))
	case !waiting:
		cell.emitted = false
		o.wait(w.MaxTimestamp())
	}
	o.cells.Put(w, cell)
}

// addToSession takes in a record that alone would have the session given, and makes one of all that it overlaps. It
// returns false when the record is late data.
func (o *windowOperator[K, In, Acc, Out]) addToSession(key K, alone TimeWindow, v In) bool {
	session := alone
	o.merging = o.merging[:0]
	for w := range o.cells.All() {
		if w.overlaps(alone) {
			o.merging, session = append(o.merging, w), session.cover(w)
		}
	}
	if o.isOver(session) {
		return false
	}
	slices.SortFunc(o.merging, func(a, b TimeWindow) int { return cmp.Compare(a.Start, b.Start) })
	merged := windowCell[Acc]{emitted: true}
	for i, w := range o.merging {
		cell, _ := o.cells.take(w)
		merged.emitted = merged.emitted && cell.emitted // the timer of one that has not been is early enough
		if i == 0 {
			merged.acc = cell.acc
		} else {
			merged.acc = o.contents.merge(merged.acc, cell.acc)
		}
		if w != session {
			o.cells.Delete(w)
		}
	}
	o.add(key, session, merged, len(o.merging) == 0, v)
	return true
}

// fireTimer looks at the windows that a timer may be meant for.
func (o *windowOperator[K, In, Acc, Out]) fireTimer(key K, t Timer) error {
	at := t.At
	if o.processing {
		at-- // see wait
	}
	if o.assigner.merges() {
		for w, cell := range o.cells.All() {
			o.settle(key, w, cell, at)
		}
		return nil
	}
	for _, last := range [2]EventTime{at, at - o.lateness} {
		w := o.assigner.endingAt(last)
		if cell, found := o.cells.Get(w); found {
			o.settle(key, w, cell, at)
		}
	}
	return nil
}

// settle does what is due for a window, now that time has reached at.
func (o *windowOperator[K, In, Acc, Out]) settle(key K, w TimeWindow, cell windowCell[Acc], at EventTime) {
	changed := !cell.emitted && w.MaxTimestamp() <= at
	if changed {
		o.result(key, w, cell.acc)
		cell.emitted = true
	}
	switch {
	case o.end(w) <= at:
		o.contents.drop(cell.acc)
		o.cells.Delete(w)
		return
	case cell.emitted:
		o.wait(o.end(w))
	default:
		o.wait(w.MaxTimestamp())
	}
	if changed {
		o.cells.Put(w, cell)
	}
}

// result emits what comes of a window, with the window's last timestamp.
func (o *windowOperator[K, In, Acc, Out]) result(key K, w TimeWindow, acc Acc) {
	c := o.chain
	timestamp := c.timestamp
	c.timestamp = w.MaxTimestamp()
	o.contents.result(key, w, acc, o.emit)
	c.timestamp = timestamp
}

// end is when a window is forgotten.
func (o *windowOperator[K, In, Acc, Out]) end(w TimeWindow) EventTime {
	return w.MaxTimestamp() + o.lateness
}

// isOver reports whether records for the window come too late.
func (o *windowOperator[K, In, Acc, Out]) isOver(w TimeWindow) bool {
	return !o.processing && o.end(w) <= o.context.watermark
}

// wait asks for a timer when time has reached at. A watermark says that nothing up to it follows, but a clock shows the
// same millisecond for a while: one waits for the next.
func (o *windowOperator[K, In, Acc, Out]) wait(at EventTime) {
	if o.processing {
		o.ctx.RegisterProcessingTimer(at + 1)
	} else {
		o.ctx.RegisterEventTimer(at)
	}
}

// drop puts late data aside.
func (o *windowOperator[K, In, Acc, Out]) drop(v In) {
	if o.late != nil {
		o.late(v)
	} else {
		o.chain.lateRecords++
	}
}

func (o *windowOperator[K, In, Acc, Out]) finish() error {
	o.dropTimers()
	return nil
}
