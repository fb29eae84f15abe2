package fsm

import (
	"slices"
	"testing"

	"cairn/checkpoint"
)

const (
	aCheckpoint = checkpoint.KindCheckpoint
	aSavepoint  = checkpoint.KindSavepoint
)

func TestL1_IDsGoOnAfterTheSource(t *testing.T) {
	for name, claim := range map[string]bool{"claimed": true, "not claimed": false} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.running(1)
			s.completed(1, 6)
			s.savepoint(1) // 7
			s.runningFrom(2, 1, aSavepoint, 7, claim)
			j := s.job(2)
			if j.FirstID != 7 || j.LastID != 7 || j.RestoredFrom != 7 || j.Counters.Restored != 1 {
				t.Errorf("IDs %d to %d, restored from %d (%d times)", j.FirstID, j.LastID, j.RestoredFrom, j.Counters.Restored)
			}
			if id := s.begin(2, aCheckpoint); id != 8 {
				t.Errorf("the next ID is %d, want 8", id)
			}
			s.state = restored(t, s.bytes())
			if id := s.begin(2, aCheckpoint); id != 9 {
				t.Errorf("after a snapshot the next ID is %d, want 9", id)
			}
		})
	}
}

func TestAClaimedSavepointChangesHands(t *testing.T) {
	s := newScript(t)
	s.running(1) // it may go on: a savepoint is the user's
	s.completed(1, 1)
	s.savepoint(1)
	entry := s.job(1).Savepoints[0]
	s.runningFrom(2, 1, aSavepoint, 2, true)
	if got := s.job(1).Savepoints; len(got) != 0 {
		t.Errorf("its old owner still has %v", got)
	}
	if got := completedIDs(s.job(1)); !slices.Equal(got, []checkpoint.ID{1}) {
		t.Errorf("the log of its old owner: %v", got)
	}
	entry.Attempt = 0 // no attempt of job 2 took it
	if got := s.job(2).Completed; len(got) != 1 || got[0] != entry {
		t.Errorf("the log of its new owner: %+v, want %+v", got, entry)
	}
	if j := s.job(2); j.NeedsSource() || j.LastSuccess != 0 {
		t.Errorf("needs its source %t, last success %d", j.NeedsSource(), j.LastSuccess)
	}
	s.rejects(ErrUnknownCheckpoint, s.submitFrom(3, 1, aSavepoint, 2, false))
	again := s.submitFrom(3, 2, aCheckpoint, 2, false) // it is a checkpoint of job 2 now
	again.Source.Manifest = entry.Manifest
	s.must(again)
	s.wantHolders(2, 2, "of the claimed savepoint", 3)
}

func TestAClaimedCheckpointChangesHands(t *testing.T) {
	s := newScript(t)
	s.running(1)
	s.completed(1, 3)
	s.rejects(ErrWrongStatus, s.submitFrom(2, 1, aCheckpoint, 3, true)) // job 1 would restart from it
	s.ended(1)
	s.must(s.submitFrom(2, 1, aCheckpoint, 2, true))
	if got := completedIDs(s.job(1)); !slices.Equal(got, []checkpoint.ID{1, 3}) {
		t.Errorf("the log of its old owner: %v", got)
	}
	if got := completedIDs(s.job(2)); !slices.Equal(got, []checkpoint.ID{2}) || len(s.job(1).Discards) != 0 {
		t.Errorf("the log of its new owner: %v; discards %v", got, s.job(1).Discards)
	}
}

// TestAClaimedEntryIsSubsumedAsAnyOther, and it is restored from while it is there.
func TestAClaimedEntryIsSubsumedAsAnyOther(t *testing.T) {
	s := newScript(t)
	s.running(1)
	s.savepoint(1)
	c := s.submitFrom(2, 1, aSavepoint, 1, true)
	c.Config.Retain = 2
	s.must(c)
	s.must(s.start(2, 1))
	s.completed(2, 1)
	s.must(s.fail(2, "lost"))
	s.must(s.start(2, 1))
	s.must(s.fail(2, "lost"))
	s.must(s.start(2, 2))
	if result := s.must(s.complete(2, s.begin(2, aCheckpoint))); !slices.Equal(result.Subsumed, []checkpoint.ID{1}) {
		t.Errorf("subsumed %v", result.Subsumed)
	}
	if got := s.job(2).Discards; !slices.Equal(got, []Discard{{ID: 1, Manifest: manifest(1)}}) {
		t.Errorf("discards %+v", got)
	}
	s.must(s.fail(2, "lost"))
	s.rejects(ErrUnknownCheckpoint, s.start(2, 1))
}

