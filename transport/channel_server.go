package transport

import (
	"context"
	"errors"
	"fmt"
	"io"

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
		sink, err := s.handler.AcceptChannel(ctx, id)
		if err != nil {
			s.server.log.Debug("channel refused", "channel", id.String(), "cause", err)
			return err
		}
		if err := receiveFrames(ctx, stream, sink); err != nil {
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

// receiveFrames hands frames to the sink until the sender has closed the channel (nil) or it broke. As long as
// the sink does not take a frame nothing more is read, so the stream's window fills up and holds the sender
// back.
func receiveFrames(ctx context.Context, stream channelStream, sink FrameSink) error {
	if err := stream.Send(&transportpb.ChannelOpened{}); err != nil {
		return lost(ctx, err)
	}
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
		if err := sink.Write(ctx, in.data); err != nil {
			return fmt.Errorf("%w: %w", ErrChannelBroken, err)
		}
		in.free()
	}
}

// lost says why the stream of a channel ended without being closed.
func lost(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), ErrShuttingDown) {
		return fmt.Errorf("%w: %w", ErrChannelBroken, ErrShuttingDown)
	}
	return fmt.Errorf("%w: the sender is gone: %w", ErrChannelBroken, fromStatus(err))
}
