package dataflow

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// queueCapacity is how many frames an input channel holds before its writer has to wait.
const queueCapacity = 8

// errTaskEnded is what writers to a task get that has failed or was cancelled.
var errTaskEnded = errors.New("the receiving task has ended")

// framePool holds the memory of frames between two uses. A frame is taken by the writer that fills it and
// given back by the task when it has been processed.
var framePool = sync.Pool{New: func() any { return new([]byte) }}

// gate is where frames of all input channels arrive. Each channel has a queue of its own, so that one which
// is blocked or full does not stall another. The task's goroutine takes, one goroutine per channel puts.
type gate struct {
	// ready has capacity 1 and is never closed: there may be a frame to take, or an error.
	ready chan struct{}

	mu struct {
		sync.Mutex
		channels []inputChannel
		// turns lists the channels that have frames and are not blocked, each once, in the order in which
		// they are served.
		turns  []int
		broken error // the first channel that broke
		ended  bool  // the task takes no more
		final  error // when ended: what writers get; nil when the task has finished and frames are dropped
	}
}

type inputChannel struct {
	queue    []*[]byte
	blocked  bool
	queued   bool // it is in turns
	accepted bool
	complete bool // its end of partition has been put
	// space has capacity 1 and is never closed: there may be room in the queue, or the task has ended.
	space chan struct{}
}

func newGate(channels int) *gate {
	g := &gate{ready: make(chan struct{}, 1)}
	g.mu.channels = make([]inputChannel, channels)
	for i := range g.mu.channels {
		g.mu.channels[i].space = make(chan struct{}, 1)
	}
	return g
}

// take returns the next frame of a channel that is not blocked, in turn, or no frame when there is none. The
// caller gives it back to recycle.
func (g *gate) take() (channel int, frame *[]byte, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.broken != nil {
		return 0, nil, g.mu.broken
	}
	for len(g.mu.turns) > 0 {
		channel = g.mu.turns[0]
		g.mu.turns = slices.Delete(g.mu.turns, 0, 1)
		c := &g.mu.channels[channel]
		c.queued = false
		if c.blocked {
			continue // it gets its turn back when it is unblocked
		}
		frame = c.queue[0]
		c.queue = slices.Delete(c.queue, 0, 1)
		g.enqueueLocked(channel)
		signal(c.space)
		return channel, frame, nil
	}
	return 0, nil, nil
}

func recycle(frame *[]byte) { framePool.Put(frame) }

// block keeps a channel's frames in its queue.
func (g *gate) block(channels []int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, i := range channels {
		g.mu.channels[i].blocked = true
	}
}

// unblock lets the channels be taken from again.
func (g *gate) unblock(channels []int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, i := range channels {
		g.mu.channels[i].blocked = false
		g.enqueueLocked(i)
	}
}

// enqueueLocked gives a channel a turn if it has something to take.
func (g *gate) enqueueLocked(channel int) {
	c := &g.mu.channels[channel]
	if c.queued || c.blocked || len(c.queue) == 0 {
		return
	}
	c.queued = true
	g.mu.turns = append(g.mu.turns, channel)
	signal(g.ready)
}

// end makes writers stop: with an error, or, when the task has finished and needs nothing more, in the belief
// that what they write arrives.
func (g *gate) end(final error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.ended, g.mu.final = true, final
	for i := range g.mu.channels {
		g.mu.channels[i].queue = nil
		signal(g.mu.channels[i].space)
	}
	g.mu.turns = nil
}

// fail tells the task that a channel broke. After the end of the channel it means nothing.
func (g *gate) fail(channel int, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.mu.channels[channel].complete && !g.mu.ended && g.mu.broken == nil {
		g.mu.broken = err
		signal(g.ready)
	}
}

// accept marks a channel as connected. Each is connected once.
func (g *gate) accept(channel int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := &g.mu.channels[channel]
	switch {
	case g.mu.ended:
		return errTaskEnded
	case c.accepted:
		return errors.New("the channel is connected already")
	}
	c.accepted = true
	return nil
}

// tryPut queues a copy of the frame if there is room.
func (g *gate) tryPut(channel int, frame []byte) (done bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := &g.mu.channels[channel]
	switch {
	case g.mu.ended:
		return true, g.mu.final
	case c.complete:
		return true, fmt.Errorf("%w: it follows the end of the partition", errFrame)
	case len(c.queue) >= queueCapacity:
		return false, nil
	}
	memory := framePool.Get().(*[]byte)
	*memory = append((*memory)[:0], frame...)
	c.queue = append(c.queue, memory)
	c.complete = len(frame) > 0 && frame[0] == frameEndOfPartition
	g.enqueueLocked(channel)
	return true, nil
}

// put queues a copy of the frame and waits for room if there is none.
func (g *gate) put(ctx context.Context, channel int, frame []byte) error {
	for {
		done, err := g.tryPut(channel, frame)
		if done {
			return err
		}
		select {
		case <-g.mu.channels[channel].space: // channels is not changed after newGate
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// signal makes a channel of capacity 1 ready, if it is not.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// receiver is the writing end of an input channel, for the transport.
type receiver struct {
	gate    *gate
	channel int
	name    string // for errors: sending and receiving subtask and the sender's node
}

var _ FailingWriter = (*receiver)(nil)

func (r *receiver) Write(ctx context.Context, frame []byte) error {
	if err := r.gate.put(ctx, r.channel, frame); err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	return nil
}

// Close breaks the channel unless its end of partition has been written.
func (r *receiver) Close() error {
	r.Fail(errors.New("closed before its end"))
	return nil
}

// Fail breaks the channel for the given cause, unless its end of partition has been written.
func (r *receiver) Fail(cause error) {
	r.gate.fail(r.channel, secondary(fmt.Errorf("%s broke: %w", r.name, cause)))
}
