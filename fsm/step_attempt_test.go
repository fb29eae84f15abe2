package fsm

import (
	"reflect"
	"slices"
	"testing"

	"cairn/checkpoint"
)

func TestStartAttempt(t *testing.T) {
	s := newScript(t)
	s.must(s.submit(1))
	c := s.start(1, 0)
	s.must(c)
	j := s.job(1)
	if j.Status != JobRunning || j.Attempt != 1 || j.AttemptStartedAt != c.At || j.RestoredFrom != 0 || j.Counters.Restored != 0 {
		t.Errorf("fresh start: %+v", j)
	}
	if got := j.Assignment.Ordinals("n1"); !slices.Equal(got, []int{0, 1}) {
		t.Errorf("subtasks on n1: %v", got)
	}
	s.completed(1, 2)
	s.must(s.fail(1, "node n2 was lost"))
	s.must(s.start(1, 2))
	if j := s.job(1); j.Attempt != 2 || j.RestoredFrom != 2 || j.Counters.Restored != 1 {
		t.Errorf("restart: %+v", j)
	}
}

func TestStartAttemptRejections(t *testing.T) {
	change := func(f func(*StartAttempt)) func(*script) StartAttempt {
		return func(s *script) StartAttempt { c := s.start(1, 0); f(&c); return c }
	}
	tests := []struct {
		name string
		want error
		c    func(*script) StartAttempt
	}{
		{"attempt repeats", ErrStaleAttempt, change(func(c *StartAttempt) { c.Attempt = 1 })},
		{"attempt skips", ErrStaleAttempt, change(func(c *StartAttempt) { c.Attempt = 3 })},
		{"checkpoint left the log", ErrUnknownCheckpoint, change(func(c *StartAttempt) { c.RestoreFrom = 1 })},
		{"checkpoint was aborted", ErrUnknownCheckpoint, change(func(c *StartAttempt) { c.RestoreFrom = 3 })},
		{"checkpoint of the future", ErrUnknownCheckpoint, change(func(c *StartAttempt) { c.RestoreFrom = 9 })},
		{"subtask missing", ErrInvalid, change(func(c *StartAttempt) { c.Assignment.NodeOf = []int{0, 0} })},
		{"subtask too many", ErrInvalid, change(func(c *StartAttempt) { c.Assignment.NodeOf = []int{0, 0, 1, 1} })},
		{"node out of range", ErrInvalid, change(func(c *StartAttempt) { c.Assignment.NodeOf[1] = 2 })},
		{"negative node", ErrInvalid, change(func(c *StartAttempt) { c.Assignment.NodeOf[1] = -1 })},
		{"node without a name", ErrInvalid, change(func(c *StartAttempt) { c.Assignment.Nodes[0].ID = "" })},
		{"node twice", ErrInvalid, change(func(c *StartAttempt) { c.Assignment.Nodes[1].ID = "n1" })},
		{"nodes out of order", ErrInvalid, change(func(c *StartAttempt) { slices.Reverse(c.Assignment.Nodes) })},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t)
			s.running(1, retain(1))
			s.completed(1, 2) // 1 is subsumed, 2 is in the log
			s.must(s.abort(1, s.begin(1, checkpoint.KindCheckpoint), checkpoint.ReasonDeclined))
			s.must(s.fail(1, "lost"))
			s.rejects(test.want, test.c(s))
		})
	}
}

func TestStartAttemptNeedsAJobThatWaits(t *testing.T) {
	s := newScript(t)
	s.running(1)
	s.rejects(ErrWrongStatus, s.start(1, 0))
	s.must(s.cancel(1))
	s.rejects(ErrWrongStatus, s.start(1, 0))
}

func TestFailAttempt(t *testing.T) {
	s := newScript(t)
	s.running(1, concurrent(2))
	first, second := s.begin(1, checkpoint.KindCheckpoint), s.begin(1, checkpoint.KindSavepoint)
	c := s.fail(1, "node n2 was lost")
	result := s.must(c)
	j := s.job(1)
	if !slices.Equal(result.Aborted, []checkpoint.ID{first, second}) || len(j.Pending) != 0 {
		t.Errorf("aborted %v, pending %v", result.Aborted, j.Pending)
	}
	if j.Status != JobRestarting || j.Failure != c.Cause || !reflect.DeepEqual(j.Restart, c.Restart) || j.Attempt != 1 {
		t.Errorf("job %+v", j)
	}
	for _, o := range j.History {
		if o.Reason != checkpoint.ReasonTaskFailure || o.Message != c.Cause || o.Term != 3 || o.BeganTerm != 2 || o.NumSubtasks != 3 {
			t.Errorf("outcome %+v", o)
		}
	}
	if j.ConsecutiveFailures != 0 {
		t.Errorf("%d consecutive failures: the attempt failed, not its checkpoints", j.ConsecutiveFailures)
	}
}

func TestFailAttemptRejections(t *testing.T) {
	s := newScript(t)
	s.must(s.submit(1))
	s.rejects(ErrNotRunning, FailAttempt{Job: jobID(1), Attempt: 0})
	s.must(s.start(1, 0))
	s.rejects(ErrStaleAttempt, FailAttempt{Job: jobID(1), Attempt: 0})
	s.rejects(ErrStaleAttempt, FailAttempt{Job: jobID(1), Attempt: 2})
	s.must(s.fail(1, "lost"))
	s.rejects(ErrNotRunning, s.fail(1, "the same failure, proposed twice"))
}

// TestFailureTimesAreBounded by what the strategy looks at: one more than it tolerates.
func TestFailureTimesAreBounded(t *testing.T) {
	s := newScript(t)
	s.running(1, func(c *checkpoint.Config) { c.Restart.Strategy, c.Restart.MaxFailures = checkpoint.FailureRate, 2 })
	c := s.fail(1, "lost")
	c.Restart.Failures = []checkpoint.Timestamp{1, 2, 3, 4, 5}
	s.must(c)
	if got := s.job(1).Restart.Failures; !slices.Equal(got, []checkpoint.Timestamp{3, 4, 5}) {
		t.Errorf("failures at %v, want the last three", got)
	}
}
