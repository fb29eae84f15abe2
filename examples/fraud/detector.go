package main

import (
	"cairn/dataflow"
	"cairn/dataflow/codec"
)

const (
	small  = 1_00   // cents; a charge below it may be a trial
	large  = 500_00 // cents; a charge above it may be the plunder
	minute = dataflow.EventTime(60_000)
)

// detector emits each large charge that comes less than a minute behind a small one with the same card. The two may be
// read in either order, so each is kept for as long as the other may still come: that is what the timers are for. What
// it keeps in state survives failures; its own fields would not.
type detector struct {
	ctx    *dataflow.ProcessContext[string]
	trials *dataflow.MapState[string, dataflow.EventTime, bool] // times of small charges
	large  *dataflow.MapState[string, string, Charge]           // by ID; no trial before them is known yet
}

var _ dataflow.TimerProcessor[string, Charge] = (*detector)(nil)

func newDetector() dataflow.KeyedProcessor[string, Charge, Charge] { return &detector{} }

// Open declares the state.
func (d *detector) Open(ctx *dataflow.ProcessContext[string]) error {
	d.ctx = ctx
	d.trials = dataflow.NewMapState(ctx, "trials", codec.IntOf[dataflow.EventTime](), codec.Bool)
	d.large = dataflow.NewMapState(ctx, "large", codec.String, codec.MustStruct[Charge]())
	return nil
}

// Process takes in a charge. State is that of its card.
func (d *detector) Process(_ string, c Charge, emit func(Charge)) error {
	switch {
	case c.Cents < small:
		d.try(c.EventTime(), emit)
	case c.Cents > large:
		d.plunder(c, emit)
	}
	return nil
}

func (d *detector) try(at dataflow.EventTime, emit func(Charge)) {
	for id, c := range d.large.All() {
		if follows(c.EventTime(), at) {
			emit(c)
			d.large.Delete(id)
		}
	}
	d.trials.Put(at, true)
	d.ctx.RegisterEventTimer(at + minute)
}

func (d *detector) plunder(c Charge, emit func(Charge)) {
	for at := range d.trials.All() {
		if follows(c.EventTime(), at) {
			emit(c)
			return
		}
	}
	d.large.Put(c.ID, c)
	d.ctx.RegisterEventTimer(c.EventTime())
}

func follows(charge, trial dataflow.EventTime) bool { return trial < charge && charge < trial+minute }

// OnTimer forgets what is over: all charges up to the timer's time have been read.
func (d *detector) OnTimer(_ string, t dataflow.Timer, _ func(Charge)) error {
	d.trials.Delete(t.At - minute)
	for id, c := range d.large.All() {
		if c.EventTime() <= t.At {
			d.large.Delete(id)
		}
	}
	return nil
}

// Finish has nothing to add.
func (d *detector) Finish(func(Charge)) error { return nil }
