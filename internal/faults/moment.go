package faults

import (
	"fmt"
	"sync"

	"cairn/checkpoint"
)

// Moment is a time at which something is under way that a fault could spoil.
type Moment uint8

const (
	// Storing: a copy of a chunk has got to the node, and is about to be stored there.
	Storing Moment = iota
	// Acknowledged: the node has sent acknowledgements of a checkpoint.
	Acknowledged
	// Marked: the leader has asked the node for the mark of a sweep.
	Marked
	// Deleting: the leader has told the node what to delete.
	Deleting
	// Copying: the leader has ordered copies from the node.
	Copying
	// Restoring: the leader has sent the node tasks, with the state that they go on from.
	Restoring
	// Led: a leader has introduced itself to the node.
	Led

	numMoments
)

var momentNames = [numMoments]string{"storing", "acknowledged", "marked", "deleting", "copying", "restoring", "led"}

// String returns the moment's name for people.
func (m Moment) String() string {
	if m >= numMoments {
		return fmt.Sprintf("moment(%d)", uint8(m))
	}
	return momentNames[m]
}

// Event is a moment that has come at a node.
type Event struct {
	Moment Moment
	Node   checkpoint.NodeID
	Order  checkpoint.ToNode // what the leader has sent, where it is that
}

// moments tells those who wait for them. It is safe for concurrent use.
type moments struct {
	mu      sync.Mutex
	waiting map[*momentWait]bool
}

type momentWait struct {
	match func(Event) bool
	came  chan Event // capacity 1, never closed
}

// next returns where the next event is told that matches. match must be quick, and is called from anywhere.
func (m *moments) next(match func(Event) bool) <-chan Event {
	w := &momentWait{match, make(chan Event, 1)}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.waiting[w] = true
	return w.came
}

func (m *moments) come(e Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for w := range m.waiting {
		if w.match(e) {
			delete(m.waiting, w)
			w.came <- e
		}
	}
}

// ordered takes in what a coordinator has sent to a node.
func (m *moments) ordered(node checkpoint.NodeID, order checkpoint.ToNode) {
	e := Event{Node: node, Order: order}
	switch order := order.(type) {
	case checkpoint.MarkChunks:
		e.Moment = Marked
	case checkpoint.DeleteChunks:
		e.Moment = Deleting
	case checkpoint.CopyChunks:
		e.Moment = Copying
	case checkpoint.Leading:
		e.Moment = Led
	case checkpoint.Deploy:
		if order.Restore == 0 {
			return
		}
		e.Moment = Restoring
	default:
		return
	}
	m.come(e)
}

// said takes in what a node has sent to a coordinator.
func (m *moments) said(node checkpoint.NodeID, message checkpoint.FromNode) {
	if _, acks := message.(checkpoint.AckBatch); acks {
		m.come(Event{Moment: Acknowledged, Node: node})
	}
}
