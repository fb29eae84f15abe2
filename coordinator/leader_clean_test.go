package coordinator

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"cairn/api"
	"cairn/checkpoint"
)

// Keep finds everything but what is lost: the state that fake nodes acknowledge is nowhere.
func (s *memoryStore) Keep(_ context.Context, refs []checkpoint.ChunkRef) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ref := range refs {
		if ref.ID == s.lost {
			return fmt.Errorf("chunk %s: not found", ref.ID)
		}
	}
	return nil
}

// Sweeps wait for imports that began before their marks were complete, and not for later ones.
func TestI5_SweepWaitsForImports(t *testing.T) {
	w := swept(t)
	earlier := w.view.OnImportBegun()
	w.run()
	w.wantPhase(SweepWaiting)
	w.view.OnImportBegun()
	w.run()
	w.wantPhase(SweepWaiting)
	w.view.OnImportEnded(earlier)
	w.run()
	w.wantPhase(SweepIdle)
	w.wantDiscards()
}

// fakeSweeps is a fake node's part in sweeps. The node's mutex guards it.
type fakeSweeps struct {
	hold    bool // marks are not answered yet
	held    []func()
	deleted map[checkpoint.ChunkID]checkpoint.Term // by whose order
}

func (f *fakeSweeps) receive(s *fakeStream, m checkpoint.ToNode) {
	switch m := m.(type) {
	case checkpoint.MarkChunks:
		f.held = append(f.held, func() { s.out <- checkpoint.ChunksMarked{Sweep: m.Sweep} })
	case checkpoint.DeleteChunks:
		if f.deleted == nil {
			f.deleted = make(map[checkpoint.ChunkID]checkpoint.Term)
		}
		for _, id := range m.Chunks {
			f.deleted[id] = m.Term
		}
		s.out <- checkpoint.ChunksDeleted{Sweep: m.Sweep, Deleted: len(m.Chunks)}
	}
	if !f.hold {
		f.release()
	}
}

func (f *fakeSweeps) release() {
	for _, answer := range f.held {
		answer()
	}
	f.held = nil
}

// marking reports whether a mark waits for its answer.
func (n *fakeNode) marking() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.sweeps.held) > 0
}

func (n *fakeNode) holdMarks(hold bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.sweeps.hold = hold; !hold {
		n.sweeps.release()
	}
}

// deletedBy returns the term of the leader that had a chunk deleted, 0 for none.
func (n *fakeNode) deletedBy(id checkpoint.ChunkID) checkpoint.Term {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sweeps.deleted[id]
}

// discarded returns a cluster with a job that keeps one checkpoint, takes none by itself, and has completed two.
func discarded(t *testing.T) *testCluster {
	c := newTestCluster(t, "n1", "n2")
	c.awaitStatus("two nodes", twoAlive)
	for _, n := range c.fabric.nodes {
		n.holdMarks(true)
	}
	if _, err := c.leader("").Service().SubmitJob(context.Background(), api.SubmitJobRequest{
		Program: "test", Config: map[string]string{"checkpointing.interval": "0", "checkpointing.retain": "1"},
	}); err != nil {
		t.Fatal(err)
	}
	c.awaitStatus("the job to run", func(s api.Status) bool { return len(s.Jobs) == 1 && s.Jobs[0].State == "RUNNING" })
	for range 2 {
		c.within(10*time.Second, "a checkpoint", func() bool {
			_, err := c.leader("").Service().TriggerCheckpoint(context.Background(), "test")
			return err == nil
		})
	}
	return c
}

// U4, U8: the sweep of a leader that dies is begun anew by the next, which deletes what the log discarded before.
func TestU4_NextLeaderDeletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := discarded(t)
		defer c.stop()
		n := c.fabric.nodes[0]
		c.within(10*time.Second, "a mark", n.marking)
		first := c.leader("")
		c.crash(first.cfg.ID)
		n.holdMarks(false)
		c.fabric.nodes[1].holdMarks(false)
		next := c.leader(first.cfg.ID)
		c.within(10*time.Second, "the chunks of checkpoint 1 to go", func() bool { return n.deletedBy(chunkOf(1, sub("read", 0))) > 0 })
		c.within(10*time.Second, "the discard to come off the list", func() bool { return len(next.replica.jobs()[0].Discards) == 0 })
		if n.deletedBy(chunkOf(2, sub("read", 0))) > 0 {
			t.Error("a chunk of the retained checkpoint went too")
		}
	})
}

// I11: a leader that is cut off from the other coordinators, and not from the nodes, deletes nothing. It has nothing to
// commit and could go on for the time of its lease.
func TestI11_MinorityDeletesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := discarded(t)
		defer c.stop()
		for _, n := range c.fabric.nodes {
			c.within(10*time.Second, "a mark", n.marking)
		}
		old := c.leader("")
		term := old.sessions.leading().term
		c.cut(old)
		for _, n := range c.fabric.nodes {
			n.holdMarks(false)
		}
		c.leader(old.cfg.ID)
		for _, n := range c.fabric.nodes {
			chunk := chunkOf(1, sub("read", 0))
			c.within(10*time.Second, "the next leader to delete it", func() bool { return n.deletedBy(chunk) > 0 })
			if by := n.deletedBy(chunk); by <= term {
				t.Errorf("node %s deleted a chunk for the leader of term %d, which was cut off", n.id, by)
			}
		}
	})
}

// L5: a coordinator that is stopped discards nothing more, and deletes nothing, though a sweep is under way.
func TestL5_SuspendedCoordinatorDeletesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := discarded(t)
		for _, n := range c.fabric.nodes {
			c.within(10*time.Second, "a mark", n.marking)
		}
		leader := c.leader("")
		for _, coord := range c.coordinators {
			coord.cancel()
		}
		for _, n := range c.fabric.nodes {
			n.holdMarks(false)
		}
		c.stop()
		j := leader.replica.jobs()[0]
		if len(j.Discards) != 1 || len(j.Completed) != 1 {
			t.Errorf("the log has %d checkpoints and %d discards", len(j.Completed), len(j.Discards))
		}
		for _, n := range c.fabric.nodes {
			if len(n.sweeps.deleted) > 0 {
				t.Errorf("node %s deleted %v", n.id, n.sweeps.deleted)
			}
		}
	})
}