// TestASourceThatIsNotClaimedIsRestoredFromUntilTheFirstCheckpoint: after that, it may be gone.
func TestASourceThatIsNotClaimedIsRestoredFromUntilTheFirstCheckpoint(t *testing.T) {
	s := newScript(t)
	s.running(1)
	s.completed(1, 2)
	s.runningFrom(2, 1, aCheckpoint, 2, false)
	s.must(s.fail(2, "lost"))
	s.rejects(ErrUnknownCheckpoint, s.start(2, 1)) // another one of job 1
	s.must(s.start(2, 2))
	s.savepoint(2) // 3: it is not in the log, and so nothing that an attempt starts from
	s.must(s.fail(2, "lost"))
	s.rejects(ErrUnknownCheckpoint, s.start(2, 3))
	s.must(s.start(2, 2))
	s.completed(2, 1) // 4
	s.must(s.fail(2, "lost"))
	s.rejects(ErrUnknownCheckpoint, s.start(2, 2))
	s.must(s.start(2, 4))
}

// TestTheFirstCheckpointsWithoutAClaimAreFull: until one has completed.
func TestTheFirstCheckpointsWithoutAClaimAreFull(t *testing.T) {
	full := func(s *script, n byte, kind checkpoint.Kind) (checkpoint.ID, bool) {
		id := s.begin(n, kind)
		p, _ := s.job(n).PendingByID(id)
		return id, p.Full
	}
	s := newScript(t)
	s.running(1)
	if _, isFull := full(s, 1, aCheckpoint); isFull {
		t.Error("the first of a fresh job is full: there is nothing that it could share")
	}
	s.savepoint(1) // 2
	s.savepoint(1) // 3
	s.runningFrom(2, 1, aSavepoint, 2, true)
	if _, isFull := full(s, 2, aCheckpoint); isFull {
		t.Error("the first of a job that owns its source is full")
	}
	s.runningFrom(3, 1, aSavepoint, 3, false)
	aborted, first := full(s, 3, aCheckpoint)
	s.must(s.abort(3, aborted, checkpoint.ReasonDeclined))
	savepoint, second := full(s, 3, aSavepoint)
	s.must(s.complete(3, savepoint))
	third, last := full(s, 3, aCheckpoint)
	if !first || !second || !last {
		t.Errorf("full: %t, %t, %t; want all of them", first, second, last)
	}
	s.must(s.complete(3, third))
	if _, isFull := full(s, 3, aCheckpoint); isFull {
		t.Error("full after the first has completed")
	}
}

// TestAnUnregisteredSource comes from a job that is not known here, as it could before imports were registered.
func TestAnUnregisteredSource(t *testing.T) {
	for name, claim := range map[string]bool{"claimed": true, "not claimed": false} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.rejects(ErrUnknownCheckpoint, s.submitFrom(2, 9, aSavepoint, 40, claim))
			s.must(unregistered(s.submitFrom(2, 9, aSavepoint, 40, claim)))
			s.must(s.start(2, 40))
			j := s.job(2)
			if j.LastID != 40 || j.NeedsSource() == claim {
				t.Errorf("last ID %d, needs its source %t", j.LastID, j.NeedsSource())
			}
			want := []Completed{{ID: 40, Kind: aSavepoint, Manifest: manifestOf(jobID(9), 40)}}
			if claim && !slices.Equal(j.Completed, want) || !claim && j.Completed != nil {
				t.Errorf("log %+v", j.Completed)
			}
			if got := s.state.InUse(jobID(9), 40); got == claim {
				t.Errorf("in use: %t", got)
			}
			if got := s.state.Live().Manifests; !slices.Equal(got, []checkpoint.ChunkRef{manifestOf(jobID(9), 40)}) {
				t.Errorf("live %v", got)
			}
			s.rejects(ErrInUse, unregistered(s.submitFrom(3, 9, aSavepoint, 40, true)))
			s.must(unregistered(s.submitFrom(3, 9, aSavepoint, 40, false)))
		})
	}
}

