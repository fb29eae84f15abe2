package transport

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"cairn/checkpoint"
	"cairn/transport/transportpb"
)

type sessionStream = grpc.BidiStreamingServer[transportpb.FromNode, transportpb.ToNode]

// sessionServer answers SessionService.
type sessionServer struct {
	transportpb.UnimplementedSessionServiceServer
	server  *Server
	handler SessionHandler
}

// OpenSession serves one session.
func (s *sessionServer) OpenSession(stream sessionStream) error {
	return s.server.serveStream(stream, func(ctx context.Context, end context.CancelCauseFunc) error {
		hello, err := receiveHello(stream)
		if err != nil {
			return err
		}
		session := &nodeSession{
			node: hello.Node.ID, stream: stream, ctx: ctx, end: end,
			out: newOutbox[*transportpb.ToNode](s.server.options.SessionQueue),
		}
		// Nobody waits here for the sender, which may be stuck in the stream: it ends with the call, and the
		// Server's Close waits for it.
		if !s.server.start(session.send) {
			return ErrShuttingDown
		}
		if err = s.keep(session, hello); err == nil {
			err = errSessionOver
		}
		return err
	})
}

// errSessionOver is what a node hears when its session was ended without an error.
var errSessionOver = errors.New("the coordinator ended the session")

func (s *sessionServer) keep(session *nodeSession, hello checkpoint.Hello) error {
	if err := session.stream.SendHeader(metadata.Pairs(sessionHeader, "open")); err != nil {
		return fmt.Errorf("session of node %s: %w", hello.Node.ID, fromStatus(err))
	}
	return s.handler.ServeSession(session.ctx, hello, session)
}

func receiveHello(stream sessionStream) (checkpoint.Hello, error) {
	pb, err := stream.Recv()
	if err != nil {
		return checkpoint.Hello{}, fmt.Errorf("session without its first message: %w", err)
	}
	m, err := fromNodeFromPB(pb)
	if err != nil {
		return checkpoint.Hello{}, err
	}
	hello, ok := m.(checkpoint.Hello)
	if !ok {
		return checkpoint.Hello{}, fmt.Errorf("%w: a session opens with a hello, not %T", ErrMalformed, m)
	}
	return hello, nil
}

// nodeSession implements NodeSession.
type nodeSession struct {
	node   checkpoint.NodeID
	stream sessionStream
	out    *outbox[*transportpb.ToNode]
	ctx    context.Context // ends with the session; its cause says why
	end    context.CancelCauseFunc
}

var _ NodeSession = (*nodeSession)(nil)

// send is the session's sender. Its failure ends the session.
func (s *nodeSession) send() {
	if err := s.out.run(s.ctx, s.stream.Send); err != nil {
		s.end(fromStatus(err))
	}
}

// Send implements NodeSession.
func (s *nodeSession) Send(m checkpoint.ToNode) error {
	if err := context.Cause(s.ctx); err != nil {
		return s.wrap(err)
	}
	pb, err := toNodeToPB(m)
	if err != nil {
		return s.wrap(err)
	}
	size := proto.Size(pb)
	if size > MaxMessageSize {
		return s.wrap(fmt.Errorf("%s of %d bytes: %w, at most %d", m, size, ErrMessageTooLarge, MaxMessageSize))
	}
	if err := s.out.put(pb, size); err != nil {
		s.end(err)
		return s.wrap(err)
	}
	return nil
}

// Recv implements NodeSession.
func (s *nodeSession) Recv() (checkpoint.FromNode, error) {
	pb, err := s.stream.Recv()
	if err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("the node ended it")
		} else {
			err = fromStatus(err)
		}
		s.end(err)
		return nil, s.wrap(context.Cause(s.ctx))
	}
	m, err := fromNodeFromPB(pb)
	if err == nil {
		if _, again := m.(checkpoint.Hello); again {
			err = fmt.Errorf("%w: a second hello", ErrMalformed)
		}
	}
	if err != nil {
		s.end(err)
		return nil, s.wrap(err)
	}
	return m, nil
}

func (s *nodeSession) wrap(err error) error {
	return fmt.Errorf("session of node %s: %w", s.node, err)
}
