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

// Credit is room at the receiver of a channel: so many more frames, with so many bytes in all. The last frame may have
// more bytes than are left.
type Credit struct {
	Frames int
	Bytes  int
}

// FrameWriter sends frames down one channel, in order. One goroutine at a time uses it. It never blocks, and the caller
// has a frame back when a call returns. An error is final: the channel is broken.
type FrameWriter interface {
	// TryWrite sends a frame if there is credit for one, and reports whether it has. When it has not, the ready
	// function given when the channel was opened is called as soon as there is more, or when the channel breaks.
	TryWrite(frame []byte) (sent bool, err error)
	// Force sends a frame that needs no credit. What such frames are is agreed between sender and receiver.
	Force(frame []byte) error
	// Close ends the channel cleanly, after everything that was written.
	Close() error
}

// ChannelHandler is the receiving side of the data channels.
type ChannelHandler interface {
	// AcceptChannel returns where the frames of a channel go. It calls grant, before it returns, with the credit that
	// the sender has at first, and the sink calls it whenever there is room for more, from any goroutine; grant returns
	// at once, and does nothing when the channel has ended. AcceptChannel returns an error that wraps
	// ErrUnknownAttempt or ErrStaleAttempt to refuse the channel with that reason. ctx ends with the channel.
	AcceptChannel(ctx context.Context, id ChannelID, grant func(Credit)) (FrameSink, error)
}

// FrameSink takes the frames of one channel. Its methods are called one at a time, and the last call is to
// either Close or Fail.
type FrameSink interface {
	// Write takes the next frame, which is only valid until Write returns. It does not block: the sender has credit for
	// the frame. An error, also for a sender that sends without, breaks the channel: the sender is told, and Fail is
	// called.
	Write(frame []byte) error
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

func creditToPB(c Credit) *transportpb.ChannelOpened {
	return &transportpb.ChannelOpened{Frames: uint32(c.Frames), Bytes: uint64(c.Bytes)}
}

func creditFromPB(pb *transportpb.ChannelOpened) (Credit, error) {
	var d decoder
	c := Credit{
		Frames: d.int("frames", int64(pb.GetFrames()), 0, maxGrant),
		Bytes:  d.int("bytes", int64(min(pb.GetBytes(), math.MaxInt64)), 0, maxGrant),
	}
	return c, d.failure("credit")
}
