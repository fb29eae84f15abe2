package exchange

import (
	"cairn/checkpoint"
	"cairn/dataflow/aligner"
)

// Arrival is what a task hears of at once, whatever is queued before it.
type Arrival struct {
	Channel int
	Barrier checkpoint.Barrier // that may overtake; it also keeps its place in the queue
	Cancel  checkpoint.ID      // a cancellation, when not 0
}

// TakeArrivals returns what the task has to hear of before it takes another frame.
func (g *Gate) TakeArrivals() []Arrival {
	g.mu.Lock()
	defer g.mu.Unlock()
	arrivals := g.mu.arrivals
	g.mu.arrivals = nil
	return arrivals
}

// announceLocked tells the task of the channel's first barrier, if that may overtake what is queued before it. The
// ones behind have to wait until the first has been taken: barriers do not overtake each other.
func (g *Gate) announceLocked(channel int) {
	q := &g.mu.channels[channel].queue
	for i := range q.len() {
		f := q.at(i)
		if f.barrier == nil {
			continue
		}
		if aligner.MayOvertake(*f.barrier) && !f.announced {
			f.announced = true
			g.arriveLocked(Arrival{Channel: channel, Barrier: *f.barrier})
		}
		return
	}
}

func (g *Gate) arriveLocked(a Arrival) {
	g.mu.arrivals = append(g.mu.arrivals, a)
	signal(g.urgent)
}
