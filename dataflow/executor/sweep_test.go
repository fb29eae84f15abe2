package executor

import (
	"fmt"
	"slices"
	"testing"

	"cairn/checkpoint"
)

func TestMarkingAndDeletingChunks(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		ask := func(m checkpoint.ToNode, wantAsked string, want checkpoint.FromNode) {
			t.Helper()
			c.Receive(leader, m)
			asked, got := c.sweeper.asked(), leader.take()
			if !slices.Equal(asked, []string{wantAsked}) {
				t.Errorf("%s: the store was asked for %v", m, asked)
			}
			if len(got) != 1 || got[0] != want {
				t.Errorf("%s: answered %+v, want %+v", m, got, want)
			}
		}
		two := make([]checkpoint.ChunkID, 2)
		ask(checkpoint.MarkChunks{Term: 1, Sweep: 7}, "mark 7", checkpoint.ChunksMarked{Sweep: 7})
		ask(checkpoint.DeleteChunks{Term: 1, Sweep: 7, Chunks: two}, "delete 2 of 7", checkpoint.ChunksDeleted{Sweep: 7, Deleted: 1, Refused: 1})
		c.sweeper.err = fmt.Errorf("disk on fire")
		ask(checkpoint.DeleteChunks{Term: 1, Sweep: 7, Chunks: two}, "delete 2 of 7",
			checkpoint.ChunksDeleted{Sweep: 7, Deleted: 1, Refused: 1, Error: "disk on fire"})
	})
}

// A slow disk holds nothing up: neither the session, nor the executor's end.
func TestSlowDeletion(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.sweeper.hold = make(chan struct{})
		c.Receive(leader, checkpoint.DeleteChunks{Term: 1, Sweep: 1, Chunks: make([]checkpoint.ChunkID, 1)})
		c.Receive(leader, checkpoint.MarkChunks{Term: 1, Sweep: 2})
		if got := leader.take(); len(got) != 1 || got[0] != (checkpoint.ChunksMarked{Sweep: 2}) {
			t.Errorf("answered %+v, want the mark alone", got)
		}
		// The leader that asked is deposed: its answer is nobody's.
		next, _ := c.lead(2, "c2")
		close(c.sweeper.hold)
		if got := append(leader.take(), next.take()...); len(got) != 0 {
			t.Errorf("the next leader got %+v", got)
		}
		c.sweeper.hold = make(chan struct{}) // never released: the end of the test ends it
		c.Receive(next, checkpoint.DeleteChunks{Term: 2, Sweep: 1})
	})
}

// The mark of a shared store is answered when the processes that are gone have been fenced, be it that this failed: then
// the node deletes nothing for them.
func TestMarkOfASharedStore(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		hold := make(chan struct{})
		c.sweeper.hold, c.sweeper.err = hold, fmt.Errorf("no way to the store")
		c.Receive(leader, checkpoint.MarkChunks{Term: 1, Sweep: 7, Live: make([]checkpoint.NodeRef, 2), Gone: make([]checkpoint.NodeRef, 3)})
		if asked := c.sweeper.asked(); !slices.Equal(asked, []string{"mark 7", "fence 7: 2 live, 3 gone"}) {
			t.Errorf("the store was asked for %v", asked)
		}
		if got := leader.take(); len(got) != 0 {
			t.Errorf("answered %+v before the fence", got)
		}
		close(hold)
		if got := leader.take(); len(got) != 1 || got[0] != (checkpoint.ChunksMarked{Sweep: 7}) {
			t.Errorf("answered %+v", got)
		}
	})
}

// A mark is answered behind the changes of the store that came before it, and not to a leader that has been deposed
// meanwhile.
func TestMarkIsAnsweredBehindTheChanges(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		leader, _ := c.lead(1, "c1")
		c.keeper.flushing = make(chan struct{})
		c.Receive(leader, checkpoint.MarkChunks{Term: 1, Sweep: 7})
		if got := leader.take(); len(got) != 0 {
			t.Errorf("answered %+v before the changes", got)
		}
		c.keeper.flushing <- struct{}{}
		if got := leader.take(); len(got) != 1 || got[0] != (checkpoint.ChunksMarked{Sweep: 7}) {
			t.Errorf("answered %+v", got)
		}
		c.Receive(leader, checkpoint.MarkChunks{Term: 1, Sweep: 8})
		next, _ := c.lead(2, "c2")
		if got := append(leader.take(), next.take()...); len(got) != 0 {
			t.Errorf("the next leader got %+v", got)
		}
	})
}
