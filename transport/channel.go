package transport

import (
	"context"
	"fmt"
	"math"

	"cairn/checkpoint"
	"cairn/transport/transportpb"
)

// ChannelID names one data channel of an attempt.
type ChannelID struct {
	Job      checkpoint.JobID
	Attempt  checkpoint.Attempt
	Edge     int // position in Topology.Edges
	From, To int // indexes of the subtasks at both ends
}

// String names the channel in errors and logs.
func (c ChannelID) String() string {
	return fmt.Sprintf("channel(job %s, attempt %d, edge %d, %d -> %d)", c.Job, c.Attempt, c.Edge, c.From, c.To)
}

// FrameWriter sends frames down one channel, in order. One goroutine at a time uses it.
type FrameWriter interface {
	// Write sends a frame. It blocks while the receiver's window is full. The caller has the frame back when
	// Write returns. An error is final: the channel is broken.
	Write(ctx context.Context, frame []byte) error
	// Close ends the channel cleanly, after everything that was written.
	Close() error
}

// ChannelHandler is the receiving side of the data channels.
type ChannelHandler interface {
	// AcceptChannel returns where the frames of a channel go. It returns an error that wraps ErrUnknownAttempt
	// or ErrStaleAttempt to refuse the channel with that reason. ctx ends with the channel.
	AcceptChannel(ctx context.Context, id ChannelID) (FrameSink, error)
}

// FrameSink takes the frames of one channel. Its methods are called one at a time, and the last call is to
// either Close or Fail.
type FrameSink interface {
	// Write takes the next frame, which is only valid until Write returns. While it blocks, the sender is held
	// back, and no other channel. An error breaks the channel: the sender is told, and Fail is called.
	Write(ctx context.Context, frame []byte) error
	// Close says that the sender has closed the channel after its last frame.
	Close() error
	// Fail says that the channel ended in any other way: the sender died, say.
	Fail(err error)
}

func channelToPB(id ChannelID) *transportpb.ChannelHeader {
	return &transportpb.ChannelHeader{
		Job: id.Job[:], Attempt: uint32(id.Attempt),
		Edge: int64(id.Edge), From: int64(id.From), To: int64(id.To),
	}
}

func channelFromPB(pb *transportpb.ChannelHeader) (ChannelID, error) {
	var d decoder
	id := ChannelID{
		Job:     d.job(pb.GetJob()),
		Attempt: checkpoint.Attempt(pb.GetAttempt()),
		Edge:    d.int("edge", pb.GetEdge(), 0, math.MaxInt32),
		From:    d.int("sending subtask", pb.GetFrom(), 0, math.MaxInt32),
		To:      d.int("receiving subtask", pb.GetTo(), 0, math.MaxInt32),
	}
	return id, d.failure("channel header")
}
