package fsm

import (
	"slices"
	"testing"

	"cairn/checkpoint"
)

// The tests of this file are named by the rows of the behaviours that the field's checkpoint coordinators
// agree on, as far as replicated state alone decides them.

func TestL1_FirstIDIsOne(t *testing.T) {
	s := newScript(t)
	s.running(1)
	if id := s.begin(1, checkpoint.KindCheckpoint); id != 1 {
		t.Errorf("the first ID is %d", id)
	}
	s.running(2)
	if id := s.begin(2, checkpoint.KindCheckpoint); id != 1 {
		t.Errorf("the first ID of another job is %d", id)
	}
}

// TestL1_IDsGoOnAcrossEverything walks the ways in which a counter is lost: a failed attempt, a restore
// from an older checkpoint, a snapshot of the state machine.
func TestL1_IDsGoOnAcrossEverything(t *testing.T) {
	s := newScript(t)
	s.running(1)
	last := checkpoint.ID(0)
	next := func(after string) checkpoint.ID {
		t.Helper()
		id := s.begin(1, checkpoint.KindCheckpoint)
		if id <= last {
			t.Errorf("after %s: ID %d, the last was %d", after, id, last)
		}
		last = id
		return id
	}
	s.must(s.complete(1, next("the start")))
	s.must(s.abort(1, next("a completion"), checkpoint.ReasonExpired))
	next("an abort")
	s.must(s.fail(1, "lost"))
	s.must(s.start(1, 1))
	next("a restore from checkpoint 1")
	s.state = restored(t, s.bytes())
	next("a restored snapshot")
	s.begin(1, checkpoint.KindSavepoint)
	last++
	next("a savepoint")
}

func TestL2_InterleavedRequestersGetUniqueIDs(t *testing.T) {
	const requesters, rounds = 8, 25
	s := newScript(t)
	s.running(1, concurrent(requesters))
	seen := make(map[checkpoint.ID]bool)
	var last [requesters]checkpoint.ID
	for round := range rounds {
		for i := range requesters {
			who := (i*3 + round) % requesters // another order every round
			id := s.begin(1, checkpoint.KindCheckpoint)
			if seen[id] || id <= last[who] {
				t.Fatalf("requester %d got %d after %d (handed out before: %t)", who, id, last[who], seen[id])
			}
			seen[id], last[who] = true, id
		}
	}
	if len(seen) != requesters*rounds {
		t.Errorf("%d distinct IDs", len(seen))
	}
}

func TestL3_SavepointsStayOutOfTheLog(t *testing.T) {
	s := newScript(t)
	s.running(1, retain(1))
	s.completed(1, 1)
	savepoint := s.begin(1, checkpoint.KindSavepoint)
	if result := s.must(s.complete(1, savepoint)); len(result.Subsumed) != 0 {
		t.Errorf("the savepoint subsumed %v", result.Subsumed)
	}
	if got := completedIDs(s.job(1)); !slices.Equal(got, []checkpoint.ID{1}) {
		t.Errorf("after the savepoint the log holds %v", got)
	}
	s.completed(1, 1)
	j := s.job(1)
	if got := completedIDs(j); !slices.Equal(got, []checkpoint.ID{3}) {
		t.Errorf("the log holds %v, want [3]", got)
	}
	if got := discardIDs(j); !slices.Equal(got, []checkpoint.ID{1}) {
		t.Errorf("discards %v, want [1]: the savepoint is its owner's", got)
	}
	if got := savepointIDs(j); !slices.Equal(got, []checkpoint.ID{savepoint}) {
		t.Errorf("savepoints %v, want [%d]", got, savepoint)
	}
	if e := j.Savepoints[0]; e.Manifest != manifest(savepoint) || e.Kind != checkpoint.KindSavepoint || e.StateSize != 4096 || e.NumSubtasks != 3 {
		t.Errorf("savepoint %+v", e)
	}
	if o := j.History[1]; o.ID != savepoint || o.Status != OutcomeCompleted || o.Kind != checkpoint.KindSavepoint {
		t.Errorf("the savepoint's outcome is %+v", o)
	}
}

