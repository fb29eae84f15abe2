package dataflow

import (
	"fmt"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/exchange"
)

// turn does one step of the task's work: its mail, then a batch of records. It waits when there is neither.
func (r *runner) turn() error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if r.backlog.Full() {
		return r.waitForRoom()
	}
	select {
	case <-r.task.mailbox.ready:
		return r.readMail()
	case <-r.task.gate.Urgent():
		return r.readArrivals()
	case <-r.backlog.Room():
		return r.backlog.Drain()
	case <-r.flush.C:
		return r.flushOutputs()
	case <-r.ticker.C:
		return r.tickTime()
	case <-r.overtaking.C:
		return r.overtake()
	default:
	}
	if err := r.fireTimers(); err != nil {
		return err
	}
	switch {
	case r.suspended != 0:
		return r.wait(nil, time.Time{})
	case r.source != nil:
		return r.pull()
	}
	return r.receive()
}

// readMail handles what other goroutines have told the task. Failed checkpoints go first, so that none of
// them is begun, and triggers last: a finished task takes no further snapshot.
func (r *runner) readMail() error {
	m := r.task.mailbox.take()
	if m.failure != nil {
		return m.failure
	}
	for _, id := range m.aborted {
		delete(r.captured, id)
		if err := r.apply(r.aligner.OnCancel(id), false); err != nil {
			return err
		}
	}
	if m.completed != 0 {
		if err := r.complete(m.completed); err != nil {
			return err
		}
	}
	for _, b := range m.triggers {
		if r.finalID != 0 || r.suspended != 0 && b.ID > r.suspended {
			r.task.decline(b, checkpoint.ReasonTaskClosing, 0, "the task is about to finish")
			continue
		}
		if err := r.apply(r.aligner.OnTrigger(b), false); err != nil {
			return err
		}
	}
	return nil
}

// pull takes records from the source.
func (r *runner) pull() error {
	if r.ended {
		return r.wait(nil, time.Time{})
	}
	r.chain.enter(0)
	r.chain.timestamp = NoTimestamp
	status, err := r.source.next()
	r.task.stats.recordsIn.Store(r.source.emitted())
	r.countOutput()
	switch {
	case r.chain.err != nil:
		return r.chain.err
	case err != nil:
		return r.chain.blame(err)
	}
	r.armFlush()
	switch status.kind {
	case readEnd:
		return r.endOfInput()
	case readIdle:
		return r.wait(status.wake, status.until)
	}
	return nil
}

// receive takes a frame from the input channels.
func (r *runner) receive() error {
	channel, frame, err := r.task.gate.Take()
	switch {
	case err != nil:
		return err
	case frame == nil:
		return r.wait(r.task.gate.Ready(), time.Time{})
	}
	size := int64(len(frame.Bytes()))
	rest, err := r.handle(channel, frame.Bytes())
	if rest != nil {
		size -= int64(len(rest.Bytes()))
		r.task.gate.PutBack(channel, rest)
	}
	r.task.stats.bytesIn.Add(size)
	frame.Release()
	r.armFlush()
	return err
}

// handle returns what is left of a frame, which has to wait while the task does other things.
func (r *runner) handle(channel int, frame []byte) (rest *exchange.Buffer, err error) {
	if r.inputs[channel] == inputClosed {
		return nil, fmt.Errorf("%s: %w: it follows the end of the partition", r.task.channelName(r.task.inputs[channel]), exchange.ErrFrame)
	}
	if exchange.HoldsRecords(frame) {
		return r.records(channel, frame)
	}
	return nil, r.event(channel, frame)
}

func (r *runner) event(channel int, frame []byte) error {
	e, err := exchange.DecodeEvent(frame)
	if err != nil {
		return fmt.Errorf("%s: %w", r.task.channelName(r.task.inputs[channel]), err)
	}
	switch e.Kind {
	case exchange.FrameBarrier:
		return r.apply(r.aligner.OnBarrier(channel, e.Barrier), true)
	case exchange.FrameWatermark, exchange.FrameIdle:
		return r.onTime(channel, e)
	case exchange.FrameEndOfData:
		return r.endOfData(channel)
	default:
		return r.endOfPartition(channel)
	}
}

func (r *runner) records(channel int, frame []byte) (rest *exchange.Buffer, err error) {
	if r.ended {
		// Restored from a snapshot that was taken after the end: these have been processed before. That
		// happens when the checkpoint was at-least-once.
		return nil, nil
	}
	r.chain.enter(0)
	r.chain.under.channel = channel
	r.received += int64(len(frame))
	count, rest, err := r.readers[r.task.inputs[channel].Edge](frame)
	if rest != nil {
		r.received -= int64(len(rest.Bytes()))
	}
	r.task.stats.recordsIn.Add(int64(count))
	r.countOutput()
	switch {
	case r.chain.err != nil:
		return nil, r.chain.err
	case err != nil && r.chain.under.frame != nil:
		return nil, r.chain.blame(err)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", r.task.channelName(r.task.inputs[channel]), err)
	}
	return rest, nil
}

// wait returns when there is mail, a batch to send, something to receive from wake, a timer is due, or the time has
// come.
func (r *runner) wait(wake <-chan struct{}, until time.Time) error {
	var due <-chan time.Time
	until = earlier(until, r.nextTimer())
	if !until.IsZero() {
		left := until.Sub(r.task.clock())
		if left <= 0 {
			return nil
		}
		timer := time.NewTimer(left)
		defer timer.Stop()
		due = timer.C
	}
	var next func() error
	r.task.stats.waits.begin(waitInput, r.task.clock())
	select {
	case <-r.ctx.Done():
		next = r.ctx.Err
	case <-r.task.mailbox.ready:
		next = r.readMail
	case <-r.task.gate.Urgent():
		next = r.readArrivals
	case <-r.backlog.Room():
		next = r.backlog.Drain
	case <-r.flush.C:
		next = r.flushOutputs
	case <-r.ticker.C:
		next = r.tickTime
	case <-r.overtaking.C:
		next = r.overtake
	case <-wake:
	case <-due:
	}
	r.task.stats.waits.end(r.task.clock())
	if next == nil {
		return nil
	}
	return next()
}

// armFlush starts the timer when a batch has been begun since it last ran out.
func (r *runner) armFlush() {
	if r.flushing {
		return
	}
	for _, o := range r.outputs {
		if o.Unsent() {
			r.flushing = true
			r.flush.Reset(flushInterval)
			return
		}
	}
}

func (r *runner) flushOutputs() error {
	r.flushing = false
	for _, o := range r.outputs {
		if err := o.Flush(); err != nil {
			return err
		}
	}
	r.countOutput()
	r.armFlush() // a batch that has to wait behind a queue, which may come to be the last one
	return nil
}

// countOutput publishes how much has been sent, and dropped.
func (r *runner) countOutput() {
	var records, bytes int64
	for _, o := range r.outputs {
		r, b := o.Sent()
		records, bytes = records+r, bytes+b
	}
	r.task.stats.recordsOut.Store(records)
	r.task.stats.bytesOut.Store(bytes)
	r.task.stats.lateRecords.Store(r.chain.lateRecords)
}
