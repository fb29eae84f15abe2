package fsm

import (
	"reflect"
	"slices"
	"testing"

	"cairn/checkpoint"
)

func TestBeginCheckpoint(t *testing.T) {
	s := newScript(t)
	s.running(1)
	at := s.at
	id := s.begin(1, checkpoint.KindCheckpoint)
	want := Pending{ID: id, Attempt: 1, Kind: checkpoint.KindCheckpoint, TriggeredAt: at, BeganTerm: 2}
	if got, ok := s.job(1).PendingByID(id); !ok || got != want {
		t.Errorf("pending %+v, want %+v", got, want)
	}
	if _, ok := s.job(1).PendingByID(id + 1); ok {
		t.Error("a checkpoint that never began is pending")
	}
}

func TestBeginSavepointThatStopsTheJob(t *testing.T) {
	s := newScript(t)
	s.running(1)
	stop := BeginCheckpoint{Job: jobID(1), Attempt: 1, Kind: checkpoint.KindSavepoint, Stop: checkpoint.StopDrain, Manual: true}
	id := s.must(stop).Checkpoint
	if p, _ := s.job(1).PendingByID(id); p.Stop != checkpoint.StopDrain || !p.Manual || p.Kind != checkpoint.KindSavepoint {
		t.Errorf("pending %+v", p)
	}
	s.rejects(ErrWrongStatus, stop)
	suspend := stop
	suspend.Stop = checkpoint.StopSuspend
	s.rejects(ErrWrongStatus, suspend)
	s.begin(1, checkpoint.KindSavepoint)  // one that stops nothing may still begin
	s.begin(1, checkpoint.KindCheckpoint) // and whether a checkpoint should, is for the leader to say
	s.must(s.abort(1, id, checkpoint.ReasonDeclined))
	id = s.must(suspend).Checkpoint
	s.must(s.complete(1, id))
	j := s.job(1)
	if e, ok := j.SavepointByID(id); !ok || e.Stop != checkpoint.StopSuspend {
		t.Errorf("savepoint %+v", e)
	}
	if o := j.History[len(j.History)-1]; o.ID != id || o.Stop != checkpoint.StopSuspend {
		t.Errorf("outcome %+v", o)
	}
}

// TestSavepointsCompleteInAnyOrder and are listed by their IDs.
func TestSavepointsCompleteInAnyOrder(t *testing.T) {
	s := newScript(t)
	s.running(1, concurrent(3))
	for range 3 {
		s.begin(1, checkpoint.KindSavepoint)
	}
	for _, id := range []checkpoint.ID{2, 3, 1} {
		s.must(s.complete(1, id))
	}
	if j := s.job(1); !slices.Equal(savepointIDs(j), []checkpoint.ID{1, 2, 3}) || j.LastSuccess != 3 || len(j.Completed) != 0 {
		t.Errorf("savepoints %v, last success %d, log %v", savepointIDs(j), j.LastSuccess, completedIDs(j))
	}
	if _, ok := s.job(1).SavepointByID(4); ok {
		t.Error("found a savepoint that never was")
	}
}

func TestBeginCheckpointRejections(t *testing.T) {
	begin := func(attempt checkpoint.Attempt) BeginCheckpoint {
		return BeginCheckpoint{Job: jobID(1), Attempt: attempt, Kind: checkpoint.KindCheckpoint}
	}
	s := newScript(t)
	s.must(s.submit(1))
	s.rejects(ErrNotRunning, begin(0))
	s.must(s.start(1, 0))
	s.rejects(ErrStaleAttempt, begin(0))
	s.rejects(ErrStaleAttempt, begin(2))
	s.must(s.fail(1, "lost"))
	s.rejects(ErrNotRunning, begin(1))
	s.must(s.cancel(1))
	s.rejects(ErrNotRunning, begin(1))
}

func TestCompleteCheckpoint(t *testing.T) {
	s := newScript(t)
	s.running(1)
	began := s.at
	id := s.begin(1, checkpoint.KindCheckpoint)
	c := s.complete(1, id)
	c.Sizes = Sizes{State: 4096, Checkpointed: 512, AlignmentMillis: 3, Processed: 4, Persisted: 5}
	c.Detail.Inline = []byte("which subtasks")
	result := s.must(c)
	if len(result.Aborted)+len(result.Subsumed) != 0 {
		t.Errorf("result %+v", result)
	}
	j := s.job(1)
	wantEntry := Completed{
		ID: id, Attempt: 1, Kind: checkpoint.KindCheckpoint, TriggeredAt: began, CompletedAt: c.At,
		Manifest: manifest(id), StateSize: 4096, NumSubtasks: 3,
	}
	if got, ok := j.LatestCompleted(); !ok || got != wantEntry {
		t.Errorf("log entry %+v, want %+v", got, wantEntry)
	}
	wantOutcome := Outcome{
		ID: id, Attempt: 1, Kind: checkpoint.KindCheckpoint, Status: OutcomeCompleted, TriggeredAt: began,
		EndedAt: c.At, Sizes: c.Sizes, Detail: c.Detail, NumSubtasks: 3, NumAcknowledged: 3, Term: 3, BeganTerm: 2,
	}
	if len(j.History) != 1 || !reflect.DeepEqual(j.History[0], wantOutcome) {
		t.Errorf("history %+v, want %+v", j.History, wantOutcome)
	}
	if len(j.Pending) != 0 || j.Counters != (Counters{Completed: 1}) || j.LastSuccess != id {
		t.Errorf("pending %v, counters %+v, last success %d", j.Pending, j.Counters, j.LastSuccess)
	}
}

