package dataflow

import (
	"cairn/checkpoint"
	"cairn/dataflow/aligner"
)

// arrival is what a task hears of at once, whatever is queued before it.
type arrival struct {
	channel int
	barrier checkpoint.Barrier // that may overtake; it also keeps its place in the queue
	cancel  checkpoint.ID      // a cancellation, when not 0
}

// takeArrivals returns what the task has to hear of before it takes another frame.
func (g *gate) takeArrivals() []arrival {
	g.mu.Lock()
	defer g.mu.Unlock()
	arrivals := g.mu.arrivals
	g.mu.arrivals = nil
	return arrivals
}

// announceLocked tells the task of the channel's first barrier, if that may overtake what is queued before it. The
// ones behind have to wait until the first has been taken: barriers do not overtake each other.
func (g *gate) announceLocked(channel int) {
	q := &g.mu.channels[channel].queue
	for i := range q.len() {
		f := q.at(i)
		if f.barrier == nil {
			continue
		}
		if aligner.MayOvertake(*f.barrier) && !f.announced {
			f.announced = true
			g.arriveLocked(arrival{channel: channel, barrier: *f.barrier})
		}
		return
	}
}

func (g *gate) arriveLocked(a arrival) {
	g.mu.arrivals = append(g.mu.arrivals, a)
	signal(g.urgent)
}