// TestAnUnregisteredSourceThatIsBeingDiscarded was claimed and subsumed: nobody comes to depend on it any more, else a
// sweep that has begun would delete what somebody needs.
func TestAnUnregisteredSourceThatIsBeingDiscarded(t *testing.T) {
	s := newScript(t)
	s.must(unregistered(s.submitFrom(3, 9, aSavepoint, 40, false)))
	s.rejects(ErrInUse, unregistered(s.submitFrom(2, 9, aSavepoint, 40, true)))
	s.ended(3)
	c := unregistered(s.submitFrom(2, 9, aSavepoint, 40, true))
	c.Config.Retain = 1
	s.must(c)
	s.must(unregistered(s.submitFrom(4, 9, aSavepoint, 40, false))) // job 2 keeps it as yet
	s.must(s.start(2, 40))
	s.completed(2, 1)
	s.wantFree(2, "while job 4 depends on it")
	s.ended(4)
	s.wantFree(2, "after the end of job 4", 40)
	s.rejects(ErrInUse, unregistered(s.submitFrom(5, 9, aSavepoint, 40, false)))
	s.rejects(ErrInUse, unregistered(s.submitFrom(5, 9, aSavepoint, 40, true)))
	s.must(FinishDiscards{Job: jobID(2), Checkpoints: []checkpoint.ID{40}})
	s.must(unregistered(s.submitFrom(5, 9, aSavepoint, 40, true)))
}

func TestSourceRejections(t *testing.T) {
	change := func(f func(*Source)) func(*script) SubmitJob {
		return func(s *script) SubmitJob { c := s.submitFrom(3, 1, aSavepoint, 4, false); f(&c.Source); return c }
	}
	tests := []struct {
		name string
		want error
		c    func(*script) SubmitJob
	}{
		{"no manifest", ErrInvalid, change(func(c *Source) { c.Manifest = checkpoint.ChunkRef{} })},
		{"nothing but a wish", ErrInvalid, change(func(c *Source) { *c = Source{AllowNonRestoredState: true} })},
		{"no job", ErrInvalid, change(func(c *Source) { c.Job = checkpoint.JobID{} })},
		{"itself", ErrInvalid, change(func(c *Source) { c.Job = jobID(3) })},
		{"no checkpoint", ErrInvalid, change(func(c *Source) { c.Checkpoint = 0 })},
		{"an ID at the end of all", ErrInvalid, change(func(c *Source) { c.Checkpoint = 1<<64 - 1 })},
		{"no kind", ErrInvalid, change(func(c *Source) { c.Kind = 0 })},
		{"an unknown kind", ErrInvalid, change(func(c *Source) { c.Kind = 3 })},
		{"another manifest", ErrUnknownCheckpoint, change(func(c *Source) { c.Manifest = manifest(5) })},
		{"a savepoint taken for a checkpoint", ErrUnknownCheckpoint, change(func(c *Source) { c.Kind = aCheckpoint })},
		{"a subsumed checkpoint", ErrUnknownCheckpoint, func(s *script) SubmitJob { return s.submitFrom(3, 1, aCheckpoint, 1, false) }},
		{"an aborted checkpoint", ErrUnknownCheckpoint, func(s *script) SubmitJob { return s.submitFrom(3, 1, aCheckpoint, 5, false) }},
		{"a checkpoint of the future", ErrUnknownCheckpoint, func(s *script) SubmitJob { return s.submitFrom(3, 1, aCheckpoint, 6, true) }},
		{"a disposed savepoint", ErrUnknownCheckpoint, func(s *script) SubmitJob { return s.submitFrom(3, 1, aSavepoint, 3, false) }},
		{"a claim of what is in use", ErrInUse, change(func(c *Source) { c.Claim = true })},
		{"a claim of a checkpoint of a running job", ErrWrongStatus, func(s *script) SubmitJob { return s.submitFrom(3, 1, aCheckpoint, 2, true) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t)
			s.running(1, retain(1))
			s.completed(1, 2)
			s.savepoint(1) // 3
			s.must(DisposeSavepoint{Job: jobID(1), Savepoint: 3})
			s.savepoint(1) // 4
			s.must(s.abort(1, s.begin(1, aCheckpoint), checkpoint.ReasonExpired))
			s.must(s.submitFrom(2, 1, aSavepoint, 4, false))
			s.rejects(test.want, test.c(s))
		})
	}
}

// TestAClaimLetsItsOldOwnerBeForgotten: the savepoint may have been all that the job was remembered for.
func TestAClaimLetsItsOldOwnerBeForgotten(t *testing.T) {
	s := newScript(t)
	s.running(1)
	s.savepoint(1)
	s.must(s.end(1, JobFinished))
	for n := byte(2); n <= MaxEndedJobs+5; n++ {
		s.running(n)
		s.must(s.end(n, JobFinished))
	}
	if s.job(1) == nil || s.job(2) != nil {
		t.Fatalf("job 1 known: %t, job 2 known: %t; want the one with the savepoint only", s.job(1) != nil, s.job(2) != nil)
	}
	s.must(s.submitFrom(200, 1, aSavepoint, 1, true))
	if s.job(1) != nil {
		t.Error("job 1 names nothing any more and is still remembered")
	}
}
