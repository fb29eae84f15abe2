package coordinator

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// laneTopology has a region for each index: read[i] and write[i].
func laneTopology(parallelism int) checkpoint.Topology {
	t := topologyOf(parallelism, parallelism)
	t.Vertices[0].ID, t.Vertices[0].Operators = "read", []checkpoint.OperatorID{"read"}
	t.Vertices[1].ID, t.Vertices[1].Operators = "write", []checkpoint.OperatorID{"write"}
	t.Edges = []checkpoint.Edge{{From: 0, To: 1, Partitioning: checkpoint.Forward}}
	return t
}

// inLanes returns a world in which a job of as many regions as there are slots runs on nodes n1, n2 …, one lane after the
// other.
func inLanes(t *testing.T, config checkpoint.Config, slots ...int) *world {
	w := newWorld(t)
	lanes := 0
	for i, n := range slots {
		w.join(nodeNumber(i), n, 1)
		lanes += n
	}
	w.step(fsm.SubmitJob{Job: testJob, Name: "job", Program: "test", Topology: laneTopology(lanes), Config: config, At: w.at()})
	w.run()
	w.allLanes(checkpoint.SubtaskRunning)
	w.run()
	if got := w.job().Status; got != fsm.JobRunning {
		t.Fatalf("the job is %s", got)
	}
	return w
}

func nodeNumber(i int) checkpoint.NodeID { return checkpoint.NodeID("n" + string(rune('1'+i))) }

func (w *world) allLanes(status checkpoint.SubtaskStatus) {
	for _, s := range w.job().Topology.Subtasks() {
		w.status(s, status)
	}
}

// completeLanes takes a checkpoint.
func (w *world) completeLanes() {
	w.t.Helper()
	w.tick()
	id := w.job().LastID
	w.ack(id, w.job().Topology.Subtasks()...)
	if latest, _ := w.job().LatestCompleted(); latest.ID != id {
		w.t.Fatalf("checkpoint %d has not completed", id)
	}
}

// reportOf is what a node has, in which attempt, of the subtasks that it has in the present one.
func (w *world) reportOf(id checkpoint.NodeID, attempt checkpoint.Attempt, status checkpoint.SubtaskStatus) checkpoint.AttemptReport {
	j := w.job()
	r := checkpoint.AttemptReport{Job: testJob, Attempt: attempt}
	for _, ordinal := range j.Assignment.Ordinals(id) {
		r.Subtasks = append(r.Subtasks, checkpoint.SubtaskReport{Subtask: j.Topology.Subtasks()[ordinal], Status: status})
	}
	return r
}

func (w *world) failLane(index int) {
	w.fail(sub("read", index), checkpoint.Failure{Message: "division by zero"})
	w.run()
}

// wantKept demands that the job runs, and that the subtasks of just these lanes have gone on.
func (w *world) wantKept(attempt checkpoint.Attempt, lanes ...int) {
	w.t.Helper()
	j := w.job()
	var kept []int
	for i := range j.Topology.Vertices[0].Parallelism {
		if j.DeployedIn(i) < j.Attempt {
			kept = append(kept, i)
		}
	}
	if j.Status != fsm.JobRunning || j.Attempt != attempt || !slices.Equal(kept, lanes) {
		w.t.Fatalf("the job is %s, attempt %d, lanes %v have gone on; want attempt %d and %v: %s", j.Status, j.Attempt, kept, attempt, lanes, j.Failure)
	}
}

// wantRestarting demands that the job waits for its next attempt.
func (w *world) wantRestarting() {
	w.t.Helper()
	if j := w.job(); j.Status != fsm.JobRestarting {
		w.t.Fatalf("the job is %s, attempt %d", j.Status, j.Attempt)
	}
}

