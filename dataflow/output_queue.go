package dataflow

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
	*buffer
	urgent  bool           // it needs none, only its turn
	barrier *queuedBarrier // when it is one
}

// queuedBarrier is a barrier whose checkpoint may have to know how far it has come.
type queuedBarrier struct {
	checkpoint.Barrier
	deadline time.Time     // when it begins to overtake; zero for never
	state    *channelState // to be closed when the barrier has gone out; nil when nobody waits for that
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
		f.release()
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

// backlog is what all outputs of a task hold back until their receivers have room. It belongs to the task's goroutine.
type backlog struct {
	flow     flow
	clock    func() time.Time
	room     chan struct{}    // capacity 1, never closed: a receiver may have room again, or its channel broke
	channels []*outputChannel // those with a queue
	bytes    int              // in all queues
	full     int              // channels over flow.soft
	stats    *taskStats       // of the task
}

func newBacklog(f flow, clock func() time.Time, stats *taskStats) *backlog {
	return &backlog{flow: f, clock: clock, stats: stats, room: make(chan struct{}, 1)}
}

// trySend sends a frame if nothing waits before it and there is credit.
func (b *backlog) trySend(c *outputChannel, frame []byte) (sent bool, err error) {
	if c.queue.len() > 0 {
		return false, nil
	}
	sent, err = c.writer.TryWrite(frame)
	return sent, c.broken(err)
}

func (c *outputChannel) broken(err error) error {
	if err == nil {
		return nil
	}
	return secondary(fmt.Errorf("%s broke: %w", c.name, err))
}

// push queues a frame at the end.
func (b *backlog) push(c *outputChannel, f queuedOutput) {
	if c.queue.len() == 0 {
		b.channels = append(b.channels, c)
	}
	c.queue.push(f)
	b.count(c, len(f.data))
}

// count accounts for a change of a queue's size.
func (b *backlog) count(c *outputChannel, bytes int) {
	before := c.queue.bytes >= b.flow.soft
	c.queue.bytes += bytes
	b.bytes += bytes
	b.stats.outputBytes.Store(int64(b.bytes))
	switch after := c.queue.bytes >= b.flow.soft; {
	case after && !before:
		b.full++
	case before && !after:
		b.full--
	}
}

// drain sends what there is credit for.
func (b *backlog) drain() error {
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

func (b *backlog) drainChannel(c *outputChannel) error {
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
func (b *backlog) drop(c *outputChannel, at int) {
	f := c.queue.remove(at)
	b.count(c, -len(f.data))
	f.barrier.left()
	f.release()
}

// settleOverdraft waits while more is queued than a task may emit without looking at its input.
func (b *backlog) settleOverdraft(ctx context.Context) error {
	for b.bytes >= b.flow.overdraft {
		if err := b.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// sendAll returns when nothing is queued any more.
func (b *backlog) sendAll(ctx context.Context) error {
	for len(b.channels) > 0 {
		if err := b.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// wait waits for room and uses it. The task sees to nothing else meanwhile.
func (b *backlog) wait(ctx context.Context) error {
	b.stats.waits.begin(waitRoom, b.clock())
	select {
	case <-b.room:
	case <-ctx.Done():
		return ctx.Err()
	}
	b.stats.waits.end(b.clock())
	return b.drain()
}
