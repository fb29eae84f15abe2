package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// raftPreamble opens every Raft connection. Its last byte is the version of what follows. It shares no first
// byte with HTTP/2, which opens with "PRI".
const raftPreamble = "CRNRAFT1"

var errRaftVersion = errors.New("Raft connection of an unsupported version")

// classify reads the first bytes of conn, as few as decide, and returns whose it is together with a
// connection on which those that Raft or gRPC must see can be read again.
func (m *Mux) classify(conn net.Conn) (*subListener, net.Conn, error) {
	if err := conn.SetReadDeadline(time.Now().Add(m.timeout)); err != nil {
		return nil, nil, err
	}
	first := make([]byte, len(raftPreamble))
	for n := 0; n < len(first); {
		k, err := conn.Read(first[n:])
		n += k
		if n > 0 && !bytes.HasPrefix([]byte(raftPreamble), first[:n]) {
			if n == len(first) && bytes.HasPrefix(first, []byte(raftPreamble[:n-1])) {
				return nil, nil, errRaftVersion
			}
			replay := &replayConn{Conn: conn, first: first[:n]}
			return m.grpc, replay, conn.SetReadDeadline(time.Time{})
		}
		if err != nil && n < len(first) {
			return nil, nil, err
		}
	}
	return m.raft.subListener, conn, conn.SetReadDeadline(time.Time{})
}

// replayConn gives back the bytes that were read ahead before it reads on. One goroutine reads at a time.
type replayConn struct {
	net.Conn
	first []byte
}

// Read implements net.Conn.
func (c *replayConn) Read(p []byte) (int, error) {
	if len(c.first) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// subListener is one side of a Mux as a net.Listener.
type subListener struct {
	addr  net.Addr
	conns chan net.Conn // unbuffered, so that no connection waits in it unowned; never closed
	done  chan struct{} // closed by Close
	once  sync.Once
}

var _ net.Listener = (*subListener)(nil)

func newSubListener(addr net.Addr) *subListener {
	return &subListener{addr: addr, conns: make(chan net.Conn), done: make(chan struct{})}
}

// deliver waits until conn is accepted. It reports false when it never will be.
func (l *subListener) deliver(ctx context.Context, conn net.Conn) bool {
	select {
	case l.conns <- conn:
		return true
	case <-l.done:
	case <-ctx.Done():
	}
	return false
}

// Accept implements net.Listener. After Close it returns net.ErrClosed.
func (l *subListener) Accept() (net.Conn, error) {
	select {
	case <-l.done: // even when a connection waits
		return nil, net.ErrClosed
	default:
	}
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept. It is idempotent and leaves the port open.
func (l *subListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr returns the address that peers know the listener by.
func (l *subListener) Addr() net.Addr { return l.addr }

// writePreamble says on a fresh connection that it is Raft's.
func writePreamble(conn net.Conn, deadline time.Time) error {
	if err := conn.SetWriteDeadline(deadline); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, raftPreamble); err != nil {
		return err
	}
	return conn.SetWriteDeadline(time.Time{})
}
