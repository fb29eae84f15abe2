package transport

import (
	"context"

	"cairn/checkpoint"
)

// SessionHandler is the coordinator's side of the sessions.
type SessionHandler interface {
	// ServeSession keeps the session of a node. It is called in a goroutine of its own for each session; ctx
	// ends with the session. When it returns the session ends, with its error told to the node, and what is
	// still queued for the node is dropped.
	ServeSession(ctx context.Context, hello checkpoint.Hello, s NodeSession) error
}

// NodeSession is the coordinator's end of a session.
//
// Send queues and never blocks; any goroutine may call it. It fails when the message is too large to be sent
// (ErrMessageTooLarge: the session goes on), and when the session has ended. A node that does not keep up, so
// that the queue is full, ends its session with ErrOverflow.
//
// Recv waits for the next message, and fails when the session has ended. One goroutine at a time calls it.
type NodeSession interface {
	Send(checkpoint.ToNode) error
	Recv() (checkpoint.FromNode, error)
}
