package executor

import (
	"slices"
	"testing"
	"testing/synctest"

	"cairn/checkpoint"
)

// takeCustody returns what the custodian has offered since the last call.
func (s *fakeSession) takeCustody() []checkpoint.FromNode {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.custody
	s.custody = nil
	return all
}

// wasServed reports whether the custodian has begun to serve on a session since the last call.
func (s *fakeSession) wasServed() bool { return len(s.takeCustody()) == 1 }

// The custodian serves who leads, from when that has got the Report until somebody else does, or until the session ends.
func TestCustodianServesWhoLeads(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		serving := func(want int64) {
			t.Helper()
			synctest.Wait()
			if got := c.keeper.serving.Load(); got != want {
				t.Errorf("serving %d leaders, want %d", got, want)
			}
		}
		serving(0)
		first, _ := c.lead(1, "c1")
		if !first.wasServed() {
			t.Error("the first leader is not served")
		}
		next, _ := c.lead(2, "c2")
		if !next.wasServed() || first.wasServed() {
			t.Error("the second leader is not served, or the first is again")
		}
		c.SessionClosed(first)
		serving(1)
		c.Receive(next, checkpoint.Leading{Term: 2, Leader: "c2"}) // it had given the node up
		if !next.wasServed() {
			t.Error("who asks for the Report again is not served anew")
		}
		c.SessionClosed(next)
		serving(0)
		if third, _ := c.lead(2, "c2"); !third.wasServed() {
			t.Error("the leader's next session is not served")
		}
		serving(1)
	})
}

// A leader that could not be sent the Report is told nothing of the store: the session is of no use.
func TestCustodianDoesNotServeABrokenSession(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		broken := &fakeSession{broken: true}
		c.Receive(broken, checkpoint.Leading{Term: 1, Leader: "c1"})
		synctest.Wait()
		if got := c.keeper.serving.Load(); got != 0 {
			t.Errorf("serving %d leaders", got)
		}
	})
}

func TestCopyingChunks(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		copies := []checkpoint.ChunkCopy{{Chunk: checkpoint.ChunkRef{ID: checkpoint.ChunkID{1}}}, {Chunk: checkpoint.ChunkRef{ID: checkpoint.ChunkID{2}}}}
		c.Receive(leader, checkpoint.CopyChunks{Term: 1, Order: 7, Copies: copies})
		answers := leader.take()
		if len(answers) != 1 {
			t.Fatalf("answered %+v", answers)
		}
		got := answers[0].(checkpoint.ChunksCopied)
		if got.Order != 7 || !slices.Equal(got.Copied, []checkpoint.ChunkID{{2}}) ||
			!slices.Equal(got.Failed, []checkpoint.ChunkFailure{{Chunk: checkpoint.ChunkID{1}, Error: "disk on fire"}}) {
			t.Errorf("answered %+v", got)
		}
	})
}

// An order that comes twice is carried out once, and holds nothing else up. It ends with the leadership: what came of it
// is nobody's any more.
func TestI6_OrderToCopyEndsWithTheLeadership(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.keeper.hold = make(chan struct{}) // never released
		order := checkpoint.CopyChunks{Term: 1, Order: 7, Copies: make([]checkpoint.ChunkCopy, 2)}
		c.Receive(leader, order)
		c.Receive(leader, order)
		c.Receive(leader, checkpoint.ListChunks{Term: 1, Request: 8})
		if got, want := sorted(c.keeper.asked()), []string{"copy 2", "list 8"}; !slices.Equal(got, want) {
			t.Errorf("asked for %v, want %v", got, want)
		}
		if got := leader.take(); len(got) != 1 || got[0].(checkpoint.Inventory).Request != 8 {
			t.Errorf("answered %+v, want the list alone", got)
		}
		next, _ := c.lead(2, "c2")
		if got, want := c.keeper.asked(), []string{"copying ended: context canceled"}; !slices.Equal(got, want) {
			t.Errorf("noted %v, want %v", got, want)
		}
		if got := append(leader.take(), next.take()...); len(got) != 0 {
			t.Errorf("answered %+v", got)
		}
		// The next leader's orders are numbered anew.
		c.Receive(next, checkpoint.CopyChunks{Term: 2, Order: 7, Copies: order.Copies})
		if got, want := c.keeper.asked(), []string{"copy 2"}; !slices.Equal(got, want) {
			t.Errorf("the next leader's order: noted %v, want %v", got, want)
		}
	})
}

// A leader's requests for a list do not survive it, and a newer one takes an older one's place.
func TestI6_RequestForAListEndsWithTheLeadership(t *testing.T) {
	l := &leadership{lists: make(chan uint64, 1)}
	l.listLocked(1)
	l.listLocked(2)
	if got := <-l.Lists(); got != 2 {
		t.Errorf("request %d, want the newer one", got)
	}
	inCluster(t, func(t *testing.T, c *cluster) {
		old, _ := c.lead(1, "c1")
		c.Executor.mu.Lock()
		before := c.Executor.mu.leadership
		c.Executor.mu.Unlock()
		next, _ := c.lead(2, "c2")
		c.Executor.mu.Lock()
		before.listLocked(9) // it came just before the next leader
		c.Executor.mu.Unlock()
		before.Tell(checkpoint.Inventory{Request: 9})
		if before.Offer(checkpoint.Inventory{Request: 9}) {
			t.Error("what is offered to a deposed leader is taken")
		}
		if got := append(old.take(), next.take()...); len(got) != 0 || len(c.keeper.asked()) != 0 {
			t.Errorf("told %+v", got)
		}
	})
}

func sorted(all []string) []string {
	slices.Sort(all)
	return all
}
