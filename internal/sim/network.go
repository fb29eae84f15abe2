package sim

import "time"

// network carries everything between processes. Endpoints are numbered: first the coordinators, then the hosts
// of the task nodes.
type network struct {
	w         *World
	cut       [][]bool     // cut[from][to]: nothing passes, one way
	held      map[int]bool // endpoints from and to which everything waits, as in a full buffer
	loss      float64      // of datagrams
	duplicate float64      // of datagrams
	slowUntil time.Duration
}

func newNetwork(w *World, endpoints int) network {
	n := network{w: w, cut: make([][]bool, endpoints), held: make(map[int]bool)}
	for i := range n.cut {
		n.cut[i] = make([]bool, endpoints)
	}
	return n
}

// heal lets everything pass again.
func (n *network) heal() {
	for _, row := range n.cut {
		clear(row)
	}
}

// split cuts the endpoints of side off from all others, in both directions.
func (n *network) split(side func(endpoint int) bool) {
	for a := range n.cut {
		for b := range n.cut {
			if side(a) != side(b) {
				n.cut[a][b] = true
			}
		}
	}
}

// connected reports whether both directions between two endpoints are open.
func (n *network) connected(a, b int) bool { return !n.cut[a][b] && !n.cut[b][a] }

func (n *network) delay() time.Duration {
	switch {
	case n.w.now < n.slowUntil:
		return n.w.between(20*time.Millisecond, 300*time.Millisecond)
	case !n.w.calm && n.w.chance(0.02):
		return n.w.between(3*time.Millisecond, 80*time.Millisecond)
	}
	return n.w.between(200*time.Microsecond, 2*time.Millisecond)
}

// datagram delivers a message that may be lost, overtaken or delivered twice.
func (n *network) datagram(from, to int, deliver func()) {
	copies := 1
	if n.w.chance(n.duplicate) {
		copies = 2
	}
	for range copies {
		if n.cut[from][to] || n.w.chance(n.loss) {
			continue
		}
		n.w.after(n.delay(), func() {
			if !n.cut[from][to] {
				deliver()
			}
		})
	}
}

// pipeRetry is how often a stalled pipe tries again, and pipeLimit how long it does before it breaks.
const (
	pipeRetry = 50 * time.Millisecond
	pipeLimit = 1500 * time.Millisecond
)

// pipe is one direction of a connection: in order, delayed, stalled while the link is cut, broken when that
// lasts.
type pipe struct {
	w        *World
	from, to int
	broken   func() // called once, when the pipe gives up
	queue    []func()
	pumping  bool
	closed   bool
	stalled  time.Duration // since when; 0 while it flows
	pause    time.Duration // before the next message, once
}

func (p *pipe) send(deliver func()) {
	if p.closed {
		return
	}
	p.queue = append(p.queue, deliver)
	if !p.pumping {
		p.pumping = true
		p.w.after(p.w.net.delay(), p.pump)
	}
}

// retry puts a message that could not be handed over back in front of all others.
func (p *pipe) retry(deliver func()) {
	if !p.closed {
		p.queue = append([]func(){deliver}, p.queue...)
		p.pause = 10 * time.Millisecond
	}
}

// close ends the pipe. What is on its way arrives all the same, or is lost with it.
func (p *pipe) close() {
	p.closed = true
	if !p.w.chance(0.5) {
		p.queue = nil
	}
}

func (p *pipe) pump() {
	if len(p.queue) == 0 {
		p.pumping = false
		return
	}
	if p.w.net.held[p.from] || p.w.net.held[p.to] {
		p.w.after(time.Millisecond, p.pump)
		return
	}
	if p.w.net.cut[p.from][p.to] {
		p.stall()
		return
	}
	p.stalled = 0
	deliver := p.queue[0]
	p.queue = p.queue[1:]
	deliver()
	if len(p.queue) == 0 {
		p.pumping = false
		return
	}
	p.w.after(p.pause+p.w.net.delay()/4, p.pump)
	p.pause = 0
}

func (p *pipe) stall() {
	switch {
	case p.stalled == 0:
		p.stalled = p.w.now
	case p.w.now-p.stalled > pipeLimit || p.closed:
		p.queue, p.pumping = nil, false
		if !p.closed {
			p.broken()
		}
		return
	}
	p.w.after(pipeRetry, p.pump)
}
