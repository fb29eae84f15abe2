package exchange

import (
	"context"
	"fmt"
	"time"

	"cairn/checkpoint"
)

// outputQueue holds what an output channel could not send yet.
type outputQueue struct {
	fifo[queuedOutput]
	bytes int
}

// queuedOutput is a frame that waits for credit.
type queuedOutput struct {
	*Buffer
	urgent  bool           // it needs none, only its turn
	barrier *queuedBarrier // when it is one
}

// queuedBarrier is a barrier whose checkpoint may have to know how far it has come.
type queuedBarrier struct {
	checkpoint.Barrier
	deadline time.Time     // when it begins to overtake; zero for never
	state    *ChannelState // to be closed when the barrier has gone out; nil when nobody waits for that
}

// left says that the barrier has gone out, or will not.
func (b *queuedBarrier) left() {
	if b != nil && b.state != nil {
		b.state.close()
		b.state = nil
	}
}

func (q *outputQueue) release() {
	for q.len() > 0 {
		f := q.pop()
		f.Release()
	}
	q.bytes = 0
}

// behindBarriers returns the position behind the last barrier among the first n frames.
func (q *outputQueue) behindBarriers(n int) int {
	for n > 0 && q.at(n-1).barrier == nil {
		n--
	}
	return n
}

// Backlog is what all outputs of a task hold back until their receivers have room. It belongs to the task's goroutine.
type Backlog struct {
	flow     Flow
	room     chan struct{}    // capacity 1, never closed: a receiver may have room again, or its channel broke
	channels []*OutputChannel // those with a queue
	bytes    int              // in all queues
	full     int              // channels over flow.Soft
	observer Observer
}

// Observer hears what the outputs of a task hold back. The task's goroutine calls it.
type Observer interface {
	// OnQueued: so many bytes wait to be sent.
	OnQueued(bytes int)
	// OnStop: the task stands still amid a record, or at its end, for want of room.
	OnStop()
	// OnResume: it goes on.
	OnResume()
}

// NewBacklog returns the backlog of a task that has sent nothing yet.
func NewBacklog(f Flow, observer Observer) *Backlog {
	return &Backlog{flow: f, observer: observer, room: make(chan struct{}, 1)}
}

// Room is signalled when Drain may find room, or that a channel broke.
func (b *Backlog) Room() <-chan struct{} { return b.room }

// Full reports whether so much waits in some channel that the task is to take no more input.
func (b *Backlog) Full() bool { return b.full > 0 }

// Restore queues frames that a snapshot has found in flight, before everything that the task emits. Drain sends them.
func (b *Backlog) Restore(c *OutputChannel, frames []*Buffer) {
	for _, f := range frames {
		b.push(c, queuedOutput{Buffer: f})
	}
}

// trySend sends a frame if nothing waits before it and there is credit.
func (b *Backlog) trySend(c *OutputChannel, frame []byte) (sent bool, err error) {
	if c.queue.len() > 0 {
		return false, nil
	}
	sent, err = c.writer.TryWrite(frame)
	return sent, c.broken(err)
}

func (c *OutputChannel) broken(err error) error {
	if err == nil {
		return nil
	}
	return &ChannelError{fmt.Errorf("%s broke: %w", c.Name, err)}
}

// push queues a frame at the end.
func (b *Backlog) push(c *OutputChannel, f queuedOutput) {
	if c.queue.len() == 0 {
		b.channels = append(b.channels, c)
	}
	c.queue.push(f)
	b.count(c, len(f.data))
}

// count accounts for a change of a queue's size.
func (b *Backlog) count(c *OutputChannel, bytes int) {
	before := c.queue.bytes >= b.flow.Soft
	c.queue.bytes += bytes
	b.bytes += bytes
	b.observer.OnQueued(b.bytes)
	switch after := c.queue.bytes >= b.flow.Soft; {
	case after && !before:
		b.full++
	case before && !after:
		b.full--
	}
}

// Drain sends what there is credit for.
func (b *Backlog) Drain() error {
	kept := b.channels[:0]
	var broken error
	for _, c := range b.channels {
		if err := b.drainChannel(c); err != nil && broken == nil {
			broken = err
		}
		if c.queue.len() > 0 {
			kept = append(kept, c)
		}
	}
	clear(b.channels[len(kept):])
	b.channels = kept
	return broken
}

func (b *Backlog) drainChannel(c *OutputChannel) error {
	for c.queue.len() > 0 {
		f := c.queue.at(0)
		sent, err := true, error(nil)
		if f.urgent {
			err = c.writer.Force(f.data)
		} else {
			sent, err = c.writer.TryWrite(f.data)
		}
		if !sent || err != nil {
			return c.broken(err)
		}
		b.drop(c, 0)
	}
	return nil
}

// drop takes out a frame that has been sent or is not to be.
func (b *Backlog) drop(c *OutputChannel, at int) {
	f := c.queue.remove(at)
	b.count(c, -len(f.data))
	f.barrier.left()
	f.Release()
}

// settleOverdraft waits while more is queued than a task may emit without looking at its input.
func (b *Backlog) settleOverdraft(ctx context.Context) error {
	for b.bytes >= b.flow.Overdraft {
		if err := b.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// SendAll returns when nothing is queued any more.
func (b *Backlog) SendAll(ctx context.Context) error {
	for len(b.channels) > 0 {
		if err := b.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// wait waits for room and uses it. The task sees to nothing else meanwhile.
func (b *Backlog) wait(ctx context.Context) error {
	b.observer.OnStop()
	select {
	case <-b.room:
	case <-ctx.Done():
		return ctx.Err()
	}
	b.observer.OnResume()
	return b.Drain()
}
