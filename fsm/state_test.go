package fsm

import (
	"slices"
	"testing"

	"cairn/checkpoint"
)

func TestSortedJobs(t *testing.T) {
	s := newScript(t)
	for _, n := range []byte{3, 1, 2} {
		c := s.submit(n)
		if n != 3 {
			c.At = 1000 // 1 and 2 at the same moment, 3 later
		}
		s.must(c)
	}
	var got []byte
	for _, j := range s.state.SortedJobs() {
		got = append(got, j.ID[15])
	}
	if !slices.Equal(got, []byte{1, 2, 3}) {
		t.Errorf("order %v, want 1 2 3", got)
	}
}

func TestJobByName(t *testing.T) {
	s := newScript(t)
	named := func(n byte) {
		t.Helper()
		c := s.submit(n)
		c.Name = "wordcount"
		s.must(c)
	}
	want := func(n byte) {
		t.Helper()
		if j := s.state.JobByName("wordcount"); j == nil || j.ID != jobID(n) {
			t.Errorf("found %+v, want job %d", j, n)
		}
	}
	if j := s.state.JobByName("wordcount"); j != nil {
		t.Errorf("found %+v in an empty state", j)
	}
	for n := byte(5); n >= 1; n-- { // so that neither the order of IDs nor that of the map decides
		named(n)
		want(n)
		s.must(s.end(n, JobFailed))
		want(n)
	}
	if s.state.JobByName("word") != nil {
		t.Error("found a job by half of its name")
	}
}

func TestStatusNames(t *testing.T) {
	terminal := map[JobStatus]bool{JobFinished: true, JobFailed: true, JobCanceled: true}
	seen := make(map[string]bool)
	for status := JobCreated; status <= JobCanceled; status++ {
		name := status.String()
		if name == "UNKNOWN" || seen[name] {
			t.Errorf("status %d is named %q", status, name)
		}
		seen[name] = true
		if status.Terminal() != terminal[status] {
			t.Errorf("%s: terminal %t", status, status.Terminal())
		}
	}
	if got := JobStatus(0).String(); got != "UNKNOWN" {
		t.Errorf("status 0 is named %q", got)
	}
}

// TestCloneAndOriginalPartWays lets both go on from the same slices, of every length and so with and without
// room at their ends: neither sees the other's steps.
func TestCloneAndOriginalPartWays(t *testing.T) {
	for outcomes := range 9 {
		s, clone := newScript(t), newScript(t)
		s.running(1, retain(100))
		s.completed(1, outcomes)
		id := s.begin(1, checkpoint.KindCheckpoint)
		clone.state = s.state.Clone()
		before := clone.bytes()
		s.must(s.complete(1, id))
		s.begin(1, checkpoint.KindCheckpoint)
		s.must(s.submit(2))
		if !slices.Equal(clone.bytes(), before) {
			t.Errorf("%d outcomes: a step of the original changed the clone", outcomes)
		}
		original := s.bytes()
		clone.must(clone.abort(1, id, checkpoint.ReasonDeclined))
		clone.begin(1, checkpoint.KindSavepoint)
		if !slices.Equal(s.bytes(), original) {
			t.Errorf("%d outcomes: a step of the clone changed the original", outcomes)
		}
	}
}
