package coordinator

import (
	"context"
	"log/slog"
	"sync"

	"cairn/checkpoint"
)

// NodeSession is the coordinator's end of the stream that a task node keeps to it. Send queues and does
// not block; Recv blocks until a message comes or the session ends. The two may be called from different
// goroutines.
type NodeSession interface {
	Send(checkpoint.ToNode) error
	Recv() (checkpoint.FromNode, error)
}

// sessions are the open sessions of this coordinator, whether it leads or not. Nodes keep one to every
// coordinator, so that a new leader finds them open.
type sessions struct {
	log *slog.Logger

	mu struct {
		sync.Mutex
		byNode map[checkpoint.NodeID]*openSession
		leader *leader // nil while another coordinator leads
	}
}

type openSession struct {
	hello  checkpoint.Hello
	stream NodeSession
	cancel context.CancelFunc
}

func newSessions(log *slog.Logger) *sessions {
	s := &sessions{log: log}
	s.mu.byNode = make(map[checkpoint.NodeID]*openSession)
	return s
}

// serve keeps one session until the stream ends, ctx is done or the node opens a newer one.
func (s *sessions) serve(ctx context.Context, hello checkpoint.Hello, stream NodeSession) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	o := &openSession{hello: hello, stream: stream, cancel: cancel}
	s.open(o)
	defer s.close(o)
	received := make(chan error, 1) // the reader's one result
	go func() { received <- s.receive(o) }()
	select {
	case err := <-received:
		return err
	case <-ctx.Done():
		// Returning ends the stream, and with it the reader.
		return context.Cause(ctx)
	}
}

func (s *sessions) receive(o *openSession) error {
	for {
		m, err := o.stream.Recv()
		if err != nil {
			return err
		}
		s.mu.Lock()
		l := s.mu.leader
		if s.mu.byNode[o.hello.Node.ID] != o {
			l = nil // a newer session speaks for the node
		}
		s.mu.Unlock()
		if l != nil {
			l.received(o, m)
		}
	}
}

func (s *sessions) open(o *openSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.mu.byNode[o.hello.Node.ID]; old != nil {
		old.cancel()
	}
	s.mu.byNode[o.hello.Node.ID] = o
	if s.mu.leader != nil {
		s.mu.leader.opened(o)
	}
	s.log.Info("session opened", "node", o.hello.Node.ID, "address", o.hello.Node.Address)
}

func (s *sessions) close(o *openSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.byNode[o.hello.Node.ID] != o {
		return
	}
	delete(s.mu.byNode, o.hello.Node.ID)
	if s.mu.leader != nil {
		s.mu.leader.closed(o)
	}
	s.log.Info("session closed", "node", o.hello.Node.ID)
}

// attach directs all sessions to the leader loop l; its first events are the sessions that are open.
func (s *sessions) attach(l *leader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.leader = l
	for _, o := range s.mu.byNode {
		l.opened(o)
	}
}

// detach ends what attach began. It ends the sessions too: a node counts the time without a leader from there, and
// one that is cut off together with a deposed leader has to notice. The nodes open new ones at once.
func (s *sessions) detach() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.leader = nil
	for _, o := range s.mu.byNode {
		o.cancel()
	}
}

// leading returns the leader loop that is attached, nil when this coordinator does not lead.
func (s *sessions) leading() *leader {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.leader
}
