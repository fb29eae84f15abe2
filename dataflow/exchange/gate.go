package exchange

import (
	"errors"
	"fmt"
	"sync"

	"cairn/checkpoint"
)

// ErrTaskEnded is what writers to a task get that has failed or was cancelled.
var ErrTaskEnded = errors.New("the receiving task has ended")

// errCredit says that a frame came for which there was no room: the sender does not keep to its credit.
var errCredit = errors.New("the sender has no credit for the frame")

// Gate is where frames of all input channels arrive. Each channel has a queue of its own, so that one which
// is blocked or full does not stall another. The task's goroutine takes, one goroutine per channel puts.
type Gate struct {
	// Flow bounds the channels. It is not changed once one has been accepted.
	Flow Flow
	// ready has capacity 1 and is never closed: there may be a frame to take, or an error.
	ready chan struct{}
	// urgent has capacity 1 and is never closed: there may be arrivals to take, which go before all frames.
	urgent chan struct{}

	mu struct {
		sync.Mutex
		channels []inputChannel
		// turns lists the channels that have frames and are not blocked, each once, in the order in which
		// they are served.
		turns    fifo[int]
		arrivals []Arrival
		broken   error // the first channel that broke
		ended    bool  // the task takes no more
		final    error // when ended: what writers get; nil when the task has finished and frames are dropped
	}
}

type inputChannel struct {
	queue    fifo[queuedFrame]
	blocked  bool
	queued   bool // it is in turns
	accepted bool
	complete bool // its end of partition has been put

	credit Credit       // that the sender has left
	owed   Credit       // taken by the task and not granted to the sender again
	grant  func(Credit) // nil until accepted

	recordings []recording
}

// queuedFrame is a frame that waits for its turn.
type queuedFrame struct {
	*Buffer
	free      bool                // it has cost no credit
	barrier   *checkpoint.Barrier // when it is one
	announced bool                // the task has heard of the barrier
	last      bool                // it ends the partition
}

// NewGate returns the gate of a task with so many input channels, none of which is connected yet.
func NewGate(channels int) *Gate {
	g := &Gate{Flow: DefaultFlow(), ready: make(chan struct{}, 1), urgent: make(chan struct{}, 1)}
	g.mu.channels = make([]inputChannel, channels)
	return g
}

// Ready is signalled when there may be a frame to take, or an error.
func (g *Gate) Ready() <-chan struct{} { return g.ready }

// Urgent is signalled when there may be arrivals to take.
func (g *Gate) Urgent() <-chan struct{} { return g.urgent }

// Take returns the next frame of a channel that is not blocked, in turn, or none when there is none or something
// has arrived that goes first. The caller releases the frame. An error means that a channel broke.
func (g *Gate) Take() (channel int, frame *Buffer, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.broken != nil {
		return 0, nil, g.mu.broken
	}
	if len(g.mu.arrivals) > 0 {
		return 0, nil, nil
	}
	for g.mu.turns.len() > 0 {
		channel = g.mu.turns.pop()
		c := &g.mu.channels[channel]
		c.queued = false
		if c.blocked {
			continue // it gets its turn back when it is unblocked
		}
		f := c.queue.pop()
		g.enqueueLocked(channel)
		if f.barrier != nil {
			g.announceLocked(channel)
		}
		if !f.free {
			c.repay(len(f.data), g.Flow.grantAt())
		}
		return channel, f.Buffer, nil
	}
	return 0, nil, nil
}

// repay gives the sender room back, from time to time: one that waits for it need not be woken for every frame.
func (c *inputChannel) repay(size int, at Credit) {
	c.owed = c.owed.Add(Credit{1, size})
	if c.owed.Frames < at.Frames && c.owed.Bytes < at.Bytes {
		return
	}
	c.credit = c.credit.Add(c.owed)
	if c.grant != nil {
		c.grant(c.owed)
	}
	c.owed = Credit{}
}

// QueuedBytes returns the size of all frames that wait to be taken. It may be called from any goroutine.
func (g *Gate) QueuedBytes() (bytes int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.mu.channels {
		q := &g.mu.channels[i].queue
		for at := range q.len() {
			bytes += int64(len(q.at(at).data))
		}
	}
	return bytes
}