func TestOnlyTheRegionOfWhatFailedIsRestarted(t *testing.T) {
	w := inLanes(t, testConfig(), 1, 1, 1)
	w.completeLanes()
	w.tick() // checkpoint 2 is pending
	w.failLane(1)
	w.wantRestarting()
	if got := sentTo[checkpoint.NotifyAborted](w)["n1"]; len(got) != 1 || got[0].Checkpoint != 2 || got[0].Attempt != 1 {
		t.Errorf("told n1 of %v: what goes on must not wait for barriers that do not come", got)
	}
	if got := sentTo[checkpoint.CancelAttempt](w); len(got) != 1 || len(got["n2"]) != 1 {
		t.Errorf("cancelled %v, want the attempt on n2 only", got)
	}
	if got := sentTo[checkpoint.CancelTasks](w); len(got) != 0 {
		t.Errorf("cancelled %v", got)
	}
	w.advance(time.Second)
	w.run()
	w.wantKept(2, 0, 2)
	deployed := sentTo[checkpoint.Deploy](w)
	if len(deployed) != 3 {
		t.Fatalf("deployed %v", deployed)
	}
	for _, id := range []checkpoint.NodeID{"n1", "n3"} {
		m := deployed[id][0]
		if len(m.Kept) != 2 || m.Kept[0].Since != 1 || len(m.States) != 0 || m.Restore != 1 || m.Settled != 2 || !slices.Equal(m.Aborted, []checkpoint.ID{2}) {
			t.Errorf("%s: %+v", id, m)
		}
	}
	if m := deployed["n2"][0]; len(m.Kept) != 0 || len(m.States) != 2 || m.Settled != 0 || m.Aborted != nil {
		t.Errorf("n2: %+v", m)
	}
	w.status(sub("read", 1), checkpoint.SubtaskRunning)
	w.status(sub("write", 1), checkpoint.SubtaskRunning)
	w.completeLanes() // with acks of those that have gone on
}

// A node that keeps something is told which of its tasks to stop: once in a session.
func TestTasksAreCancelledBesideWhatGoesOn(t *testing.T) {
	w := inLanes(t, testConfig(), 2)
	w.failLane(1)
	want := []checkpoint.SubtaskID{sub("write", 1)}
	told := func() []checkpoint.CancelTasks { return sentTo[checkpoint.CancelTasks](w)["n1"] }
	if got := told(); len(got) != 1 || !slices.Equal(got[0].Subtasks, want) || got[0].Attempt != 1 {
		t.Fatalf("cancelled %v", got)
	}
	if got := sentTo[checkpoint.CancelAttempt](w); len(got) != 0 {
		t.Errorf("cancelled the attempt: %v", got)
	}
	w.run()
	if got := told(); len(got) != 0 {
		t.Errorf("cancelled again: %v", got)
	}
	report := w.reportOf("n1", 1, checkpoint.SubtaskRunning)
	report.Subtasks[1].Status = checkpoint.SubtaskFailed
	w.leave("n1")
	w.join("n1", 2, 1, report)
	w.run()
	if got := told(); len(got) != 1 || !slices.Equal(got[0].Subtasks, want) {
		t.Errorf("a new session was told %v", got)
	}
	w.status(sub("write", 1), checkpoint.SubtaskCanceled)
	w.advance(time.Second)
	w.run()
	w.wantKept(2, 0)
	if m := sentTo[checkpoint.Deploy](w)["n1"][0]; len(m.Kept) != 2 || m.Kept[0].Subtask != sub("read", 0) {
		t.Errorf("deployed %+v", m)
	}
	if got := sentTo[checkpoint.CancelTasks](w); len(got) != 0 {
		t.Errorf("a running job's tasks were cancelled: %v", got)
	}
}

func TestRegionsThatFailMeanwhileDropOut(t *testing.T) {
	w := inLanes(t, testConfig(), 1, 1, 1)
	w.failLane(0)
	w.advance(500 * time.Millisecond)
	w.fail(sub("write", 2), checkpoint.Failure{Message: "disk full", Permanent: true})
	w.run()
	w.wantRestarting()
	if got := sentTo[checkpoint.CancelAttempt](w); len(got) != 1 || len(got["n3"]) != 1 {
		t.Errorf("cancelled %v", got)
	}
	w.advance(500 * time.Millisecond)
	w.run()
	w.wantKept(2, 1)
}