func TestCompleteCheckpointRejections(t *testing.T) {
	s := newScript(t)
	s.running(1)
	id := s.begin(1, checkpoint.KindCheckpoint)
	s.rejects(ErrNotPending, s.complete(1, id+1))
	s.rejects(ErrNotPending, s.complete(1, 0))
	stale := s.complete(1, id)
	stale.Attempt = 2
	s.rejects(ErrStaleAttempt, stale)
	s.must(s.complete(1, id))
}

func TestAbortCheckpoint(t *testing.T) {
	s := newScript(t)
	s.running(1)
	began := s.at
	id := s.begin(1, checkpoint.KindCheckpoint)
	c := s.abort(1, id, checkpoint.ReasonExpired)
	c.Sizes = Sizes{State: 100, Checkpointed: 90, AlignmentMillis: 3, Processed: 4, Persisted: 5}
	c.Detail.Chunk = detailChunk(id)
	if result := s.must(c); !slices.Equal(result.Aborted, []checkpoint.ID{id}) {
		t.Errorf("result %+v", result)
	}
	want := Outcome{
		ID: id, Attempt: 1, Kind: checkpoint.KindCheckpoint, Status: OutcomeFailed, TriggeredAt: began, EndedAt: c.At,
		NumSubtasks: 3, NumAcknowledged: 2, Reason: checkpoint.ReasonExpired, Message: c.Message, Term: 3, BeganTerm: 2,
		Sizes: c.Sizes, Detail: c.Detail,
	}
	j := s.job(1)
	if len(j.History) != 1 || !reflect.DeepEqual(j.History[0], want) {
		t.Errorf("history %+v, want %+v", j.History, want)
	}
	if _, ok := j.LatestCompleted(); ok || len(j.Pending) != 0 || j.Counters != (Counters{Failed: 1}) {
		t.Errorf("pending %v, counters %+v, log %v", j.Pending, j.Counters, j.Completed)
	}
}

func TestAbortCheckpointRejections(t *testing.T) {
	s := newScript(t)
	s.running(1)
	id := s.begin(1, checkpoint.KindCheckpoint)
	stale := s.abort(1, id, checkpoint.ReasonDeclined)
	stale.Attempt = 0
	s.rejects(ErrStaleAttempt, stale)
	s.rejects(ErrNotPending, s.abort(1, id+1, checkpoint.ReasonDeclined))
}

func TestI2_ACheckpointHasOneOutcome(t *testing.T) {
	type decide func(*script, checkpoint.ID) Command
	completes := func(s *script, id checkpoint.ID) Command { return s.complete(1, id) }
	aborts := func(s *script, id checkpoint.ID) Command { return s.abort(1, id, checkpoint.ReasonDeclined) }
	for _, first := range []decide{completes, aborts} {
		for _, second := range []decide{completes, aborts} {
			s := newScript(t)
			s.running(1)
			id := s.begin(1, checkpoint.KindCheckpoint)
			s.must(first(s, id))
			s.rejects(ErrNotPending, second(s, id))
		}
	}
}

// TestI6_TheOutcomeOfAnOldAttemptIsRefused: the checkpoint of the attempt that failed was aborted with it,
// and its completion, proposed before the failure was known, comes too late.
func TestI6_TheOutcomeOfAnOldAttemptIsRefused(t *testing.T) {
	s := newScript(t)
	s.running(1)
	id := s.begin(1, checkpoint.KindCheckpoint)
	late := s.complete(1, id)
	s.must(s.fail(1, "lost"))
	s.rejects(ErrNotPending, late)
	s.must(s.start(1, 0))
	s.rejects(ErrStaleAttempt, late)
	if next := s.begin(1, checkpoint.KindCheckpoint); next <= id {
		t.Errorf("attempt 2 began checkpoint %d after %d", next, id)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	s := newScript(t)
	s.running(1)
	s.completed(1, MaxHistory+10)
	h := s.job(1).History
	if len(h) != MaxHistory || h[0].ID != 11 || h[MaxHistory-1].ID != MaxHistory+10 {
		t.Errorf("history of %d entries from %d to %d", len(h), h[0].ID, h[len(h)-1].ID)
	}
	if got := s.job(1).Counters.Completed; got != MaxHistory+10 {
		t.Errorf("%d completed", got)
	}
}
