package membership

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
)

func TestMembersKnowEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c1, c2, n1 := trio(t)
		for _, h := range []*host{c1, c2, n1} {
			<-h.g.Ready()
		}
		members := c2.g.Members()
		want := []Member{c1.g.Self(), c2.g.Self(), n1.g.Self()}
		for i, m := range members {
			if m != want[i] {
				t.Errorf("member %d: got %+v, want %+v", i, m, want[i])
			}
		}
		if m := members[2]; m.RPCAddr != "n1.rpc:1" || m.GossipAddr != n1Addr || m.Role != RoleNode ||
			m.ProtocolVersion != ProtocolVersion || m.Started == 0 || m.State != StateAlive {
			t.Errorf("n1 as c2 sees it: %+v", m)
		}
		if got := c1.seen("c1"); got != "" {
			t.Errorf("a member hears of itself: %s", got)
		}
	})
}

func TestCrashIsReportedAsFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c1, c2, n1 := trio(t)
		n1.crash()
		for _, h := range []*host{c1, c2} {
			h.await(failureBound, "n1", "joined(n1#0000000000000011) failed(n1#0000000000000011)")
			if got := h.state("n1"); got != "failed" {
				t.Errorf("state %s, want failed", got)
			}
		}
	})
}

func TestLeaveIsReportedAsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c1, c2, n1 := trio(t)
		n1.leave()
		for _, h := range []*host{c1, c2} {
			h.await(0, "n1", "joined(n1#0000000000000011) left(n1#0000000000000011)")
		}
		// memberlist's own notice and its failure detection must not turn it into a failure.
		pass(time.Minute)
		for _, h := range []*host{c1, c2} {
			h.await(0, "n1", "joined(n1#0000000000000011) left(n1#0000000000000011)")
			if got := h.state("n1"); got != "left" {
				t.Errorf("state %s, want left", got)
			}
		}
	})
}

// A member that misses the goodbye sees a failure first, and the truth once it synchronises with another.
func TestMissedGoodbyeIsCorrected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, c1, c2, n1 := trio(t)
		n.partition(func(from, to string) bool {
			return from == n1Addr && to == c2Addr || from == c2Addr && to == n1Addr
		})
		if err := n1.g.Leave(t.Context()); err == nil || !strings.Contains(err.Error(), "1 members did not acknowledge") {
			t.Errorf("leave that one member missed: %v", err)
		}
		n1.crash()
		c1.await(0, "n1", "joined(n1#0000000000000011) left(n1#0000000000000011)")
		c2.await(time.Minute, "n1", "joined(n1#0000000000000011) failed(n1#0000000000000011) left(n1#0000000000000011)")
	})
}

func TestLeaveAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c1 := newNetwork(t).start(t, "c1", 1, c1Addr)
		c1.leave()
		if err := c1.g.Leave(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("leave after the end: %v", err)
		}
		if err := c1.g.UpdateMeta(t.Context(), "a:1", ""); !errors.Is(err, ErrClosed) {
			t.Errorf("update after the end: %v", err)
		}
	})
}

func TestJoinRetriesUntilASeedComesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n1 := n.start(t, "n1", 0x11, n1Addr, c1Addr, n1Addr) // its own address among the seeds is no member
		pass(time.Minute)
		if isClosed(n1.g.Ready()) {
			t.Error("ready without having found anybody")
		}
		c1 := n.start(t, "c1", 1, c1Addr)
		limit := 2 * DefaultConfig().RetryMax
		n1.await(limit, "c1", "joined(c1#0000000000000001)")
		c1.await(limit, "n1", "joined(n1#0000000000000011)")
		await(t, limit, "ready", func() bool { return isClosed(n1.g.Ready()) })
	})
}

// A process whose seeds are down is found by others all the same.
func TestJoinedByOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n1 := n.start(t, "n1", 0x11, n1Addr, c2Addr)
		c1 := n.start(t, "c1", 1, c1Addr, n1Addr)
		await(t, time.Second, "both know each other", func() bool {
			return n1.state("c1") == "alive" && c1.state("n1") == "alive"
		})
		await(t, DefaultConfig().RetryMax, "ready", func() bool { return isClosed(n1.g.Ready()) })
	})
}

