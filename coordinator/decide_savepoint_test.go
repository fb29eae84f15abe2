package coordinator

import (
	"errors"
	"strings"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// stopping returns a world in which checkpoint 1 is complete and savepoint 2, which the job is to end with, is pending.
func stopping(t *testing.T, stop checkpoint.Stop) *world {
	w := running(t, testConfig())
	w.tick()
	w.ack(1)
	w.request(checkpoint.KindSavepoint, stop)
	w.run()
	w.wantPending(2)
	return w
}

func (w *world) savepointIDs() []checkpoint.ID {
	var ids []checkpoint.ID
	for _, s := range w.job().Savepoints {
		ids = append(ids, s.ID)
	}
	return ids
}

func (w *world) wantSavepoints(ids ...checkpoint.ID) {
	w.t.Helper()
	got := w.savepointIDs()
	if len(got) != len(ids) || len(ids) > 0 && got[0] != ids[0] {
		w.t.Fatalf("savepoints %v, want %v", got, ids)
	}
}

func TestTriggerTellsTheSubtasksWhatToTake(t *testing.T) {
	c := testConfig()
	c.Alignment, c.AlignmentTimeout = checkpoint.AlignmentAdaptive, 3*time.Second
	w := running(t, c)
	w.tick()
	want := checkpoint.Barrier{
		ID: 1, Timestamp: w.at(), Kind: checkpoint.KindCheckpoint, Mode: c.Mode, Alignment: c.Alignment, AlignmentTimeout: c.AlignmentTimeout,
	}
	if got := sentTo[checkpoint.Trigger](w)["n1"][0].Barrier; got != want {
		t.Errorf("checkpoint: %+v, want %+v", got, want)
	}
	w.request(checkpoint.KindSavepoint, checkpoint.StopDrain)
	w.run()
	want = checkpoint.Barrier{
		ID: 2, Timestamp: w.at(), Kind: checkpoint.KindSavepoint, Mode: c.Mode, Alignment: checkpoint.AlignmentAligned, Stop: checkpoint.StopDrain,
	}
	if got := sentTo[checkpoint.Trigger](w)["n1"][0].Barrier; got != want {
		t.Errorf("savepoint: %+v, want %+v", got, want)
	}
}

// The first checkpoint of a job that was submitted from what is not its own shares nothing with that.
func TestFullIsHandedOn(t *testing.T) {
	b := barrierOf(&fsm.Job{Config: testConfig()}, fsm.Pending{ID: 1, Kind: checkpoint.KindCheckpoint, Full: true})
	if !b.Full {
		t.Fatal("the subtasks are not asked for a full snapshot")
	}
}

func TestC18_PendingSavepointSurvivesANewerCheckpoint(t *testing.T) {
	c := testConfig()
	c.MaxConcurrent = 2
	w := running(t, c)
	w.savepoint()
	w.run()
	w.tick()
	w.wantPending(1, 2)
	w.ack(2)
	w.wantCompleted(2)
	w.wantPending(1)
	w.tick()
	w.wantPending(1, 3)
	w.ack(1)
	w.wantSavepoints(1)
	w.wantCompleted(2)
	w.wantPending(3) // it subsumes nothing
}

// A savepoint that was disposed of is on the discard list like what was subsumed; older checkpoints are still there.
func TestDisposedSavepointSubsumesNothing(t *testing.T) {
	w := running(t, testConfig())
	w.view.cleaning.nextAt = w.now.Add(time.Hour)
	w.tick()
	w.ack(1)
	w.savepoint()
	w.run()
	w.ack(2)
	w.step(fsm.DisposeSavepoint{Job: testJob, Savepoint: 2, At: w.at()})
	w.tick()
	w.ack(3)
	w.wantCompleted(1, 3)
	if got := sentTo[checkpoint.NotifyComplete](w)["n1"]; len(got) != 1 || got[0].Checkpoint != 3 || got[0].Subsumed != 0 {
		t.Fatalf("notifications to n1: %v", got)
	}
	w.tick()
	w.ack(4)
	w.tick()
	w.ack(5)
	w.wantCompleted(3, 4, 5)
	if got := sentTo[checkpoint.NotifyComplete](w)["n1"]; len(got) != 1 || got[0].Subsumed != 2 {
		t.Fatalf("notifications to n1: %v", got)
	}
}

// L3 from the coordinator's side: savepoints do not push checkpoints out of the log.
func TestL3_SavepointIsNotInTheRetainedLog(t *testing.T) {
	c := testConfig()
	c.Retain = 1
	w := running(t, c)
	w.tick()
	w.ack(1)
	w.savepoint()
	w.run()
	w.ack(2)
	w.wantCompleted(1)
	w.tick()
	w.ack(3)
	w.wantCompleted(3)
	w.wantSavepoints(2)
}

// A savepoint that the job goes on after is told to the nodes, for them to forget their acks, and published by nobody:
// it is not what a restart goes back to.
func TestSavepointIsSettledAndNotPublished(t *testing.T) {
	w := running(t, manualConfig())
	w.manual()
	w.run()
	w.ack(1)
	w.savepoint()
	w.run()
	w.ack(2)
	w.wantSavepoints(2)
	for _, id := range []checkpoint.NodeID{"n1", "n2"} {
		got := sentTo[checkpoint.NotifyComplete](w)[id]
		if len(got) != 1 || got[0].Checkpoint != 2 || got[0].Kind != checkpoint.KindSavepoint || got[0].Stop != checkpoint.StopNone {
			t.Fatalf("notifications to %s: %v", id, got)
		}
	}
	w.run()
	if len(w.sent) != 0 {
		t.Fatalf("sent again: %v", w.sent)
	}
	w.fail(sub("read", 0), checkpoint.Failure{Message: "boom"})
	w.run()
	w.advance(time.Second)
	w.run()
	if j := w.job(); j.Attempt != 2 || j.RestoredFrom != 1 {
		t.Fatalf("attempt %d from checkpoint %d", j.Attempt, j.RestoredFrom)
	}
}

// I4: a node that has not heard of a savepoint's completion says so with its acks, to whoever leads.
func TestI4_SavepointIsToldAgain(t *testing.T) {
	for name, elect := range map[string]bool{"same leader": false, "another leader": true} {
		t.Run(name, func(t *testing.T) {
			w := running(t, manualConfig())
			w.savepoint()
			w.run()
			w.ack(1)
			if elect {
				w.elect()
				w.join("n2", 1, 1, w.report("n2", checkpoint.SubtaskRunning))
			}
			w.join("n1", 1, 1, w.report("n1", checkpoint.SubtaskRunning, w.acksOf("n1", 1)...))
			w.run()
			got := sentTo[checkpoint.NotifyComplete](w)
			if len(got["n1"]) != 1 || got["n1"][0].Kind != checkpoint.KindSavepoint || len(got["n2"]) != 0 {
				t.Fatalf("notifications: %v", got)
			}
			if aborted := sentTo[checkpoint.NotifyAborted](w); len(aborted) != 0 {
				t.Fatalf("aborts: %v", aborted)
			}
		})
	}
}

// An older checkpoint that is pending when a savepoint completes has its own outcome, also for the next leader.
func TestSavepointLeavesOlderCheckpointsPending(t *testing.T) {
	w := running(t, manualConfig())
	w.manual()
	w.run()
	w.savepoint()
	w.run()
	w.ack(2)
	w.wantSavepoints(2)
	w.wantPending(1)
	w.elect()
	w.rejoin(1, "n1", "n2")
	w.wantCompleted(1)
}

// While the savepoint is pending that the job is to end with, nothing else begins: not even what a user asks for.
func TestStopWithSavepointIsTheLast(t *testing.T) {
	w := stopping(t, checkpoint.StopSuspend)
	id := w.manual()
	for range 5 {
		w.tick()
	}
	w.wantPending(2)
	w.ack(2)
	w.wantSavepoints(2)
	w.tick()
	w.wantPending()
	for _, node := range []checkpoint.NodeID{"n1", "n2"} {
		if n := w.view.nodes[node].notified[testJob]; n != 2 {
			t.Fatalf("%s was notified of %d", node, n)
		}
	}
	w.allStatus(checkpoint.SubtaskFinished)
	w.run()
	if got := w.job().Status; got != fsm.JobFinished {
		t.Fatalf("the job is %s", got)
	}
	w.wantRefused(id, checkpoint.ReasonCoordinatorShutdown, "FINISHED")
}

// Its completion is published by whoever leads (I4).
func TestI4_StopSavepointIsAnnouncedByTheNextLeader(t *testing.T) {
	w := stopping(t, checkpoint.StopDrain)
	w.ack(2)
	w.elect()
	w.rejoin(2, "n1", "n2")
	for _, id := range []checkpoint.NodeID{"n1", "n2"} {
		got := sentTo[checkpoint.NotifyComplete](w)[id]
		if len(got) != 1 || got[0].Checkpoint != 2 || got[0].Stop != checkpoint.StopDrain {
			t.Fatalf("notifications to %s: %v", id, got)
		}
	}
	w.tick()
	w.wantPending() // the next leader begins nothing either
}

// However the savepoint fails, the attempt ends once, with the root cause, and the job goes on from its last checkpoint.
func TestC19_FailedStopWithSavepointFailsTheAttemptOnce(t *testing.T) {
	for name, fail := range map[string]struct {
		how   func(w *world)
		cause string
	}{
		"declined": {func(w *world) { w.decline(2, sub("count", 0)) }, "count[0] on node n1: disk full"},
		"expired": {func(w *world) {
			for range 121 {
				w.advance(5 * time.Second)
			}
		}, "checkpoint_expired"},
		"manifest": {func(w *world) { w.writeErr = errors.New("no space"); w.ack(2) }, "writing the manifest: no space"},
	} {
		t.Run(name, func(t *testing.T) {
			w := stopping(t, checkpoint.StopSuspend)
			fail.how(w)
			w.run()
			j := w.job()
			if j.Status != fsm.JobRestarting || j.Restart.Count != 1 || !strings.Contains(j.Failure, "savepoint 2") || !strings.Contains(j.Failure, fail.cause) {
				t.Fatalf("the job is %s after %d restarts: %s", j.Status, j.Restart.Count, j.Failure)
			}
			w.writeErr = nil
			w.advance(time.Second)
			w.run()
			w.allStatus(checkpoint.SubtaskRunning)
			w.tick()
			if j := w.job(); j.Attempt != 2 || j.RestoredFrom != 1 || j.Status != fsm.JobRunning {
				t.Fatalf("the job is %s, attempt %d from checkpoint %d", j.Status, j.Attempt, j.RestoredFrom)
			}
			w.wantPending(3) // periodic ones are taken again
		})
	}
}

// The leader dies between the savepoint's failure and the end of the attempt.
func TestC19_NextLeaderEndsTheAttempt(t *testing.T) {
	w := stopping(t, checkpoint.StopSuspend)
	w.step(fsm.AbortCheckpoint{
		Job: testJob, Attempt: 1, Checkpoint: 2, Reason: checkpoint.ReasonDeclined, Message: "count[0] on node n1: disk full", At: w.at(),
	})
	w.elect()
	w.rejoin(2)
	if j := w.job(); j.Status != fsm.JobRestarting || !strings.Contains(j.Failure, "disk full") {
		t.Fatalf("the job is %s: %s", j.Status, j.Failure)
	}
}

// A subtask fails behind the savepoint: what that covers has been published, so the restart begins there.
func TestFailureBehindAStopSavepointRestartsFromIt(t *testing.T) {
	for name, elect := range map[string]bool{"same leader": false, "another leader": true} {
		t.Run(name, func(t *testing.T) {
			w := stopping(t, checkpoint.StopSuspend)
			w.ack(2)
			w.status(sub("read", 0), checkpoint.SubtaskFinished)
			w.fail(sub("write", 0), checkpoint.Failure{Message: "commit failed"})
			w.run()
			if elect {
				w.elect()
				w.join("n1", 1, 1)
				w.join("n2", 1, 1)
			}
			w.advance(time.Second)
			w.run()
			if j := w.job(); j.Attempt != 2 || j.RestoredFrom != 2 {
				t.Fatalf("attempt %d from checkpoint %d", j.Attempt, j.RestoredFrom)
			}
			w.allStatus(checkpoint.SubtaskRunning)
			w.tick()
			w.wantPending(3) // it goes on; stopping it is for the user to ask again
			w.ack(3)
			w.fail(sub("write", 0), checkpoint.Failure{Message: "again"})
			w.run()
			w.advance(2 * time.Second)
			w.run()
			if j := w.job(); j.Attempt != 3 || j.RestoredFrom != 3 {
				t.Fatalf("attempt %d from checkpoint %d", j.Attempt, j.RestoredFrom)
			}
		})
	}
}

// A subtask that has finished with a newer checkpoint has no state to offer for an older savepoint.
func TestSavepointIsNotMixedFromTwoCheckpoints(t *testing.T) {
	w := running(t, manualConfig())
	w.savepoint()
	w.run()
	w.allStatus(checkpoint.SubtaskFinishing)
	w.manual()
	w.run()
	w.wantPending(1, 2)
	w.ack(1, sub("read", 0), sub("read", 1), sub("count", 0), sub("count", 1))
	w.ack(2)
	w.view.OnStatus(w.nodeOf(sub("write", 0)), checkpoint.StatusChange{Job: testJob, Attempt: 1, Report: checkpoint.SubtaskReport{
		Subtask: sub("write", 0), Status: checkpoint.SubtaskFinished, FinalCheckpoint: 2,
	}})
	w.run()
	w.wantPending()
	w.wantSavepoints()
	if o := w.lastOutcome(); o.ID != 1 || o.Reason != checkpoint.ReasonTaskClosing || !strings.Contains(o.Message, "write[0] on node n") {
		t.Fatalf("outcome %+v", o)
	}
}

// U3: subtasks that have finished count for what began after, whoever leads.
func TestU3_NextLeaderAdoptsAJobWithFinishedTasks(t *testing.T) {
	w := running(t, testConfig())
	w.tick()
	w.ack(1)
	w.status(sub("read", 0), checkpoint.SubtaskFinished)
	w.tick()
	w.wantPending(2)
	w.elect()
	r := w.report("n1", checkpoint.SubtaskRunning)
	for i := range r.Subtasks {
		if s := &r.Subtasks[i]; s.Subtask == sub("read", 0) {
			s.Status, s.FinalCheckpoint, s.Final = checkpoint.SubtaskFinished, 1, checkpoint.SubtaskState{EndOfData: true}
		}
	}
	w.join("n1", 1, 1, r)
	w.join("n2", 1, 1, w.report("n2", checkpoint.SubtaskRunning))
	w.run()
	w.ack(2, sub("read", 1), sub("count", 0), sub("count", 1), sub("write", 0))
	w.wantCompleted(1, 2)
	if j := w.job(); j.Attempt != 1 {
		t.Fatalf("attempt %d", j.Attempt)
	}
}

func TestWithoutCheckpointsAfterTasksFinish(t *testing.T) {
	c := testConfig()
	c.AfterTasksFinish = false
	w := running(t, c)
	w.tick()
	w.wantPending(1)
	w.ack(1, sub("read", 1))
	w.status(sub("read", 0), checkpoint.SubtaskFinished)
	w.run()
	w.wantPending()
	if o := w.lastOutcome(); o.Reason != checkpoint.ReasonTaskClosing || !strings.Contains(o.Message, "read[0] on node n1") {
		t.Fatalf("outcome %+v", o)
	}
	id := w.manual()
	w.tick()
	w.wantPending()
	w.wantRefused(id, checkpoint.ReasonNotAllTasksRunning, "read[0] on node n1 is FINISHED", "after_tasks_finish")
	w.allStatus(checkpoint.SubtaskFinished)
	w.run()
	if j := w.job(); j.Status != fsm.JobFinished || j.ConsecutiveFailures != 0 {
		t.Fatalf("the job is %s with %d failures", j.Status, j.ConsecutiveFailures)
	}
}
