package fsm

import (
	"reflect"
	"strings"
	"testing"

	"cairn/checkpoint"
)

// A rescaled job ends its attempt without a failure, keeps the shape of that attempt until the next one starts, and
// remembers it for as long as the history speaks of it.
func TestRescaleJob(t *testing.T) {
	s := newScript(t)
	s.running(1, concurrent(3))
	s.completed(1, 1)
	older := s.begin(1, checkpoint.KindSavepoint)
	n := s.beginAligned(1)
	s.must(s.complete(1, n))
	before := *s.job(1)
	result := s.must(s.rescale(1, 5))

	j := s.job(1)
	if len(result.Aborted) != 1 || result.Aborted[0] != older || len(j.Pending) != 0 {
		t.Errorf("aborted %v, pending %v; want savepoint %d", result.Aborted, pendingIDs(j), older)
	}
	if j.Status != JobRestarting || j.Restart.Count != before.Restart.Count || j.Restart.Delay != before.Restart.Delay || j.Failure != "" ||
		j.ConsecutiveFailures != before.ConsecutiveFailures || j.Restart.NextAt > s.at || j.Interrupted == "" {
		t.Errorf("%s, restart %+v, failure %q, interrupted %q", j.Status, j.Restart, j.Failure, j.Interrupted)
	}
	if !reflect.DeepEqual(j.Topology, before.Topology) || !reflect.DeepEqual(j.NextShape().Topology, scaled(5)) {
		t.Errorf("graph %+v, next %+v", j.Topology, j.Next)
	}

	s.rejects(ErrInvalid, s.start(1, n)) // places the subtasks of the shape before
	s.must(s.startScaled(1, 5))
	j = s.job(1)
	if !reflect.DeepEqual(j.Topology, scaled(5)) || j.Parallelism["count"] != 5 || j.Next != nil || j.Interrupted != "" {
		t.Errorf("graph %+v of %v, next %+v, interrupted %q", j.Topology, j.Parallelism, j.Next, j.Interrupted)
	}
	if j.RestoredFrom != n || j.Attempt != 2 {
		t.Errorf("attempt %d from %d, want 2 from %d", j.Attempt, j.RestoredFrom, n)
	}
	if was := j.TopologyOf(1); !reflect.DeepEqual(was, topology()) || !reflect.DeepEqual(j.TopologyOf(2), scaled(5)) {
		t.Errorf("attempt 1 had %+v", was)
	}

	s.completed(1, MaxHistory) // of attempt 2: nothing speaks of attempt 1 any more
	s.must(s.complete(1, s.beginAligned(1)))
	s.must(s.rescale(1, 3))
	s.must(s.startScaled(1, 3))
	if f := s.job(1).Former; len(f) != 1 || f[0].Last != 2 {
		t.Errorf("remembers %+v", f)
	}
}

// What an attempt may not end at, and what it may not become.
func TestRescaleJobRejections(t *testing.T) {
	s := newScript(t)
	s.running(1, concurrent(3), retain(2))
	s.must(s.complete(1, s.begin(1, checkpoint.KindCheckpoint)))
	s.rejects(ErrUnknownCheckpoint, s.rescale(1, 5)) // it may hold records in flight
	aligned := s.beginAligned(1)
	s.rejects(ErrUnknownCheckpoint, s.rescale(1, 5))
	s.must(s.complete(1, aligned))

	change := func(change func(*RescaleJob)) RescaleJob {
		c := s.rescale(1, 5)
		change(&c)
		return c
	}
	s.rejects(ErrUnknownJob, change(func(c *RescaleJob) { c.Job = jobID(9) }))
	s.rejects(ErrStaleAttempt, change(func(c *RescaleJob) { c.Attempt++ }))
	s.rejects(ErrUnknownCheckpoint, change(func(c *RescaleJob) { c.Checkpoint-- }))
	s.rejects(ErrUnknownCheckpoint, MoveJob{Job: jobID(1), Attempt: 1, Checkpoint: aligned + 1, Cause: "x", Term: 3, At: s.at})
	s.rejects(ErrInvalid, change(func(c *RescaleJob) { c.Topology.Vertices[1].Parallelism = 0 }))
	s.rejects(ErrInvalid, change(func(c *RescaleJob) { c.Topology.Vertices[0].Operators = c.Topology.Vertices[0].Operators[:1] }))
	s.rejects(ErrInvalid, change(func(c *RescaleJob) {
		c.Topology.Vertices[1].Operators = append(c.Topology.Vertices[1].Operators, "new")
	}))
	s.rejects(ErrInvalid, change(func(c *RescaleJob) { c.Parallelism["count"] = 4 }))
	s.rejects(ErrInvalid, change(func(c *RescaleJob) { c.Parallelism["unknown"] = 5 }))

	s.must(s.complete(1, s.begin(1, checkpoint.KindCheckpoint))) // published since
	s.rejects(ErrUnknownCheckpoint, change(func(c *RescaleJob) { c.Checkpoint = aligned }))

	s.must(s.complete(1, s.beginAligned(1)))
	stop := BeginCheckpoint{Job: jobID(1), Attempt: 1, Kind: checkpoint.KindSavepoint, Stop: checkpoint.StopSuspend, Term: 3, At: s.at}
	id := s.must(stop).Checkpoint
	s.rejects(ErrWrongStatus, s.rescale(1, 5))
	s.must(s.complete(1, id)) // its side effects are published
	s.rejects(ErrWrongStatus, s.rescale(1, 5))

	s.running(2)
	s.must(s.complete(2, s.beginAligned(2)))
	s.must(s.rescale(2, 5))
	s.rejects(ErrNotRunning, s.rescale(2, 3)) // one or the other, never a mixture
	s.must(s.cancel(2))
	if j := s.job(2); j.Next != nil || j.Interrupted != "" {
		t.Errorf("a job that ends has a next shape: %+v", j.Next)
	}
}

