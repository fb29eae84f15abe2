package fsm

import (
	"fmt"
	"slices"
	"testing"

	"cairn/checkpoint"
)

func TestSubmitJob(t *testing.T) {
	s := newScript(t)
	c := s.submit(1)
	s.must(c)
	j := s.job(1)
	if j.Status != JobCreated || j.Attempt != 0 || j.LastID != 0 || j.SubmittedAt != c.At ||
		j.Name != c.Name || j.Program != c.Program || j.Params["rate"] != "7" || j.Config != c.Config {
		t.Errorf("submitted job: %+v", j)
	}
}

func TestSubmitJobRejections(t *testing.T) {
	change := func(f func(*SubmitJob)) func(*script) SubmitJob {
		return func(s *script) SubmitJob { c := s.submit(2); f(&c); return c }
	}
	tests := []struct {
		name string
		want error
		c    func(*script) SubmitJob
	}{
		{"no ID", ErrInvalid, change(func(c *SubmitJob) { c.Job = checkpoint.JobID{} })},
		{"no name", ErrInvalid, change(func(c *SubmitJob) { c.Name = "" })},
		{"no program", ErrInvalid, change(func(c *SubmitJob) { c.Program = "" })},
		{"empty graph", ErrInvalid, change(func(c *SubmitJob) { c.Topology = checkpoint.Topology{} })},
		{"cyclic graph", ErrInvalid, change(func(c *SubmitJob) {
			c.Topology.Edges[0] = checkpoint.Edge{From: 1, To: 0, Partitioning: checkpoint.Hash}
		})},
		{"bad configuration", ErrInvalid, change(func(c *SubmitJob) { c.Config.Retain = 0 })},
		{"same ID", ErrJobExists, change(func(c *SubmitJob) { c.Job = jobID(1) })},
		{"the same again", ErrJobExists, func(s *script) SubmitJob { return s.submit(1) }},
		{"same name", ErrNameTaken, change(func(c *SubmitJob) { c.Name = "job-1" })},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t)
			s.running(1)
			s.rejects(test.want, test.c(s))
		})
	}
}

func TestNameIsFreeAgainWhenItsJobHasEnded(t *testing.T) {
	s := newScript(t)
	s.running(1)
	again := s.submit(2)
	again.Name = "job-1"
	s.must(s.cancel(1))
	s.rejects(ErrNameTaken, again) // cancelling is not the end yet
	s.must(s.end(1, JobCanceled))
	s.must(again)
	if got := s.state.JobByName("job-1"); got == nil || got.ID != jobID(2) {
		t.Errorf("job by name: %+v, want the one that has not ended", got)
	}
}

func TestCancelJob(t *testing.T) {
	steps := map[string]func(*script){
		"created":    func(s *script) { s.must(s.submit(1)) },
		"running":    func(s *script) { s.running(1) },
		"restarting": func(s *script) { s.running(1); s.must(s.fail(1, "lost")) },
		"cancelling": func(s *script) { s.running(1); s.must(s.cancel(1)) },
	}
	for name, prepare := range steps {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			prepare(s)
			s.must(s.cancel(1))
			if got := s.job(1).Status; got != JobCancelling {
				t.Errorf("status %s", got)
			}
		})
	}
}

func TestCancelAbortsWhatIsPending(t *testing.T) {
	s := newScript(t)
	s.running(1, concurrent(2))
	first, second := s.begin(1, checkpoint.KindCheckpoint), s.begin(1, checkpoint.KindSavepoint)
	result := s.must(s.cancel(1))
	if want := []checkpoint.ID{first, second}; !slices.Equal(result.Aborted, want) || len(s.job(1).Pending) != 0 {
		t.Errorf("aborted %v, pending %v; want %v and none", result.Aborted, s.job(1).Pending, want)
	}
	for _, o := range s.job(1).History {
		if o.Reason != checkpoint.ReasonCoordinatorShutdown || o.Status != OutcomeFailed {
			t.Errorf("outcome %+v", o)
		}
	}
	s.rejects(ErrNotPending, s.complete(1, first))
}

