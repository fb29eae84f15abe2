package coordinator

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

func (w *world) declineAs(id checkpoint.ID, s checkpoint.SubtaskID, reason checkpoint.Reason, phase checkpoint.Phase) {
	w.view.OnDecline(w.nodeOf(s), checkpoint.Decline{
		Job: testJob, Attempt: w.job().Attempt, Checkpoint: id, Subtask: s, Reason: reason, Phase: phase, Message: "disk full",
	})
	w.run()
}

func TestF1_TooManyFailuresFailTheAttemptOnce(t *testing.T) {
	c := testConfig()
	c.TolerableFailures = 2
	w := running(t, c)
	for id, reason := range []checkpoint.Reason{
		1: checkpoint.ReasonDeclined, 2: checkpoint.ReasonAsyncException, 3: checkpoint.ReasonDeclinedSubsumed, 4: checkpoint.ReasonDeclined,
	} {
		if reason == 0 {
			continue
		}
		if j := w.job(); j.Status != fsm.JobRunning {
			t.Fatalf("before checkpoint %d the job is %s: %s", id, j.Status, j.Failure)
		}
		w.tick()
		w.declineAs(checkpoint.ID(id), sub("count", 0), reason, checkpoint.PhaseSync)
	}
	j := w.job()
	if j.Status != fsm.JobRestarting || j.Restart.Count != 1 {
		t.Fatalf("the job is %s after %d restarts", j.Status, j.Restart.Count)
	}
	w.advance(time.Second)
	w.run()
	w.allStatus(checkpoint.SubtaskRunning)
	w.tick()
	w.declineAs(5, sub("count", 0), checkpoint.ReasonDeclined, checkpoint.PhaseSync)
	if j := w.job(); j.Status != fsm.JobRunning || j.Attempt != 2 {
		t.Fatalf("after one more failure the job is %s, attempt %d", j.Status, j.Attempt)
	}
}

// U11: the failure says which task on which node in which phase of which checkpoint, and why.
func TestU11_TooManyFailuresNameTheLast(t *testing.T) {
	c := testConfig()
	c.TolerableFailures = 0
	w := running(t, c)
	w.tick()
	w.declineAs(1, sub("count", 1), checkpoint.ReasonAsyncException, checkpoint.PhaseUpload)
	for _, part := range []string{
		"in a row: 1", "tolerable_failures is 0", "checkpoint 1 failed", "checkpoint_async_exception", "count[1]", "node n2", "upload", "disk full",
	} {
		if !strings.Contains(w.job().Failure, part) {
			t.Errorf("cause %q does not name %q", w.job().Failure, part)
		}
	}
}

func TestF2_SuccessBetweenFailuresResetsTheCount(t *testing.T) {
	c := testConfig()
	c.TolerableFailures = 1
	w := running(t, c)
	for id := checkpoint.ID(1); id <= 9; id++ {
		w.tick()
		if id%2 == 1 {
			w.decline(id, sub("count", 0))
		} else {
			w.ack(id)
		}
	}
	if j := w.job(); j.Status != fsm.JobRunning || j.ConsecutiveFailures != 1 || j.Counters.Failed != 5 {
		t.Fatalf("the job is %s with %d failures in a row, %d in all: %s", j.Status, j.ConsecutiveFailures, j.Counters.Failed, j.Failure)
	}
}

func TestF3_TheSameCheckpointFailsOnce(t *testing.T) {
	c := testConfig()
	c.TolerableFailures = 1
	w := running(t, c)
	w.tick()
	for _, s := range testTopology().Subtasks() {
		w.decline(1, s)
	}
	if j := w.job(); j.Status != fsm.JobRunning || j.ConsecutiveFailures != 1 || j.Counters.Failed != 1 {
		t.Fatalf("the job is %s with %d failures in a row, %d in all", j.Status, j.ConsecutiveFailures, j.Counters.Failed)
	}
}

