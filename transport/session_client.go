package transport

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"cairn/checkpoint"
	"cairn/transport/transportpb"
)

// sessionHeader in the response's headers says that the coordinator has taken the session up.
const sessionHeader = "cairn-session"

// Session is the node's end of a session with one coordinator.
//
// Send queues and never blocks; any goroutine may call it. Recv blocks; one goroutine at a time calls it. Close
// may be called from anywhere.
type Session struct {
	address string
	stream  grpc.BidiStreamingClient[transportpb.FromNode, transportpb.ToNode]
	out     *outbox[*transportpb.FromNode]

	ctx  context.Context // ends with the session; its cause says why
	end  context.CancelCauseFunc
	done chan struct{} // closed when the sender has ended
}

// OpenSession opens a session with the coordinator at address and returns when the coordinator has taken it
// up. It fails at once when nobody listens there. ctx bounds the opening only (5 s when it has no deadline);
// the session then lives until Close, the Dialer's Close, or the loss of either side.
func (d *Dialer) OpenSession(ctx context.Context, address string, hello checkpoint.Hello) (*Session, error) {
	c, err := d.conn(address, laneControl)
	if err != nil {
		return nil, err
	}
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, openTimeout)
		defer cancel()
	}
	s := &Session{address: address, out: newOutbox[*transportpb.FromNode](d.options.SessionQueue), done: make(chan struct{})}
	s.ctx, s.end = context.WithCancelCause(d.ctx)
	opening := context.AfterFunc(ctx, func() { s.end(context.Cause(ctx)) })
	err = s.open(c, hello)
	if !opening() {
		err = context.Cause(ctx)
	}
	if err == nil && !d.start(s.send) {
		err = ErrClosed
	}
	if err != nil {
		s.end(err)
		return nil, fmt.Errorf("open session with coordinator at %s: %w", address, err)
	}
	return s, nil
}

func (s *Session) open(c *conn, hello checkpoint.Hello) error {
	m, err := fromNodeToPB(hello)
	if err != nil {
		return err
	}
	s.stream, err = transportpb.NewSessionServiceClient(c).OpenSession(s.ctx)
	if err != nil {
		return c.meaning(err)
	}
	if err := s.stream.Send(m); err != nil && !errors.Is(err, io.EOF) { // EOF: the reason is the stream's status
		return fromStatus(err)
	}
	header, err := s.stream.Header()
	if err == nil && len(header.Get(sessionHeader)) > 0 {
		return nil
	}
	if _, err = s.stream.Recv(); err == nil {
		return fmt.Errorf("%w: the coordinator spoke before it took the session up", ErrMalformed)
	}
	return c.meaning(err)
}

// send is the session's sender. Its failure ends the session; Recv then tells why.
func (s *Session) send() {
	defer close(s.done)
	err := s.out.run(s.ctx, s.stream.Send)
	if !errors.Is(err, io.EOF) { // EOF: the coordinator ended the stream; its status is for Recv to read
		s.end(err)
	}
}

// Send queues a message for the coordinator. It fails when the message is too large to be sent
// (ErrMessageTooLarge: the session goes on) and when the session has ended. When the queue is full it fails
// with ErrOverflow and the session ends.
func (s *Session) Send(m checkpoint.FromNode) error {
	if err := context.Cause(s.ctx); err != nil {
		return s.wrap(err)
	}
	pb, err := fromNodeToPB(m)
	if err != nil {
		return s.wrap(err)
	}
	size := proto.Size(pb)
	if size > MaxMessageSize {
		return s.wrap(fmt.Errorf("%T of %d bytes: %w, at most %d", m, size, ErrMessageTooLarge, MaxMessageSize))
	}
	if err := s.out.put(pb, size); err != nil {
		s.end(err)
		return s.wrap(err)
	}
	return nil
}

// Offer queues messages that may be lost, in order, all or none. It reports false and drops them when anything that was
// sent before still waits, when one is too large or has no wire form, and when the session has ended. So they never
// fill the queue of a session that is slow, and never end it.
func (s *Session) Offer(messages ...checkpoint.FromNode) bool {
	if s.ctx.Err() != nil {
		return false
	}
	offered := make([]queued[*transportpb.FromNode], 0, len(messages))
	for _, m := range messages {
		pb, err := fromNodeToPB(m)
		if err != nil || proto.Size(pb) > MaxMessageSize {
			return false
		}
		offered = append(offered, queued[*transportpb.FromNode]{pb, proto.Size(pb)})
	}
	return s.out.offer(offered)
}

// Recv waits for the next message from the coordinator. Any error is final.
func (s *Session) Recv() (checkpoint.ToNode, error) {
	pb, err := s.stream.Recv()
	if err != nil {
		return nil, s.wrap(s.ended(err))
	}
	m, err := toNodeFromPB(pb)
	if err != nil {
		s.end(err)
		return nil, s.wrap(err)
	}
	return m, nil
}

// Close ends the session and waits for its sender. What is still queued is dropped. It is idempotent.
func (s *Session) Close() error {
	s.end(ErrClosed)
	<-s.done
	return nil
}

// ended notes that the stream has ended with err and returns why the session has: because of this side, if it
// ended the session first.
func (s *Session) ended(err error) error {
	if errors.Is(err, io.EOF) {
		err = errors.New("the coordinator ended it")
	} else {
		err = fromStatus(err)
	}
	s.end(err)
	return context.Cause(s.ctx)
}

func (s *Session) wrap(err error) error {
	return fmt.Errorf("session with coordinator at %s: %w", s.address, err)
}
