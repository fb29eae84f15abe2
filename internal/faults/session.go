package faults

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"cairn/checkpoint"
	"cairn/coordinator"
	"cairn/dataflow/executor"
)

const (
	sessionRetry = 50 * time.Millisecond
	heartbeat    = 500 * time.Millisecond
	// sessionRoom is how many messages may be under way. More end the session.
	sessionRoom = 4096
)

// session is the connection of a task node to a coordinator.
type session struct {
	network           *network
	moments           *moments
	node, coordinator checkpoint.NodeID
	toNode            chan checkpoint.ToNode   // never closed
	toCoordinator     chan checkpoint.FromNode // never closed
	broken            chan struct{}            // closed by end
	once              sync.Once
}

func newSession(c *cluster, node, coordinator checkpoint.NodeID) *session {
	return &session{
		network: c.network, moments: &c.moments, node: node, coordinator: coordinator, toNode: make(chan checkpoint.ToNode, sessionRoom),
		toCoordinator: make(chan checkpoint.FromNode, sessionRoom), broken: make(chan struct{}),
	}
}

// end breaks the connection. What is under way is lost, or some of it arrives still.
func (s *session) end() { s.once.Do(func() { close(s.broken) }) }

// send queues a message.
func send[M any](s *session, to chan M, m M) error {
	select {
	case <-s.broken:
		return io.ErrClosedPipe
	case to <- m:
		return nil
	default:
		s.end()
		return errors.New("too many messages are under way")
	}
}

// receive returns the next message when the network has carried it. To a process that is cut off silently, the end of
// the connection does not get through either.
func receive[M any](s *session, from chan M) (m M, err error) {
	select {
	case m = <-from:
	case <-s.broken:
		err = io.EOF
	}
	if lost := s.network.carry(context.Background(), s.node, s.coordinator); lost != nil {
		s.end()
		return m, lost
	}
	return m, err
}

// nodeEnd is the node's end of a session, and coordinatorEnd the other one.
type (
	nodeEnd        struct{ *session }
	coordinatorEnd struct{ *session }
)

var (
	_ executor.Session        = (*nodeEnd)(nil)
	_ coordinator.NodeSession = (*coordinatorEnd)(nil)
)

func (e *nodeEnd) Send(m checkpoint.FromNode) error {
	err := send(e.session, e.toCoordinator, m)
	e.moments.said(e.node, m)
	return err
}

func (e *nodeEnd) Close() error { e.end(); return nil }

// Offer queues the messages if nothing waits.
func (e *nodeEnd) Offer(all ...checkpoint.FromNode) bool {
	if len(e.toCoordinator) > 0 {
		return false
	}
	for _, m := range all {
		if e.Send(m) != nil {
			return false
		}
	}
	return true
}

func (e *coordinatorEnd) Send(m checkpoint.ToNode) error {
	err := send(e.session, e.toNode, m)
	e.moments.ordered(e.node, m)
	return err
}

func (e *coordinatorEnd) Recv() (checkpoint.FromNode, error) {
	return receive(e.session, e.toCoordinator)
}

// keepSession keeps a session between a node and whatever process is the coordinator of that name, until ctx is done.
func (c *cluster) keepSession(ctx context.Context, n *node, id checkpoint.NodeID) {
	for ctx.Err() == nil {
		if coord := c.coordinatorOf(id); coord != nil && c.network.carry(ctx, n.ref.ID, id) == nil {
			c.serveSession(ctx, n, coord)
		}
		select {
		case <-ctx.Done():
		case <-time.After(sessionRetry):
		}
	}
}

// serveSession keeps one session until it breaks or ctx is done.
func (c *cluster) serveSession(ctx context.Context, n *node, coord *replica) {
	s := newSession(c, n.ref.ID, coord.id)
	if !coord.open(s) {
		return
	}
	defer coord.forget(s)
	var running sync.WaitGroup
	defer running.Wait()
	defer s.end()
	stop := context.AfterFunc(ctx, s.end)
	defer stop()
	running.Go(func() {
		// The coordinator's side lives for as long as that, whatever becomes of the node's.
		if err := coord.ServeSession(context.Background(), n.Hello(), &coordinatorEnd{s}); err != nil {
			c.log.Debug("session ended", "node", n.ref.ID, "coordinator", coord.id, "cause", err)
		}
		s.end()
	})
	running.Go(func() { beat(s) })
	end := &nodeEnd{s}
	defer n.SessionClosed(end)
	for {
		m, err := receive(s, s.toNode)
		if err != nil || ctx.Err() != nil {
			return
		}
		n.Receive(end, m)
	}
}

func beat(s *session) {
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-s.broken:
			return
		case <-ticker.C:
			if send(s, s.toCoordinator, checkpoint.FromNode(checkpoint.Heartbeat{})) != nil {
				return
			}
		}
	}
}
