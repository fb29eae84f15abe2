package coordinator

import "sync"

// inbox hands events to the leader loop in order. Posting never blocks: a session's reader must not wait
// for a leader that waits for Raft. Nothing here bounds its length; what the nodes have to say while the leader
// waits does: acks and status changes of their subtasks.
type inbox struct {
	ready chan struct{} // capacity 1: a token says that events may be queued; never closed

	mu struct {
		sync.Mutex
		events []func()
		closed bool
	}
}

func newInbox() *inbox { return &inbox{ready: make(chan struct{}, 1)} }

// post queues an event. It reports false when the loop has ended and nobody will handle it.
func (b *inbox) post(event func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mu.closed {
		return false
	}
	b.mu.events = append(b.mu.events, event)
	select {
	case b.ready <- struct{}{}:
	default:
	}
	return true
}

// drain returns the queued events and empties the queue.
func (b *inbox) drain() []func() {
	b.mu.Lock()
	defer b.mu.Unlock()
	events := b.mu.events
	b.mu.events = nil
	return events
}

// close makes post report false from now on and drops what is queued.
func (b *inbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.mu.closed, b.mu.events = true, nil
}
