package coordinator

import (
	"strings"
	"testing"
	"time"

	"cairn/checkpoint"
)

// A cause may be long, a stack at its end: what is restarted, and when, comes first. It is told of a job that runs again, too.
func TestReasonOfARestartEndsWithTheCause(t *testing.T) {
	w := inLanes(t, testConfig(), 1, 1)
	w.fail(sub("read", 0), checkpoint.Failure{Message: "division by zero\ngoroutine 7 [running]:"})
	w.run()
	const cause = ": read[0] on node n1: division by zero\ngoroutine 7 [running]:"
	got := jobReason(w.view, w.job(), w.now)
	if want := "attempt failed, restarting 2 of 4 subtasks (region of read[0]); starts in 1.0s" + cause; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	failedAt := int64(w.at())
	w.advance(time.Second)
	w.run()
	w.wantKept(2, 1)
	d, err := reading{view: w.view, now: w.now}.jobDetail(w.job())
	if err != nil || d.Reason != "" || !strings.HasSuffix(": "+d.LastFailure, cause) || d.LastFailureAt != failedAt {
		t.Errorf("%v; reason %q, last failure %q at %d, want it at %d", err, d.Reason, d.LastFailure, d.LastFailureAt, failedAt)
	}
}

// What a node said last is no news of a subtask when the node is gone.
func TestSubtasksOfALostNodeAreLost(t *testing.T) {
	w := inLanes(t, testConfig(), 1, 1)
	w.leave("n1")
	w.advance(w.view.Timing.SessionGrace + time.Second)
	w.run()
	w.wantRestarting()
	d, err := reading{view: w.view, now: w.now}.jobDetail(w.job())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range d.Subtasks {
		want := "RUNNING"
		if s.Node == "n1" {
			want = "LOST"
		}
		if s.Status != want {
			t.Errorf("%s on %s is %s, want %s", s.ID, s.Node, s.Status, want)
		}
	}
}
