package fsm

import (
	"slices"
	"testing"

	"cairn/checkpoint"
)

func TestFinishDiscards(t *testing.T) {
	s := newScript(t)
	s.running(1, retain(1))
	s.completed(1, 4)
	finish := FinishDiscards{Job: jobID(1), Checkpoints: []checkpoint.ID{3, 1, 77}}
	s.must(finish)
	s.must(finish) // its outcome was unknown: it is proposed again
	if got := discardIDs(s.job(1)); !slices.Equal(got, []checkpoint.ID{2}) {
		t.Errorf("discards %v, want [2]", got)
	}
	if got := completedIDs(s.job(1)); !slices.Equal(got, []checkpoint.ID{4}) {
		t.Errorf("log %v", got)
	}
}

func TestDisposeSavepoint(t *testing.T) {
	s := newScript(t)
	s.running(1)
	first, second := s.savepoint(1), s.savepoint(1)
	s.must(DisposeSavepoint{Job: jobID(1), Savepoint: first})
	if j := s.job(1); !slices.Equal(savepointIDs(j), []checkpoint.ID{second}) || !slices.Equal(j.Discards, []Discard{{ID: first, Manifest: manifest(first)}}) {
		t.Errorf("savepoints %v, discards %+v", savepointIDs(j), j.Discards)
	}
	s.rejects(ErrUnknownCheckpoint, DisposeSavepoint{Job: jobID(1), Savepoint: first})
	s.must(s.end(1, JobFinished))
	s.must(DisposeSavepoint{Job: jobID(1), Savepoint: second}) // its job may have ended
	if got := discardIDs(s.job(1)); !slices.Equal(got, []checkpoint.ID{first, second}) {
		t.Errorf("discards %v", got)
	}
}

func TestDisposeSavepointRejections(t *testing.T) {
	s := newScript(t)
	s.running(1)
	s.completed(1, 1)
	pending := s.begin(1, aSavepoint)
	for _, id := range []checkpoint.ID{0, 1, pending, 99} { // 1 is a checkpoint
		s.rejects(ErrUnknownCheckpoint, DisposeSavepoint{Job: jobID(1), Savepoint: id})
	}
	s.running(2)
	s.rejects(ErrUnknownCheckpoint, DisposeSavepoint{Job: jobID(2), Savepoint: s.savepoint(1)}) // of another job
}

// wantFree asserts what may be deleted of job n.
func (s *script) wantFree(n byte, when string, want ...checkpoint.ID) {
	s.t.Helper()
	got := each(s.state.Discardable(jobID(n)), func(d Discard) checkpoint.ID { return d.ID })
	if !slices.Equal(got, want) {
		s.t.Errorf("%s: discardable %v, want %v", when, got, want)
	}
}

func (s *script) wantHolders(n byte, id checkpoint.ID, when string, want ...byte) {
	s.t.Helper()
	got := each(s.state.Holders(jobID(n), id), func(j checkpoint.JobID) byte { return j[15] })
	if !slices.Equal(got, want) || s.state.InUse(jobID(n), id) != (len(want) > 0) {
		s.t.Errorf("%s: holders %v, want %v", when, got, want)
	}
}

func TestI5_ASavepointInUseIsNotGivenUp(t *testing.T) {
	s := newScript(t)
	s.running(1)
	id := s.savepoint(1)
	s.runningFrom(2, 1, aSavepoint, id, false)
	s.runningFrom(3, 1, aSavepoint, id, false)
	dispose := DisposeSavepoint{Job: jobID(1), Savepoint: id}
	s.wantHolders(1, id, "after two submissions", 2, 3)
	s.rejects(ErrInUse, dispose)
	s.completed(2, 1)
	s.wantHolders(1, id, "after job 2 has completed a checkpoint", 3)
	s.savepoint(3)
	s.rejects(ErrInUse, dispose) // job 3 would still restart from it
	s.ended(3)
	s.wantHolders(1, id, "after job 3 has ended")
	s.must(dispose)
	s.wantFree(1, "after its disposal", id)
}

