package fsm

import (
	"slices"
	"testing"

	"cairn/checkpoint"
)

func TestKeptSubtasksGoOn(t *testing.T) {
	s := newScript(t)
	s.runningLanes(1)
	if j := s.job(1); j.Since != nil || j.DeployedIn(3) != 1 {
		t.Errorf("first attempt: since %v", j.Since)
	}
	s.must(s.fail(1, "read[1] failed"))
	s.must(s.startLanes(1, 0, 2))
	if j := s.job(1); !slices.Equal(j.Since, []checkpoint.Attempt{1, 2, 1, 2}) || j.Global {
		t.Errorf("second attempt: %+v", j)
	}
	s.must(s.fail(1, "read[1] failed again"))
	s.must(s.startLanes(1, 0, 2))
	if j := s.job(1); !slices.Equal(j.Since, []checkpoint.Attempt{1, 3, 1, 3}) {
		t.Errorf("third attempt: since %v", j.Since)
	}
	s.must(s.fail(1, "read[0] failed"))
	s.must(s.startLanes(1, 1, 3))
	if j := s.job(1); !slices.Equal(j.Since, []checkpoint.Attempt{4, 3, 4, 3}) {
		t.Errorf("fourth attempt: since %v", j.Since)
	}
	s.must(s.fail(1, "both failed"))
	s.must(s.startLanes(1))
	if j := s.job(1); j.Since != nil {
		t.Errorf("fifth attempt: since %v", j.Since)
	}
}

func TestKeptRejections(t *testing.T) {
	lost := func(s *script) { s.must(s.fail(1, "lost")) }
	tests := []struct {
		name  string
		start func(s *script) StartAttempt
		fails func(*script)
	}{
		{"half a region", func(s *script) StartAttempt { return s.startLanes(1, 0) }, lost},
		{"half of another", func(s *script) StartAttempt { return s.startLanes(1, 0, 2, 3) }, lost},
		{"twice", func(s *script) StartAttempt { return s.startLanes(1, 0, 0, 2) }, lost},
		{"out of order", func(s *script) StartAttempt { return s.startLanes(1, 2, 0) }, lost},
		{"not a subtask", func(s *script) StartAttempt { return s.startLanes(1, 0, 2, 4) }, lost},
		{"negative", func(s *script) StartAttempt { return s.startLanes(1, -1, 0, 2) }, lost},
		{"on another node", func(s *script) StartAttempt {
			c := s.startLanes(1, 0, 2)
			c.Assignment.NodeOf = []int{1, 1, 1, 1}
			return c
		}, lost},
		{"in another process", func(s *script) StartAttempt {
			c := s.startLanes(1, 0, 2)
			c.Assignment.Nodes[0].Incarnation++
			return c
		}, lost},
		{"after a failure of all", func(s *script) StartAttempt { return s.startLanes(1, 0, 2) }, func(s *script) {
			c := s.fail(1, "all")
			c.Global = true
			s.must(c)
		}},
		{"after a move", func(s *script) StartAttempt { return s.startLanes(1, 0, 2) }, func(s *script) {
			id := s.beginAligned(1)
			s.must(s.complete(1, id))
			s.must(MoveJob{Job: jobID(1), Attempt: 1, Checkpoint: id, Cause: "drained", Term: 3, At: s.at})
		}},
		{"after a rescaling", func(s *script) StartAttempt {
			c := s.startLanes(1, 0, 2)
			c.Assignment = assignmentOf(s.job(1).NextShape().Topology.NumSubtasks())
			return c
		}, func(s *script) {
			s.must(s.complete(1, s.beginAligned(1)))
			s.must(s.rescale(1, 3))
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t)
			s.runningLanes(1)
			test.fails(s)
			s.rejects(ErrInvalid, test.start(s))
			c := test.start(s)
			c.Kept = nil
			s.must(c)
		})
	}
	t.Run("before the first attempt", func(t *testing.T) {
		s := newScript(t)
		c := s.submit(1)
		c.Topology = lanes(2)
		s.must(c)
		s.rejects(ErrInvalid, s.startLanes(1, 0, 2))
	})
}

// TestWhatFailsAsAWhole: tasks that have gone on beside the failure would not do what the job has to do next.
func TestWhatFailsAsAWhole(t *testing.T) {
	stop := func(s *script) checkpoint.ID {
		return s.must(BeginCheckpoint{
			Job: jobID(1), Attempt: s.job(1).Attempt, Kind: checkpoint.KindSavepoint, Stop: checkpoint.StopSuspend, Term: 2, At: s.at,
		}).Checkpoint
	}
	tests := []struct {
		name string
		want bool
		then func(*script)
	}{
		{"nothing", false, func(*script) {}},
		{"a pending checkpoint", false, func(s *script) { s.begin(1, checkpoint.KindCheckpoint) }},
		{"a savepoint", false, func(s *script) { s.savepoint(1) }},
		{"too many failed checkpoints", true, func(s *script) {
			s.must(s.abort(1, s.begin(1, checkpoint.KindCheckpoint), checkpoint.ReasonDeclined))
		}},
		{"a pending savepoint to stop with", true, func(s *script) { stop(s) }},
		{"a failed savepoint to stop with", true, func(s *script) { s.must(s.abort(1, stop(s), checkpoint.ReasonExpired)) }},
		{"a completed savepoint to stop with", true, func(s *script) { s.must(s.complete(1, stop(s))) }},
		{"one of an earlier attempt", false, func(s *script) {
			id := stop(s)
			s.must(s.complete(1, id))
			s.must(s.fail(1, "lost"))
			c := s.startLanes(1)
			c.RestoreFrom = id
			s.must(c)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t)
			s.runningLanes(1, tolerate(0))
			test.then(s)
			s.must(s.fail(1, "read[1] failed"))
			if j := s.job(1); j.Global != test.want || j.MayKeep() == test.want {
				t.Errorf("failed as a whole: %t, may keep: %t", j.Global, j.MayKeep())
			}
			s.must(s.cancel(1))
			if s.job(1).Global {
				t.Error("the job is being cancelled, and has failed as a whole")
			}
		})
	}
}

// TestRestoredSnapshotKeepsNothing: what goes on may not be what the restored log says.
func TestRestoredSnapshotKeepsNothing(t *testing.T) {
	s := newScript(t)
	s.runningLanes(1)
	running := decoded(t, s.state)
	s.must(s.fail(1, "read[1] failed"))
	failed := decoded(t, s.state)
	s.must(s.startLanes(1, 0, 2))
	since := s.job(1).Since
	for name, snapshot := range map[string]*State{"running": running, "restarting": failed} {
		other := newScript(t)
		other.state = decoded(t, s.state)
		other.restore(snapshot)
		if j := other.job(1); !j.Global || j.Attempt != 2 || !slices.Equal(j.Since, since) {
			t.Errorf("%s: %+v", name, j)
		}
		other.rejects(ErrInvalid, other.startLanes(1, 0, 2))
		fresh := newScript(t)
		fresh.restore(snapshot)
		if j := fresh.job(1); !j.Global {
			t.Errorf("%s, unknown: %+v", name, j)
		}
	}
}
