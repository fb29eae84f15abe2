package faults

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"sync"

	"cairn/checkpoint"
	"cairn/dataflow/exchange"
)

// linkRoom is how many frames a link carries at a time, besides what the receiver has granted. It is small, so that
// records pile up in the tasks: barriers then have something to wait for, or to overtake.
const linkRoom = 2

// link is a data channel between two nodes, as transport makes them: the frames that the sender has credit for are under
// way, in order, until the receiver has them.
type link struct {
	network  *network
	id       exchange.ChannelID
	from, to checkpoint.NodeID
	sink     exchange.FrameWriter // of the receiving task
	ready    func()               // of the sending one
	wake     chan struct{}        // capacity 1, never closed: there is something to carry, or the end
	gone     context.CancelFunc   // ends what the network holds up

	mu struct {
		sync.Mutex
		credit  exchange.Credit
		refused bool // a frame, since ready was called last
		queue   [][]byte
		closed  bool  // by the sender
		broken  error // nil while it is not
	}
}

var _ exchange.FrameWriter = (*link)(nil)

// dialer opens channels from one node to others.
type dialer struct {
	c    *cluster
	from checkpoint.NodeID
}

var _ exchange.Connector = dialer{}

// Connect opens a link.
func (d dialer) Connect(ctx context.Context, to checkpoint.NodeRef, id exchange.ChannelID, ready func()) (exchange.FrameWriter, error) {
	if err := d.c.network.carry(ctx, d.from, to.ID); err != nil {
		return nil, err
	}
	n := d.c.nodeOf(to.ID)
	if n == nil {
		return nil, fmt.Errorf("node %s: %w", to.ID, errDown)
	}
	l := &link{network: d.c.network, id: id, from: d.from, to: to.ID, ready: ready, wake: make(chan struct{}, 1)}
	var err error
	if l.sink, err = n.AcceptChannel(ctx, id, l.grant); err != nil {
		return nil, err
	}
	var carrying context.Context
	carrying, l.gone = context.WithCancel(context.Background())
	if !d.c.links.add(l, n) {
		l.fail(errDown)
		return nil, fmt.Errorf("node %s: %w", to.ID, errDown)
	}
	d.c.running.Go(func() {
		defer d.c.links.remove(l)
		l.run(carrying)
	})
	return l, nil
}

// grant takes in what the receiving task grants. That is not held up by cuts: what is sent because of it is.
func (l *link) grant(more exchange.Credit) {
	l.mu.Lock()
	l.mu.credit = l.mu.credit.Add(more)
	l.mu.Unlock()
	l.tellReady()
}

// tellReady tells the sender that there is room, if it has been refused some.
func (l *link) tellReady() {
	l.mu.Lock()
	tell := l.mu.refused && (l.roomLocked() || l.mu.broken != nil)
	l.mu.refused = l.mu.refused && !tell
	l.mu.Unlock()
	if tell {
		l.ready()
	}
}

func (l *link) roomLocked() bool { return l.mu.credit.Some() && len(l.mu.queue) < linkRoom }

// TryWrite implements exchange.FrameWriter.
func (l *link) TryWrite(frame []byte) (sent bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.mu.broken != nil:
		return false, l.mu.broken
	case !l.roomLocked():
		l.mu.refused = true
		return false, nil
	}
	l.mu.credit = l.mu.credit.Spend(len(frame))
	l.queueLocked(frame)
	return true, nil
}

// Force implements exchange.FrameWriter.
func (l *link) Force(frame []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.broken != nil {
		return l.mu.broken
	}
	l.queueLocked(frame)
	return nil
}

func (l *link) queueLocked(frame []byte) {
	l.mu.queue = append(l.mu.queue, bytes.Clone(frame))
	l.signal()
}

func (l *link) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Close ends the link behind what has been sent.
func (l *link) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.closed = true
	l.signal()
	return nil
}

// fail breaks the link, at both ends.
func (l *link) fail(cause error) {
	l.mu.Lock()
	first := l.mu.broken == nil
	if first {
		l.mu.broken = fmt.Errorf("%s from %s to %s broke: %w", l.id, l.from, l.to, cause)
	}
	l.mu.Unlock()
	if !first {
		return
	}
	l.gone()
	l.signal()
	l.ready()
	l.sink.(exchange.FailingWriter).Fail(cause)
}

// run carries frames until the link has been closed or is broken.
func (l *link) run(ctx context.Context) {
	for {
		frame, end := l.next()
		switch {
		case end:
			l.gone()
			l.sink.Close() // without the end of the partition before it, that is a break, too
			return
		case frame == nil:
			<-l.wake
			continue
		}
		err := l.network.carry(ctx, l.from, l.to)
		if err == nil {
			err = l.sink.Force(frame)
		}
		if err != nil {
			l.fail(err)
		}
		l.mu.Lock()
		l.mu.queue = l.mu.queue[1:]
		l.mu.Unlock()
		l.tellReady()
	}
}

// next returns the frame that is first in turn, nil when there is none; or that the link has come to its end.
func (l *link) next() (frame []byte, end bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.mu.broken != nil:
		return nil, true
	case len(l.mu.queue) > 0:
		return l.mu.queue[0], false
	case l.mu.closed:
		return nil, true
	}
	return nil, false
}

// intact reports whether the link is neither broken nor closed.
func (l *link) intact() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.broken == nil && !l.mu.closed
}

// compare orders links by what they connect.
func (l *link) compare(other *link) int {
	return cmp.Or(cmp.Compare(l.id.Attempt, other.id.Attempt), cmp.Compare(l.id.Edge, other.id.Edge),
		cmp.Compare(l.id.From, other.id.From), cmp.Compare(l.id.To, other.id.To))
}
