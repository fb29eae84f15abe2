package fsm

import (
	"slices"
	"testing"

	"cairn/checkpoint"
)

func (s *script) failed(n byte, reason checkpoint.Reason) {
	s.t.Helper()
	s.must(s.abort(n, s.begin(n, checkpoint.KindCheckpoint), reason))
}

func (s *script) wantFailures(n byte, want int, when string) {
	s.t.Helper()
	if got := s.job(n).ConsecutiveFailures; got != want {
		s.t.Errorf("%s: %d consecutive failures, want %d", when, got, want)
	}
}

func TestF1_OnlyFailuresThatCountExceedTheTolerance(t *testing.T) {
	s := newScript(t)
	s.running(1, tolerate(2))
	s.failed(1, checkpoint.ReasonDeclined)
	s.failed(1, checkpoint.ReasonDeclined)
	s.failed(1, checkpoint.ReasonTaskClosing)
	s.wantFailures(1, 2, "declined, declined, ignored")
	s.failed(1, checkpoint.ReasonDeclined)
	s.wantFailures(1, 3, "declined once more")
}

// TestF1_TheJobFailsOnce: the failures that ended an attempt do not end the next one too.
func TestF1_TheJobFailsOnce(t *testing.T) {
	s := newScript(t)
	s.running(1, tolerate(1))
	s.failed(1, checkpoint.ReasonExpired)
	s.failed(1, checkpoint.ReasonExpired)
	s.must(s.fail(1, "2 consecutive checkpoints failed"))
	s.must(s.start(1, 0))
	s.wantFailures(1, 0, "in the next attempt")
}

func TestToleratedFailuresOutliveAnAttempt(t *testing.T) {
	s := newScript(t)
	s.running(1, tolerate(2))
	s.failed(1, checkpoint.ReasonExpired)
	s.must(s.fail(1, "node n2 was lost"))
	s.must(s.start(1, 0))
	s.wantFailures(1, 1, "after a failure of another kind")
}

func TestF2_ASuccessResetsTheCount(t *testing.T) {
	s := newScript(t)
	s.running(1)
	s.failed(1, checkpoint.ReasonDeclined)
	s.failed(1, checkpoint.ReasonExpired)
	s.completed(1, 1)
	s.wantFailures(1, 0, "after a success")
	s.failed(1, checkpoint.ReasonFinalizeFailure)
	s.wantFailures(1, 1, "after another failure")
	s.must(s.complete(1, s.begin(1, checkpoint.KindSavepoint)))
	s.wantFailures(1, 0, "after a savepoint")
}

func TestF2_AFailureOlderThanTheLastSuccessIsIgnored(t *testing.T) {
	t.Run("of a checkpoint", func(t *testing.T) {
		s := newScript(t)
		s.running(1, concurrent(2))
		savepoint := s.begin(1, checkpoint.KindSavepoint)
		s.completed(1, 1)
		s.must(s.abort(1, savepoint, checkpoint.ReasonDeclined))
		s.wantFailures(1, 0, "an old savepoint was declined")
	})
	t.Run("of a savepoint", func(t *testing.T) {
		s := newScript(t)
		s.running(1, concurrent(2))
		older := s.begin(1, checkpoint.KindCheckpoint)
		s.must(s.complete(1, s.begin(1, checkpoint.KindSavepoint)))
		s.must(s.abort(1, older, checkpoint.ReasonDeclined))
		s.wantFailures(1, 0, "a checkpoint older than the savepoint was declined")
	})
}

// TestF2_AnOldSuccessResetsNothing: a savepoint that began before the last success says nothing about the
// failures since.
func TestF2_AnOldSuccessResetsNothing(t *testing.T) {
	s := newScript(t)
	s.running(1, concurrent(2))
	savepoint := s.begin(1, checkpoint.KindSavepoint)
	s.completed(1, 1)
	s.failed(1, checkpoint.ReasonDeclined)
	s.must(s.complete(1, savepoint))
	s.wantFailures(1, 1, "after the old savepoint")
}

func TestF3_TheSameIDIsCountedOnce(t *testing.T) {
	s := newScript(t)
	s.running(1)
	id := s.begin(1, checkpoint.KindCheckpoint)
	s.must(s.abort(1, id, checkpoint.ReasonDeclined))
	s.rejects(ErrNotPending, s.abort(1, id, checkpoint.ReasonDeclined))
	s.rejects(ErrNotPending, s.abort(1, id, checkpoint.ReasonExpired))
	s.wantFailures(1, 1, "reported three times")
	if got := s.job(1).Counters.Failed; got != 1 {
		t.Errorf("%d failed", got)
	}
}

// TestWhichFailuresCount: a savepoint that the coordinator gives up is its owner's business; one that a task gave up is
// a failing task; and one that the job was to end with fails the job by itself.
func TestWhichFailuresCount(t *testing.T) {
	checkpoints := []checkpoint.Reason{
		checkpoint.ReasonDeclined, checkpoint.ReasonExpired, checkpoint.ReasonFinalizeFailure, checkpoint.ReasonAsyncException,
		checkpoint.ReasonIOException,
	}
	savepoints := []checkpoint.Reason{checkpoint.ReasonDeclined, checkpoint.ReasonAsyncException}
	for reason := checkpoint.ReasonDeclined; reason <= checkpoint.ReasonTriggerFailure; reason++ {
		for name, test := range map[string]struct {
			begin  BeginCheckpoint
			counts []checkpoint.Reason
		}{
			"checkpoint":               {BeginCheckpoint{Kind: checkpoint.KindCheckpoint}, checkpoints},
			"savepoint":                {BeginCheckpoint{Kind: checkpoint.KindSavepoint}, savepoints},
			"savepoint that is an end": {BeginCheckpoint{Kind: checkpoint.KindSavepoint, Stop: checkpoint.StopSuspend}, nil},
		} {
			s := newScript(t)
			s.running(1)
			test.begin.Job, test.begin.Attempt = jobID(1), 1
			s.must(s.abort(1, s.must(test.begin).Checkpoint, reason))
			want := 0
			if slices.Contains(test.counts, reason) {
				want = 1
			}
			s.wantFailures(1, want, name+" "+reason.String())
		}
	}
}

// TestF2_TheLastSuccessOutlivesTheHistory: an old pending savepoint fails after everything else about the last success
// has been forgotten.
func TestF2_TheLastSuccessOutlivesTheHistory(t *testing.T) {
	s := newScript(t)
	s.running(1, concurrent(3))
	old := s.begin(1, checkpoint.KindSavepoint)
	last := s.savepoint(1)
	for range MaxHistory + 1 {
		s.failed(1, checkpoint.ReasonTaskClosing)
	}
	s.state = restored(t, s.bytes())
	if got := s.job(1).LastSuccess; got != last {
		t.Errorf("last success %d, want %d", got, last)
	}
	s.must(s.abort(1, old, checkpoint.ReasonDeclined))
	s.wantFailures(1, 0, "after the old savepoint was declined")
}
