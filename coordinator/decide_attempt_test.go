package coordinator

import (
	"strings"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

func TestJobWaitsForSlots(t *testing.T) {
	w := newWorld(t)
	w.join("n1", 1, 1)
	w.submit(testConfig())
	w.run()
	if got := jobReason(w.view, w.job(), w.now); got != "needs 2 slots, 1 free" {
		t.Fatalf("reason %q", got)
	}
	w.join("n2", 1, 1)
	w.run()
	if j := w.job(); j.Status != fsm.JobRunning || j.Attempt != 1 {
		t.Fatalf("the job is %s, attempt %d", j.Status, j.Attempt)
	}
}

func TestDeployIsSentOncePerNode(t *testing.T) {
	w := newWorld(t)
	w.join("n1", 1, 1)
	w.join("n2", 1, 1)
	w.submit(testConfig())
	w.run()
	got := sentTo[checkpoint.Deploy](w)
	if len(got["n1"]) != 1 || len(got["n2"]) != 1 {
		t.Fatalf("deployments: %v", got)
	}
	w.run()
	if len(w.sent) != 0 {
		t.Fatalf("sent again: %v", w.sent)
	}
}

// restartedFrom1 returns a world whose job has completed checkpoint 1 and then lost n2.
func restartedFrom1(t *testing.T) *world {
	w := running(t, testConfig())
	w.tick()
	w.ack(1)
	w.join("n3", 1, 1)
	w.leave("n2")
	delete(w.nodes, "n2")
	w.advance(DefaultTiming().SessionGrace + time.Millisecond)
	w.run()
	return w
}

func TestLostNodeRestartsTheJobElsewhereFromTheLastCheckpoint(t *testing.T) {
	w := restartedFrom1(t)
	if j := w.job(); j.Status != fsm.JobRestarting || j.Failure != "node n2 (host-n2) was lost" {
		t.Fatalf("the job is %s: %s", j.Status, j.Failure)
	}
	if got := sentTo[checkpoint.CancelAttempt](w)["n1"]; len(got) != 1 || got[0].Attempt != 1 {
		t.Fatalf("cancellations to n1: %v", got)
	}
	w.advance(time.Second)
	w.run()
	j := w.job()
	if j.Status != fsm.JobRunning || j.Attempt != 2 || j.RestoredFrom != 1 {
		t.Fatalf("the job is %s, attempt %d from checkpoint %d", j.Status, j.Attempt, j.RestoredFrom)
	}
	if w.nodeOf(sub("read", 0)) != "n1" || w.nodeOf(sub("read", 1)) != "n3" {
		t.Fatalf("assignment %+v: what could stay has moved", j.Assignment)
	}
	deploy := sentTo[checkpoint.Deploy](w)["n3"]
	if len(deploy) != 1 || deploy[0].Restore != 1 || len(deploy[0].States) != 2 {
		t.Fatalf("deployment to n3: %+v", deploy)
	}
	for _, s := range deploy[0].States {
		if s.Subtask != sub("read", 1) && s.Subtask != sub("count", 1) {
			t.Errorf("n3 was sent the state of %s", s.Subtask)
		}
	}
}

// A leader that has not completed the checkpoint itself reads its manifest before it starts the attempt.
func TestNewLeaderReadsTheManifestItRestoresFrom(t *testing.T) {
	w := restartedFrom1(t)
	w.elect()
	w.join("n1", 1, 1)
	w.join("n3", 1, 1)
	w.advance(time.Second)
	w.run()
	if j := w.job(); j.Attempt != 2 || j.RestoredFrom != 1 {
		t.Fatalf("attempt %d from checkpoint %d", j.Attempt, j.RestoredFrom)
	}
	if got := sentTo[checkpoint.Deploy](w)["n1"]; len(got) != 1 || len(got[0].States) == 0 {
		t.Fatalf("deployment to n1: %+v", got)
	}
}

func TestL6_UnreadableManifestHoldsTheRestartUpAndSaysSo(t *testing.T) {
	w := restartedFrom1(t)
	w.elect()
	w.join("n1", 1, 1)
	w.join("n3", 1, 1)
	lost := w.manifests
	w.manifests = nil
	w.advance(time.Second)
	w.run()
	if j := w.job(); j.Attempt != 1 {
		t.Fatalf("attempt %d was started without its state", j.Attempt)
	}
	if reason := jobReason(w.view, w.job(), w.now); !strings.Contains(reason, "not found") {
		t.Fatalf("reason %q", reason)
	}
	w.manifests = lost
	w.advance(DefaultTiming().LoadRetry)
	w.run()
	if j := w.job(); j.Attempt != 2 || j.RestoredFrom != 1 {
		t.Fatalf("attempt %d from checkpoint %d", j.Attempt, j.RestoredFrom)
	}
}

// The leader that started the attempt died before it had deployed all of it: the next one needs the manifest too.
func TestL6_UnreadableManifestHoldsADeploymentUpAndSaysSo(t *testing.T) {
	w := restartedFrom1(t)
	w.advance(time.Second)
	w.run()
	if j := w.job(); j.Status != fsm.JobRunning || j.RestoredFrom != 1 {
		t.Fatalf("the job is %s, from checkpoint %d", j.Status, j.RestoredFrom)
	}
	if reason := jobReason(w.view, w.job(), w.now); reason != "" {
		t.Fatalf("all is well, and yet: %s", reason)
	}
	lost := w.manifests
	w.manifests = nil
	w.elect()
	for _, ref := range w.job().Assignment.Nodes {
		w.join(ref.ID, 1, ref.Incarnation)
	}
	w.run()
	if reason := jobReason(w.view, w.job(), w.now); !strings.Contains(reason, "cannot be restored from checkpoint 1") || !strings.Contains(reason, "not found") {
		t.Fatalf("reason %q", reason)
	}
	w.manifests = lost
	w.advance(DefaultTiming().LoadRetry)
	w.run()
	if reason := jobReason(w.view, w.job(), w.now); reason != "" || len(sentTo[checkpoint.Deploy](w)) != 2 {
		t.Fatalf("reason %q, deployed %v", reason, sentTo[checkpoint.Deploy](w))
	}
}

// U12's neighbour: code that does not return holds a cancelled job up. It is said which.
func TestU12_JobThatDoesNotStopSaysWhatItWaitsFor(t *testing.T) {
	w := running(t, testConfig())
	w.step(fsm.CancelJob{Job: testJob, Term: w.term, At: w.at()})
	w.run()
	for _, s := range testTopology().Subtasks() {
		if s != sub("count", 1) {
			w.status(s, checkpoint.SubtaskCanceled)
		}
	}
	w.run()
	if reason := jobReason(w.view, w.job(), w.now); w.job().Status != fsm.JobCancelling || reason != "waits for count[1] on node n2 to stop" {
		t.Fatalf("the job is %s: %q", w.job().Status, reason)
	}
	w.leave("n2") // that ends it
	w.advance(DefaultTiming().SessionGrace + time.Millisecond)
	w.run()
	if j := w.job(); j.Status != fsm.JobCanceled || jobReason(w.view, j, w.now) != "" {
		t.Fatalf("the job is %s", j.Status)
	}
}

func TestSessionThatComesBackWithinTheGraceChangesNothing(t *testing.T) {
	w := running(t, testConfig())
	w.leave("n2")
	w.advance(DefaultTiming().SessionGrace)
	w.run()
	w.join("n2", 1, 1, w.report("n2", checkpoint.SubtaskRunning))
	w.tick()
	if j := w.job(); j.Status != fsm.JobRunning || j.Attempt != 1 {
		t.Fatalf("the job is %s, attempt %d", j.Status, j.Attempt)
	}
}

// A process that comes back under the same name has lost its tasks, however fast it was.
func TestNewIncarnationOfANodeEndsTheAttempt(t *testing.T) {
	w := running(t, testConfig())
	w.leave("n2")
	w.join("n2", 1, 2)
	w.run()
	if j := w.job(); j.Status != fsm.JobRestarting {
		t.Fatalf("the job is %s", j.Status)
	}
}

func TestU9_ZombieOfAnOlderAttemptIsCancelled(t *testing.T) {
	w := restartedFrom1(t)
	zombie := w.report("n2", checkpoint.SubtaskRunning)
	w.advance(time.Second)
	w.run()
	w.join("n2", 1, 1, zombie)
	w.run()
	if got := sentTo[checkpoint.CancelAttempt](w)["n2"]; len(got) != 1 || got[0].Attempt != 1 {
		t.Fatalf("cancellations to n2: %v", got)
	}
	if j := w.job(); j.Status != fsm.JobRunning || j.Attempt != 2 {
		t.Fatalf("the job is %s, attempt %d", j.Status, j.Attempt)
	}
}

func TestPermanentFailureFailsTheJobWithItsReason(t *testing.T) {
	w := running(t, testConfig())
	w.fail(sub("read", 1), checkpoint.Failure{Message: "input /nowhere: no such file", Permanent: true})
	w.run()
	j := w.job()
	if j.Status != fsm.JobFailed || j.Failure != "read[1] on node n2: input /nowhere: no such file" {
		t.Fatalf("the job is %s: %s", j.Status, j.Failure)
	}
	for _, id := range []checkpoint.NodeID{"n1", "n2"} {
		if len(sentTo[checkpoint.CancelAttempt](w)[id]) != 1 {
			t.Errorf("%s was not told to stop", id)
		}
	}
}

func TestCauseIsNamedBeforeItsConsequences(t *testing.T) {
	w := running(t, testConfig())
	w.leave("n2")
	w.fail(sub("read", 0), checkpoint.Failure{Message: "channel broke", Secondary: true})
	w.run()
	if got := w.job().Failure; !strings.HasPrefix(got, "the session of node n2 (host-n2) broke") || !strings.Contains(got, "channel broke") {
		t.Fatalf("cause %q", got)
	}
}

// A channel that broke is a consequence: the error of the subtask that broke it names the attempt's failure also when it
// comes a moment later, and no longer than a moment is it waited for.
func TestCauseThatComesBehindItsConsequenceIsNamed(t *testing.T) {
	broke := checkpoint.Failure{Message: "channel broke", Secondary: true}
	for name, tc := range map[string]struct {
		then func(*world)
		want string
	}{
		"a better cause": {func(w *world) {
			w.advance(causeGrace - time.Millisecond)
			w.fail(sub("count", 1), checkpoint.Failure{Message: "boom"})
		}, "count[1] on node n2: boom"},
		"another consequence": {func(w *world) {
			w.advance(causeGrace / 2)
			w.fail(sub("count", 1), broke)
			w.run()
			w.advance(causeGrace / 2)
		}, "read[0] on node n1: channel broke"},
		"a node that is suspect": {func(w *world) { w.leave("n2") }, "the session of node n2 (host-n2) broke; read[0] on node n1: channel broke"},
	} {
		t.Run(name, func(t *testing.T) {
			w := running(t, testConfig())
			w.advance(time.Second)
			w.run()
			w.fail(sub("read", 0), broke)
			w.run()
			if j := w.job(); j.Status != fsm.JobRunning || len(w.commands) != 0 {
				t.Fatalf("at once the job is %s: %s; proposed %v", j.Status, j.Failure, w.commands)
			}
			tc.then(w)
			w.run()
			if j := w.job(); j.Status != fsm.JobRestarting || j.Failure != tc.want {
				t.Errorf("the job is %s: %s, want %s", j.Status, j.Failure, tc.want)
			}
		})
	}
}

func TestCancelWaitsUntilAllHaveStopped(t *testing.T) {
	w := running(t, testConfig())
	w.step(fsm.CancelJob{Job: testJob, Term: w.term, At: w.at()})
	w.run()
	if j := w.job(); j.Status != fsm.JobCancelling {
		t.Fatalf("the job is %s", j.Status)
	}
	if len(sentTo[checkpoint.CancelAttempt](w)) != 2 {
		t.Fatalf("sent %v", w.sent)
	}
	w.allStatus(checkpoint.SubtaskCanceled)
	w.run()
	if j := w.job(); j.Status != fsm.JobCanceled {
		t.Fatalf("the job is %s", j.Status)
	}
}

func TestSilentNodeIsLostSoonerWhenGossipConfirms(t *testing.T) {
	for name, c := range map[string]struct {
		failed  bool
		silence time.Duration
		want    nodeState
	}{
		"silent":                   {false, 5 * time.Second, nodeAlive},
		"silent for too long":      {false, 11 * time.Second, nodeLost},
		"silent, gossip confirms":  {true, 1100 * time.Millisecond, nodeLost},
		"gossip alone is mistaken": {true, 900 * time.Millisecond, nodeAlive},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.join("n1", 1, 1)
			if c.failed {
				w.view.OnMemberFailed("n1", 1)
			}
			if got := w.view.stateOf(w.view.nodes["n1"], w.now.Add(c.silence)); got != c.want {
				t.Fatalf("state %s, want %s", got, c.want)
			}
		})
	}
}

