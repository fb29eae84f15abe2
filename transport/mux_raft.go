package transport

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// RaftLayer is what Raft's network transport runs on: the Raft side of a Mux, and the dialling of others.
//
// Close ends the connections that it accepted too. Raft's transport leaves them open when it stops, and their
// goroutines with them, until the other replica goes away.
type RaftLayer struct {
	*subListener

	mu struct {
		sync.Mutex
		closed   bool
		accepted map[*raftConn]struct{}
	}
}

var _ raft.StreamLayer = (*RaftLayer)(nil)

func newRaftLayer(addr net.Addr) *RaftLayer {
	l := &RaftLayer{subListener: newSubListener(addr)}
	l.mu.accepted = make(map[*raftConn]struct{})
	return l
}

// Accept returns the next connection from another replica, net.ErrClosed after Close.
func (l *RaftLayer) Accept() (net.Conn, error) {
	inner, err := l.subListener.Accept()
	if err != nil {
		return nil, err
	}
	conn := &raftConn{Conn: inner, layer: l}
	l.mu.Lock()
	closed := l.mu.closed
	if !closed {
		l.mu.accepted[conn] = struct{}{}
	}
	l.mu.Unlock()
	if closed {
		return nil, errors.Join(net.ErrClosed, inner.Close())
	}
	return conn, nil
}

// Dial connects to the Raft side of another coordinator's Mux. timeout bounds the whole of it.
func (l *RaftLayer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	deadline := time.Now().Add(timeout)
	conn, err := net.DialTimeout("tcp", string(address), timeout)
	if err != nil {
		return nil, fmt.Errorf("connect Raft to %s: %w", address, err)
	}
	if err := writePreamble(conn, deadline); err != nil {
		return nil, fmt.Errorf("connect Raft to %s: %w", address, errors.Join(err, conn.Close()))
	}
	return conn, nil
}

// Close ends Accept and closes the accepted connections. It is idempotent and leaves the port open.
func (l *RaftLayer) Close() error {
	l.mu.Lock()
	l.mu.closed = true
	accepted := l.mu.accepted
	l.mu.accepted = nil
	l.mu.Unlock()
	err := l.subListener.Close()
	for conn := range accepted {
		err = errors.Join(err, conn.Conn.Close())
	}
	return err
}

// raftConn is an accepted connection that the layer remembers until it is closed.
type raftConn struct {
	net.Conn
	layer *RaftLayer
}

// Close closes the connection.
func (c *raftConn) Close() error {
	c.layer.mu.Lock()
	delete(c.layer.mu.accepted, c) // a nil map after the layer's Close: then this does nothing
	c.layer.mu.Unlock()
	return c.Conn.Close()
}
