package transport

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cairn/checkpoint"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds waits that end at once when the code is right.
const patience = 30 * time.Second

// serve runs a Server with the given handlers on a free port until the test ends, and returns its address.
func serve(t *testing.T, o ServerOptions) string {
	t.Helper()
	address, _ := serveUntil(t, o)
	return address
}

// serveUntil is serve with a function that kills the server, connections and all.
func serveUntil(t *testing.T, o ServerOptions) (address string, kill func()) {
	t.Helper()
	mux, err := Listen("127.0.0.1:0", MuxOptions{})
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(o)
	served := make(chan error, 1)
	go func() { served <- server.Serve(mux.GRPC()) }()
	var once sync.Once
	kill = func() {
		once.Do(func() {
			ctx, cancel := context.WithCancel(context.Background())
			cancel() // no grace: what is under way is broken off
			if err := server.Close(ctx); err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("close server: %v", err)
			}
			if err := <-served; err != nil {
				t.Errorf("serve: %v", err)
			}
			if err := mux.Close(); err != nil {
				t.Errorf("close mux: %v", err)
			}
		})
	}
	t.Cleanup(kill)
	return mux.Addr().String(), kill
}

// dialer returns a Dialer that is closed when the test ends, before the servers that were started earlier.
func dialer(t *testing.T) *Dialer {
	t.Helper()
	d := NewDialer(DialerOptions{})
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close dialer: %v", err)
		}
	})
	return d
}

// deadAddress returns an address at which nobody listens.
func deadAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// silentAddress returns an address that takes connections and never says anything.
func silentAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// wait returns what arrives on c, and fails the test when nothing does.
func wait[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
		panic("unreachable")
	}
}

func wantError(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Fatalf("got error %v, want one that wraps %q", err, target)
	}
}

var testJob = checkpoint.JobID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