// What is on a lost node is restarted elsewhere; the rest stays where it is.
func TestRegionsOfALostNodeMove(t *testing.T) {
	w := inLanes(t, testConfig(), 1, 1, 1)
	w.join("n4", 1, 1)
	w.leave("n2")
	w.advance(time.Second)
	w.run()
	w.wantRestarting()
	w.advance(time.Second)
	w.run()
	w.wantKept(2, 0, 2)
	if got := w.nodeOf(sub("read", 1)); got != "n4" {
		t.Errorf("read[1] is on %s", got)
	}
}

// A session that broke a moment ago says nothing about what runs there: the next attempt waits to see.
func TestRestartWaitsForASuspectNode(t *testing.T) {
	for _, back := range []bool{true, false} {
		w := inLanes(t, testConfig(), 1, 1, 2) // lanes 0 and 3 are on n3
		w.join("n4", 1, 1)                     // there is room elsewhere
		w.failLane(0)
		w.advance(900 * time.Millisecond)
		w.leave("n2")
		w.advance(200 * time.Millisecond)
		w.run()
		w.wantRestarting()
		if back {
			w.join("n2", 1, 1, w.reportOf("n2", 1, checkpoint.SubtaskRunning))
			w.run()
			w.wantKept(2, 1, 2, 3)
			continue
		}
		w.advance(time.Second)
		w.run()
		w.wantKept(2, 1, 3)
	}
}

// A region of which something was told to stop does not go on when what was missing of it comes back.
func TestRegionIsGivenUpOnce(t *testing.T) {
	w := newWorld(t)
	w.join("n1", 3, 1)
	w.join("n2", 1, 1)
	topology := grouped(laneTopology(2), "in", "out")
	w.step(fsm.SubmitJob{Job: testJob, Name: "job", Program: "test", Topology: topology, Config: testConfig(), At: w.at()})
	w.run()
	w.allLanes(checkpoint.SubtaskRunning)
	w.run()
	if w.nodeOf(sub("read", 1)) != "n1" || w.nodeOf(sub("write", 1)) != "n2" {
		t.Fatalf("lane 1 is not on both nodes: %v", w.job().Assignment)
	}
	report := w.reportOf("n2", 1, checkpoint.SubtaskRunning)
	w.leave("n2")
	w.advance(800 * time.Millisecond)
	w.run()
	if got := sentTo[checkpoint.CancelTasks](w)["n1"]; len(got) != 1 || !slices.Equal(got[0].Subtasks, []checkpoint.SubtaskID{sub("read", 1)}) {
		t.Fatalf("cancelled %v", got)
	}
	w.join("n2", 1, 1, report) // read[1] has not said yet that it was stopped
	w.run()
	if got := sentTo[checkpoint.CancelAttempt](w); len(got["n2"]) != 1 {
		t.Errorf("cancelled %v", got)
	}
	w.advance(time.Second)
	w.run()
	w.wantKept(2, 0)
}

func TestNewLeaderSeesInTheReportsWhatGoesOn(t *testing.T) {
	w := inLanes(t, testConfig(), 1, 1, 1)
	w.completeLanes()
	w.failLane(1)
	reports := map[checkpoint.NodeID]checkpoint.AttemptReport{
		"n1": w.reportOf("n1", 1, checkpoint.SubtaskRunning), "n3": w.reportOf("n3", 1, checkpoint.SubtaskInitializing),
	}
	w.advance(2 * time.Second)
	w.elect()
	w.join("n2", 1, 1) // it has stopped, and forgotten
	w.run()
	w.wantRestarting() // the others have not reported
	w.join("n1", 1, 1, reports["n1"])
	w.run()
	w.wantRestarting()
	w.join("n3", 1, 1, reports["n3"])
	w.run()
	w.wantKept(2, 0, 2)
	if got := sentTo[checkpoint.CancelAttempt](w); len(got["n1"]) != 1 { // behind its deployment, which makes it void
		t.Errorf("cancelled %v", got)
	}
	if order := slices.IndexFunc(w.sent, func(s Send) bool { _, is := s.Message.(checkpoint.CancelAttempt); return is && s.Node == "n1" }); order <
		slices.IndexFunc(w.sent, func(s Send) bool { _, is := s.Message.(checkpoint.Deploy); return is && s.Node == "n1" }) {
		t.Error("the attempt in which it goes on was cancelled before the next one was deployed")
	}
}