func TestC3_DeclineNamesThePhase(t *testing.T) {
	w := running(t, testConfig())
	w.tick()
	w.declineAs(1, sub("count", 1), checkpoint.ReasonAsyncException, checkpoint.PhaseAsync)
	if o := w.lastOutcome(); o.Reason != checkpoint.ReasonAsyncException || o.Message != "count[1] on node n2 (async): disk full" {
		t.Fatalf("outcome %+v", o)
	}
}

// C9: the text names who has not acknowledged, and how far each has come; what was acknowledged is given up.
func TestC9_ExpiryNamesPhases(t *testing.T) {
	c := testConfig()
	c.Timeout = 5 * time.Second
	w := unswept(t, c)
	w.tick()
	w.ack(1, sub("read", 0), sub("count", 0))
	for s, phase := range map[checkpoint.SubtaskID]checkpoint.Phase{
		sub("read", 1): checkpoint.PhaseUpload, sub("count", 1): checkpoint.PhaseAlignment,
	} {
		w.view.OnProgress(w.nodeOf(s), checkpoint.Progress{
			Job: testJob, Attempt: 1, Checkpoint: 1, Subtasks: []checkpoint.SubtaskProgress{{Subtask: s, Phase: phase}},
		})
	}
	w.advance(c.Timeout + time.Millisecond)
	w.run()
	want := "not acknowledged within 5s by read[1] on node n2 (upload), count[1] on node n2 (alignment), write[0] on node n1 (start delay)"
	o := w.lastOutcome()
	if o.Reason != checkpoint.ReasonExpired || o.Message != want || o.NumAcknowledged != 2 || o.Sizes.State != 20 {
		t.Fatalf("outcome %+v", o)
	}
	w.wantGarbage(ackOf(1, 1, sub("read", 0)), ackOf(1, 1, sub("count", 0)))
}

// unswept is running without the sweeps, which would take the garbage away.
func unswept(t *testing.T, c checkpoint.Config) *world {
	w := running(t, c)
	w.view.cleaning.nextAt = w.now.Add(time.Hour)
	return w
}

// wantGarbage asks that exactly the state of the given acks has been given up.
func (w *world) wantGarbage(acks ...checkpoint.Ack) {
	w.t.Helper()
	var want []checkpoint.ChunkID
	for _, a := range acks {
		for _, h := range a.State.Handles {
			for _, c := range h.Chunks {
				want = append(want, c.ID)
			}
		}
	}
	got := slices.Clone(w.view.jobs[testJob].garbage)
	for _, ids := range [][]checkpoint.ChunkID{got, want} {
		slices.SortFunc(ids, func(a, b checkpoint.ChunkID) int { return slices.Compare(a[:], b[:]) })
	}
	if !slices.Equal(got, want) {
		w.t.Fatalf("garbage %v, want %v", got, want)
	}
}

// C9's neighbour: the manifest is still being written when the time is up. What has been stored in the end is of no use.
func TestC9_ManifestAndDetailThatComeTooLateAreDiscarded(t *testing.T) {
	w := unswept(t, testConfig())
	w.tick()
	w.holdWrite = true
	w.ack(1)
	content := *w.view.jobs[testJob].pending[1].finished.content
	w.advance(testConfig().Timeout + time.Millisecond)
	w.run()
	if o := w.lastOutcome(); o.ID != 1 || o.Reason != checkpoint.ReasonExpired {
		t.Fatalf("outcome %+v", o)
	}
	w.view.jobs[testJob].garbage = nil // the acknowledged state: known without this
	manifest, detail := checkpoint.ChunkRef{ID: checkpoint.ChunkID{0xaa}, Size: 1}, checkpoint.ChunkRef{ID: checkpoint.ChunkID{0xbb}, Size: 1}
	w.view.OnManifestWritten(testJob, content.ID, manifest, fsm.Detail{Chunk: detail}, nil)
	w.view.OnDetailWritten(testJob, content.ID, fsm.Detail{Inline: []byte{1}})
	w.view.OnManifestWritten(testJob, content.ID, checkpoint.ChunkRef{}, fsm.Detail{}, errors.New("disk full"))
	if got := w.view.jobs[testJob].garbage; !slices.Equal(got, []checkpoint.ChunkID{manifest.ID, detail.ID}) {
		t.Fatalf("garbage %v", got)
	}
}

