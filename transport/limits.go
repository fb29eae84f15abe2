package transport

import (
	"time"

	"google.golang.org/grpc/keepalive"
)

const (
	// MaxMessageSize bounds every single message in bytes: a session's, the client API's, a data frame.
	MaxMessageSize = 16 << 20
	// MaxFrameSize bounds one frame of a data channel in bytes; the difference is its envelope.
	MaxFrameSize = MaxMessageSize - 64
	// MaxChunkSize bounds one chunk of snapshotted state in bytes.
	MaxChunkSize = 64 << 20

	// chunkPiece is the size of the pieces that a chunk travels in.
	chunkPiece = 512 << 10
	// snapshotPiece is the size of the pieces that a snapshot of the replicated state travels in.
	snapshotPiece = 512 << 10
	// maxHeaderList bounds the headers of a call in bytes.
	maxHeaderList = 32 << 10
	// maxGrant bounds the frames and the bytes that a receiver may grant in one step.
	maxGrant = 1 << 30
	// maxErrorText bounds the text of an error that is sent, in bytes. It travels in the headers twice, once
	// with up to three bytes for each.
	maxErrorText = 4 << 10

	// streamWindow is how much one stream may have under way, in bytes. Being fixed it also turns off the windows'
	// growth by measured bandwidth. It is no limit to a data channel, whose receiver reads whatever comes: what holds
	// the sender back is its credit.
	streamWindow = 512 << 10
	// connWindow bounds what a whole connection has under way. The receiver refills it as bytes arrive, not as
	// they are read (the streams' windows do that), so it must only cover the bandwidth-delay product.
	connWindow = 4 << 20
)

// openTimeout bounds the opening of a session when the caller's context sets no deadline.
const openTimeout = 5 * time.Second

// A peer that has not been heard for pingAfter is asked for a sign of life, and given up pingTimeout later.
// 10 s is the least that gRPC lets a client use.
const (
	pingAfter   = 10 * time.Second
	pingTimeout = 5 * time.Second
)

var (
	clientKeepalive = keepalive.ClientParameters{Time: pingAfter, Timeout: pingTimeout}
	serverKeepalive = keepalive.ServerParameters{Time: pingAfter, Timeout: pingTimeout}
	// serverEnforcement allows twice the rate at which our clients ping, so that none is thrown out for it.
	serverEnforcement = keepalive.EnforcementPolicy{MinTime: pingAfter / 2, PermitWithoutStream: true}
)
