package transport

import (
	"context"
	"fmt"
	"sync"
)

// QueueLimits bound what a session queues for a peer that does not keep up.
type QueueLimits struct {
	Messages int // default 4096
	Bytes    int // default 64 MiB
}

func (l QueueLimits) withDefaults() QueueLimits {
	if l.Messages <= 0 {
		l.Messages = 4096
	}
	if l.Bytes <= 0 {
		l.Bytes = 64 << 20
	}
	return l
}

// outbox queues messages for a peer, so that whoever sends never waits for the network. put may be called from
// any goroutine; run belongs to one.
type outbox[M any] struct {
	limits QueueLimits
	wake   chan struct{} // capacity 1: a pending signal covers all that is queued; never closed

	mu struct {
		sync.Mutex
		queue []queued[M]
		// messages and bytes count what is queued and what is being sent.
		messages int
		bytes    int
	}
}

type queued[M any] struct {
	message M
	size    int
}

func newOutbox[M any](limits QueueLimits) *outbox[M] {
	return &outbox[M]{limits: limits.withDefaults(), wake: make(chan struct{}, 1)}
}

// put queues a message of size bytes. It returns an error that wraps ErrOverflow when the message does not
// fit; it is not queued then.
func (o *outbox[M]) put(message M, size int) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.mu.messages >= o.limits.Messages || o.mu.bytes+size > o.limits.Bytes {
		return fmt.Errorf("%w with %d messages, %d bytes", ErrOverflow, o.mu.messages, o.mu.bytes)
	}
	o.addLocked(message, size)
	return nil
}

// offer queues messages, all or none: none when something waits to be sent, or is being sent. So however slow the peer
// is, no more than what one call offers ever waits.
func (o *outbox[M]) offer(messages []queued[M]) bool {
	size := 0
	for _, q := range messages {
		size += q.size
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.mu.messages > 0 || len(messages) > o.limits.Messages || size > o.limits.Bytes {
		return false
	}
	for _, q := range messages {
		o.addLocked(q.message, q.size)
	}
	return true
}

func (o *outbox[M]) addLocked(message M, size int) {
	o.mu.queue = append(o.mu.queue, queued[M]{message, size})
	o.mu.messages++
	o.mu.bytes += size
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// run sends what is queued, in order, until ctx is done or a send fails.
func (o *outbox[M]) run(ctx context.Context, send func(M) error) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-o.wake:
		}
		for _, q := range o.take() {
			if err := send(q.message); err != nil {
				return err
			}
			o.sent(q.size)
		}
	}
}

func (o *outbox[M]) take() []queued[M] {
	o.mu.Lock()
	defer o.mu.Unlock()
	batch := o.mu.queue
	o.mu.queue = nil
	return batch
}

func (o *outbox[M]) sent(size int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mu.messages--
	o.mu.bytes -= size
}