func TestEndJobTransitions(t *testing.T) {
	prepare := map[JobStatus]func(*script){
		JobCreated:    func(s *script) { s.must(s.submit(1)) },
		JobRunning:    func(s *script) { s.running(1) },
		JobRestarting: func(s *script) { s.running(1); s.must(s.fail(1, "lost")) },
		JobCancelling: func(s *script) { s.running(1); s.must(s.cancel(1)) },
	}
	allowed := map[JobStatus][]JobStatus{
		JobFinished: {JobRunning},
		JobFailed:   {JobCreated, JobRunning, JobRestarting, JobCancelling},
		JobCanceled: {JobCancelling},
	}
	for from, build := range prepare {
		for to := JobStatus(0); to <= JobCanceled+1; to++ {
			t.Run(fmt.Sprintf("%s to %d", from, to), func(t *testing.T) {
				s := newScript(t)
				build(s)
				switch c := s.end(1, to); {
				case !to.Terminal():
					s.rejects(ErrInvalid, c)
				case !slices.Contains(allowed[to], from):
					s.rejects(ErrWrongStatus, c)
				default:
					s.must(c)
					if j := s.job(1); j.Status != to || j.EndedAt != c.At || j.Failure != "it broke" {
						t.Errorf("job %s at %d: %q", j.Status, j.EndedAt, j.Failure)
					}
				}
			})
		}
	}
}

func TestFinishedJobKeepsItsLastFailure(t *testing.T) {
	s := newScript(t)
	s.running(1)
	s.must(s.fail(1, "node n2 was lost"))
	s.must(s.start(1, 0))
	c := s.end(1, JobFinished)
	c.Failure = ""
	s.must(c)
	if got := s.job(1).Failure; got != "node n2 was lost" {
		t.Errorf("failure %q", got)
	}
}

func TestL5_CheckpointsGoWithACancelledJobUnlessRetained(t *testing.T) {
	tests := []struct {
		name     string
		retain   bool
		status   JobStatus
		discards bool
	}{
		{"canceled", false, JobCanceled, true},
		{"canceled, retained", true, JobCanceled, false},
		{"finished", false, JobFinished, true},
		{"finished, retained on cancel", true, JobFinished, true},
		{"failed", false, JobFailed, false},
		{"failed, retained on cancel", true, JobFailed, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t)
			s.running(1, retain(2), func(c *checkpoint.Config) { c.RetainOnCancel = test.retain })
			s.completed(1, 3)
			savepoint := s.savepoint(1)
			if test.status == JobCanceled {
				s.must(s.cancel(1))
				if got := completedIDs(s.job(1)); !slices.Equal(got, []checkpoint.ID{2, 3}) {
					t.Errorf("while cancelling, the log holds %v", got)
				}
			}
			s.must(s.end(1, test.status))
			wantLog, wantDiscards := []checkpoint.ID{2, 3}, []checkpoint.ID{1}
			if test.discards {
				wantLog, wantDiscards = nil, []checkpoint.ID{1, 2, 3}
			}
			if j := s.job(1); !slices.Equal(completedIDs(j), wantLog) || !slices.Equal(discardIDs(j), wantDiscards) {
				t.Errorf("log %v, discards %v; want %v, %v", completedIDs(j), discardIDs(j), wantLog, wantDiscards)
			}
			if got := savepointIDs(s.job(1)); !slices.Equal(got, []checkpoint.ID{savepoint}) {
				t.Errorf("savepoints %v: they are the user's", got)
			}
		})
	}
}

// endedJobs runs n jobs to their end, the first of them with the given number of completed checkpoints.
func endedJobs(s *script, n int, status JobStatus, checkpoints int) {
	for i := 1; i <= n; i++ {
		s.running(byte(i))
		if i == 1 {
			s.completed(1, checkpoints)
		}
		s.must(s.end(byte(i), status))
	}
}

