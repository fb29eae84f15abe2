package transport

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func listen(t *testing.T, o MuxOptions) *Mux {
	t.Helper()
	m, err := Listen("127.0.0.1:0", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Errorf("close mux: %v", err)
		}
	})
	return m
}

type accepted struct {
	conn net.Conn
	err  error
}

func accept(l net.Listener) <-chan accepted {
	c := make(chan accepted, 1)
	go func() {
		conn, err := l.Accept()
		c <- accepted{conn, err}
	}()
	return c
}

func connect(t *testing.T, m *Mux) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", m.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func write(t *testing.T, conn net.Conn, s string) {
	t.Helper()
	if _, err := io.WriteString(conn, s); err != nil {
		t.Fatal(err)
	}
}

func TestMuxRoutesByFirstBytes(t *testing.T) {
	const grpcPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
	for _, tc := range []struct {
		name string
		sent []string // one write each
		raft bool
		want string // what the accepting side reads
	}{
		{"raft in one piece", []string{"CRNRAFT1hello"}, true, "hello"},
		{"raft byte by byte", strings.Split("CRNRAFT1hello", ""), true, "hello"},
		{"grpc in one piece", []string{grpcPreface}, false, grpcPreface},
		{"grpc byte by byte", strings.Split(grpcPreface, ""), false, grpcPreface},
		{"begins like raft", []string{"CRN", "X and more"}, false, "CRNX and more"},
		{"shorter than the preamble", []string{"PRI"}, false, "PRI"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := listen(t, MuxOptions{})
			listener := m.GRPC()
			if tc.raft {
				listener = m.Raft()
			}
			next := accept(listener)
			conn := connect(t, m)
			for _, s := range tc.sent {
				write(t, conn, s)
			}
			got := wait(t, "the connection", next)
			if got.err != nil {
				t.Fatal(got.err)
			}
			defer got.conn.Close()
			b := make([]byte, len(tc.want))
			if _, err := io.ReadFull(got.conn, b); err != nil || string(b) != tc.want {
				t.Fatalf("read %q, %v; want %q", b, err, tc.want)
			}
		})
	}
}

func TestMuxDropsOtherRaftVersions(t *testing.T) {
	m := listen(t, MuxOptions{})
	conn := connect(t, m)
	write(t, conn, "CRNRAFT2")
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Fatalf("read %d bytes, %v; want the connection closed", n, err)
	}
}

// dialAndAccept connects to the Raft side of m and returns both ends.
func dialAndAccept(t *testing.T, m *Mux) (dialed, taken net.Conn) {
	t.Helper()
	next := accept(m.Raft())
	dialed, err := m.Raft().Dial(raft.ServerAddress(m.Addr().String()), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialed.Close() })
	got := wait(t, "a connection", next)
	if got.err != nil {
		t.Fatal(got.err)
	}
	t.Cleanup(func() { got.conn.Close() })
	return dialed, got.conn
}

func TestMuxSilentConnectionsDelayNobody(t *testing.T) {
	m := listen(t, MuxOptions{FirstBytesTimeout: 10 * patience})
	write(t, connect(t, m), "CRNRA") // begins, and stops
	connect(t, m)
	dialAndAccept(t, m)
}

func TestMuxSilentConnectionsAreDropped(t *testing.T) {
	m := listen(t, MuxOptions{FirstBytesTimeout: 500 * time.Millisecond})
	dialed, taken := dialAndAccept(t, m)
	begun, silent := connect(t, m), connect(t, m)
	write(t, begun, "CRNRA")
	for _, conn := range []net.Conn{begun, silent} {
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Fatalf("read %d bytes, %v; want the connection closed", n, err)
		}
	}
	// The deadline was for the first bytes only: it has passed for the first connection too.
	write(t, dialed, "x")
	if _, err := io.ReadFull(taken, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

func TestMuxPortInUse(t *testing.T) {
	m := listen(t, MuxOptions{})
	address := m.Addr().String()
	_, err := Listen(address, MuxOptions{})
	wantError(t, err, ErrPortInUse)
	if !strings.Contains(err.Error(), address) {
		t.Errorf("error %q does not name %s", err, address)
	}
}

func TestMuxCloseEndsEverything(t *testing.T) {
	m := listen(t, MuxOptions{})
	raftAccept, grpcAccept := accept(m.Raft()), accept(m.GRPC())
	raftConn, err := m.Raft().Dial(raft.ServerAddress(m.Addr().String()), patience)
	if err != nil {
		t.Fatal(err)
	}
	defer raftConn.Close()
	owned := wait(t, "a Raft connection", raftAccept)
	if owned.err != nil {
		t.Fatal(owned.err)
	}
	waiting, err := m.Raft().Dial(raft.ServerAddress(m.Addr().String()), patience) // that nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	undecided := connect(t, m)

	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if got := wait(t, "the end of Accept", grpcAccept); !errors.Is(got.err, net.ErrClosed) {
		t.Errorf("Accept on the gRPC side returned %v", got.err)
	}
	if _, err := m.Raft().Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept on the Raft side returned %v", err)
	}
	for name, conn := range map[string]net.Conn{"accepted": raftConn, "waiting": waiting, "undecided": undecided} {
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%s connection: read %d bytes, %v; want it closed", name, n, err)
		}
	}
}

func TestMuxAdvertise(t *testing.T) {
	m := listen(t, MuxOptions{Advertise: "coord-1.example:7480"})
	if got := m.Raft().Addr().String(); got != "coord-1.example:7480" {
		t.Errorf("Raft names this replica %s", got)
	}
	if m.Addr().String() == m.Raft().Addr().String() {
		t.Error("the listening address is not the advertised one")
	}
}

func raftTransport(t *testing.T, m *Mux) *raft.NetworkTransport {
	t.Helper()
	n := raft.NewNetworkTransportWithLogger(m.Raft(), 2, patience, hclog.NewNullLogger())
	t.Cleanup(func() { n.Close() })
	return n
}

// TestMuxCarriesRaftAndGRPC runs Raft's own transport and a gRPC call over the same port.
func TestMuxCarriesRaftAndGRPC(t *testing.T) {
	from, to := listen(t, MuxOptions{}), listen(t, MuxOptions{})
	server := NewServer(ServerOptions{})
	served := make(chan error, 1)
	go func() { served <- server.Serve(to.GRPC()) }()

	sender, receiver := raftTransport(t, from), raftTransport(t, to)
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		for range 3 {
			rpc := <-receiver.Consumer()
			vote := rpc.Command.(*raft.RequestVoteRequest)
			rpc.Respond(&raft.RequestVoteResponse{Term: vote.Term + 1, Granted: true}, nil)
		}
	}()
	for term := uint64(1); term <= 3; term++ {
		var response raft.RequestVoteResponse
		err := sender.RequestVote("to", raft.ServerAddress(to.Addr().String()), &raft.RequestVoteRequest{Term: term}, &response)
		if err != nil || response.Term != term+1 || !response.Granted {
			t.Fatalf("vote in term %d: %+v, %v", term, response, err)
		}
	}
	wait(t, "the voter", answered)

	d := dialer(t)
	c, err := d.conn(to.Addr().String(), laneControl)
	if err != nil {
		t.Fatal(err)
	}
	health, err := grpc_health_v1.NewHealthClient(c).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil || health.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Fatalf("health: %v, %v", health, err)
	}
	if err := server.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, "the server", served); err != nil {
		t.Fatal(err)
	}
}
