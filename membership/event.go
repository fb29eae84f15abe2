package membership

import (
	"fmt"
	"slices"
)

// EventKind says what has become of a process.
type EventKind uint8

const (
	// EventJoined reports a live process. It follows EventFailed of the same process when that was wrong.
	EventJoined EventKind = 1
	// EventUpdated reports that a live process describes itself differently, say by a new RPC address.
	EventUpdated EventKind = 2
	// EventFailed reports that a process stopped answering, or that its successor has taken its address.
	EventFailed EventKind = 3
	// EventLeft reports that a process has said goodbye, perhaps after it had been reported failed.
	EventLeft EventKind = 4
)

// String returns the kind in lower case.
func (k EventKind) String() string {
	switch k {
	case EventJoined:
		return "joined"
	case EventUpdated:
		return "updated"
	case EventFailed:
		return "failed"
	case EventLeft:
		return "left"
	}
	return fmt.Sprintf("event(%d)", uint8(k))
}

// Event says what has become of one process of another member. Member.State agrees with Kind.
type Event struct {
	Kind   EventKind
	Member Member
}

// String names the event in logs and golden files.
func (e Event) String() string { return fmt.Sprintf("%s(%s)", e.Kind, e.Member.process()) }

// eventQueue holds the events that the consumer has not taken yet, at most one per process, so that it
// never blocks who adds and never grows beyond the number of processes. The caller synchronises.
type eventQueue struct {
	order   []process // of pending, oldest first
	pending map[process]Event
}

// push adds e. The newest state of a process is the one that counts, so e replaces what is pending of the
// same process; only an update to a process that has not been reported yet stays a join. What remains is in
// the order in which it happened: a process is never reported before the one it took the ID over from has
// been reported gone.
func (q *eventQueue) push(e Event) {
	p := e.Member.process()
	if old, found := q.pending[p]; found {
		q.order = slices.DeleteFunc(q.order, func(other process) bool { return other == p })
		if old.Kind == EventJoined && e.Kind == EventUpdated {
			e.Kind = EventJoined
		}
	}
	q.order = append(q.order, p)
	if q.pending == nil {
		q.pending = make(map[process]Event)
	}
	q.pending[p] = e
}

// pop takes the oldest event.
func (q *eventQueue) pop() (Event, bool) {
	if len(q.order) == 0 {
		return Event{}, false
	}
	p := q.order[0]
	q.order = q.order[1:]
	e := q.pending[p]
	delete(q.pending, p)
	return e, true
}
