package sim

import (
	"container/heap"
	"time"
)

// schedule is virtual time: events in the order of their times, those of the same time in the order in which
// they were scheduled. Nothing waits; time jumps from event to event.
type schedule struct {
	now    time.Duration // since the world began
	seq    uint64
	events eventHeap
}

type event struct {
	at  time.Duration
	seq uint64 // makes the order total, and with it a run repeatable
	do  func()
}

// after schedules an event; a delay below zero means now.
func (s *schedule) after(d time.Duration, do func()) {
	s.seq++
	heap.Push(&s.events, event{at: s.now + max(d, 0), seq: s.seq, do: do})
}

// step carries out the next event. It reports false when there is none.
func (s *schedule) step() bool {
	if len(s.events) == 0 {
		return false
	}
	e := heap.Pop(&s.events).(event)
	s.now = e.at
	e.do()
	return true
}

// eventHeap implements heap.Interface.
type eventHeap []event

func (h eventHeap) Len() int { return len(h) }

func (h eventHeap) Less(i, j int) bool {
	if h[i].at != h[j].at {
		return h[i].at < h[j].at
	}
	return h[i].seq < h[j].seq
}

func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

func (h *eventHeap) Push(x any) { *h = append(*h, x.(event)) }

func (h *eventHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = event{} // let go of the closure
	*h = (*h)[:last]
	return e
}
