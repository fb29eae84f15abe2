package sim

import (
	"time"

	"cairn/checkpoint"
)

const (
	heartbeatInterval = 500 * time.Millisecond
	firstDial         = 20 * time.Millisecond
	lastDial          = 200 * time.Millisecond
)

// session is the stream that one process of a task node keeps to one process of a coordinator. Each end learns
// for itself, and at its own time, that the other has gone: in between the session is half open.
type session struct {
	w               *World
	node            *node
	coordinator     *coord
	life            int // of the coordinator's process
	hello           checkpoint.Hello
	nodeOpen        bool
	coordinatorOpen bool
	up, down        *pipe // to the coordinator, to the node
}

// dial opens a session, or tries again later.
func (n *node) dial(c *coord) {
	if !n.up || n.sessions[c.self] != nil {
		return
	}
	if !c.up || !n.w.net.connected(n.host.self, c.self) {
		n.w.after(n.w.between(firstDial, lastDial), func() { n.dial(c) })
		return
	}
	s := &session{w: n.w, node: n, coordinator: c, life: c.life, hello: n.hello(), nodeOpen: true}
	s.up = &pipe{w: n.w, from: n.host.self, to: c.self, broken: s.closeNode}
	s.down = &pipe{w: n.w, from: c.self, to: n.host.self, broken: s.closeCoordinator}
	n.sessions[c.self] = s
	s.up.send(s.open)
	s.beat()
}

func (s *session) beat() {
	s.w.after(heartbeatInterval, func() {
		if s.nodeOpen {
			s.toCoordinator(checkpoint.Heartbeat{})
			s.beat()
		}
	})
}

// served reports whether the process that the session was opened to still runs.
func (s *session) served() bool { return s.coordinator.up && s.coordinator.life == s.life }

// open is the arrival of the Hello. A session replaces an older one of the same node.
func (s *session) open() {
	c := s.coordinator
	if !s.served() {
		s.closeNode()
		return
	}
	s.coordinatorOpen = true
	old := c.sessions[s.hello.Node.ID]
	c.sessions[s.hello.Node.ID] = s
	if old != nil {
		old.closeCoordinator()
	}
	if c.loop != nil {
		c.loop.opened(s)
	}
}

// closeNode ends the node's end.
func (s *session) closeNode() {
	if !s.nodeOpen {
		return
	}
	s.nodeOpen = false
	s.up.close()
	s.node.sessionClosed(s)
	s.w.after(s.notice(), s.closeCoordinator)
}

// closeCoordinator ends the coordinator's end.
func (s *session) closeCoordinator() {
	if !s.coordinatorOpen {
		return
	}
	s.coordinatorOpen = false
	s.down.close()
	c := s.coordinator
	if s.served() && c.sessions[s.hello.Node.ID] == s {
		delete(c.sessions, s.hello.Node.ID)
		if c.loop != nil {
			c.loop.closed(s)
		}
	}
	s.w.after(s.notice(), s.closeNode)
}

// lose breaks the session with everything that is on its way, in both directions.
func (s *session) lose() {
	s.up.queue, s.down.queue = nil, nil
	s.closeNode()
}

// notice is how long one end takes to see that the other has gone.
func (s *session) notice() time.Duration {
	if s.w.net.connected(s.node.host.self, s.coordinator.self) {
		return s.w.between(time.Millisecond, 20*time.Millisecond)
	}
	return s.w.between(300*time.Millisecond, 3*time.Second)
}

func (s *session) toNode(m checkpoint.ToNode) {
	s.down.send(func() {
		if s.nodeOpen && s.node.up {
			s.node.receive(s, m)
		}
	})
}

func (s *session) toCoordinator(m checkpoint.FromNode) {
	s.up.send(func() {
		c := s.coordinator
		if s.coordinatorOpen && s.served() && c.sessions[s.hello.Node.ID] == s && c.loop != nil {
			c.loop.received(s, m)
		}
	})
}
