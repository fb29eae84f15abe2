package coordinator

import (
	"strings"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// The statuses of cancelled subtasks were lost with a session, and the node has forgotten them.
func TestCancelEndsAlthoughTheStatusesWereLost(t *testing.T) {
	w := running(t, testConfig())
	w.step(fsm.CancelJob{Job: testJob, Term: w.term, At: w.at()})
	w.run()
	for _, id := range []checkpoint.NodeID{"n1", "n2"} {
		w.leave(id)
		w.join(id, 1, 1)
	}
	w.run()
	if got := w.job().Status; got != fsm.JobCanceled {
		t.Fatalf("the job is %s", got)
	}
}

// A node that is connected and alive but never reports obeys somebody else, or nobody.
func TestNodeThatNeverReportsIsLost(t *testing.T) {
	w := running(t, testConfig())
	w.elect()
	w.join("n1", 1, 1, w.report("n1", checkpoint.SubtaskRunning))
	w.view.OnSession(w.nodes["n2"], w.now)
	w.advance(9 * time.Second)
	w.run()
	if got := w.job().Status; got != fsm.JobRunning {
		t.Fatalf("the job is %s while the node may still report", got)
	}
	w.now = w.now.Add(1100 * time.Millisecond)
	w.run()
	j := w.job()
	if j.Status != fsm.JobRestarting || !strings.Contains(j.Failure, "node n2") {
		t.Fatalf("the job is %s: %s", j.Status, j.Failure)
	}
}

// A node that has completed a checkpoint in this attempt and does not have it any more has lost it: deploying it
// again would put old state beside new.
func TestAttemptIsNotDeployedTwice(t *testing.T) {
	for name, forget := range map[string]func(w *world){
		"to the same leader": func(w *world) { w.leave("n2"); w.join("n2", 1, 1) },
		"to a new leader": func(w *world) {
			w.elect()
			w.join("n1", 1, 1, w.report("n1", checkpoint.SubtaskRunning))
			w.join("n2", 1, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := running(t, testConfig())
			w.tick()
			w.ack(1)
			forget(w)
			w.run()
			if len(sentTo[checkpoint.Deploy](w)) != 0 {
				t.Errorf("deployed again: %v", w.sent)
			}
			if j := w.job(); j.Status != fsm.JobRestarting || !strings.Contains(j.Failure, "n2") {
				t.Errorf("the job is %s: %s", j.Status, j.Failure)
			}
		})
	}
}

// I4: a subtask has failed when the new leader learns of the completion that the old one did not announce.
func TestI4_CompletionIsAnnouncedBeforeTheAttemptEnds(t *testing.T) {
	w := running(t, testConfig())
	w.tick()
	w.ack(1)
	w.elect()
	w.join("n1", 1, 1, w.report("n1", checkpoint.SubtaskFailed))
	w.join("n2", 1, 1, w.report("n2", checkpoint.SubtaskRunning))
	w.run()
	for _, id := range []checkpoint.NodeID{"n1", "n2"} {
		told := false
		for _, s := range w.sent {
			if s.Node != id {
				continue
			}
			switch s.Message.(type) {
			case checkpoint.NotifyComplete:
				told = true
			case checkpoint.CancelAttempt:
				if !told {
					t.Errorf("%s was told to stop before it was told of the completion", id)
				}
			}
		}
		if !told {
			t.Errorf("%s was not told of the completion", id)
		}
	}
}

// The clock steps back, or a new leader's is behind.
func TestClockThatStepsBackHoldsNothingUp(t *testing.T) {
	w := running(t, testConfig())
	w.tick()
	w.ack(1)
	back := func() {
		w.now = w.now.Add(-time.Hour)
		w.elect()
		w.join("n1", 1, 1, w.report("n1", checkpoint.SubtaskRunning))
		w.join("n2", 1, 1, w.report("n2", checkpoint.SubtaskRunning))
		w.run()
	}
	back()
	w.wantPending(2)
	w.ack(2)
	w.advance(500 * time.Millisecond)
	w.run()
	w.wantPending() // from here on the interval counts again
	w.fail(sub("read", 0), checkpoint.Failure{Message: "boom"})
	w.run()
	back()
	if j := w.job(); j.Status != fsm.JobRunning || j.Attempt != 2 {
		t.Fatalf("the job is %s, attempt %d", j.Status, j.Attempt)
	}
}
