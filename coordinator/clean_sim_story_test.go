package coordinator

import (
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/statestore"
)

// until runs a leader and its sessions to the given nodes, and nobody else, until its sweep has come to a phase.
func (s *cleanSim) until(t *testing.T, l *simLeader, phase SweepPhase, nodes ...*simNode) {
	t.Helper()
	for range 1000 {
		if l.view.cleaning.phase == phase {
			return
		}
		s.now = s.now.Add(50 * time.Millisecond)
		for _, n := range nodes {
			l.view.OnHeard(n.ref.ID, s.now)
			s.deliver(l, n)
			n.deleteOne(s)
		}
		s.act(l)
	}
	t.Fatalf("the sweep is %s, want %s", l.view.cleaning.phase, phase)
}

// finish completes a checkpoint that stores one content on two nodes.
func (s *cleanSim) finish(data string, on ...*simNode) *simCheckpoint {
	c := s.start(data, on...)
	for s.pending(c) {
		if len(c.todo) == 0 && c.manifest.ID.IsZero() {
			s.writeManifest(c)
			for i := range c.todo {
				c.todo[i].node = on[i%len(on)]
			}
		} else if len(c.todo) > 0 {
			s.put(c, c.todo[0])
			c.todo = c.todo[1:]
		} else {
			s.complete(c)
		}
	}
	return c
}

// start begins a checkpoint of the first job, which is to store one content.
func (s *cleanSim) start(data string, on ...*simNode) *simCheckpoint {
	j := s.state.SortedJobs()[0]
	c := s.beginOf(j, checkpoint.KindCheckpoint)
	c.chunks = []checkpoint.ChunkRef{statestore.RefOf([]byte(data))}
	for _, n := range on {
		c.todo = append(c.todo, simPut{[]byte(data), n})
	}
	return c
}

// U8: a leader that has been deposed, and does not know, is about to delete what its successor's first checkpoint has
// stored anew before the marks. Its log does not tell it; that it cannot commit anything does.
func TestU8_DeposedLeaderLosesNothingOfItsSuccessor(t *testing.T) {
	for name, broken := range map[string]bool{"as it is": false, "without confirming": true} {
		t.Run(name, func(t *testing.T) {
			s := newCleanSim(1, simOptions{noConfirm: broken})
			old, n1, n2 := s.leader(), s.nodes[0], s.nodes[1]
			s.finish("x", n1, n2)
			s.finish("y", n1, n2) // x is discarded
			for range 8 {
				for _, n := range s.nodes {
					s.deliver(old, n) // they report
				}
			}
			s.elect()
			for _, n := range s.nodes {
				delete(s.leader().links, n.ref.ID) // they still obey the old leader
			}
			again := s.finish("x", n1, n2)
			for range 100 {
				s.advance(50 * time.Millisecond)
				s.act(old)
				for _, n := range s.nodes {
					s.deliver(old, n)
					n.deleteOne(s)
				}
			}
			err := s.check()
			if !broken && err != nil {
				t.Fatal(err)
			}
			if broken && err == nil {
				t.Fatalf("checkpoint %d has lost nothing: the story does not show what it should", again.key.checkpoint)
			}
		})
	}
}

// The same when the old leader has confirmed itself before it was deposed: then everything that its successor stores
// comes behind the marks, and the nodes spare it.
func TestU8_DeposedWhileDeleting(t *testing.T) {
	for name, broken := range map[string]bool{"as it is": false, "without notes": true} {
		t.Run(name, func(t *testing.T) {
			s := newCleanSim(1, simOptions{noNotes: broken})
			old, n1, n2 := s.leader(), s.nodes[0], s.nodes[1]
			s.finish("x", n1, n2)
			s.finish("y", n1, n2)
			s.until(t, old, SweepDeletingState, s.nodes...)
			s.elect()
			for _, n := range s.nodes {
				delete(s.leader().links, n.ref.ID)
			}
			s.finish("x", n1, n2)
			for range 100 {
				s.advance(50 * time.Millisecond)
				s.act(old)
				for _, n := range s.nodes {
					s.deliver(old, n)
					n.deleteOne(s)
				}
			}
			if err := s.check(); (err != nil) != broken {
				t.Fatalf("broken: %t, lost: %v", broken, err)
			}
		})
	}
}