// Gossip sent to the predecessor at its address makes a process know others who do not know it: it must
// introduce itself all the same.
func TestHearsayIsNotJoining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		c1 := n.start(t, "c1", 1, c1Addr)
		cfg := testConfig("n1", 0x11)
		cfg.Join, cfg.Transport = []string{n1Addr, c1Addr}, n.listen(n1Addr)
		g, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { g.Close() })
		// c1's first gossip, that it is alive, travels with whatever it sends, such as this ping.
		n.partition(func(from, to string) bool { return from == n1Addr && to != n1Addr })
		if c1.g.answers(g.Self()) {
			t.Fatal("an answer in spite of the partition")
		}
		if len(g.Members()) != 2 || len(c1.g.Members()) != 1 {
			t.Fatalf("want n1 to know c1 and not the reverse: %+v, %+v", g.Members(), c1.g.Members())
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx) }()
		synctest.Wait()
		if isClosed(g.Ready()) {
			t.Error("ready although nobody can have heard of it")
		}
		n.partition(nil)
		<-g.Ready()
		synctest.Wait()
		if got := c1.state("n1"); got != "alive" {
			t.Errorf("c1 has not heard of n1: %q", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A partition that lasts longer than memberlist remembers the dead must heal all the same.
func TestPartitionHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, c1, c2, n1 := trio(t)
		n2 := n.start(t, "n2", 0x21, n2Addr, c1Addr)
		await(t, time.Second, "n2 is known", func() bool { return c2.state("n2") == "alive" && n1.state("n2") == "alive" })
		half := map[string]bool{c1Addr: true, n1Addr: true}
		n.partition(func(from, to string) bool { return half[from] != half[to] })
		pass(10 * time.Minute)
		if c1.state("c2") != "failed" || n2.state("n1") != "failed" || c1.state("n1") != "alive" {
			t.Fatalf("partitioned: c2 %s, n1 %s, n1 %s", c1.state("c2"), n2.state("n1"), c1.state("n1"))
		}
		n.partition(nil)
		await(t, 4*DefaultConfig().ReconnectInterval, "one cluster again", func() bool {
			for _, h := range []*host{c1, c2, n1, n2} {
				for _, m := range h.g.Members() {
					if m.State != StateAlive {
						return false
					}
				}
			}
			return true
		})
	})
}

func TestUpdateMeta(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c1, c2, n1 := trio(t)
		if err := n1.g.UpdateMeta(t.Context(), "10.0.1.1:7490", "10.0.1.1:7492"); err != nil {
			t.Fatal(err)
		}
		for _, h := range []*host{c1, c2} {
			h.await(time.Second, "n1", "joined(n1#0000000000000011) updated(n1#0000000000000011)")
			if m := memberNamed(t, h, "n1"); m.RPCAddr != "10.0.1.1:7490" || m.HTTPAddr != "10.0.1.1:7492" {
				t.Errorf("%s sees %+v", h.g.Self().ID, m)
			}
		}
		if err := n1.g.UpdateMeta(t.Context(), strings.Repeat("x", 600), ""); !errors.Is(err, ErrMetadata) {
			t.Errorf("too long an address: %v", err)
		}
		if got := n1.g.Self().RPCAddr; got != "10.0.1.1:7490" {
			t.Errorf("a refused update changed the address to %s", got)
		}
	})
}

// A consumer that does not read must not hold gossip up, and finds the latest state when it reads again.
func TestSlowConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		cfg := testConfig("c1", 1)
		cfg.Transport = n.listen(c1Addr)
		g, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx) }()
		for inc := range checkpoint.Incarnation(20) {
			h := n.start(t, "n1", inc+1, n1Addr, c1Addr)
			await(t, time.Second, "c1 knows it", func() bool { return h.state("c1") == "alive" })
			h.leave()
		}
		var history []string
		for len(history) < 21 {
			select {
			case e := <-g.Events():
				history = append(history, e.String())
			case <-time.After(time.Minute):
				t.Fatalf("no more events after %v", history)
			}
		}
		// The first had been taken from the queue as a join before it left.
		if history[0] != "joined(n1#0000000000000001)" || history[1] != "left(n1#0000000000000001)" ||
			history[20] != "left(n1#0000000000000014)" {
			t.Errorf("history %v", history)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, open := <-g.Events(); open {
			t.Error("an event after the end")
		}
	})
}

func TestRunTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c1 := newNetwork(t).start(t, "c1", 1, c1Addr)
		synctest.Wait()
		if err := c1.g.Run(t.Context()); err == nil {
			t.Error("a second Run was accepted")
		}
	})
}