// A node that does not report in time is not waited for.
func TestNewLeaderDoesNotWaitForEver(t *testing.T) {
	w := inLanes(t, testConfig(), 1, 1, 1)
	w.failLane(1)
	report := w.reportOf("n1", 1, checkpoint.SubtaskRunning)
	w.elect()
	w.join("n1", 2, 1, report)
	w.join("n2", 1, 1)
	w.advance(2 * time.Second)
	w.run()
	w.wantKept(2, 0)
}

// With the attempt started and nobody told, a leader's successor finds the attempt before on the nodes. That is what goes
// on, and is not cancelled, whatever else the deployment waits for.
func TestNewLeaderSparesWhatGoesOn(t *testing.T) {
	w := inLanes(t, testConfig(), 1, 1, 1)
	w.completeLanes()
	w.failLane(1)
	report := w.reportOf("n1", 1, checkpoint.SubtaskRunning)
	manifests := maps.Clone(w.manifests)
	j := w.job()
	w.step(fsm.StartAttempt{Job: testJob, Attempt: 2, Assignment: j.Assignment, Kept: []int{0, 2, 3, 5}, RestoreFrom: 1, At: w.at()})
	w.elect()
	clear(w.manifests) // it cannot be read for now
	w.join("n1", 1, 1, report)
	w.run()
	if len(sentTo[checkpoint.CancelAttempt](w))+len(sentTo[checkpoint.Deploy](w)) != 0 {
		t.Fatalf("sent %v", w.sent)
	}
	if got := w.view.job(w.job()).subtasks[0].status; got != checkpoint.SubtaskRunning {
		t.Errorf("read[0], which goes on, is %s", got)
	}
	maps.Copy(w.manifests, manifests)
	w.advance(2 * time.Second)
	w.run()
	if got := sentTo[checkpoint.Deploy](w)["n1"]; len(got) != 1 || len(got[0].Kept) != 2 {
		t.Errorf("deployed %v", got)
	}
}

// Where everything goes on, checkpoints begin before the nodes have been told of the attempt. A trigger for it would be
// ignored there; it comes behind the deployment.
func TestTriggerWaitsUntilItsNodeKnowsTheAttempt(t *testing.T) {
	w := inLanes(t, testConfig(), 1, 1)
	w.completeLanes()
	j := w.job()
	w.step(fsm.FailAttempt{Job: testJob, Attempt: 1, Cause: "false alarm", At: w.at()})
	w.step(fsm.StartAttempt{Job: testJob, Attempt: 2, Assignment: j.Assignment, Kept: []int{0, 1, 2, 3}, RestoreFrom: 1, At: w.at()})
	manifests := maps.Clone(w.manifests)
	w.elect()
	clear(w.manifests) // it cannot be read for now
	for _, id := range []checkpoint.NodeID{"n1", "n2"} {
		w.join(id, 1, 1, w.reportOf(id, 1, checkpoint.SubtaskRunning))
	}
	w.tick()
	if got := sentTo[checkpoint.Trigger](w); len(w.job().Pending) != 1 || len(got) != 0 {
		t.Fatalf("%d checkpoints are pending, sent %v", len(w.job().Pending), got)
	}
	maps.Copy(w.manifests, manifests)
	w.advance(2 * time.Second)
	w.run()
	for _, id := range []checkpoint.NodeID{"n1", "n2"} {
		at := func(is func(checkpoint.ToNode) bool) int {
			return slices.IndexFunc(w.sent, func(s Send) bool { return s.Node == id && is(s.Message) })
		}
		deploy := at(func(m checkpoint.ToNode) bool { _, is := m.(checkpoint.Deploy); return is })
		trigger := at(func(m checkpoint.ToNode) bool { _, is := m.(checkpoint.Trigger); return is })
		if deploy < 0 || trigger < deploy {
			t.Errorf("%s was sent %v", id, w.sent)
		}
	}
	w.ack(2, w.job().Topology.Subtasks()...)
	if latest, _ := w.job().LatestCompleted(); latest.ID != 2 {
		t.Errorf("the newest checkpoint is %d", latest.ID)
	}
}

