package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"google.golang.org/grpc"

	"cairn/transport/transportpb"
)

type channelStream = grpc.BidiStreamingServer[transportpb.ChannelData, transportpb.ChannelOpened]

// channelServer answers ChannelService.
type channelServer struct {
	transportpb.UnimplementedChannelServiceServer
	server  *Server
	handler ChannelHandler
}

// OpenChannel serves one channel.
func (s *channelServer) OpenChannel(stream channelStream) error {
	return s.server.serveStream(stream, func(ctx context.Context, _ context.CancelCauseFunc) error {
		id, err := receiveChannelHeader(stream)
		if err != nil {
			return err
		}
		credit := &creditSender{more: make(chan struct{}, 1)}
		sink, err := s.handler.AcceptChannel(ctx, id, credit.grant)
		if err != nil {
			s.server.log.Debug("channel refused", "channel", id.String(), "cause", err)
			return err
		}
		if err := s.carry(ctx, stream, sink, credit); err != nil {
			sink.Fail(err) // the sink knows which channel it is
			return fmt.Errorf("%s: %w", id, err)
		}
		return sink.Close()
	})
}

func receiveChannelHeader(stream channelStream) (ChannelID, error) {
	first, err := stream.Recv()
	if err != nil {
		return ChannelID{}, fmt.Errorf("channel without its header: %w", err)
	}
	if first.GetHeader() == nil {
		return ChannelID{}, fmt.Errorf("%w: a channel opens with its header", ErrMalformed)
	}
	return channelFromPB(first.GetHeader())
}

// carry serves an accepted channel until the sender has closed it (nil) or it broke.
func (s *channelServer) carry(ctx context.Context, stream channelStream, sink FrameSink, credit *creditSender) error {
	if err := stream.Send(creditToPB(credit.take())); err != nil {
		return lost(ctx, err)
	}
	granting, end := context.WithCancel(ctx)
	defer end()
	if !s.server.start(func() { credit.run(granting, stream) }) {
		return fmt.Errorf("%w: %w", ErrChannelBroken, ErrShuttingDown)
	}
	return receiveFrames(ctx, stream, sink)
}

// receiveFrames hands frames to the sink until the sender has closed the channel (nil) or it broke.
func receiveFrames(ctx context.Context, stream channelStream, sink FrameSink) error {
	in := incoming{header: &transportpb.ChannelData{}}
	defer in.free()
	for {
		err := stream.RecvMsg(&in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return lost(ctx, err)
		}
		if !in.isPayload {
			return fmt.Errorf("%w: not a frame", ErrMalformed)
		}
		if err := sink.Write(in.data); err != nil {
			return fmt.Errorf("%w: %w", ErrChannelBroken, err)
		}
		in.free()
	}
}

// creditSender sends what a sink grants back to the sender of its channel, so that who grants never waits for the network.
type creditSender struct {
	more chan struct{} // capacity 1, never closed: there is credit to send

	mu struct {
		sync.Mutex
		credit Credit
	}
}

func (c *creditSender) grant(more Credit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.credit.Frames += more.Frames
	c.mu.credit.Bytes += more.Bytes
	select {
	case c.more <- struct{}{}:
	default:
	}
}

func (c *creditSender) take() Credit {
	c.mu.Lock()
	defer c.mu.Unlock()
	credit := c.mu.credit
	c.mu.credit = Credit{}
	return credit
}

// run sends credit until ctx is done or the stream has ended, which its receiving side notices, too.
func (c *creditSender) run(ctx context.Context, stream channelStream) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.more:
		}
		if credit := c.take(); credit != (Credit{}) && stream.Send(creditToPB(credit)) != nil {
			return
		}
	}
}

// lost says why the stream of a channel ended without being closed.
func lost(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), ErrShuttingDown) {
		return fmt.Errorf("%w: %w", ErrChannelBroken, ErrShuttingDown)
	}
	return fmt.Errorf("%w: the sender is gone: %w", ErrChannelBroken, fromStatus(err))
}