func TestC8_StateOfTheSubsumedIsDiscarded(t *testing.T) {
	c := testConfig()
	c.MaxConcurrent = 2
	w := unswept(t, c)
	w.tick()
	w.tick()
	w.ack(1, sub("read", 0))
	w.ack(2)
	w.wantGarbage(ackOf(1, 1, sub("read", 0)))
}

func TestC10_AckOfAnotherJobIsNotDiscarded(t *testing.T) {
	w := unswept(t, testConfig())
	w.tick()
	a := ackOf(1, 1, sub("read", 0))
	a.Job = checkpoint.JobID{9}
	w.view.OnAck("n1", a, w.now)
	w.run()
	w.wantGarbage()
	w.wantPending(1)
}

func TestC11_AckOfAnUnknownCheckpointIsDiscarded(t *testing.T) {
	w := unswept(t, testConfig())
	w.tick()
	a := ackOf(1, 99, sub("read", 0))
	w.view.OnAck("n1", a, w.now)
	w.run()
	w.wantGarbage(a)
	w.wantPending(1)
}

func TestC12_AckOfAnOlderAttemptIsDiscarded(t *testing.T) {
	w := unswept(t, testConfig())
	w.fail(sub("read", 0), checkpoint.Failure{Message: "boom"})
	w.run()
	w.advance(time.Second)
	w.run()
	w.allStatus(checkpoint.SubtaskRunning)
	w.tick()
	w.wantPending(1)
	a := ackOf(1, 1, sub("read", 0)) // of attempt 1; the checkpoint is of attempt 2
	w.view.OnAck("n1", a, w.now)
	w.run()
	w.wantGarbage(a)
	if n := w.view.jobs[testJob].pending[1].numAcknowledged(); n != 0 {
		t.Fatalf("%d acknowledged", n)
	}
}

func TestC13_AckAfterADeclineIsDiscarded(t *testing.T) {
	w := unswept(t, testConfig())
	w.tick()
	w.decline(1, sub("read", 0))
	w.wantGarbage()
	w.ack(1, sub("read", 1))
	w.wantCompleted()
	w.wantGarbage(ackOf(1, 1, sub("read", 1)))
	if len(w.commands) != 0 {
		t.Fatalf("proposed %v", w.commands)
	}
}

// C5: an ack that is repeated, also when its checkpoint has completed, gives nothing up.
func TestC5_RepeatedAckIsNotGarbage(t *testing.T) {
	w := unswept(t, testConfig())
	w.tick()
	w.ack(1, sub("read", 0))
	w.ack(1, sub("read", 0))
	w.ack(1)
	w.wantCompleted(1)
	w.ack(1)
	w.wantGarbage()
}

