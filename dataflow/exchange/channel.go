package exchange

import (
	"context"
	"fmt"

	"cairn/checkpoint"
)

// ChannelID names one channel of an attempt: the way from one subtask to another along an edge of the job
// graph. It is comparable.
type ChannelID struct {
	Job     checkpoint.JobID
	Attempt checkpoint.Attempt
	Edge    int // position in Topology.Edges
	From    int // index of the sending subtask
	To      int // index of the receiving subtask
}

// String names the channel in logs and errors.
func (c ChannelID) String() string {
	return fmt.Sprintf("job %s attempt %d edge %d: %d -> %d", c.Job, c.Attempt, c.Edge, c.From, c.To)
}

// FrameWriter sends frames down one channel, in order, for one goroutine. It never blocks. A frame is not kept after a
// call has returned. An error is final: the channel is broken.
type FrameWriter interface {
	// TryWrite sends a frame if the receiver has granted credit for one, and reports whether it has. When it has not,
	// the ready function of the channel is called as soon as that changes, or when the channel breaks.
	TryWrite(frame []byte) (sent bool, err error)
	// Force sends a frame that needs no credit: an unaligned barrier or a cancellation.
	Force(frame []byte) error
	// Close ends the channel. It is called once.
	Close() error
}

// FailingWriter is a FrameWriter that can be told why a channel broke. The ones that lead to a Gate
// implement it: a transport that knows the cause calls Fail in place of Close.
type FailingWriter interface {
	FrameWriter
	Fail(cause error)
}

// Connector opens the channels of a task's outputs.
type Connector interface {
	// Connect opens a channel to a task on another node, or on this one. When it returns without error the
	// receiving task has accepted the channel. The writer calls ready from any goroutine; ready returns at once.
	Connect(ctx context.Context, to checkpoint.NodeRef, id ChannelID, ready func()) (FrameWriter, error)
}

// ChannelError says that a channel broke or could not be opened. It follows from what has happened to the node or the task
// at its other end, which is likely to be known soon: a failure of its own right goes before it.
type ChannelError struct{ err error }

func (e *ChannelError) Error() string { return e.err.Error() }
func (e *ChannelError) Unwrap() error { return e.err }
