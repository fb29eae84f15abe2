package sim

import (
	"maps"
	"slices"
	"time"

	"cairn/checkpoint"
)

// coord is one coordinator: a replica of the log, the sessions that nodes keep to it, and the leader loop
// while it leads. Its disk survives a crash, nothing else does.
type coord struct {
	w        *World
	self     int
	id       checkpoint.NodeID
	up       bool
	life     int // counts the starts of its process
	skew     time.Duration
	raft     *replica
	sessions map[checkpoint.NodeID]*session
	loop     *leaderLoop // nil while it does not lead
}

// clock is the coordinator's wall clock, which is not that of the others.
func (c *coord) clock() time.Time { return epoch.Add(c.w.now + c.skew) }

// after schedules something that dies with the process.
func (c *coord) after(d time.Duration, do func()) {
	life := c.life
	c.w.after(d, func() {
		if c.up && c.life == life {
			do()
		}
	})
}

func (c *coord) start() {
	if c.up {
		return
	}
	c.life++
	c.up = true
	c.sessions = make(map[checkpoint.NodeID]*session)
	c.w.trace.add(c.w.now, "%s starts", c.id)
	c.raft.start()
	c.w.moment(Moment{Kind: Starts, Coordinator: c.id})
}

// crash ends the process without any of its last words.
func (c *coord) crash() {
	if !c.up {
		return
	}
	c.w.trace.add(c.w.now, "%s crashes", c.id)
	c.w.stats.CoordinatorCrashes++
	c.endLoop()
	c.up = false
	for _, id := range slices.Sorted(maps.Keys(c.sessions)) {
		s := c.sessions[id]
		s.coordinatorOpen = false
		s.down.close()
		c.w.after(s.notice(), s.closeNode)
	}
	c.sessions = nil
	c.w.moment(Moment{Kind: Crashes, Coordinator: c.id})
}

// lead starts the leader loop of a term.
func (c *coord) lead(term checkpoint.Term) {
	if c.loop != nil && c.loop.term == term {
		return
	}
	if c.loop != nil {
		c.stopLeading() // of a leadership that was lost and won again before anybody looked
	}
	l := newLeaderLoop(c, term)
	c.loop = l
	c.w.trace.add(c.w.now, "%s leads term %d from index %d", c.id, term, c.raft.applied)
	for _, id := range slices.Sorted(maps.Keys(c.sessions)) {
		l.opened(c.sessions[id])
	}
	l.tick()
	c.w.moment(Moment{Kind: Leads, Coordinator: c.id, Term: term})
}

const (
	drainLimit = 2 * time.Second // how long a hand-over waits for what is pending
	drainPoll  = 10 * time.Millisecond
)

// handOver hands leadership to another coordinator, after what is pending has had time to finish. Nothing begins
// meanwhile.
func (c *coord) handOver(to int) {
	l := c.loop
	if l == nil {
		return
	}
	c.w.stats.HandOvers++
	until := c.w.now + drainLimit
	var drain func()
	drain = func() {
		l.view.Draining = true
		for _, j := range c.raft.state.Jobs {
			if len(j.Pending) > 0 && c.w.now < until {
				l.after(drainPoll, func() { l.post(drain) })
				return
			}
		}
		c.raft.transfer(to)
		l.after(transferLimit, func() { l.post(func() { l.view.Draining = false }) })
	}
	l.post(drain)
}

// deposed is how the coordinator hears that it has lost the leadership: a moment later, as from another goroutine, or
// much later, as after a pause of the process. Until then its leader loop goes on, in a term that is over.
func (c *coord) deposed() {
	l := c.loop
	if l == nil {
		return
	}
	c.after(c.w.linger(), func() {
		if c.loop == l {
			c.stopLeading()
		}
	})
}

// stopLeading ends the leader loop and all sessions, so that the nodes look for a leader.
func (c *coord) stopLeading() {
	term := c.loop.term
	c.w.trace.add(c.w.now, "%s stops leading term %d", c.id, term)
	c.endLoop()
	for _, id := range slices.Sorted(maps.Keys(c.sessions)) {
		c.sessions[id].closeCoordinator()
	}
	c.w.moment(Moment{Kind: StopsLeading, Coordinator: c.id, Term: term})
}

func (c *coord) endLoop() {
	if c.loop != nil {
		c.loop.ended = true
		c.loop = nil
	}
}

// raftLeader returns the coordinator that leads the newest term, nil for none.
func (w *World) raftLeader() *coord {
	var newest *coord
	for _, c := range w.coordinators {
		if c.up && c.raft.role == leading && (newest == nil || c.raft.term > newest.raft.term) {
			newest = c
		}
	}
	return newest
}