func TestC15_LateMetricsUpdateTheStatisticsOnly(t *testing.T) {
	w := running(t, testConfig())
	w.tick()
	w.ack(1, sub("read", 0))
	w.decline(1, sub("count", 1))
	before, known := w.view.detailOf(w.job(), 1, w.now)
	if !known || !before.Subtasks[0].Acknowledged || before.Subtasks[1].Acknowledged {
		t.Fatalf("detail %+v", before)
	}
	late := ackOf(1, 1, sub("read", 1))
	late.Metrics.AlignmentMillis = 77
	w.view.OnAck(w.nodeOf(sub("read", 1)), late, w.now)
	w.run()
	after, _ := w.view.detailOf(w.job(), 1, w.now)
	if d := after.Subtasks[1]; d.Metrics.AlignmentMillis != 77 || d.StateSize != 10 || d.Acknowledged {
		t.Fatalf("late part %+v", d)
	}
	if o := w.lastOutcome(); o.NumAcknowledged != 1 {
		t.Fatalf("%d acknowledged", o.NumAcknowledged)
	}
	late = ackOf(1, 1, sub("read", 0)) // had acknowledged: said again, it has nothing new to say
	late.Metrics.AlignmentMillis = 88
	w.view.OnAck(w.nodeOf(sub("read", 0)), late, w.now)
	if after, _ := w.view.detailOf(w.job(), 1, w.now); after.Subtasks[0].Metrics.AlignmentMillis != 0 {
		t.Fatalf("repeated part %+v", after.Subtasks[0])
	}
}

// U10: a final checkpoint that fails is taken again; the job ends well all the same.
func TestU10_FailedFinalCheckpointDoesNotFailTheJob(t *testing.T) {
	c := testConfig()
	c.Interval = time.Minute
	w := running(t, c)
	w.allStatus(checkpoint.SubtaskFinishing)
	w.run()
	w.wantPending(1)
	w.decline(1, sub("count", 0))
	w.advance(finalRetry)
	w.run()
	w.wantPending(2)
	w.ack(2)
	w.allStatus(checkpoint.SubtaskFinished)
	w.run()
	if j := w.job(); j.Status != fsm.JobFinished || j.Attempt != 1 {
		t.Fatalf("the job is %s, attempt %d: %s", j.Status, j.Attempt, j.Failure)
	}
}

// U5's neighbour: a job at the end of its input that tolerates any number of failures does not try as fast as it can while
// its store is down.
func TestU5_FinalCheckpointsThatFailAreSpaced(t *testing.T) {
	c := manualConfig()
	c.TolerableFailures = math.MaxInt32
	w := running(t, c)
	w.allStatus(checkpoint.SubtaskFinishing)
	w.run()
	for id := checkpoint.ID(1); id <= 5; id++ {
		w.wantPending(id)
		w.decline(id, sub("count", 0))
		w.advance(finalRetry - time.Millisecond)
		w.run()
		w.wantPending()
		w.advance(time.Millisecond)
		w.run()
	}
	w.ack(6)
	w.wantCompleted(6)
}

// U10: nor does one that is still pending when all subtasks have finished.
func TestU10_PendingCheckpointDoesNotHoldUpTheEnd(t *testing.T) {
	w := running(t, testConfig())
	w.tick()
	w.ack(1)
	w.tick()
	w.wantPending(2)
	w.allStatus(checkpoint.SubtaskFinished)
	w.run()
	if got := w.job().Status; got != fsm.JobFinished {
		t.Fatalf("the job is %s", got)
	}
}

// U4: the log is trimmed by what it holds, whoever leads.
func TestU4_RetentionSurvivesAFailover(t *testing.T) {
	c := testConfig()
	c.Retain = 2
	w := running(t, c)
	for id := checkpoint.ID(1); id <= 6; id++ {
		w.tick()
		w.ack(id)
		w.elect()
		w.rejoin(id)
	}
	w.wantCompleted(5, 6)
}

// U2: what a node still runs of a job that nobody knows any more is stopped.
func TestU2_OrphansOfForgottenJobsAreStopped(t *testing.T) {
	w := newWorld(t)
	w.join("n1", 1, 1, checkpoint.AttemptReport{Job: checkpoint.JobID{7}, Attempt: 3}, checkpoint.AttemptReport{Job: checkpoint.JobID{7}, Attempt: 2})
	w.run()
	if got := sentTo[checkpoint.CancelAttempt](w)["n1"]; len(got) != 1 || got[0].Attempt != 3 || got[0].Job != (checkpoint.JobID{7}) {
		t.Fatalf("cancellations: %v", got)
	}
}