// TestR5_MaxParallelismNeverChanges although the parallelism does, and both figures are named.
func TestR5_MaxParallelismNeverChanges(t *testing.T) {
	s := newScript(t)
	s.running(1)
	s.must(s.complete(1, s.beginAligned(1)))
	c := s.rescale(1, 5)
	c.Topology.Vertices[1].MaxParallelism = 256
	_, err := s.step(c)
	if err == nil || !strings.Contains(err.Error(), "128") || !strings.Contains(err.Error(), "256") {
		t.Errorf("rejected with %v", err)
	}
}

// A move keeps the shape and counts no failure.
func TestMoveJob(t *testing.T) {
	s := newScript(t)
	s.running(1)
	s.must(s.complete(1, s.beginAligned(1)))
	s.must(MoveJob{Job: jobID(1), Attempt: 1, Checkpoint: 1, Cause: "node n2 is drained", Term: 3, At: s.at})
	j := s.job(1)
	if j.Status != JobRestarting || j.Interrupted != "node n2 is drained" || j.Next != nil || j.Restart.Count != 0 || j.Failure != "" {
		t.Errorf("%s, interrupted %q, next %v, %d restarts", j.Status, j.Interrupted, j.Next, j.Restart.Count)
	}
	s.must(s.start(1, 1))
	if j := s.job(1); len(j.Former) != 0 || j.Interrupted != "" {
		t.Errorf("former %v, interrupted %q", j.Former, j.Interrupted)
	}
}

// A snapshot from before a rescaling is brought back: the assignment of today fits the graph of today only.
func TestSnapshotFromBeforeARescaling(t *testing.T) {
	s := newScript(t)
	s.running(1)
	s.must(s.complete(1, s.beginAligned(1)))
	old := restored(t, s.bytes())
	s.must(s.rescale(1, 5))
	s.must(s.startScaled(1, 5))
	s.must(DrainNode{Node: "n1", At: s.at})
	if err := old.After(s.state, 7, s.at); err != nil {
		t.Fatal(err)
	}
	j := old.Jobs[jobID(1)]
	if !reflect.DeepEqual(j.Topology, scaled(5)) || j.Parallelism["count"] != 5 || j.Status != JobRestarting || len(old.Drained) != 1 {
		t.Errorf("%s with %+v of %v; drained %v", j.Status, j.Topology, j.Parallelism, old.Drained)
	}
}

func TestDrainNode(t *testing.T) {
	s := newScript(t)
	s.must(DrainNode{Node: "n2", At: 5})
	held := s.state.Drained
	s.must(DrainNode{Node: "n2", At: 6})
	s.must(DrainNode{Node: "n1", At: 7})
	s.rejects(ErrInvalid, DrainNode{At: 8})
	s.must(UndrainNode{Node: "unknown"})
	if len(held) != 1 || held["n2"] != 5 {
		t.Errorf("the map that a reader holds has changed: %v", held)
	}
	if again := restored(t, s.bytes()); !reflect.DeepEqual(again.Drained, map[checkpoint.NodeID]checkpoint.Timestamp{"n1": 7, "n2": 5}) {
		t.Errorf("drained: %v", again.Drained)
	}
	s.must(UndrainNode{Node: "n2"})
	if got := s.state.SortedDrained(); len(got) != 1 || got[0] != "n1" {
		t.Errorf("drained: %v", got)
	}
}
