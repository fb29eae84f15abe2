package membership

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRestartAtAnotherAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, c1, c2, n1 := trio(t)
		n1.crash()
		again := n.start(t, "n1", 0x12, n2Addr, c2Addr) // at once: the others still believe in the first one
		for _, h := range []*host{c1, c2} {
			h.await(failureBound, "n1", "joined(n1#0000000000000011) failed(n1#0000000000000011) joined(n1#0000000000000012)")
		}
		await(t, failureBound, "ready", func() bool { return isClosed(again.g.Ready()) })
		if got := memberNamed(t, c1, "n1"); got != again.g.Self() {
			t.Errorf("c1 sees %+v, want %+v", got, again.g.Self())
		}
		pass(time.Minute)
		if isClosed(again.done) {
			t.Errorf("the restarted member gave up: %v", again.runErr)
		}
	})
}

// One address has one process: the successor is reported without waiting for failure detection.
func TestRestartAtTheSameAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, c1, c2, n1 := trio(t)
		n1.crash()
		again := n.start(t, "n1", 0x12, n1Addr, c2Addr)
		for _, h := range []*host{c1, c2} {
			h.await(300*time.Millisecond, "n1",
				"joined(n1#0000000000000011) failed(n1#0000000000000011) joined(n1#0000000000000012)")
		}
		if !isClosed(again.g.Ready()) {
			t.Error("not ready")
		}
		pass(time.Minute)
		c1.await(0, "n1", "joined(n1#0000000000000011) failed(n1#0000000000000011) joined(n1#0000000000000012)")
	})
}

func TestRejoinAfterLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, c1, _, n1 := trio(t)
		n1.leave()
		n.start(t, "n1", 0x12, n2Addr, c1Addr)
		c1.await(time.Second, "n1", "joined(n1#0000000000000011) left(n1#0000000000000011) joined(n1#0000000000000012)")
	})
}

func TestDuplicateID(t *testing.T) {
	for name, seed := range map[string]string{"through a third": c1Addr, "through the holder itself": n1Addr} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, c1, c2, n1 := trio(t)
				second := n.start(t, "n1", 0x12, n2Addr, seed)
				await(t, failureBound, "the second process gives up", func() bool { return isClosed(second.done) })
				err := second.runErr
				if !errors.Is(err, ErrDuplicateID) || !strings.Contains(err.Error(), n1Addr) ||
					!strings.Contains(err.Error(), n2Addr) {
					t.Errorf("error %v, want ErrDuplicateID with both addresses", err)
				}
				if isClosed(second.g.Ready()) {
					t.Error("the second process counted as a member")
				}
				pass(2 * rivalPatience)
				for _, h := range []*host{c1, c2} {
					h.await(0, "n1", "joined(n1#0000000000000011)") // nobody has heard of the second
				}
				if isClosed(n1.done) {
					t.Errorf("the holder gave up: %v", n1.runErr)
				}
			})
		})
	}
}

// The holder of the ID goes on, and tells its operator.
func TestDuplicateIDIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		var log lockedBuffer
		c1 := n.startLogged(t, &log, c1Addr)
		<-c1.g.Ready() // it is the first only once it has looked around
		second := n.start(t, "c1", 2, c2Addr, c1Addr)
		await(t, time.Second, "the second process gives up", func() bool { return isClosed(second.done) })
		synctest.Wait()
		if text := log.String(); isClosed(c1.done) || !strings.Contains(text, "another process claims the ID") ||
			!strings.Contains(text, "other_addr="+c2Addr) {
			t.Errorf("c1 (ended: %t) logged:\n%s", isClosed(c1.done), text)
		}
	})
}

// Two clusters that each have the ID merge: neither process was first, so the younger one gives way.
func TestDuplicateIDAfterMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		older := n.start(t, "n1", 0x19, n1Addr)
		pass(time.Minute)
		younger := n.start(t, "n1", 0x12, n2Addr)
		c1 := n.start(t, "c1", 1, c1Addr, n1Addr)
		c2 := n.start(t, "c2", 2, c2Addr, n2Addr)
		await(t, time.Second, "two clusters", func() bool { return c1.state("n1") != "" && c2.state("n1") != "" })
		if _, err := c1.g.list.Load().Join([]string{c2Addr}); err != nil {
			t.Fatal(err)
		}
		await(t, 2*rivalGrace, "the younger gives up", func() bool { return isClosed(younger.done) })
		if !errors.Is(younger.runErr, ErrDuplicateID) {
			t.Errorf("error %v, want ErrDuplicateID", younger.runErr)
		}
		if isClosed(older.done) {
			t.Errorf("the older gave up: %v", older.runErr)
		}
		await(t, failureBound, "c2 sees the older", func() bool {
			return c2.state("n1") == "alive" && memberNamed(t, c2, "n1").Incarnation == 0x19
		})
	})
}
