package coordinator

import (
	"testing"

	"cairn/checkpoint"
	"cairn/fsm"
)

// What fails with an attempt that was ended in good order is no warning; what fails beside a region that failed is.
func TestFailuresThatAreWarnings(t *testing.T) {
	for _, c := range []struct {
		name        string
		status      fsm.JobStatus
		interrupted string
		attempt     checkpoint.Attempt
		want        bool
	}{
		{"it runs", fsm.JobRunning, "", 2, true},
		{"the attempt before", fsm.JobRunning, "", 1, false},
		{"another region failed", fsm.JobRestarting, "", 2, true},
		{"rescaled", fsm.JobRestarting, "the parallelism is changed", 2, false},
		{"cancelled", fsm.JobCancelling, "", 2, false},
		{"ended", fsm.JobFailed, "", 2, false},
	} {
		if got := meantToRun(&fsm.Job{Status: c.status, Attempt: 2, Interrupted: c.interrupted}, c.attempt); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
	if meantToRun(nil, 1) {
		t.Error("a job that nobody knows")
	}
}
