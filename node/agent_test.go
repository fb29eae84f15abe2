package node

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow"
	"cairn/internal/daemon"
	"cairn/membership"
	"cairn/statestore"
	"cairn/transport"
)

// A whole node says hello with its zone, in gossip too, tells its leader what its store holds and how that changes, makes
// the copies that are ordered, and says where it has asked for chunks.
func TestAgentKeepsItsStoreForTheLeader(t *testing.T) {
	leader := startLeader(t)
	n1 := startAgent(t, leader, "n1", "rack-1")
	n2 := startAgent(t, leader, "n2", "")

	eventually(t, "both nodes' whole inventories, and reports", func() bool {
		return leader.of("n1").complete && leader.of("n2").complete && leader.of("n1").report.Path == n1.cfg.DataDir && leader.of("n2").report.TotalBytes > 0
	})
	if got := leader.of("n1").hello; got.Zone != "rack-1" || got.SharedStore != "" {
		t.Errorf("said hello with %+v", got)
	}
	zoneOf := func(id checkpoint.NodeID) string {
		members := leader.endpoint.Gossip.Members()
		return members[slices.IndexFunc(members, func(m membership.Member) bool { return m.ID == id })].Zone
	}
	if got := zoneOf("n1") + "," + zoneOf("n2"); got != "rack-1," {
		t.Errorf("the zones in gossip are %q", got)
	}

	data := []byte("a chunk that a coordinator stores")
	ref := statestore.RefOf(data)
	peer := storePeer{leader.endpoint.Dialer.Peer(n1.endpoint.Self.Address)}
	if err := peer.Put(t.Context(), ref, statestore.Encoded{Data: data}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the change", func() bool { return leader.of("n1").chunks[ref.ID] == ref.Size })

	leader.tell("n2", checkpoint.CopyChunks{Term: 1, Order: 5, Copies: []checkpoint.ChunkCopy{{Chunk: ref, From: []checkpoint.NodeRef{n1.endpoint.Self}}}})
	eventually(t, "the copy", func() bool { return leader.of("n2").chunks[ref.ID] == ref.Size && len(leader.of("n2").copied) == 1 })

	located, err := n2.store.custodian.Locate(t.Context(), []checkpoint.ChunkID{ref.ID})
	if err != nil || len(located) != 1 || len(located[0]) != 1 || located[0][0] != n1.endpoint.Self {
		t.Errorf("located at %v, %v", located, err)
	}

	leader.tell("n1", checkpoint.MarkChunks{Term: 1, Sweep: 1})
	leader.tell("n1", checkpoint.DeleteChunks{Term: 1, Sweep: 1, Chunks: []checkpoint.ChunkID{ref.ID}})
	eventually(t, "the deletion", func() bool { return leader.of("n1").chunks[ref.ID] == 0 })
}

func TestConfigNamesWhatIsWrong(t *testing.T) {
	good := DefaultConfig()
	good.ID, good.DataDir = "n1", "/data"
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*Config){
		"--zone":           func(c *Config) { c.Zone = "rack 7" },
		"--scrub-interval": func(c *Config) { c.ScrubInterval = time.Millisecond },
		"--replicas":       func(c *Config) { c.Replicas = 0 },
	} {
		c := good
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// told is what a node has told the leader.
type told struct {
	hello    checkpoint.Hello
	session  transport.NodeSession
	chunks   map[checkpoint.ChunkID]int64
	complete bool // the whole inventory has come
	report   checkpoint.StoreReport
	copied   []checkpoint.ChunkID
	corrupt  map[checkpoint.ChunkID]bool
}

// testLeader is a coordinator that leads, as far as nodes can see.
type testLeader struct {
	endpoint *daemon.Endpoint

	mu    sync.Mutex
	nodes map[checkpoint.NodeID]*told
}

func startLeader(t *testing.T) *testLeader {
	endpoint, err := daemon.OpenEndpoint(daemon.EndpointConfig{
		ID: "c1", Role: membership.RoleCoordinator, Bind: "127.0.0.1:0", GossipBind: "127.0.0.1:0", BootstrapExpect: 1,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	l := &testLeader{endpoint: endpoint, nodes: make(map[checkpoint.NodeID]*told)}
	server := transport.NewServer(transport.ServerOptions{Sessions: l})
	run(t, func(context.Context) error { return server.Serve(endpoint.Mux.GRPC()) }, func() error {
		if err := endpoint.CloseServer(server); err != nil {
			return err
		}
		return endpoint.Close()
	})
	run(t, endpoint.Gossip.Run, func() error { return nil })
	return l
}

func startAgent(t *testing.T, leader *testLeader, id checkpoint.NodeID, zone string) *Agent {
	return startAgentIn(t, leader, id, t.TempDir(), func(c *Config) { c.Zone = zone })
}

func startAgentIn(t *testing.T, leader *testLeader, id checkpoint.NodeID, dir string, change func(*Config)) *Agent {
	cfg := DefaultConfig()
	cfg.ID, cfg.DataDir, cfg.Registry = id, dir, dataflow.NewRegistry()
	cfg.Bind, cfg.GossipBind, cfg.Join = "127.0.0.1:0", "127.0.0.1:0", []string{leader.endpoint.Gossip.LocalAddr()}
	cfg.Logger = slog.New(slog.DiscardHandler)
	change(&cfg)
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	run(t, a.Run, func() error { return nil })
	return a
}

// run runs f until the end of the test, and stop after it.
func run(t *testing.T, f func(context.Context) error, stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	})
}

// ServeSession implements transport.SessionHandler.
func (l *testLeader) ServeSession(_ context.Context, hello checkpoint.Hello, s transport.NodeSession) error {
	l.mu.Lock()
	l.nodes[hello.Node.ID] = &told{hello: hello, session: s, chunks: make(map[checkpoint.ChunkID]int64), corrupt: make(map[checkpoint.ChunkID]bool)}
	l.mu.Unlock()
	if err := s.Send(checkpoint.Leading{Term: 1, Leader: "c1"}); err != nil {
		return err
	}
	for {
		m, err := s.Recv()
		if err != nil {
			return err
		}
		l.received(hello.Node.ID, m)
	}
}

func (l *testLeader) received(node checkpoint.NodeID, m checkpoint.FromNode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.nodes[node]
	switch m := m.(type) {
	case checkpoint.Inventory:
		for _, ref := range m.Chunks {
			n.chunks[ref.ID] = ref.Size
		}
		n.complete = m.Last
	case checkpoint.InventoryChange:
		for _, ref := range m.Added {
			n.chunks[ref.ID] = ref.Size
		}
		for _, id := range m.Removed {
			delete(n.chunks, id)
		}
		for _, id := range m.Corrupt {
			n.corrupt[id] = true
		}
	case checkpoint.StoreReport:
		n.report = m
	case checkpoint.ChunksCopied:
		n.copied = append(n.copied, m.Copied...)
	case checkpoint.LocateChunks:
		answer := checkpoint.ChunksLocated{Term: 1, Request: m.Request, Nodes: []checkpoint.NodeRef{l.nodes["n1"].hello.Node}}
		for range m.Chunks {
			answer.Holders = append(answer.Holders, []int{0})
		}
		if err := n.session.Send(answer); err != nil {
			panic(fmt.Sprint("the session broke: ", err))
		}
	}
}

// of returns what a node has told so far.
func (l *testLeader) of(node checkpoint.NodeID) told {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.nodes[node]
	if n == nil {
		return told{}
	}
	copied := *n
	copied.chunks, copied.corrupt = maps.Clone(n.chunks), maps.Clone(n.corrupt)
	return copied
}

func (l *testLeader) tell(node checkpoint.NodeID, m checkpoint.ToNode) {
	session := l.of(node).session
	if err := session.Send(m); err != nil {
		panic(fmt.Sprint("the session broke: ", err))
	}
}
