package exchange

import (
	"slices"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/aligner"
)

// Barrier sends a barrier down every channel: behind the records emitted so far or, when it overtakes, before those that
// are still queued, which it adds to the snapshot. An adaptive one that has to queue does so later, at its deadline; the
// snapshot stays open until then. state may be nil for a barrier that never overtakes.
func (o *Output) Barrier(b checkpoint.Barrier, now time.Time, state *ChannelState) error {
	frame := AppendBarrier(nil, b)
	o.unsent = false
	for _, c := range o.Channels {
		if err := o.send(c); err != nil {
			return err
		}
		o.bytes += int64(len(frame))
		if c.queue.len() == 0 {
			sent, err := o.Backlog.sendBarrier(c, b, frame)
			if sent || err != nil {
				if err != nil {
					return err
				}
				continue
			}
		}
		if err := o.Backlog.queueBarrier(c, b, frame, now, state); err != nil {
			return err
		}
	}
	return nil
}

// sendBarrier sends a barrier at once, if it can go.
func (b *Backlog) sendBarrier(c *OutputChannel, barrier checkpoint.Barrier, frame []byte) (sent bool, err error) {
	if aligner.Overtakes(barrier) {
		return true, c.broken(c.writer.Force(frame))
	}
	sent, err = c.writer.TryWrite(frame)
	return sent, c.broken(err)
}

func (b *Backlog) queueBarrier(c *OutputChannel, barrier checkpoint.Barrier, frame []byte, now time.Time, state *ChannelState) error {
	q := &queuedBarrier{Barrier: barrier}
	if aligner.MayOvertake(barrier) {
		q.state, q.deadline = state, aligner.OvertakesAt(barrier, now)
		state.open(1)
	}
	b.push(c, queuedOutput{Buffer: CopyFrame(frame), barrier: q})
	if !aligner.Overtakes(barrier) {
		return nil
	}
	b.overtake(c, c.queue.len()-1)
	return b.drainChannel(c)
}

// overtake moves a barrier before the records that are queued ahead of it, but not before another barrier, and adds them
// to its snapshot. They are sent behind it.
func (b *Backlog) overtake(c *OutputChannel, at int) {
	f := c.queue.remove(at)
	first := c.queue.behindBarriers(at)
	for i := first; i < at; i++ {
		if ahead := c.queue.at(i); InFlight(ahead.data) {
			f.barrier.state.addOutput(c.ID, ahead.Buffer)
		}
	}
	f.barrier.Alignment = checkpoint.AlignmentUnaligned
	f.data = AppendBarrier(f.data[:0], f.barrier.Barrier)
	f.urgent, f.barrier.deadline = true, time.Time{}
	f.barrier.left()
	c.queue.insert(first, f)
}

// OnTimeout makes the adaptive barriers overtake whose deadline has passed, and sends what can go.
func (b *Backlog) OnTimeout(now time.Time) error {
	for _, c := range b.channels {
		for i := range c.queue.len() {
			if q := c.queue.at(i).barrier; q != nil && !q.deadline.IsZero() && !now.Before(q.deadline) {
				b.overtake(c, i)
			}
		}
	}
	return b.Drain()
}

// Deadline returns when OnTimeout is to be called next, and whether it is.
func (b *Backlog) Deadline() (at time.Time, set bool) {
	for _, c := range b.channels {
		for i := range c.queue.len() {
			if q := c.queue.at(i).barrier; q != nil && !q.deadline.IsZero() && (!set || q.deadline.Before(at)) {
				at, set = q.deadline, true
			}
		}
	}
	return at, set
}

// Cancel tells everybody downstream at once that a checkpoint was given up, and takes back its barriers.
func (o *Output) Cancel(id checkpoint.ID) error {
	frame := AppendCancel(nil, id)
	for _, c := range o.Channels {
		for i := c.queue.len() - 1; i >= 0; i-- {
			if q := c.queue.at(i).barrier; q != nil && q.ID == id {
				o.Backlog.drop(c, i)
			}
		}
		if err := c.broken(c.writer.Force(frame)); err != nil {
			return err
		}
		o.bytes += int64(len(frame))
	}
	o.Backlog.channels = slices.DeleteFunc(o.Backlog.channels, func(c *OutputChannel) bool { return c.queue.len() == 0 })
	return nil
}