func TestOldEndedJobsAreForgotten(t *testing.T) {
	s := newScript(t)
	s.running(200) // does not count: it has not ended
	endedJobs(s, MaxEndedJobs+3, JobFinished, 0)
	for i := 1; i <= MaxEndedJobs+3; i++ {
		if got, want := s.job(byte(i)) != nil, i > 3; got != want {
			t.Errorf("job %d known: %t, want %t", i, got, want)
		}
	}
	if s.job(200) == nil {
		t.Error("a running job was forgotten")
	}
}

func TestEndedJobIsRememberedUntilItsDiscardsAreDone(t *testing.T) {
	s := newScript(t)
	endedJobs(s, MaxEndedJobs+1, JobFinished, 2)
	if got := discardIDs(s.job(1)); !slices.Equal(got, []checkpoint.ID{1, 2}) {
		t.Fatalf("discards %v", got)
	}
	s.must(FinishDiscards{Job: jobID(1), Checkpoints: []checkpoint.ID{1}})
	if s.job(1) == nil {
		t.Fatal("forgotten while checkpoint 2 is still to be discarded")
	}
	s.must(FinishDiscards{Job: jobID(1), Checkpoints: []checkpoint.ID{2}})
	if s.job(1) != nil {
		t.Error("still remembered after its last discard")
	}
}

// TestL5_ASourceThatWasNotClaimedOutlivesItsUser, and one that was claimed goes with it.
func TestL5_ASourceThatWasNotClaimedOutlivesItsUser(t *testing.T) {
	s := newScript(t)
	s.running(1)
	s.savepoint(1) // 1
	s.savepoint(1) // 2
	s.runningFrom(2, 1, checkpoint.KindSavepoint, 1, false)
	s.must(s.end(2, JobFinished))
	if j := s.job(2); !slices.Equal(savepointIDs(s.job(1)), []checkpoint.ID{1, 2}) || len(j.Discards) != 0 {
		t.Errorf("savepoints of its owner %v, discards of its user %v", savepointIDs(s.job(1)), discardIDs(j))
	}
	s.runningFrom(3, 1, checkpoint.KindSavepoint, 2, true)
	s.must(s.end(3, JobFinished))
	if j := s.job(3); !slices.Equal(savepointIDs(s.job(1)), []checkpoint.ID{1}) || !slices.Equal(j.Discards, []Discard{{ID: 2, Manifest: manifest(2)}}) {
		t.Errorf("savepoints of its old owner %v, discards of its new one %v", savepointIDs(s.job(1)), j.Discards)
	}
}

// TestI5_EndedJobIsRememberedWhileItHasSavepoints, even after all else of it is gone.
func TestI5_EndedJobIsRememberedWhileItHasSavepoints(t *testing.T) {
	s := newScript(t)
	s.running(200)
	s.completed(200, 1)
	id := s.savepoint(200)
	s.must(s.end(200, JobFinished))
	s.must(FinishDiscards{Job: jobID(200), Checkpoints: []checkpoint.ID{1}})
	endedJobs(s, MaxEndedJobs+1, JobFinished, 0)
	if j := s.job(200); j == nil || !slices.Equal(savepointIDs(j), []checkpoint.ID{id}) {
		t.Fatalf("job 200: %+v, want it with its savepoint", j)
	}
	s.must(DisposeSavepoint{Job: jobID(200), Savepoint: id})
	if s.job(200) == nil {
		t.Fatal("forgotten before the savepoint's chunks were deleted")
	}
	s.must(FinishDiscards{Job: jobID(200), Checkpoints: []checkpoint.ID{id}})
	if s.job(200) != nil {
		t.Error("still remembered")
	}
}

// TestI5_EndedJobIsRememberedWhileItRetainsCheckpoints: a retained checkpoint that no job names any more
// would be garbage.
func TestI5_EndedJobIsRememberedWhileItRetainsCheckpoints(t *testing.T) {
	s := newScript(t)
	endedJobs(s, MaxEndedJobs+5, JobFailed, 1)
	if j := s.job(1); j == nil || len(j.Completed) != 1 {
		t.Errorf("job 1: %+v, want it with its retained checkpoint", j)
	}
	if s.job(2) != nil {
		t.Error("job 2 retains nothing and is not forgotten")
	}
}
