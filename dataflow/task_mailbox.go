package dataflow

import (
	"slices"
	"sync"

	"cairn/checkpoint"
)

// maxMail bounds each kind of mail that waits. A task reads its mail between two batches; this many can only
// pile up while it is stalled for a long time, in which the oldest checkpoints have expired long ago.
const maxMail = 1024

// mailbox takes what other goroutines have to say to a task, without ever making them wait.
type mailbox struct {
	// ready has capacity 1 and is never closed: there is mail.
	ready chan struct{}

	mu struct {
		sync.Mutex
		mail   mail
		closed bool
	}
}

// mail is what a task has been told since it looked last.
type mail struct {
	triggers  []checkpoint.Barrier
	aborted   []checkpoint.ID
	completed checkpoint.ID // the highest; it stands for all before it
	failure   error         // of one of the task's other goroutines
}

func newMailbox() *mailbox { return &mailbox{ready: make(chan struct{}, 1)} }

// trigger reports false when the mailbox is closed.
func (m *mailbox) trigger(b checkpoint.Barrier) bool {
	return m.add(func(waiting *mail) {
		if !slices.Contains(waiting.triggers, b) {
			waiting.triggers = append(waiting.triggers, b)
			waiting.triggers = waiting.triggers[max(0, len(waiting.triggers)-maxMail):]
		}
	})
}

func (m *mailbox) complete(id checkpoint.ID) {
	m.add(func(waiting *mail) { waiting.completed = max(waiting.completed, id) })
}

// abort also takes back the checkpoint's trigger, if the task has not seen it yet.
func (m *mailbox) abort(id checkpoint.ID) {
	m.add(func(waiting *mail) {
		waiting.triggers = slices.DeleteFunc(waiting.triggers, func(b checkpoint.Barrier) bool { return b.ID == id })
		waiting.aborted = append(waiting.aborted, id)
		waiting.aborted = waiting.aborted[max(0, len(waiting.aborted)-maxMail):]
	})
}

func (m *mailbox) fail(err error) {
	m.add(func(waiting *mail) {
		if waiting.failure == nil {
			waiting.failure = err
		}
	})
}

func (m *mailbox) add(change func(*mail)) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.closed {
		return false
	}
	change(&m.mu.mail)
	signal(m.ready)
	return true
}

// take empties the mailbox.
func (m *mailbox) take() mail {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.mu.mail
	m.mu.mail = mail{}
	return taken
}

// close refuses further mail and returns what has not been taken.
func (m *mailbox) close() mail {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.closed = true
	taken := m.mu.mail
	m.mu.mail = mail{}
	return taken
}

// signal makes a channel of capacity 1 ready, if it is not.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