// A node that was given up and speaks again is asked for a new report before it is used.
func TestNodeThatWakesUpReportsAgain(t *testing.T) {
	w := newWorld(t)
	w.join("n1", 1, 1)
	w.run()
	w.now = w.now.Add(time.Minute)
	w.view.OnHeard("n1", w.now)
	w.run()
	if got := sentTo[checkpoint.Leading](w)["n1"]; len(got) != 1 {
		t.Fatalf("sent %v", w.sent)
	}
	if w.view.nodes["n1"].reported {
		t.Fatal("its old report still counts")
	}
}

// A node that was built without the job's program is no place for it.
func TestJobsRunOnlyWhereTheirProgramIsKnown(t *testing.T) {
	w := newWorld(t)
	w.join("n1", 1, 1)
	other := checkpoint.Hello{Node: checkpoint.NodeRef{ID: "n2", Incarnation: 1}, Slots: 4, Programs: []string{"other"}}
	w.view.OnSession(other, w.now)
	w.view.OnReport("n2", checkpoint.Report{Term: w.term}, w.now)
	w.submit(testConfig())
	w.run()
	if got := jobReason(w.view, w.job(), w.now); got != "needs 2 slots, 1 free on nodes that know the program test" {
		t.Fatalf("reason %q", got)
	}
	w.join("n3", 1, 1)
	w.run()
	j := w.job()
	if j.Status != fsm.JobRunning || j.Assignment.Has("n2", 1) {
		t.Fatalf("the job is %s on %+v", j.Status, j.Assignment.Nodes)
	}
}