// TestI5_ASubsumedCheckpointInUseIsKept: it is on the discard list of its owner, but nothing of it is deleted.
func TestI5_ASubsumedCheckpointInUseIsKept(t *testing.T) {
	s := newScript(t)
	s.running(1, retain(1))
	s.completed(1, 1)
	s.runningFrom(2, 1, aCheckpoint, 1, false)
	s.completed(1, 2)
	s.wantHolders(1, 1, "once it is subsumed", 2)
	s.wantFree(1, "while job 2 depends on it", 2)
	s.must(FinishDiscards{Job: jobID(1), Checkpoints: []checkpoint.ID{1, 2}})
	if got := discardIDs(s.job(1)); !slices.Equal(got, []checkpoint.ID{1}) {
		t.Errorf("discards %v: 1 is in use", got)
	}
	if live := s.state.Live().Manifests; !slices.Contains(live, manifest(1)) || slices.Contains(live, manifest(2)) {
		t.Errorf("live %v", live)
	}
	s.must(s.end(1, JobFinished))
	s.wantFree(1, "after the end of its owner", 3)
	s.completed(2, 1)
	s.wantFree(1, "after a checkpoint of job 2's own", 1, 3)
}

// TestI5_WhatAnAttemptRestoresFromIsKept: it was not the newest entry of the log, and the log was shortened while the
// attempt was still reading it.
func TestI5_WhatAnAttemptRestoresFromIsKept(t *testing.T) {
	s := newScript(t)
	s.running(1)
	s.completed(1, 3)
	s.must(s.fail(1, "lost"))
	s.must(s.start(1, 2))
	c := s.job(1).Config
	c.Retain = 1
	if result := s.must(ConfigureJob{Job: jobID(1), Config: c}); !slices.Equal(result.Subsumed, []checkpoint.ID{1, 2}) {
		t.Errorf("subsumed %v", result.Subsumed)
	}
	s.wantFree(1, "while attempt 2 may be restoring", 1)
	if !slices.Contains(s.state.Live().Manifests, manifest(2)) {
		t.Error("checkpoint 2 is not alive")
	}
	again := restored(t, s.bytes())
	s.completed(1, 1)
	s.wantFree(1, "after attempt 2 has completed a checkpoint", 1, 2, 3)
	s.state = again
	s.must(s.fail(1, "lost"))
	s.wantFree(1, "after attempt 2 has failed", 1, 2)
}

func TestDiscardableOfUnknownJobs(t *testing.T) {
	s := newScript(t)
	s.running(1)
	if got := s.state.Discardable(jobID(9)); got != nil {
		t.Errorf("of an unknown job: %v", got)
	}
	s.wantFree(1, "of a job that discarded nothing")
	s.wantHolders(9, 1, "of an unknown job")
	s.wantHolders(1, 1, "of a checkpoint that never was")
}

// TestI5_AJobKeepsTheSavepointThatItWouldRestartFrom: it was to end with it, its sinks have committed, and then a task
// failed.
func TestI5_AJobKeepsTheSavepointThatItWouldRestartFrom(t *testing.T) {
	s := newScript(t)
	s.running(1)
	s.completed(1, 1)
	other := s.savepoint(1) // 2
	s.must(BeginCheckpoint{Job: jobID(1), Attempt: 1, Kind: aSavepoint, Stop: checkpoint.StopSuspend})
	s.must(s.complete(1, 3))
	dispose := DisposeSavepoint{Job: jobID(1), Savepoint: 3}
	inUse := func(want bool, when string) {
		t.Helper()
		if got := s.state.InUse(jobID(1), 3); got != want {
			t.Errorf("%s: in use %t", when, got)
		}
		if want {
			s.rejects(ErrInUse, dispose)
			s.rejects(ErrInUse, s.submitFrom(2, 1, aSavepoint, 3, true))
		}
	}
	inUse(true, "while the job is about to end")
	s.must(s.fail(1, "lost"))
	inUse(true, "while the job restarts")
	s.rejects(ErrUnknownCheckpoint, s.start(1, other)) // one that published nothing
	s.must(s.start(1, 3))
	inUse(true, "while the job restores from it")
	s.completed(1, 1) // 4
	inUse(false, "after a newer checkpoint")
	s.must(s.fail(1, "lost"))
	s.must(s.start(1, 3)) // an operator says so, for 4 cannot be read
	inUse(true, "while the job restores from it once more")
	s.ended(1)
	inUse(false, "after the failure of the job")
	s.must(s.submitFrom(2, 1, aSavepoint, 3, true))
}

// TestTheSavepointThatAJobHasEndedWithIsDisposedOf as any other.
func TestTheSavepointThatAJobHasEndedWithIsDisposedOf(t *testing.T) {
	s := newScript(t)
	s.running(1)
	s.must(BeginCheckpoint{Job: jobID(1), Attempt: 1, Kind: aSavepoint, Stop: checkpoint.StopDrain})
	s.must(s.complete(1, 1))
	s.must(s.end(1, JobFinished))
	s.must(DisposeSavepoint{Job: jobID(1), Savepoint: 1})
	s.wantFree(1, "after its disposal", 1)
}