// TestL4_TheOldCheckpointStaysUntilTheNewOneIsIn: whatever becomes of an addition that fails, the log keeps
// what it had.
func TestL4_TheOldCheckpointStaysUntilTheNewOneIsIn(t *testing.T) {
	s := newScript(t)
	s.running(1, retain(1))
	s.completed(1, 1)
	bad := s.complete(1, s.begin(1, checkpoint.KindCheckpoint))
	bad.Manifest = checkpoint.ChunkRef{}
	s.rejects(ErrInvalid, bad)
	s.must(s.abort(1, 2, checkpoint.ReasonFinalizeFailure))
	if j := s.job(1); !slices.Equal(completedIDs(j), []checkpoint.ID{1}) || len(j.Discards) != 0 {
		t.Errorf("log %v, discards %v", completedIDs(j), discardIDs(j))
	}
}

func TestC4_AbortOfTheOlderLeavesTheNewerAlone(t *testing.T) {
	s := newScript(t)
	s.running(1, concurrent(2))
	older, newer := s.begin(1, checkpoint.KindCheckpoint), s.begin(1, checkpoint.KindCheckpoint)
	kept, _ := s.job(1).PendingByID(newer)
	s.must(s.abort(1, older, checkpoint.ReasonDeclined))
	if got := s.job(1).Pending; !slices.Equal(got, []Pending{kept}) {
		t.Errorf("pending %+v, want only %+v", got, kept)
	}
}

func TestC6_WithRetainOneTheNextReplacesIt(t *testing.T) {
	s := newScript(t)
	s.running(1, retain(1))
	for want := checkpoint.ID(1); want <= 4; want++ {
		result := s.must(s.complete(1, s.begin(1, checkpoint.KindCheckpoint)))
		if got := completedIDs(s.job(1)); !slices.Equal(got, []checkpoint.ID{want}) {
			t.Errorf("log %v, want [%d]", got, want)
		}
		if want > 1 && !slices.Equal(result.Subsumed, []checkpoint.ID{want - 1}) {
			t.Errorf("completing %d subsumed %v", want, result.Subsumed)
		}
	}
	if got := discardIDs(s.job(1)); !slices.Equal(got, []checkpoint.ID{1, 2, 3}) {
		t.Errorf("discards %v", got)
	}
	for _, d := range s.job(1).Discards {
		if d.Manifest != manifest(d.ID) {
			t.Errorf("discard %d names manifest %s", d.ID, d.Manifest.ID)
		}
	}
}

func TestC7_InOrderEachCompletesAlone(t *testing.T) {
	s := newScript(t)
	s.running(1, concurrent(2))
	first, second := s.begin(1, checkpoint.KindCheckpoint), s.begin(1, checkpoint.KindCheckpoint)
	for _, id := range []checkpoint.ID{first, second} {
		if result := s.must(s.complete(1, id)); len(result.Aborted)+len(result.Subsumed) != 0 {
			t.Errorf("completing %d: %+v", id, result)
		}
	}
	if got := completedIDs(s.job(1)); !slices.Equal(got, []checkpoint.ID{first, second}) {
		t.Errorf("log %v", got)
	}
}

func TestC8_TheNewerCompletesFirstAndSubsumesTheOlder(t *testing.T) {
	s := newScript(t)
	s.running(1, concurrent(3))
	for range 3 {
		s.begin(1, checkpoint.KindCheckpoint)
	}
	result := s.must(s.complete(1, 2))
	if !slices.Equal(result.Aborted, []checkpoint.ID{1}) || len(result.Subsumed) != 0 {
		t.Errorf("result %+v", result)
	}
	j := s.job(1)
	if !slices.Equal(completedIDs(j), []checkpoint.ID{2}) || !slices.Equal(pendingIDs(j), []checkpoint.ID{3}) {
		t.Errorf("log %v, pending %v", completedIDs(j), pendingIDs(j))
	}
	if o := j.History[0]; o.ID != 1 || o.Status != OutcomeFailed || o.Reason != checkpoint.ReasonSubsumed || o.NumSubtasks != 3 {
		t.Errorf("outcome of the older: %+v", o)
	}
	s.rejects(ErrNotPending, s.complete(1, 1))
	if len(j.Discards) != 0 {
		t.Errorf("discards %v: the older never had a manifest", discardIDs(j))
	}
}

