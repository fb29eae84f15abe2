package sim

import "time"

// Fault is something that goes wrong at a random time.
type Fault struct {
	Name   string
	Weight int
	strike func(*World)
}

// faults are all that can go wrong, and how often compared to each other. Each repairs itself after a while.
var faults = []Fault{
	{"crash of the leader", 6, func(w *World) { w.crashCoordinator(w.leaderOrAny()) }},
	{"crash of a coordinator", 3, func(w *World) { w.crashCoordinator(pick(w, w.coordinators)) }},
	{"crash of all coordinators", 1, func(w *World) {
		for _, c := range w.coordinators {
			w.crashCoordinator(c)
		}
	}},
	{"crash of a node", 4, func(w *World) { w.crashNode(pick(w, w.hosts)) }},
	{"crash of the leader and a node", 1, func(w *World) {
		w.crashCoordinator(w.leaderOrAny())
		w.crashNode(pick(w, w.hosts))
	}},
	{"goodbye of a node", 1, func(w *World) { w.leaveNode(pick(w, w.hosts)) }},
	{"election", 5, func(w *World) {
		if c := pick(w, w.coordinators); c.up {
			c.raft.campaign()
		}
	}},
	{"hand-over", 3, func(w *World) {
		if c := w.raftLeader(); c != nil {
			c.handOver((c.self + 1 + w.rng.IntN(len(w.coordinators)-1)) % len(w.coordinators))
		}
	}},
	{"partition", 4, func(w *World) { w.partition(func(int) bool { return w.chance(0.5) }) }},
	{"leader cut off from the coordinators", 4, (*World).isolateLeader},
	{"node cut off from the coordinators", 3, func(w *World) { w.isolateNode(pick(w, w.hosts)) }},
	{"one-way cut", 2, func(w *World) {
		from, to := w.rng.IntN(len(w.net.cut)), w.rng.IntN(len(w.net.cut))
		w.net.cut[from][to] = true
		w.repair(func() { w.net.cut[from][to] = false })
	}},
	{"break of a session", 5, func(w *World) {
		if n := pick(w, w.hosts).proc; n != nil {
			if s := pick(w, n.sessions); s != nil {
				s.closeNode()
			}
		}
	}},
	{"failure of a task", 2, (*World).failTask},
	{"false alarm of gossip", 2, func(w *World) { w.gossipFailed(pick(w, w.hosts)) }},
	{"slow network", 2, func(w *World) { w.net.slowUntil = w.now + w.between(100*time.Millisecond, time.Second) }},
}

func pick[T any](w *World, from []T) T { return from[w.rng.IntN(len(from))] }

// haveFaults lets things go wrong until the world is calm.
func (w *World) haveFaults() {
	if w.calm || w.cfg.FaultEvery == 0 {
		return
	}
	total := 0
	for _, f := range faults {
		total += f.Weight
	}
	at := w.rng.IntN(total)
	for _, f := range faults {
		if at -= f.Weight; at < 0 {
			w.trace.add(w.now, "FAULT: %s", f.Name)
			f.strike(w)
			break
		}
	}
	w.after(w.between(0, 2*w.cfg.FaultEvery), w.haveFaults)
}

// repair undoes a fault after a while.
func (w *World) repair(undo func()) { w.after(w.between(50*time.Millisecond, 2*time.Second), undo) }

func (w *World) leaderOrAny() *coord {
	if c := w.raftLeader(); c != nil {
		return c
	}
	return pick(w, w.coordinators)
}

func (w *World) crashCoordinator(c *coord) {
	c.crash()
	w.repair(c.start)
}

// crashNode ends a node's process. Gossip finds out later than the sessions do.
func (w *World) crashNode(h *host) {
	w.gossipFailed(h)
	h.kill()
	w.repair(h.start)
}

// gossipFailed tells the leader that a node's process has failed, be it true or not.
func (w *World) gossipFailed(h *host) {
	if h.proc == nil {
		return
	}
	ref := h.proc.ref
	w.after(w.between(200*time.Millisecond, 2*time.Second), func() {
		for _, c := range w.coordinators {
			if l := c.loop; l != nil {
				l.post(func() { l.view.OnMemberFailed(ref.ID, ref.Incarnation) })
			}
		}
	})
}

// leaveNode ends a node's process with a goodbye.
func (w *World) leaveNode(h *host) {
	if h.proc == nil {
		return
	}
	ref := h.proc.ref
	for _, c := range w.coordinators {
		if l := c.loop; l != nil {
			l.post(func() { l.view.OnMemberLeft(ref.ID, ref.Incarnation) })
		}
	}
	h.kill()
	w.repair(h.start)
}

func (w *World) partition(side func(endpoint int) bool) {
	inside := make([]bool, len(w.net.cut))
	for i := range inside {
		inside[i] = side(i)
	}
	w.net.split(func(endpoint int) bool { return inside[endpoint] })
	w.repair(w.net.heal)
}

// isolateLeader cuts the leader off from the other coordinators, but not from the nodes: they hear of two
// leaders, one of them deposed.
func (w *World) isolateLeader() { w.cutOff(w.leaderOrAny()) }

// isolateNode cuts a node off from the coordinators, but not from the other nodes: its tasks go on beside those of
// the attempt that replaces theirs.
func (w *World) isolateNode(h *host) {
	for _, c := range w.coordinators {
		w.net.cut[h.self][c.self], w.net.cut[c.self][h.self] = true, true
	}
	w.after(w.between(time.Second, 4*time.Second), w.net.heal)
}

func (w *World) cutOff(from *coord) {
	for _, c := range w.coordinators {
		if c != from {
			w.net.cut[from.self][c.self], w.net.cut[c.self][from.self] = true, true
		}
	}
	w.repair(w.net.heal)
}

func (w *World) failTask() {
	n := pick(w, w.hosts).proc
	if n == nil {
		return
	}
	n.eachAttempt(func(a *attempt) {
		if len(a.tasks) > 0 && w.chance(0.5) {
			pick(w, a.tasks).fail("simulated failure", false)
		}
	})
}
