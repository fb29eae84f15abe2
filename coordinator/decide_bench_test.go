package coordinator

import (
	"fmt"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// busyWorld is a world of running jobs beside each other on ten nodes.
func busyWorld(b testing.TB, jobs int, t checkpoint.Topology) *world {
	b.Helper()
	w := newWorld(b)
	slots := (jobs*t.SlotsNeeded() + 9) / 10
	for i := range 10 {
		w.join(checkpoint.NodeID(fmt.Sprintf("n%02d", i)), slots, 1)
	}
	c := testConfig()
	c.Interval = time.Minute
	for i := range jobs {
		w.step(fsm.SubmitJob{
			Job: checkpoint.JobID{byte(i), byte(i >> 8), 1}, Name: fmt.Sprint("job-", i), Program: "test", Topology: t, Config: c, At: w.at(),
		})
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
	return w
}

// BenchmarkDecide200Jobs is what a tick costs in which nothing is to be done, with 200 jobs of 12 subtasks that have
// taken checkpoints.
func BenchmarkDecide200Jobs(b *testing.B) {
	w := busyWorld(b, 200, wideTopology(3))
	w.advanceInSteps(time.Minute)
	w.run()
	for _, j := range w.state.SortedJobs() {
		w.ackJob(j, 1)
	}
	w.run()
	b.ReportAllocs()
	for b.Loop() {
		w.view.SetJobs(w.view.Jobs)
		if actions := Decide(w.view, w.now); len(actions) != 0 {
			b.Fatalf("there is something to do: %v", actions)
		}
	}
}

// BenchmarkAck10000 is what the acks of a checkpoint cost in a job of 10,000 subtasks, with a decision behind each batch
// of 256. The time is that of the whole checkpoint, beginning and end included.
func BenchmarkAck10000(b *testing.B) {
	w := busyWorld(b, 1, wideTopology(2500))
	j := w.state.SortedJobs()[0]
	b.ReportAllocs()
	id := checkpoint.ID(0)
	for b.Loop() {
		id++
		w.view.OnRequest(j, checkpoint.KindCheckpoint, checkpoint.StopNone, w.at())
		w.run()
		w.ackJob(j, id)
		w.run()
		w.step(fsm.FinishDiscards{Job: j.ID, Checkpoints: []checkpoint.ID{id - 3}})
	}
	if got := w.state.SortedJobs()[0].LastSuccess; got != id {
		b.Fatalf("%d checkpoints completed of %d", got, id)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10_000, "ns/ack")
}

// ackJob acknowledges a checkpoint by all subtasks of a job, and decides after each batch.
func (w *world) ackJob(j *fsm.Job, id checkpoint.ID) {
	for ordinal, s := range j.Topology.Subtasks() {
		a := ackOf(1, id, s)
		a.Job = j.ID
		w.view.OnAck(j.Assignment.Node(ordinal).ID, a, w.now)
		if ordinal%ackBatch == ackBatch-1 {
			w.view.SetJobs(w.view.Jobs)
			Decide(w.view, w.now)
		}
	}
}

// advanceInSteps lets time pass in which the nodes are heard.
func (w *world) advanceInSteps(d time.Duration) {
	for ; d > 0; d -= time.Second {
		w.advance(time.Second)
	}
}

// The bar is a millisecond on a machine that does nothing else; the race detector and a loaded machine are given more.
func TestIdleDecisionIsFast(t *testing.T) {
	w := busyWorld(t, 200, wideTopology(3))
	best := time.Hour
	for range 50 {
		begin := time.Now()
		w.view.SetJobs(w.view.Jobs)
		Decide(w.view, w.now)
		best = min(best, time.Since(begin))
	}
	if best > 20*time.Millisecond {
		t.Errorf("deciding for 200 idle jobs takes %s", best)
	}
}