// Block keeps the frames of the channels in their queues.
func (g *Gate) Block(channels []int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, i := range channels {
		g.mu.channels[i].blocked = true
	}
}

// Unblock lets the channels be taken from again.
func (g *Gate) Unblock(channels []int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, i := range channels {
		g.mu.channels[i].blocked = false
		g.enqueueLocked(i)
	}
}

// enqueueLocked gives a channel a turn if it has something to take.
func (g *Gate) enqueueLocked(channel int) {
	c := &g.mu.channels[channel]
	if c.queued || c.blocked || c.queue.len() == 0 {
		return
	}
	c.queued = true
	g.mu.turns.push(channel)
	signal(g.ready)
}

// End makes writers stop: with an error, or, when the task has finished and needs nothing more, in the belief
// that what they write arrives. What is queued is dropped.
func (g *Gate) End(final error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mu.ended, g.mu.final = true, final
	for i := range g.mu.channels {
		c := &g.mu.channels[i]
		for c.queue.len() > 0 {
			c.queue.pop().Release()
		}
		c.recordings = nil
		if c.grant != nil {
			c.grant(g.Flow.Window) // whoever waits for room looks again
		}
	}
	g.mu.turns = fifo[int]{}
	g.mu.arrivals = nil
}

// fail tells the task that a channel broke. After the end of the channel it means nothing.
func (g *Gate) fail(channel int, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.mu.channels[channel].complete && !g.mu.ended && g.mu.broken == nil {
		g.mu.broken = err
		signal(g.ready)
	}
}

// accept marks a channel as connected and grants its sender the window. Each is connected once.
func (g *Gate) accept(channel int, grant func(Credit)) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := &g.mu.channels[channel]
	switch {
	case g.mu.ended:
		return ErrTaskEnded
	case c.accepted:
		return errors.New("the channel is connected already")
	}
	c.accepted, c.grant, c.credit = true, grant, g.Flow.Window
	grant(g.Flow.Window)
	return nil
}

// Restore puts frames that a snapshot has found in flight before everything that the channel delivers. They are not
// the sender's, and cost it nothing.
func (g *Gate) Restore(channel int, frames []*Buffer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := &g.mu.channels[channel]
	for i, f := range frames {
		c.queue.insert(i, queuedFrame{Buffer: f, free: true})
	}
	g.enqueueLocked(channel)
}

// PutBack makes what is left of the frame that was taken last the first one of its channel again. Snapshots that take in
// what the channel delivers have taken in the whole frame already.
func (g *Gate) PutBack(channel int, rest *Buffer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mu.ended {
		rest.Release()
		return
	}
	g.mu.channels[channel].queue.insert(0, queuedFrame{Buffer: rest, free: true})
	g.enqueueLocked(channel)
}

// tryPut queues a copy of the frame if there is room, or if it needs none.
func (g *Gate) tryPut(channel int, frame []byte) (sent bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := &g.mu.channels[channel]
	h := headOf(frame)
	switch {
	case g.mu.ended && g.mu.final == nil && !h.urgent:
		c.repay(len(frame), g.Flow.grantAt())
		return true, nil
	case g.mu.ended:
		return true, g.mu.final
	case c.complete:
		return true, fmt.Errorf("%w: it follows the end of the partition", ErrFrame)
	case !h.urgent && !c.credit.Some():
		return false, nil
	case h.cancel != 0:
		c.recordCancel(h.cancel)
		g.arriveLocked(Arrival{Channel: channel, Cancel: h.cancel})
		return true, nil
	case !h.urgent:
		c.credit = c.credit.Spend(len(frame))
	}
	g.putLocked(channel, queuedFrame{Buffer: CopyFrame(frame), free: h.urgent, barrier: h.barrier, last: h.last})
	return true, nil
}

func (g *Gate) putLocked(channel int, f queuedFrame) {
	c := &g.mu.channels[channel]
	c.complete = f.last
	if len(c.recordings) > 0 {
		c.recordings = recordFrame(c.recordings, f)
	}
	c.queue.push(f)
	if f.barrier != nil {
		g.announceLocked(channel)
	}
	g.enqueueLocked(channel)
}

// signal makes a channel of capacity 1 ready, if it is not.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
