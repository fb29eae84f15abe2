package coordinator

import (
	"testing"
	"time"

	"cairn/checkpoint"
)

// failTwiceOn lets a subtask fail by itself until its node has been blamed often enough, and returns where it is then.
func failTwiceOn(w *world, s checkpoint.SubtaskID, failure checkpoint.Failure) (before, after checkpoint.NodeID) {
	w.t.Helper()
	before = w.nodeOf(s)
	for range patience {
		if at := w.nodeOf(s); at != before {
			w.t.Fatalf("it is on %s already, was on %s", at, before)
		}
		w.allStatus(checkpoint.SubtaskRunning)
		w.fail(s, failure)
		w.letPass(10 * time.Second) // the grace for a better cause, and the restart's delay
	}
	return before, w.nodeOf(s)
}

// A node on which a subtask fails again and again by itself is avoided, if there is room elsewhere.
func TestNodeThatFailsAgainAndAgainIsAvoided(t *testing.T) {
	subtask := checkpoint.SubtaskID{Vertex: "count"}
	withRoom := func(t *testing.T) *world { return roomy(t) }
	full := func(t *testing.T) *world { return running(t, testConfig()) }
	for name, test := range map[string]struct {
		world   func(*testing.T) *world
		failure checkpoint.Failure
		moves   bool
	}{
		"its disk is full":                {withRoom, checkpoint.Failure{Message: "no space left on device"}, true},
		"there is no room elsewhere":      {full, checkpoint.Failure{Message: "no space left on device"}, false},
		"it was not the node's own fault": {withRoom, checkpoint.Failure{Message: "channel broke", Secondary: true}, false},
	} {
		w := test.world(t)
		before, after := failTwiceOn(w, subtask, test.failure)
		if moved := before != after; moved != test.moves {
			t.Errorf("%s: the subtask was on %s and is on %s", name, before, after)
		}
	}
}

// One attempt in which a node does not fail is enough to forgive it.
func TestNodesAreForgiven(t *testing.T) {
	s := &jobView{blamed: map[checkpoint.NodeID]int{"n1": 1}}
	j := running(t, testConfig()).job()
	s.subtasks = make([]subtaskView, len(j.Assignment.NodeOf))
	s.blame(j)
	if len(s.blamed) != 0 {
		t.Errorf("blamed are %v", s.blamed)
	}
}
