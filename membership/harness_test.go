package membership

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"cairn/checkpoint"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// failureBound is how soon a crash must be known everywhere in the small clusters of these tests.
const failureBound = 2 * time.Second

// host is a Gossip that runs, with all events it has reported.
type host struct {
	t      *testing.T
	g      *Gossip
	stop   context.CancelFunc
	done   chan struct{} // closed when Run and the reader of Events are through
	runErr error         // valid after done

	mu     sync.Mutex
	events []Event
}

func testConfig(id string, inc checkpoint.Incarnation) Config {
	cfg := DefaultConfig()
	cfg.Self = Member{
		ID: checkpoint.NodeID(id), Role: RoleNode, Incarnation: inc, RPCAddr: id + ".rpc:1", Version: "test",
	}
	if strings.HasPrefix(id, "c") {
		cfg.Self.Role, cfg.Self.BootstrapExpect = RoleCoordinator, 3
	}
	return cfg
}

// start runs a member at an address of the network, joining through the seeds.
func (n *network) start(t *testing.T, id string, inc checkpoint.Incarnation, addr string, join ...string) *host {
	t.Helper()
	cfg := testConfig(id, inc)
	cfg.Join, cfg.Transport = join, n.listen(addr)
	return startHost(t, cfg)
}

func startHost(t *testing.T, cfg Config) *host {
	t.Helper()
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	h := &host{t: t, g: g, stop: cancel, done: make(chan struct{})}
	var both sync.WaitGroup
	both.Go(func() { h.runErr = g.Run(ctx) })
	both.Go(func() {
		for e := range g.Events() {
			h.mu.Lock()
			h.events = append(h.events, e)
			h.mu.Unlock()
		}
	})
	go func() { both.Wait(); close(h.done) }()
	t.Cleanup(h.crash)
	return h
}

// crash ends the member without a goodbye.
func (h *host) crash() {
	h.stop()
	<-h.done
}

func (h *host) leave() {
	h.t.Helper()
	if err := h.g.Leave(h.t.Context()); err != nil {
		h.t.Errorf("leave: %v", err)
	}
	h.crash()
}

// seen returns the events so far that concern an ID.
func (h *host) seen(id string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var names []string
	for _, e := range h.events {
		if e.Member.ID == checkpoint.NodeID(id) {
			names = append(names, e.String())
		}
	}
	return strings.Join(names, " ")
}

// state returns what Members says about an ID, "" when nothing.
func (h *host) state(id string) string {
	for _, m := range h.g.Members() {
		if m.ID == checkpoint.NodeID(id) {
			return m.State.String()
		}
	}
	return ""
}

// await waits until cond holds, for at most limit of the bubble's time, and returns how long it took.
func await(t *testing.T, limit time.Duration, what string, cond func() bool) time.Duration {
	t.Helper()
	start := time.Now()
	for tick := time.NewTicker(10 * time.Millisecond); ; <-tick.C {
		synctest.Wait()
		if cond() {
			tick.Stop()
			return time.Since(start)
		}
		if time.Since(start) > limit {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

// events waits for an exact history of an ID.
func (h *host) await(limit time.Duration, id, history string) time.Duration {
	h.t.Helper()
	defer func() {
		if h.t.Failed() {
			h.t.Logf("%s has seen of %s: %s", h.g.Self().ID, id, h.seen(id))
		}
	}()
	return await(h.t, limit, string(h.g.Self().ID)+" sees "+history, func() bool { return h.seen(id) == history })
}

const (
	c1Addr = "10.0.0.1:7481"
	c2Addr = "10.0.0.2:7481"
	n1Addr = "10.0.1.1:7491"
	n2Addr = "10.0.1.2:7491"
)

// trio starts two coordinators and a node, and waits until they know each other.
func trio(t *testing.T) (n *network, c1, c2, n1 *host) {
	t.Helper()
	n = newNetwork(t)
	c1 = n.start(t, "c1", 1, c1Addr)
	c2 = n.start(t, "c2", 2, c2Addr, c1Addr)
	n1 = n.start(t, "n1", 0x11, n1Addr, c1Addr)
	await(t, time.Second, "all know each other", func() bool {
		return len(c1.g.Members()) == 3 && len(c2.g.Members()) == 3 && len(n1.g.Members()) == 3
	})
	return n, c1, c2, n1
}

func memberNamed(t *testing.T, h *host, id string) Member {
	t.Helper()
	for _, m := range h.g.Members() {
		if m.ID == checkpoint.NodeID(id) {
			return m
		}
	}
	t.Fatalf("%s does not know %s", h.g.Self().ID, id)
	return Member{}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// lockedBuffer collects log lines of several goroutines.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
