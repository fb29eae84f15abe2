package fsm

import (
	"slices"
	"testing"

	"cairn/checkpoint"
)

// The newest checkpoint leaves the log for the discard list; what came before it is the newest then. Its outcome, the
// counters and the next ID are what they were (I1, I2).
func TestI2_GivingUpChangesNoOutcome(t *testing.T) {
	s := newScript(t)
	s.running(1, fallback)
	s.completed(1, 4)
	s.must(s.fail(1, "node n3 was lost"))
	before := *s.job(1)
	s.must(s.giveUp(1))
	j := s.job(1)
	if !slices.Equal(completedIDs(j), []checkpoint.ID{2, 3}) || !slices.Equal(discardIDs(j), []checkpoint.ID{1, 4}) {
		t.Fatalf("log %v, discards %v", completedIDs(j), discardIDs(j))
	}
	if n := len(j.History); n != len(before.History) || j.History[n-1].Status != OutcomeCompleted || j.History[n-1].ID != 4 {
		t.Errorf("history %+v", j.History)
	}
	if j.Counters != before.Counters || j.LastID != 4 || j.LastSuccess != 4 || j.Attempt != 1 || j.Restart.Count != before.Restart.Count {
		t.Errorf("counters %+v, last %d, success %d, attempt %d, restarts %d", j.Counters, j.LastID, j.LastSuccess, j.Attempt, j.Restart.Count)
	}
	if len(j.GivenUp) != 1 || j.GivenUp[0].ID != 4 || j.GivenUp[0].Cause != "a chunk was on n3 only" || j.GivenUp[0].Term != 3 || j.GivenUp[0].At == 0 {
		t.Errorf("given up: %+v", j.GivenUp)
	}
	if want := "checkpoint 4 was given up: a chunk was on n3 only"; j.Failure != want {
		t.Errorf("failure %q, want %q", j.Failure, want)
	}
	s.rejects(ErrUnknownCheckpoint, s.start(1, 4))
	s.must(s.start(1, 3))
	s.completed(1, 1)
	if got := completedIDs(s.job(1)); !slices.Equal(got, []checkpoint.ID{2, 3, 5}) {
		t.Errorf("log %v", got)
	}
}

func TestGivingUpIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(*script)
		give    checkpoint.ID
		want    error
	}{
		"unknown job":  {func(*script) {}, 1, ErrUnknownJob},
		"running":      {func(s *script) { s.running(1, fallback); s.completed(1, 2) }, 2, ErrWrongStatus},
		"cancelling":   {func(s *script) { s.running(1, fallback); s.completed(1, 2); s.must(s.cancel(1)) }, 2, ErrWrongStatus},
		"ended":        {func(s *script) { s.running(1, fallback); s.completed(1, 2); s.ended(1) }, 2, ErrJobEnded},
		"not allowed":  {func(s *script) { s.running(1); s.completed(1, 2); s.must(s.fail(1, "x")) }, 2, ErrFallback},
		"an older one": {func(s *script) { s.running(1, fallback); s.completed(1, 2); s.must(s.fail(1, "x")) }, 1, ErrUnknownCheckpoint},
		"twice": {func(s *script) {
			s.running(1, fallback)
			s.completed(1, 3)
			s.must(s.fail(1, "x"))
			s.must(s.giveUp(1))
		}, 3, ErrUnknownCheckpoint},
		"the only one": {func(s *script) { s.running(1, fallback); s.completed(1, 1); s.must(s.fail(1, "x")) }, 1, ErrUnknownCheckpoint},
		"none":         {func(s *script) { s.running(1, fallback); s.must(s.fail(1, "x")) }, 0, ErrUnknownCheckpoint},
		"not what it restarts from": {func(s *script) {
			s.running(1, fallback)
			s.completed(1, 2)
			id := s.must(BeginCheckpoint{Job: jobID(1), Attempt: 1, Kind: checkpoint.KindSavepoint, Stop: checkpoint.StopSuspend, Term: 3, At: s.at}).Checkpoint
			s.must(s.complete(1, id))
			s.must(s.fail(1, "x"))
		}, 2, ErrUnknownCheckpoint},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			test.prepare(s)
			s.rejects(test.want, GiveUpCheckpoint{Job: jobID(1), Checkpoint: test.give, Cause: "lost", Term: 3, At: s.at})
		})
	}
}

// What went on when others failed is ahead of the older checkpoint: the job restarts as a whole.
func TestGivingUpRestartsTheWholeJob(t *testing.T) {
	s := newScript(t)
	s.runningLanes(1, fallback)
	s.completed(1, 2)
	s.must(s.fail(1, "node n2 was lost"))
	s.must(s.giveUp(1))
	s.rejects(ErrInvalid, s.startLanes(1, 0, 2))
	s.must(s.startLanes(1))
	if s.job(1).Global {
		t.Error("Global outlives the restart")
	}
}

// A change of parallelism is kept only where the older checkpoint can be spread anew.
func TestGivingUpAndTheNextShape(t *testing.T) {
	for _, aligned := range []bool{false, true} {
		s := newScript(t)
		s.running(1, fallback)
		if aligned {
			s.must(s.complete(1, s.beginAligned(1)))
		} else {
			s.completed(1, 1)
		}
		s.must(s.complete(1, s.beginAligned(1)))
		s.must(s.rescale(1, 5))
		s.must(s.giveUp(1))
		if got := s.job(1).Next != nil; got != aligned {
			t.Errorf("the older checkpoint is aligned: %t, the next shape is kept: %t", aligned, got)
		}
	}
}

// The list of what was given up is bounded, oldest first out.
func TestGivenUpIsBounded(t *testing.T) {
	s := newScript(t)
	s.running(1, fallback, retain(2))
	s.completed(1, 1)
	for range MaxGivenUp + 3 {
		s.completed(1, 1)
		s.must(s.fail(1, "node n3 was lost"))
		s.must(s.giveUp(1))
		s.must(s.start(1, 1))
	}
	given := s.job(1).GivenUp
	if len(given) != MaxGivenUp || given[0].ID != 5 || given[len(given)-1].ID != 14 {
		t.Errorf("%+v", given)
	}
}

// What others depend on is not deleted because it was given up (I5).
func TestI5_GivenUpIsKeptForWhoNeedsIt(t *testing.T) {
	s := newScript(t)
	s.running(1, fallback)
	s.completed(1, 2)
	s.must(s.submitFrom(2, 1, checkpoint.KindCheckpoint, 2, false))
	s.must(s.fail(1, "node n3 was lost"))
	s.must(s.giveUp(1))
	if free := s.state.Discardable(jobID(1)); len(free) != 0 {
		t.Errorf("%v may be discarded, job 2 needs it", free)
	}
}
