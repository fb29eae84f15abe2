package coordinator

import (
	"slices"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// report is what a node of the running job tells a new leader.
func (w *world) report(id checkpoint.NodeID, status checkpoint.SubtaskStatus, acks ...checkpoint.Ack) checkpoint.AttemptReport {
	j := w.job()
	r := checkpoint.AttemptReport{Job: j.ID, Attempt: j.Attempt, Acks: acks}
	for _, ordinal := range j.Assignment.Ordinals(id) {
		r.Subtasks = append(r.Subtasks, checkpoint.SubtaskReport{Subtask: j.Topology.Subtasks()[ordinal], Status: status})
	}
	return r
}

// acksOf returns the acks of all subtasks on a node.
func (w *world) acksOf(id checkpoint.NodeID, c checkpoint.ID) []checkpoint.Ack {
	j := w.job()
	var acks []checkpoint.Ack
	for _, ordinal := range j.Assignment.Ordinals(id) {
		acks = append(acks, ackOf(j.Attempt, c, j.Topology.Subtasks()[ordinal]))
	}
	return acks
}

// rejoin lets both nodes report to the present leader, with the acks they hold of checkpoint c.
func (w *world) rejoin(c checkpoint.ID, acked ...checkpoint.NodeID) {
	for _, id := range []checkpoint.NodeID{"n1", "n2"} {
		var acks []checkpoint.Ack
		for _, a := range acked {
			if a == id {
				acks = w.acksOf(id, c)
			}
		}
		w.join(id, 1, 1, w.report(id, checkpoint.SubtaskRunning, acks...))
	}
	w.run()
}

// The rows of the crash table, from the new leader's side. In each the checkpoint that was in flight completes
// under its ID, in the same attempt.
func TestAdoption(t *testing.T) {
	for name, crash := range map[string]struct {
		acked []checkpoint.NodeID // whose acks were sent to the old leader and are in the reports
	}{
		"after commit 1, before any trigger":  {},
		"after some acks":                     {acked: []checkpoint.NodeID{"n2"}},
		"after the last ack, before commit 2": {acked: []checkpoint.NodeID{"n1", "n2"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := running(t, testConfig())
			w.tick()
			w.wantPending(1)
			w.elect()
			w.rejoin(1, crash.acked...)
			if len(crash.acked) < 2 {
				w.wantPending(1)
				if got := sentTo[checkpoint.Trigger](w)["n1"]; len(crash.acked) == 0 && (len(got) != 1 || got[0].Barrier.ID != 1 || got[0].Term != w.term) {
					t.Fatalf("triggers to n1: %v", got)
				}
				w.ack(1)
			}
			w.wantCompleted(1)
			j := w.job()
			if j.Attempt != 1 || j.Restart.Count != 0 {
				t.Fatalf("attempt %d after %d restarts", j.Attempt, j.Restart.Count)
			}
			if o := w.lastOutcome(); o.BeganTerm != 1 || o.Term != 2 {
				t.Fatalf("began in term %d, ended in term %d", o.BeganTerm, o.Term)
			}
		})
	}
}

// I4: the old leader died after commit 2, before it told anybody.
func TestI4_NewLeaderNotifiesWhatIsCommitted(t *testing.T) {
	w := running(t, testConfig())
	w.tick()
	w.ack(1)
	w.elect()
	w.rejoin(1, "n1", "n2")
	for _, id := range []checkpoint.NodeID{"n1", "n2"} {
		got := sentTo[checkpoint.NotifyComplete](w)[id]
		if len(got) != 1 || got[0].Checkpoint != 1 {
			t.Fatalf("notifications to %s: %v", id, got)
		}
	}
	// A session that breaks and comes back is told again: the message may have been lost with it.
	w.leave("n1")
	w.join("n1", 1, 1, w.report("n1", checkpoint.SubtaskRunning))
	w.run()
	if got := sentTo[checkpoint.NotifyComplete](w); len(got["n1"]) != 1 || len(got["n2"]) != 0 {
		t.Fatalf("notifications after a reconnect: %v", got)
	}
}

func TestAckOfACheckpointAbortedByTheOldLeaderIsReleased(t *testing.T) {
	w := running(t, testConfig())
	w.tick()
	w.step(fsm.AbortCheckpoint{Job: testJob, Attempt: 1, Checkpoint: 1, Reason: checkpoint.ReasonExpired, At: w.at()})
	w.elect()
	w.rejoin(1, "n1")
	if got := sentTo[checkpoint.NotifyAborted](w)["n1"]; len(got) != 1 || got[0].Checkpoint != 1 {
		t.Fatalf("aborts to n1: %v", got)
	}
}

func TestNewLeaderGoesOnInTheSameRhythm(t *testing.T) {
	w := running(t, testConfig())
	w.tick()
	w.ack(1)
	w.advance(600 * time.Millisecond)
	w.elect()
	w.rejoin(1)
	w.wantPending()
	w.advance(400 * time.Millisecond)
	w.run()
	w.wantPending(2)
}

func TestNodeThatDoesNotReportWithinTheGraceIsLost(t *testing.T) {
	w := running(t, testConfig())
	w.elect()
	w.join("n1", 1, 1, w.report("n1", checkpoint.SubtaskRunning))
	w.run()
	w.advance(DefaultTiming().AdoptionGrace)
	w.run()
	if got := w.job().Status; got != fsm.JobRunning {
		t.Fatalf("the job is %s within the grace", got)
	}
	w.advance(time.Millisecond)
	w.run()
	j := w.job()
	if j.Status != fsm.JobRestarting || j.Failure != "node n2 (host-n2) was lost" {
		t.Fatalf("the job is %s: %s", j.Status, j.Failure)
	}
}

func TestReportOfAnotherTermIsIgnored(t *testing.T) {
	w := running(t, testConfig())
	w.elect()
	h := w.nodes["n1"]
	w.view.OnSession(h, w.now)
	w.view.OnReport("n1", checkpoint.Report{Term: w.term - 1, Attempts: []checkpoint.AttemptReport{w.report("n1", checkpoint.SubtaskFailed)}}, w.now)
	w.run()
	if got := w.job().Status; got != fsm.JobRunning {
		t.Fatalf("the job is %s", got)
	}
}

// Subtasks stay where their state is, also when the leader changes while the job waits for its next attempt.
func TestNodesAreWaitedForBeforeTheyArePlacedAnew(t *testing.T) {
	restarting := func(t *testing.T) (*world, []checkpoint.NodeID) {
		w := running(t, testConfig())
		w.fail(sub("count", 0), checkpoint.Failure{Message: "it broke"})
		w.run()
		was := slotsIn(w.job().Topology, w.job().Assignment)
		w.advance(w.job().Config.Restart.InitialBackoff)
		w.elect()
		w.join("n2", 2, 1)
		w.run()
		if got := w.job().Status; got != fsm.JobRestarting {
			t.Fatalf("the job is %s before n1 could report", got)
		}
		return w, was
	}
	t.Run("it reports", func(t *testing.T) {
		w, was := restarting(t)
		w.join("n1", 2, 1)
		w.run()
		if got := slotsIn(w.job().Topology, w.job().Assignment); w.job().Status != fsm.JobRunning || !slices.Equal(got, was) {
			t.Errorf("the job is %s on %v, it was on %v", w.job().Status, got, was)
		}
	})
	t.Run("it is gone", func(t *testing.T) {
		w, _ := restarting(t)
		w.advance(w.view.Timing.SessionGrace + time.Millisecond)
		w.run()
		if got := w.job().Status; got != fsm.JobRunning {
			t.Errorf("the job is %s although n2 has room", got)
		}
	})
}