// Two failures in a row, and a node that was away during the attempt between them: it still has what goes on.
func TestRegionsGoOnAcrossAnAttemptThatANodeHasMissed(t *testing.T) {
	w := inLanes(t, testConfig(), 1, 1, 1)
	report := w.reportOf("n1", 1, checkpoint.SubtaskRunning)
	w.failLane(1)
	j := w.job()
	w.step(fsm.StartAttempt{Job: testJob, Attempt: 2, Assignment: j.Assignment, Kept: []int{0, 2, 3, 5}, At: w.at()})
	w.refresh()
	w.leave("n1") // before it was told
	w.run()
	w.failLane(1)
	w.wantRestarting()
	w.join("n1", 1, 1, report)
	w.run()
	w.advance(2 * time.Second)
	w.run()
	w.wantKept(3, 0, 2)
	if got := sentTo[checkpoint.Deploy](w)["n1"][0].Kept; len(got) != 2 || got[0].Since != 1 {
		t.Errorf("n1 keeps %+v", got)
	}
}

func TestWhatFailsAsAWholeIsRestartedAsAWhole(t *testing.T) {
	tolerant := testConfig()
	tolerant.TolerableFailures = 0
	tests := map[string]func(*world){
		"too many failed checkpoints": func(w *world) {
			w.tick()
			w.decline(w.job().LastID, sub("read", 0))
		},
		"stopping has failed": func(w *world) {
			w.request(checkpoint.KindSavepoint, checkpoint.StopSuspend)
			w.run()
			w.decline(w.job().LastID, sub("read", 0))
		},
		"a failure while the job is to stop": func(w *world) {
			w.request(checkpoint.KindSavepoint, checkpoint.StopSuspend)
			w.run()
			w.failLane(1)
		},
	}
	for name, fail := range tests {
		t.Run(name, func(t *testing.T) {
			w := inLanes(t, tolerant, 1, 1)
			fail(w)
			w.wantRestarting()
			if got := sentTo[checkpoint.CancelAttempt](w); len(got) != 2 {
				t.Errorf("cancelled %v", got)
			}
			w.advance(time.Second)
			w.run()
			w.wantKept(2)
		})
	}
}

// The slots of what goes on are taken, those of what is restarted are not.
func TestSlotsOfWhatGoesOnAreTaken(t *testing.T) {
	w := inLanes(t, testConfig(), 1, 1)
	w.failLane(0)
	other := checkpoint.JobID{2}
	w.step(fsm.SubmitJob{Job: other, Name: "other", Program: "test", Topology: laneTopology(2), Config: testConfig(), At: w.at()})
	w.run()
	if j := w.state.Jobs[other]; j.Status != fsm.JobCreated {
		t.Fatalf("the other job is %s on %v: there is one free slot", j.Status, j.Assignment)
	}
	w.step(fsm.CancelJob{Job: other, Term: w.term, At: w.at()})
	w.run()
	third := checkpoint.JobID{3}
	w.step(fsm.SubmitJob{Job: third, Name: "third", Program: "test", Topology: laneTopology(1), Config: testConfig(), At: w.at()})
	w.run()
	if j := w.state.Jobs[third]; j.Status != fsm.JobRunning || j.Assignment.Node(0).ID != "n1" {
		t.Fatalf("the third job is %s on %v", j.Status, j.Assignment)
	}
	w.advance(time.Second)
	w.run()
	w.wantRestarting()
	if reason := jobReason(w.view, w.job(), w.now); !strings.Contains(reason, "needs 1 slot, 0 free") ||
		!strings.Contains(reason, "restarting 2 of 4 subtasks (region of read[0])") {
		t.Errorf("reason %q", reason)
	}
	w.join("n3", 1, 1)
	w.run()
	w.wantKept(2, 1)
}