func TestC16_AsManyPendingAsBegan(t *testing.T) {
	for _, n := range []int{1, 2, 5} {
		s := newScript(t)
		s.running(1, concurrent(n))
		for range n {
			s.begin(1, checkpoint.KindCheckpoint)
		}
		if got := len(s.job(1).Pending); got != n {
			t.Errorf("%d pending, want %d", got, n)
		}
		s.must(s.complete(1, 1))
		if got := len(s.job(1).Pending); got != n-1 {
			t.Errorf("%d pending after a completion, want %d", got, n-1)
		}
		if id := s.begin(1, checkpoint.KindCheckpoint); int(id) != n+1 {
			t.Errorf("the next ID is %d, want %d", id, n+1)
		}
	}
}

func TestC17_TheSecondOfTwoCompletesFirst(t *testing.T) {
	s := newScript(t)
	s.running(1, concurrent(2))
	s.begin(1, checkpoint.KindCheckpoint)
	s.must(s.complete(1, s.begin(1, checkpoint.KindCheckpoint)))
	if got := s.job(1).Pending; len(got) != 0 {
		t.Errorf("pending %v: there is no room for two more", got)
	}
}

func TestC18_APendingSavepointSurvivesANewerCheckpoint(t *testing.T) {
	s := newScript(t)
	s.running(1, concurrent(3), retain(1))
	older := s.begin(1, checkpoint.KindCheckpoint)
	savepoint := s.begin(1, checkpoint.KindSavepoint)
	newer := s.begin(1, checkpoint.KindCheckpoint)
	if result := s.must(s.complete(1, newer)); !slices.Equal(result.Aborted, []checkpoint.ID{older}) {
		t.Errorf("completing %d aborted %v", newer, result.Aborted)
	}
	if got := pendingIDs(s.job(1)); !slices.Equal(got, []checkpoint.ID{savepoint}) {
		t.Fatalf("pending %v", got)
	}
	after := s.begin(1, checkpoint.KindCheckpoint)
	if result := s.must(s.complete(1, savepoint)); len(result.Aborted)+len(result.Subsumed) != 0 {
		t.Errorf("the savepoint did away with %+v", result)
	}
	if j := s.job(1); !slices.Equal(completedIDs(j), []checkpoint.ID{newer}) || !slices.Equal(pendingIDs(j), []checkpoint.ID{after}) {
		t.Errorf("log %v, pending %v", completedIDs(j), pendingIDs(j))
	}
}

// U4: the retention counter was lost at failover and trimming never fired again.
func TestU4_RetentionGoesOnAfterASnapshot(t *testing.T) {
	s := newScript(t)
	s.running(1, retain(2))
	s.completed(1, 2)
	s.state = restored(t, s.bytes())
	s.completed(1, 3)
	if j := s.job(1); !slices.Equal(completedIDs(j), []checkpoint.ID{4, 5}) || !slices.Equal(discardIDs(j), []checkpoint.ID{1, 2, 3}) {
		t.Errorf("log %v, discards %v", completedIDs(j), discardIDs(j))
	}
}

// TestL4_TheNewOneIsInWhenTheOldOneLeaves: one entry of the log does both, so that every state that anybody sees, or
// restores, has a checkpoint to start from.
func TestL4_TheNewOneIsInWhenTheOldOneLeaves(t *testing.T) {
	s := newScript(t)
	s.running(1, retain(1))
	s.completed(1, 1)
	for range 5 {
		id := s.begin(1, checkpoint.KindCheckpoint)
		before := s.job(1)
		s.must(s.complete(1, id))
		for _, j := range []*Job{before, s.job(1), restored(t, s.bytes()).Jobs[jobID(1)]} {
			if len(j.Completed) != 1 {
				t.Errorf("before and after checkpoint %d the log holds %v", id, completedIDs(j))
			}
		}
		if before.Completed[0].ID == s.job(1).Completed[0].ID {
			t.Errorf("checkpoint %d has not replaced the one before", id)
		}
	}
}
