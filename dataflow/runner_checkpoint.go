package dataflow

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/aligner"
	"cairn/dataflow/exchange"
)

// readArrivals handles what has arrived that does not wait for its turn.
func (r *runner) readArrivals() error {
	for _, a := range r.task.gate.TakeArrivals() {
		var effects []aligner.Effect
		if a.Cancel != 0 {
			effects = r.aligner.OnCancel(a.Cancel)
		} else {
			effects = r.aligner.OnArrival(a.Channel, a.Barrier, r.task.clock())
		}
		if err := r.apply(effects, true); err != nil {
			return err
		}
		if a.Cancel != 0 {
			// The snapshot may have been taken just now, for a barrier that came along with the cancellation: its upload
			// would wait for what has arrived already.
			r.task.NotifyAborted(a.Cancel)
		}
	}
	return nil
}

// overtake lets the adaptive barriers overtake whose timeout has passed: those that have arrived, and those that wait in
// an output's queue.
func (r *runner) overtake() error {
	now := r.task.clock()
	if err := r.apply(r.aligner.OnTimeout(now), true); err != nil {
		return err
	}
	if err := r.backlog.OnTimeout(now); err != nil {
		return err
	}
	r.armOvertaking()
	return nil
}

// armOvertaking sets the timer for the next barrier that is to overtake.
func (r *runner) armOvertaking() {
	at, set := r.aligner.Deadline()
	if out, queued := r.backlog.Deadline(); queued && (!set || out.Before(at)) {
		at, set = out, true
	}
	if set {
		r.overtaking.Reset(max(time.Millisecond, at.Sub(r.task.clock())))
	} else {
		r.overtaking.Stop()
	}
}

// apply carries out what the aligner wants, in order. forward says that the cause came in through a channel:
// downstream has not heard of a checkpoint that it ends.
func (r *runner) apply(effects []aligner.Effect, forward bool) error {
	for _, e := range effects {
		if err := r.applyOne(e, forward); err != nil {
			return err
		}
	}
	if len(effects) > 0 {
		r.armOvertaking()
	}
	return nil
}

func (r *runner) applyOne(e aligner.Effect, forward bool) error {
	id := e.Barrier.ID
	switch e.Kind {
	case aligner.EffectBegin:
		return r.begin(e.Barrier)
	case aligner.EffectBlock:
		r.task.gate.Block(e.Channels)
	case aligner.EffectUnblock:
		r.task.gate.Unblock(e.Channels)
	case aligner.EffectSnapshot:
		return r.snapshot(e.Barrier, e.Channels)
	case aligner.EffectAbort:
		delete(r.begun, id)
		if forward {
			return r.cancel(id)
		}
	case aligner.EffectSubsume:
		delete(r.begun, id)
		r.decline(e.Barrier, checkpoint.ReasonDeclinedSubsumed, checkpoint.PhaseAlignment,
			"a newer barrier arrived during its alignment")
		return r.cancel(id)
	}
	return nil
}

// beginning is where the task stood when a checkpoint's first barrier came.
type beginning struct {
	at       time.Time
	received int64 // bytes of records taken in before
}

// begin notes that a checkpoint has reached the task. A source that is to drain the job ends its input first.
func (r *runner) begin(b checkpoint.Barrier) error {
	begun := beginning{at: r.task.clock(), received: r.received}
	r.begun[b.ID] = begun
	r.task.progress(b, checkpoint.PhaseAlignment, checkpoint.Metrics{StartDelayMillis: startDelay(b, begun.at)})
	if b.Stop == checkpoint.StopDrain && r.source != nil {
		return r.endOfInput()
	}
	return nil
}

// startDelay is how long the first barrier took to come, in milliseconds.
func startDelay(b checkpoint.Barrier, begun time.Time) int64 {
	return millisBetween(time.UnixMilli(int64(b.Timestamp)), begun)
}

