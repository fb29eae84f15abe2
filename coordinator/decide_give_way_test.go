package coordinator

import (
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// twoJobsInLanes returns a world in which two jobs run on some nodes, with a region of each on every node. It then loses
// all nodes but n1.
func twoJobsInLanes(t *testing.T, nodes int) (w *world, older, younger checkpoint.JobID) {
	t.Helper()
	w = newWorld(t)
	for i := range nodes {
		w.join(nodeNumber(i), 2, 1)
	}
	older, younger = checkpoint.JobID{1}, checkpoint.JobID{2}
	for _, id := range []checkpoint.JobID{older, younger} {
		w.step(fsm.SubmitJob{Job: id, Name: id.String(), Program: "test", Topology: laneTopology(nodes), Config: testConfig(), At: w.at()})
	}
	w.run()
	for _, j := range w.state.SortedJobs() {
		for ordinal, s := range j.Topology.Subtasks() {
			w.view.OnStatus(j.Assignment.Node(ordinal).ID, checkpoint.StatusChange{
				Job: j.ID, Attempt: 1, Report: checkpoint.SubtaskReport{Subtask: s, Status: checkpoint.SubtaskRunning},
			})
		}
	}
	w.run()
	for i := range nodes - 1 {
		w.leave(nodeNumber(i + 1))
	}
	w.cancelledWithin(5 * time.Second)
	for _, id := range []checkpoint.JobID{older, younger} {
		if j := w.state.Jobs[id]; j.Status != fsm.JobRestarting || jobReason(w.view, j, w.now) == "" {
			t.Fatalf("job %s is %s", j.Name, j.Status)
		}
	}
	return w, older, younger
}

// cancelledWithin lets time pass and returns which attempts were cancelled on n1 meanwhile.
func (w *world) cancelledWithin(d time.Duration) []checkpoint.CancelAttempt {
	var cancelled []checkpoint.CancelAttempt
	for end := w.now.Add(d); w.now.Before(end); {
		w.tick()
		cancelled = append(cancelled, sentTo[checkpoint.CancelAttempt](w)["n1"]...)
	}
	return cancelled
}

// Two jobs that hold, with what goes on, the slots that the other one lacks must not wait for each other for ever.
func TestYoungerJobGivesWay(t *testing.T) {
	w, older, younger := twoJobsInLanes(t, 2)
	if got := w.cancelledWithin(slotPatience / 2); len(got) != 0 { // n2 may come back
		t.Fatalf("cancelled %v", got)
	}
	got := w.cancelledWithin(slotPatience)
	if len(got) == 0 || got[0].Job != younger || got[0].Attempt != 1 {
		t.Fatalf("cancelled %v", got)
	}
	if j := w.state.Jobs[older]; j.Status != fsm.JobRunning || j.DeployedIn(0) != 1 || j.DeployedIn(1) != 2 {
		t.Errorf("the older job is %s, its attempt %d, deployed in %v", j.Status, j.Attempt, j.Since)
	}
	if j := w.state.Jobs[younger]; j.Status != fsm.JobRestarting {
		t.Errorf("the younger job is %s", j.Status)
	}
	w.join("n3", 2, 1)
	w.run()
	if j := w.state.Jobs[younger]; j.Status != fsm.JobRunning || j.Since != nil {
		t.Errorf("with slots, the younger job is %s, deployed in %v", j.Status, j.Since)
	}
}

// Nothing is stopped for a job that would still lack slots.
func TestNobodyGivesWayInVain(t *testing.T) {
	w, _, _ := twoJobsInLanes(t, 3)
	if got := w.cancelledWithin(2 * slotPatience); len(got) != 0 {
		t.Errorf("cancelled %v", got)
	}
	w.join("n2", 1, 2)
	got := w.cancelledWithin(time.Second)
	if len(got) == 0 {
		t.Error("the younger job does not give way to an older one that then has all slots")
	}
}
