package dataflow

import (
	"fmt"

	"cairn/checkpoint"
	"cairn/dataflow/exchange"
)

// done reports whether the task has nothing left to do: the checkpoint that it ends with has completed, or it is at
// the end of its input and is not to wait for one. It hears then how the checkpoints end that it has answered, since
// its sinks have to publish what those cover; and it reads its channels to their end, since the barrier of a
// savepoint that the job ends with comes behind the data.
func (r *runner) done() bool {
	if r.finalID != 0 {
		return true
	}
	if !r.ended || r.task.spec.AfterTasksFinish || len(r.captured) > 0 {
		return false
	}
	for _, in := range r.inputs {
		if in != inputClosed {
			return false
		}
	}
	return true
}

// leaveUnpublished lets the sinks of a task that ends without a final checkpoint say what that means.
func (r *runner) leaveUnpublished() {
	for _, o := range r.operators {
		if sink, is := o.(interface{ leaveUnpublished() }); is {
			sink.leaveUnpublished()
		}
	}
}

// endOfData takes in that a channel has no more records.
func (r *runner) endOfData(channel int) error {
	r.inputs[channel] = max(r.inputs[channel], inputDataEnded)
	for _, in := range r.inputs {
		if in == inputOpen {
			r.flow.inputs.onEnd(channel)
			return r.advanceTime()
		}
	}
	return r.endOfInput()
}

// endOfPartition takes in that a channel carries nothing more.
func (r *runner) endOfPartition(channel int) error {
	if r.inputs[channel] == inputOpen {
		return fmt.Errorf("%s: %w: its partition ends before its data",
			r.task.channelName(r.task.inputs[channel]), exchange.ErrFrame)
	}
	r.inputs[channel] = inputClosed
	return r.apply(r.aligner.OnEndOfPartition(channel), true)
}

// endOfInput brings event time to its end and finishes the operators, in the order of the chain, once: each may emit
// into those behind it, which finish later.
func (r *runner) endOfInput() error {
	if r.ended {
		return nil
	}
	for at, o := range r.operators {
		if err := r.endTime(at); err != nil {
			return err
		}
		r.chain.enter(at)
		if err := o.finish(); err != nil {
			r.chain.fail(err)
		}
		if r.chain.err != nil {
			return r.chain.err
		}
	}
	return r.announceEnd()
}

// announceEnd tells everybody that no more records come. The task goes on taking part in checkpoints until it is done.
func (r *runner) announceEnd() error {
	r.ended = true
	r.task.stats.watermark.Store(int64(MaxEventTime))
	if err := r.broadcast([]byte{exchange.FrameEndOfData}); err != nil {
		return err
	}
	r.task.report(checkpoint.SubtaskReport{Status: checkpoint.SubtaskFinishing})
	return nil
}
