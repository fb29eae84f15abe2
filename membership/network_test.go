package membership

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

// network connects transports in memory. It can cut some off from others.
type network struct {
	mu         sync.Mutex
	transports map[string]*memTransport
	cut        func(from, to string) bool // nil: nothing is cut off
}

// newNetwork returns an empty network for a test in a synctest bubble. Once everything on it has stopped, the
// bubble's time goes on for a while: memberlist's goroutines finish the probe they are in before they end.
func newNetwork(t *testing.T) *network {
	t.Cleanup(func() { pass(10 * time.Second) })
	return &network{transports: make(map[string]*memTransport)}
}

// pass lets the bubble's time pass.
func pass(d time.Duration) { <-time.After(d) }

// partition cuts off what is sent from one address to another where f says so; nil heals.
func (n *network) partition(f func(from, to string) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = f
}

// reach returns the transport at an address, or nil.
func (n *network) reach(from, to string) *memTransport {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cut != nil && n.cut(from, to) {
		return nil
	}
	return n.transports[to]
}

// memTransport loses packets to dead addresses and refuses streams to them, as UDP and TCP do.
type memTransport struct {
	network *network
	addr    netip.AddrPort
	packets chan *memberlist.Packet // full: the packet is lost
	streams chan net.Conn
}

// listen returns a transport at an address that nobody else uses.
func (n *network) listen(addr string) *memTransport {
	t := &memTransport{
		network: n, addr: netip.MustParseAddrPort(addr),
		packets: make(chan *memberlist.Packet, 256), streams: make(chan net.Conn, 16),
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.transports[addr] != nil {
		panic("address in use: " + addr)
	}
	n.transports[addr] = t
	return t
}

func (t *memTransport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return t.addr.Addr().AsSlice(), int(t.addr.Port()), nil
}

func (t *memTransport) WriteTo(b []byte, addr string) (time.Time, error) {
	now := time.Now()
	if to := t.network.reach(t.addr.String(), addr); to != nil {
		p := &memberlist.Packet{Buf: append([]byte(nil), b...), From: net.UDPAddrFromAddrPort(t.addr), Timestamp: now}
		select {
		case to.packets <- p:
		default:
		}
	}
	return now, nil
}

func (t *memTransport) DialTimeout(addr string, _ time.Duration) (net.Conn, error) {
	if to := t.network.reach(t.addr.String(), addr); to != nil {
		near, far := net.Pipe()
		select {
		case to.streams <- far:
			return near, nil
		default:
		}
	}
	return nil, fmt.Errorf("dial %s: connection refused", addr)
}

func (t *memTransport) PacketCh() <-chan *memberlist.Packet { return t.packets }
func (t *memTransport) StreamCh() <-chan net.Conn           { return t.streams }

func (t *memTransport) Shutdown() error {
	t.network.mu.Lock()
	defer t.network.mu.Unlock()
	delete(t.network.transports, t.addr.String())
	for {
		select {
		case c := <-t.streams:
			c.Close()
		default:
			return nil
		}
	}
}
