package dataflow

import (
	"context"
	"fmt"
	"slices"
	"time"

	"cairn/checkpoint"
)

// apply carries out what the aligner wants, in order. forward says that the cause came in through a channel:
// downstream has not heard of a checkpoint that it ends.
func (r *runner) apply(effects []Effect, forward bool) error {
	for _, e := range effects {
		if err := r.applyOne(e, forward); err != nil {
			return err
		}
	}
	return nil
}

func (r *runner) applyOne(e Effect, forward bool) error {
	id := e.Barrier.ID
	switch e.Kind {
	case EffectBegin:
		r.begun[id] = r.task.clock()
	case EffectBlock:
		r.task.gate.block(e.Channels)
	case EffectUnblock:
		r.task.gate.unblock(e.Channels)
	case EffectSnapshot:
		return r.snapshot(e.Barrier)
	case EffectAbort:
		delete(r.begun, id)
		if forward {
			return r.broadcast(appendCancel(nil, id))
		}
	case EffectSubsume:
		delete(r.begun, id)
		r.decline(id, checkpoint.ReasonSubsumed, "a newer barrier arrived during its alignment")
		return r.broadcast(appendCancel(nil, id))
	}
	return nil
}

// snapshot captures the state of the chain, hands it to the uploads, and sends the barrier on behind all
// records that the state covers.
func (r *runner) snapshot(b checkpoint.Barrier) error {
	aligned, begun := r.task.clock(), r.begun[b.ID]
	delete(r.begun, b.ID)
	s := &snapshot{barrier: b, endOfData: r.ended}
	for at, o := range r.operators {
		r.chain.enter(at)
		err := o.capture(s)
		switch {
		case err == nil:
			continue
		case isDeclined(err):
			s.release()
			r.decline(b.ID, checkpoint.ReasonDeclined, r.chain.blame(err).Error())
			return r.broadcast(appendCancel(nil, b.ID))
		}
		s.release()
		return r.chain.blame(fmt.Errorf("checkpoint %d: %w", b.ID, err))
	}
	s.captured = r.task.clock()
	s.metrics = checkpoint.Metrics{
		StartDelayMillis: max(0, begun.UnixMilli()-int64(b.Timestamp)),
		AlignmentMillis:  millisBetween(begun, aligned),
		SyncMillis:       millisBetween(aligned, s.captured),
	}
	r.task.uploads.start(r.ctx, s)
	return r.broadcast(appendBarrier(nil, b))
}

// complete commits what the completed checkpoint covers, and ends the task when that is everything.
func (r *runner) complete(id checkpoint.ID) error {
	for at, o := range r.operators {
		r.chain.enter(at)
		if err := o.notifyComplete(id); err != nil {
			return r.chain.blame(err)
		}
	}
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

func (r *runner) decline(id checkpoint.ID, reason checkpoint.Reason, message string) {
	r.log("checkpoint declined", "checkpoint", id, "reason", reason, "cause", message)
	r.task.deps.OnDecline(checkpoint.Decline{
		Job: r.task.spec.Job, Attempt: r.task.spec.Attempt, Checkpoint: id, Subtask: r.task.spec.Subtask,
		Reason: reason, Message: message,
	})
}
