package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// DialerOptions are the settings of a Dialer. The zero value is fit for use.
type DialerOptions struct {
	// ConnectTimeout bounds the making of a connection. Default: 2 s.
	ConnectTimeout time.Duration
	// SessionQueue bounds what a session queues for a coordinator that does not keep up.
	SessionQueue QueueLimits
}

// lane separates the connections to one address by what they carry, so that bulk transfer never delays
// control messages, nor chunks the data channels.
type lane uint8

const (
	laneControl lane = iota // sessions and the client API
	laneData                // data channels
	laneChunks              // chunks
)

// Dialer is the calling side of a process: it shares connections between callers, one per address and lane,
// made when they are first used and made again when they broke. Its methods are safe for concurrent use.
type Dialer struct {
	options DialerOptions
	codec   *codec

	ctx     context.Context // done when the Dialer is closed; every stream ends with it
	cancel  context.CancelCauseFunc
	running sync.WaitGroup // goroutines of sessions and channels

	mu struct {
		sync.Mutex
		closed bool
		conns  map[connKey]*conn
	}
}

type connKey struct {
	address string
	lane    lane
}

// conn is a connection, together with why it could not be made the last time.
type conn struct {
	*grpc.ClientConn
	address  string
	lastDial atomic.Pointer[error] // nil when the last one succeeded
}

// NewDialer makes a Dialer. It connects to nobody yet.
func NewDialer(o DialerOptions) *Dialer {
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = 2 * time.Second
	}
	d := &Dialer{options: o, codec: newCodec()}
	d.ctx, d.cancel = context.WithCancelCause(context.Background())
	d.mu.conns = make(map[connKey]*conn)
	return d
}

// Close ends every session, channel and call, closes the connections and waits for the goroutines. Frames that
// a channel has accepted but not delivered are lost. Closing twice is harmless.
func (d *Dialer) Close() error {
	d.mu.Lock()
	d.mu.closed = true
	conns := d.mu.conns
	d.mu.conns = nil
	d.mu.Unlock()
	d.cancel(ErrClosed)
	var err error
	for _, c := range conns {
		err = errors.Join(err, c.ClientConn.Close())
	}
	d.running.Wait()
	return err
}

// conn returns the shared connection to an address, without waiting for it to be made.
func (d *Dialer) conn(address string, l lane) (*conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.closed {
		return nil, fmt.Errorf("connect to %s: dialer is %w", address, ErrClosed)
	}
	key := connKey{address, l}
	if c := d.mu.conns[key]; c != nil {
		return c, nil
	}
	c := &conn{address: address}
	inner, err := grpc.NewClient("passthrough:///"+address, d.dialOptions(c)...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	c.ClientConn = inner
	d.mu.conns[key] = c
	return c, nil
}

// start runs f in a goroutine that Close waits for. It reports false, without running f, after Close.
func (d *Dialer) start(f func()) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mu.closed {
		return false
	}
	d.running.Go(f)
	return true
}

// dialOptions are the same for every lane. TLS, when it comes, replaces the credentials here and in
// RaftLayer.Dial.
func (d *Dialer) dialOptions(c *conn) []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(c.dial),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithKeepaliveParams(clientKeepalive),
		grpc.WithStaticStreamWindowSize(streamWindow),
		grpc.WithStaticConnWindowSize(connWindow),
		grpc.WithMaxHeaderListSize(maxHeaderList),
		// Calls fail at once while nobody listens; their callers decide when to try again, so the pause
		// between attempts to connect is short.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 500 * time.Millisecond},
			MinConnectTimeout: d.options.ConnectTimeout,
		}),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodecV2(d.codec),
			grpc.MaxCallRecvMsgSize(MaxMessageSize),
			grpc.MaxCallSendMsgSize(MaxMessageSize),
		),
	}
}

func (c *conn) dial(ctx context.Context, address string) (net.Conn, error) {
	var dialer net.Dialer
	inner, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		c.lastDial.Store(&err)
		return nil, err
	}
	c.lastDial.Store(nil)
	return inner, nil
}

// meaning is fromStatus for a call on this connection: where the call did not reach the other side, or the
// connection was lost, the error wraps ErrUnreachable and says why in a few words.
func (c *conn) meaning(err error) error {
	s, ok := status.FromError(err)
	if !ok || s.Code() != codes.Unavailable || detailOf(s) != nil {
		return fromStatus(err)
	}
	return fmt.Errorf("%w: %s", ErrUnreachable, c.cause(err))
}

// cause says in a few words why the call that returned err did not reach the other side.
func (c *conn) cause(err error) string {
	last := c.lastDial.Load()
	if last == nil {
		return status.Convert(err).Message()
	}
	var errno syscall.Errno
	var timeout net.Error
	switch {
	case errors.As(*last, &errno):
		return errno.Error()
	case errors.As(*last, &timeout) && timeout.Timeout():
		return "no answer"
	}
	return (*last).Error()
}
