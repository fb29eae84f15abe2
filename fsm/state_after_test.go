package fsm

import (
	"testing"

	"pgregory.net/rapid"

	"cairn/checkpoint"
)

// decoded returns the state that s has in its persisted form.
func decoded(t testing.TB, s *State) *State {
	t.Helper()
	b, err := EncodeSnapshot(s)
	if err != nil {
		t.Fatal(err)
	}
	d, err := DecodeSnapshot(b)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// restore replaces the state of the script by a snapshot.
func (s *script) restore(snapshot *State) {
	s.t.Helper()
	next := decoded(s.t, snapshot)
	if err := next.After(decoded(s.t, s.state), 9, s.at); err != nil {
		s.t.Fatalf("restoring: %v", err)
	}
	if next.LastIndex < s.state.LastIndex {
		s.t.Fatalf("last index %d after %d", next.LastIndex, s.state.LastIndex)
	}
	s.state = decoded(s.t, next) // it passes the decoder, as it will on every replica
}

func TestI1_CountersGoOnAfterARestore(t *testing.T) {
	s := newScript(t)
	s.running(1)
	first := s.begin(1, checkpoint.KindCheckpoint)
	s.must(s.complete(1, first))
	snapshot := decoded(t, s.state)
	second := s.begin(1, checkpoint.KindCheckpoint)
	s.must(s.complete(1, second))
	savepoint := s.begin(1, checkpoint.KindSavepoint)
	s.must(s.complete(1, savepoint))
	s.must(s.fail(1, "a task failed"))
	s.must(s.start(1, second))
	pending := s.begin(1, checkpoint.KindCheckpoint)
	s.restore(snapshot)
	j := s.job(1)
	switch {
	case j.Status != JobRestarting || j.Attempt != 2 || len(j.Pending) != 0:
		t.Errorf("the job is %s, attempt %d, %d pending", j.Status, j.Attempt, len(j.Pending))
	case j.LastID != pending || j.Leapt != 0 || j.LastSuccess != savepoint:
		t.Errorf("last ID %d, leapt %d, last success %d", j.LastID, j.Leapt, j.LastSuccess)
	}
	if latest, _ := j.LatestCompleted(); latest.ID != second {
		t.Errorf("checkpoint %d was taken back: the latest is %d", second, latest.ID)
	}
	if _, kept := j.SavepointByID(savepoint); !kept {
		t.Errorf("savepoint %d is gone", savepoint)
	}
	s.must(s.start(1, second))
	if id := s.begin(1, checkpoint.KindCheckpoint); id <= pending {
		t.Errorf("checkpoint %d began after %d", id, pending)
	}
}

func TestI1_CountersLeapWhereTheJobIsUnknown(t *testing.T) {
	s := newScript(t)
	s.running(1)
	s.must(s.complete(1, s.begin(1, checkpoint.KindCheckpoint)))
	pending := s.begin(1, checkpoint.KindCheckpoint)
	s.must(s.submit(2)) // had no attempt; it may have had one since
	snapshot := s.state
	fresh := newScript(t)
	fresh.restore(snapshot)
	j := fresh.job(1)
	if j.LastID != pending+IDLeap || j.Attempt != 1+AttemptLeap || j.Status != JobRestarting || j.Counters.Failed != 1 {
		t.Errorf("last ID %d, attempt %d, %s, %+v", j.LastID, j.Attempt, j.Status, j.Counters)
	}
	if j := fresh.job(2); j.Attempt != AttemptLeap || j.Status != JobCreated {
		t.Errorf("the job without an attempt is %s with attempt %d", j.Status, j.Attempt)
	}
	fresh.must(fresh.start(1, 1))
	fresh.must(fresh.start(2, 0))
	if id := fresh.begin(1, checkpoint.KindCheckpoint); id != pending+IDLeap+1 {
		t.Errorf("the next checkpoint is %d", id)
	}
	fresh.restore(snapshot) // a second time: now the job is known
	if again := fresh.job(1); again.LastID != pending+IDLeap+1 || again.Attempt != 2+AttemptLeap {
		t.Errorf("restored again: last ID %d, attempt %d", again.LastID, again.Attempt)
	}
}

// A snapshot that knows more of a job than the cluster does is of another history: that may have gone on too.
func TestI1_CountersLeapWhereTheSnapshotIsAhead(t *testing.T) {
	s := newScript(t)
	s.running(1)
	early := decoded(t, s.state)
	for range 5 {
		s.must(s.complete(1, s.begin(1, checkpoint.KindCheckpoint)))
	}
	late := decoded(t, s.state)
	other := newScript(t)
	other.state = early
	other.restore(late)
	if j := other.job(1); j.LastID != 5+IDLeap || j.Attempt != 1+AttemptLeap {
		t.Errorf("last ID %d, attempt %d", j.LastID, j.Attempt)
	}
}

func TestRestoreEndsAJobThatTheSnapshotDoesNotKnow(t *testing.T) {
	s := newScript(t)
	empty := decoded(t, s.state)
	s.running(1)
	s.must(s.complete(1, s.begin(1, checkpoint.KindCheckpoint)))
	s.begin(1, checkpoint.KindCheckpoint)
	s.restore(empty)
	j := s.job(1)
	if j.Status != JobFailed || len(j.Completed) != 1 || len(j.Pending) != 0 || j.Counters.Failed != 1 {
		t.Errorf("the job is %s with %d checkpoints, %+v: %s", j.Status, len(j.Completed), j.Counters, j.Failure)
	}
	s.must(s.submit(2)) // its name is free again
}

// A job that has ended since runs again, from the snapshot's log when it has given up its own.
func TestRestoreRevivesAJobThatHasEnded(t *testing.T) {
	s := newScript(t)
	s.running(1)
	s.must(s.complete(1, s.begin(1, checkpoint.KindCheckpoint)))
	snapshot := decoded(t, s.state)
	s.must(s.complete(1, s.begin(1, checkpoint.KindCheckpoint)))
	s.must(s.cancel(1))
	s.must(s.end(1, JobCanceled))
	s.restore(snapshot)
	j := s.job(1)
	if latest, _ := j.LatestCompleted(); j.Status != JobRestarting || latest.ID != 1 || j.LastID != 2 {
		t.Errorf("the job is %s, its latest checkpoint %d, its last ID %d", j.Status, latest.ID, j.LastID)
	}
	for _, d := range j.Discards {
		if d.ID == 1 {
			t.Error("checkpoint 1 is still to be discarded")
		}
	}
}

// Restores of any snapshot at any moment, in between everything else: IDs and attempts only grow, and the state keeps
// its invariants.
func TestI1_RestoresAtAnyMoment(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := newScript(t)
		snapshots := []*State{decoded(t, s.state)}
		lastID, lastAttempt := map[byte]checkpoint.ID{}, map[byte]checkpoint.Attempt{}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			n := rapid.SampledFrom([]byte{1, 2}).Draw(rt, "job")
			j := s.job(n)
			switch op := rapid.IntRange(0, 6).Draw(rt, "operation"); {
			case op == 0:
				snapshots = append(snapshots, decoded(t, s.state))
			case op == 1:
				s.restore(rapid.SampledFrom(snapshots).Draw(rt, "snapshot"))
			case j == nil:
				s.must(s.submit(n))
			case j.Status == JobCreated || j.Status == JobRestarting:
				latest, _ := j.LatestCompleted()
				s.must(s.start(n, latest.ID))
				if got := s.job(n).Attempt; got <= lastAttempt[n] {
					rt.Fatalf("job %d: attempt %d after %d", n, got, lastAttempt[n])
				}
				lastAttempt[n] = s.job(n).Attempt
			case j.Status != JobRunning:
			case len(j.Pending) > 0 && op < 4:
				s.must(s.complete(n, j.Pending[0].ID))
			case op == 6:
				s.must(s.fail(n, "a task failed"))
			default:
				id := s.begin(n, rapid.SampledFrom([]checkpoint.Kind{checkpoint.KindCheckpoint, checkpoint.KindSavepoint}).Draw(rt, "kind"))
				if id <= lastID[n] {
					rt.Fatalf("job %d: checkpoint %d after %d", n, id, lastID[n])
				}
				lastID[n] = id
			}
		}
	})
}