// A node that is drained keeps what goes on, and what shares a slot with it, until the job can be moved as a whole.
func TestDrainedNodeKeepsWhatGoesOn(t *testing.T) {
	two := topologyOf(2, 2) // two vertices, nothing between them: each subtask is a region, and slot i holds two
	w := newWorld(t)
	w.join("n1", 1, 1)
	w.join("n2", 1, 1)
	w.step(fsm.SubmitJob{Job: testJob, Name: "job", Program: "test", Topology: two, Config: testConfig(), At: w.at()})
	w.run()
	w.allLanes(checkpoint.SubtaskRunning)
	w.step(fsm.DrainNode{Node: "n1", At: w.at()})
	failed := two.Subtasks()[0]
	w.fail(failed, checkpoint.Failure{Message: "division by zero"})
	w.run()
	w.advance(time.Second)
	w.run()
	j := w.job()
	if j.Status != fsm.JobRunning || !slices.Equal(j.Since, []checkpoint.Attempt{2, 1, 1, 1}) || w.nodeOf(failed) != "n1" {
		t.Errorf("the job is %s, since %v, on %v", j.Status, j.Since, j.Assignment)
	}
}

func TestCancelledWhileARegionRestarts(t *testing.T) {
	w := inLanes(t, testConfig(), 1, 1)
	w.failLane(0)
	w.step(fsm.CancelJob{Job: testJob, Term: w.term, At: w.at()})
	w.run()
	if got := sentTo[checkpoint.CancelAttempt](w); len(got) != 1 || len(got["n2"]) != 1 {
		t.Errorf("cancelled %v; n1 was told before", got)
	}
	w.status(sub("write", 0), checkpoint.SubtaskCanceled)
	w.run()
	if j := w.job(); j.Status != fsm.JobCancelling {
		t.Fatalf("the job is %s while lane 1 runs", j.Status)
	}
	w.status(sub("read", 1), checkpoint.SubtaskCanceled)
	w.status(sub("write", 1), checkpoint.SubtaskCanceled)
	w.run()
	if j := w.job(); j.Status != fsm.JobCanceled {
		t.Fatalf("the job is %s", j.Status)
	}
}

// I6: what is said of an execution holds while it goes on, in whichever of its attempts it was said; of an earlier
// execution it does not.
func TestI6_StatusOfAnExecution(t *testing.T) {
	w := inLanes(t, testConfig(), 1, 1)
	w.failLane(1)
	w.advance(time.Second)
	w.run()
	w.wantKept(2, 0)
	say := func(attempt checkpoint.Attempt, index int, status checkpoint.SubtaskStatus) checkpoint.SubtaskStatus {
		s := sub("write", index)
		w.view.OnStatus(w.nodeOf(s), checkpoint.StatusChange{Job: testJob, Attempt: attempt, Report: checkpoint.SubtaskReport{Subtask: s, Status: status}})
		return w.view.job(w.job()).subtasks[w.job().Topology.Ordinal(s)].status
	}
	if got := say(1, 1, checkpoint.SubtaskRunning); got != 0 {
		t.Errorf("write[1] was restarted; of what ran before it is said to be %s", got)
	}
	if got := say(3, 0, checkpoint.SubtaskFinishing); got != checkpoint.SubtaskRunning {
		t.Errorf("of an attempt that is not yet: %s", got)
	}
	if got := say(1, 0, checkpoint.SubtaskFinishing); got != checkpoint.SubtaskFinishing {
		t.Errorf("write[0] goes on; it is said to be %s", got)
	}
	say(1, 0, checkpoint.SubtaskFailed) // between the entry and the deployment
	w.run()
	w.wantRestarting()
}