// snapshot captures the state of the chain, hands it to the uploads, and sends the barrier on behind all
// records that the state covers, or that are in the snapshot themselves. What the given input channels deliver before the
// barrier becomes part of it, too.
func (r *runner) snapshot(b checkpoint.Barrier, inputs []int) error {
	begun, aligned := r.begun[b.ID], r.task.clock()
	delete(r.begun, b.ID)
	s := &snapshot{barrier: b, endOfData: r.ended, metrics: checkpoint.Metrics{
		StartDelayMillis: startDelay(b, begun.at),
		AlignmentMillis:  millisBetween(begun.at, aligned),
		ProcessedBytes:   r.received - begun.received,
	}}
	r.task.progress(b, checkpoint.PhaseSync, s.metrics)
	if err := r.capture(s); err != nil {
		s.release()
		if !isDeclined(err) {
			return fmt.Errorf("checkpoint %d: %w", b.ID, err)
		}
		r.decline(b, checkpoint.ReasonDeclined, checkpoint.PhaseSync, err.Error())
		return r.cancel(b.ID)
	}
	s.captured = r.task.clock()
	s.metrics.SyncMillis = millisBetween(aligned, s.captured)
	if b.Kind == checkpoint.KindCheckpoint || b.Stop != checkpoint.StopNone {
		r.captured[b.ID] = true
	}
	if b.Stop == checkpoint.StopSuspend {
		r.suspended = b.ID
	}
	if aligner.MayOvertake(b) {
		s.channels, s.topology = exchange.NewChannelState(r.task.inputs), r.task.topology
		if r.ended {
			inputs = nil // nothing but events can come
		}
		r.task.gate.Record(b.ID, inputs, s.channels)
	}
	if err := r.sendBarrier(b, s.channels); err != nil {
		return err
	}
	r.task.uploads.start(r.ctx, s)
	return nil
}

func (r *runner) sendBarrier(b checkpoint.Barrier, state *exchange.ChannelState) error {
	now := r.task.clock()
	for _, o := range r.outputs {
		if err := o.Barrier(b, now, state); err != nil {
			return err
		}
	}
	r.countOutput()
	return nil
}

// cancel tells everybody downstream that a checkpoint was given up.
func (r *runner) cancel(id checkpoint.ID) error {
	for _, o := range r.outputs {
		if err := o.Cancel(id); err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) capture(s *snapshot) error {
	for at, o := range r.operators {
		r.chain.enter(at)
		if err := o.capture(s); err != nil {
			return r.chain.blame(err)
		}
	}
	return nil
}

// complete commits what the completed checkpoint covers, and ends the task when that is everything.
func (r *runner) complete(id checkpoint.ID) error {
	for at, o := range r.operators {
		r.chain.enter(at)
		if err := o.notifyComplete(id); err != nil {
			return r.chain.blame(err)
		}
	}
	maps.DeleteFunc(r.captured, func(older checkpoint.ID, _ bool) bool { return older <= id })
	if _, final := r.task.uploads.finalState(id); final {
		r.finalID = id
	}
	return nil
}

// settleLimit bounds how long a task that is being ended goes on committing.
const settleLimit = 10 * time.Second

// settle carries out a completion that the task had not read when it ended. What is committed is published,
// whatever has become of the task (I4): a cancelled job has no next attempt to do it.
func (r *runner) settle(id checkpoint.ID) (err error) {
	defer r.recoverPanic(&err)
	if len(r.operators) == 0 || slices.Contains(r.operators, nil) {
		return nil // it has not come as far as restoring its state
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), settleLimit)
	defer cancel()
	r.chain.ctx = ctx
	return r.complete(id)
}

func (r *runner) decline(b checkpoint.Barrier, reason checkpoint.Reason, phase checkpoint.Phase, message string) {
	r.log("checkpoint declined", "checkpoint", b.ID, "reason", reason, "cause", message)
	r.task.decline(b, reason, phase, message)
}
