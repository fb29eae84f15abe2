package transport

import (
	"errors"
	"fmt"
	"syscall"
)

var (
	// ErrUnknownAttempt says that the receiver of a channel does not run the attempt (yet): the caller tries
	// again.
	ErrUnknownAttempt = errors.New("unknown attempt")
	// ErrStaleAttempt says that the receiver of a channel knows a newer attempt: the caller's task is a zombie.
	ErrStaleAttempt = errors.New("stale attempt")
	// ErrChannelBroken says that a data channel ended without being closed by its sender.
	ErrChannelBroken = errors.New("channel broke")

	// ErrChunkNotFound says that the peer does not have the chunk.
	ErrChunkNotFound = errors.New("chunk not found")
	// ErrChunkCorrupt says that the bytes are not those that the chunk's name and size promise.
	ErrChunkCorrupt = errors.New("chunk is corrupt")
	// ErrChunkTooLarge says that a chunk is larger than MaxChunkSize, or than its reference says.
	ErrChunkTooLarge = errors.New("chunk is too large")
	// ErrNoSpace says that the peer's disk is full. It is also syscall.ENOSPC.
	ErrNoSpace = fmt.Errorf("peer's disk: %w", syscall.ENOSPC)

	// ErrMessageTooLarge says that a message or frame is larger than MaxMessageSize; it was not sent.
	ErrMessageTooLarge = errors.New("message is too large")
	// ErrOverflow says that a session was closed because its peer did not keep up with what was sent to it.
	ErrOverflow = errors.New("peer does not keep up: send queue is full")
	// ErrUnreachable says that nobody answers at the address, or that the connection was lost.
	ErrUnreachable = errors.New("unreachable")
	// ErrMalformed says that a peer sent a message that this build cannot make sense of.
	ErrMalformed = errors.New("malformed message")
	// ErrClosed says that this side closed the session, the channel, the Dialer or the Server.
	ErrClosed = errors.New("closed")
	// ErrShuttingDown says that the other side's Server is being closed.
	ErrShuttingDown = errors.New("server is shutting down")
	// ErrPortInUse says that another process listens at the address.
	ErrPortInUse = errors.New("port in use")
)