// What has finished stays so: its final state is its part in the checkpoints of the next attempts, also under a leader
// that has it from a report of the attempt before.
func TestFinishedSubtasksGoOn(t *testing.T) {
	for _, failover := range []bool{false, true} {
		w := inLanes(t, testConfig(), 1, 1)
		w.completeLanes()
		final := ackOf(1, 1, sub("read", 0)).State
		report := w.reportOf("n1", 1, checkpoint.SubtaskFinished)
		for i := range report.Subtasks {
			r := &report.Subtasks[i]
			r.Final, r.FinalCheckpoint = checkpoint.SubtaskState{Subtask: r.Subtask, EndOfData: true, Handles: final.Handles}, 1
			w.view.OnStatus("n1", checkpoint.StatusChange{Job: testJob, Attempt: 1, Report: *r})
		}
		w.failLane(1)
		if failover {
			w.elect()
			w.join("n1", 1, 1, report)
			w.join("n2", 1, 1)
		}
		w.advance(time.Second)
		w.run()
		w.wantKept(2, 0)
		if !slices.Contains(w.view.namedBesideManifests(), final.Handles[0].Chunks[0].ID) {
			t.Error("nothing says that the final state is in use")
		}
		w.status(sub("read", 1), checkpoint.SubtaskRunning)
		w.status(sub("write", 1), checkpoint.SubtaskRunning)
		w.tick()
		w.ack(w.job().LastID, sub("read", 1), sub("write", 1))
		latest, _ := w.job().LatestCompleted()
		if m := w.manifests[latest.Manifest.ID]; latest.ID != 2 || !m.Subtasks[0].EndOfData || len(m.Subtasks[0].Handles) != 1 {
			t.Errorf("failover %t: checkpoint %d with %+v", failover, latest.ID, m.Subtasks)
		}
	}
}

// A node that has lost what goes on says so by leaving it out of its report.
func TestReportWithoutWhatGoesOn(t *testing.T) {
	w := inLanes(t, testConfig(), 1, 1)
	w.failLane(1)
	w.advance(time.Second)
	w.run()
	w.wantKept(2, 0)
	w.leave("n1")
	w.join("n1", 1, 1)
	w.run()
	w.wantRestarting()
	if got := w.job().Failure; !strings.Contains(got, "read[0] was stopped by its node n1") {
		t.Errorf("cause %q", got)
	}
}

func TestMetricsOfWhatGoesOnStay(t *testing.T) {
	w := inLanes(t, testConfig(), 1, 1)
	for index, id := range []checkpoint.NodeID{"n1", "n2"} {
		w.view.OnTaskMetrics(id, checkpoint.TaskMetrics{Job: testJob, Attempt: 1, Subtasks: []checkpoint.SubtaskMetrics{
			{Subtask: sub("read", index), RecordsIn: 42},
		}}, w.now)
	}
	w.failLane(1)
	w.advance(time.Second)
	w.run()
	w.wantKept(2, 0)
	s := w.view.job(w.job())
	if m := s.metricsOf(0, w.now); m == nil || m.measured.RecordsIn != 42 {
		t.Errorf("read[0]: %+v", m)
	}
	if m := s.metricsOf(1, w.now); m != nil {
		t.Errorf("read[1], which was restarted: %+v", m)
	}
}

func TestRestartText(t *testing.T) {
	w := inLanes(t, testConfig(), 1, 1, 1, 1, 1, 1)
	text := func() string { return (&decision{view: w.view, now: w.now}).restartText(w.job()) }
	w.fail(sub("write", 3), checkpoint.Failure{Message: "x"})
	w.run()
	for _, want := range []string{
		"restarting 2 of 12 subtasks (region of write[3])",
		"restarting 4 of 12 subtasks (regions of read[0], write[3])",
		"restarting 6 of 12 subtasks (regions of read[0], read[1], write[3])",
		"restarting 8 of 12 subtasks (regions of read[0], read[1], read[2] and 1 more)",
		"restarting 10 of 12 subtasks (regions of read[0], read[1], read[2] and 2 more)",
		"restarting all 12 subtasks",
	} {
		if got := text(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		for index := range 6 {
			if s := sub("read", index); index != 3 && w.view.job(w.job()).subtasks[index].status == checkpoint.SubtaskRunning {
				w.fail(s, checkpoint.Failure{Message: "x"})
				break
			}
		}
	}
}
