package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
)

// MuxOptions are the settings of a Mux. The zero value is fit for use, except that it logs nothing.
type MuxOptions struct {
	// Advertise is the host:port at which peers reach this process, where it differs from the address it
	// listens on. Raft names this replica by it. Default: the listening address.
	Advertise string
	// FirstBytesTimeout bounds how long a new connection may take to say what it is. Default: 5 s.
	FirstBytesTimeout time.Duration
	// Logger receives what goes wrong with connections that nobody owns yet. Default: none.
	Logger *slog.Logger
}

// Mux shares one TCP port between Raft and gRPC. Connections that open with Raft's preamble go to the listener
// that Raft returns, all others to the one that GRPC returns.
//
// Under TLS the protocol that a connection negotiates (ALPN) takes the place of the first bytes: it is decided
// in classify, and nowhere else.
type Mux struct {
	listener net.Listener
	timeout  time.Duration
	log      *slog.Logger

	raft *RaftLayer
	grpc *subListener

	ctx     context.Context // done when the Mux is closed
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu struct {
		sync.Mutex
		closed bool
		// undecided are the connections that have not been handed to a listener yet. They end with the Mux.
		undecided map[net.Conn]struct{}
	}
}

// Listen opens the port; port 0 picks a free one (see Addr). An address that is taken gives an error that
// wraps ErrPortInUse and names it.
func Listen(addr string, o MuxOptions) (*Mux, error) {
	listener, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: %w: another process has it", addr, ErrPortInUse)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	if o.FirstBytesTimeout <= 0 {
		o.FirstBytesTimeout = 5 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	m := &Mux{listener: listener, timeout: o.FirstBytesTimeout, log: o.Logger}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	m.mu.undecided = make(map[net.Conn]struct{})
	m.grpc = newSubListener(listener.Addr())
	m.raft = newRaftLayer(advertised(o.Advertise, listener.Addr()))
	m.running.Go(m.accept)
	return m, nil
}

// advertised is the address by which Raft names this replica.
func advertised(address string, listening net.Addr) net.Addr {
	if address == "" {
		return listening
	}
	return namedAddr(address)
}

// namedAddr is a host:port that peers resolve themselves.
type namedAddr raft.ServerAddress

func (a namedAddr) Network() string { return "tcp" }
func (a namedAddr) String() string  { return string(a) }

// Addr returns the address that the Mux listens on, with the port that was picked.
func (m *Mux) Addr() net.Addr { return m.listener.Addr() }

// Raft returns the stream layer for Raft's network transport. Every call returns the same one.
func (m *Mux) Raft() *RaftLayer { return m.raft }

// GRPC returns the listener for a Server. Every call returns the same one. Closing it leaves the port open.
func (m *Mux) GRPC() net.Listener { return m.grpc }

// Close closes the port, both listeners and the connections that nobody has accepted yet, and waits for its
// goroutines. Connections that gRPC has accepted stay with it. Closing twice is harmless.
func (m *Mux) Close() error {
	m.mu.Lock()
	first := !m.mu.closed
	m.mu.closed = true
	undecided := make([]net.Conn, 0, len(m.mu.undecided))
	for conn := range m.mu.undecided {
		undecided = append(undecided, conn)
	}
	m.mu.Unlock()

	var err error
	if first {
		err = m.listener.Close()
		m.cancel()
		for _, conn := range undecided {
			_ = conn.Close() // its reader reports nothing once the Mux is closed
		}
		err = errors.Join(err, m.raft.Close(), m.grpc.Close())
	}
	m.running.Wait()
	return err
}

// adopt makes conn one of the undecided, unless the Mux is closed.
func (m *Mux) adopt(conn net.Conn) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.closed {
		return false
	}
	m.mu.undecided[conn] = struct{}{}
	return true
}

func (m *Mux) release(conn net.Conn) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.mu.undecided, conn)
}

// acceptRetry is the pause after a failed accept: the process is out of file descriptors, say, and may get
// some back.
const acceptRetry = 50 * time.Millisecond

// accept takes connections and leaves each one's first bytes to a goroutine of its own, so that a silent
// connection delays nobody.
func (m *Mux) accept() {
	retry := time.NewTimer(acceptRetry)
	defer retry.Stop()
	for {
		conn, err := m.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			m.log.Warn("a connection could not be accepted", "address", m.Addr().String(), "cause", err)
			retry.Reset(acceptRetry)
			select {
			case <-retry.C:
				continue
			case <-m.ctx.Done():
				return
			}
		}
		if !m.adopt(conn) {
			_ = conn.Close() // nothing was said on it yet
			return
		}
		m.running.Go(func() { m.route(conn) })
	}
}

// route hands conn to the listener that it belongs to, or closes it.
func (m *Mux) route(conn net.Conn) {
	defer m.release(conn)
	to, replay, err := m.classify(conn)
	if err != nil {
		m.log.Debug("a connection was dropped before it said what it is",
			"remote", conn.RemoteAddr().String(), "cause", err)
		_ = conn.Close() // the cause has been told
		return
	}
	if !to.deliver(m.ctx, replay) {
		_ = conn.Close() // nobody will read from it: the listener is closed
	}
}
