package coordinator

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// scaledTopology is testTopology with another parallelism of count.
func scaledTopology(count int) checkpoint.Topology {
	t := testTopology()
	t.Vertices[1].Parallelism = count
	return t
}

func scaledShape(count int) fsm.Shape {
	return fsm.Shape{Topology: scaledTopology(count), Parallelism: map[checkpoint.OperatorID]int{"count": count}}
}

// rescale asks for another parallelism of count as a user does.
func (w *world) rescale(count int) uint64 {
	return w.view.OnRescale(w.job(), scaledShape(count), w.at())
}

// ackState acknowledges a checkpoint by every subtask of the current attempt, with state that can be redistributed.
func (w *world) ackState(id checkpoint.ID) {
	w.ackThat(id, func(checkpoint.SubtaskID, *checkpoint.SubtaskState) {})
}

func (w *world) ackThat(id checkpoint.ID, change func(checkpoint.SubtaskID, *checkpoint.SubtaskState)) {
	j := w.job()
	for _, s := range j.Topology.Subtasks() {
		ack := ackOf(j.Attempt, id, s)
		v := j.Topology.Vertices[j.Topology.VertexIndex(s.Vertex)]
		h := &ack.State.Handles[0]
		if s.Vertex == "count" {
			h.Kind, h.KeyGroups = checkpoint.KeyedState, checkpoint.RangeOf(s.Index, v.MaxParallelism, v.Parallelism)
		} else {
			h.Name, h.Entries = "list", 3
		}
		change(s, &ack.State)
		w.view.OnAck(w.nodeOf(s), ack, w.now)
	}
	w.run()
}

// allRun reports every subtask of the current attempt as running.
func (w *world) allRun() {
	for _, s := range w.job().Topology.Subtasks() {
		w.status(s, checkpoint.SubtaskRunning)
	}
	w.run()
}

// toldOf returns what the view has said of a request since it was last asked.
func (w *world) toldOf(request uint64) (fate, bool) {
	fates := w.view.takeFates()
	i := slices.IndexFunc(fates, func(f fate) bool { return f.request == request })
	if i < 0 {
		return fate{}, false
	}
	return fates[i], true
}

func (w *world) wantNoFate(request uint64) {
	w.t.Helper()
	if f, told := w.toldOf(request); told {
		w.t.Fatalf("request %d was told: %s, checkpoint %d", request, f, f.checkpoint)
	}
}

// roomy returns a world in which the job runs on n1 and n2, and n3 has room for more.
func roomy(t *testing.T, change ...func(*checkpoint.Config)) *world {
	c := testConfig()
	for _, f := range change {
		f(&c)
	}
	w := running(t, c)
	w.join("n3", 9, 1)
	w.run()
	return w
}

// letPass lets time go by in which the nodes are heard.
func (w *world) letPass(d time.Duration) {
	for ; d > 0; d -= time.Second {
		w.advance(time.Second)
		w.run()
	}
}

// wantShape fails unless the current attempt has the given parallelism of count everywhere: in the job, in the
// deployments that were sent since, and in the states that they restore.
func (w *world) wantShape(count int, attempt checkpoint.Attempt, from checkpoint.ID) {
	w.t.Helper()
	j := w.job()
	if j.Status != fsm.JobRunning || j.Attempt != attempt || j.RestoredFrom != from || j.Topology.Difference(scaledTopology(count)) != "" {
		w.t.Fatalf("the job is %s with attempt %d from checkpoint %d and the graph %+v", j.Status, j.Attempt, j.RestoredFrom, j.Topology.Vertices)
	}
}

// The whole way: the checkpoint is aligned although the job's are not, the completion is published under the old
// attempt, and the next one starts in the new shape from that checkpoint, with each key group once.
func TestR1_RunningJobIsRescaled(t *testing.T) {
	w := roomy(t, func(c *checkpoint.Config) { c.Alignment, c.MaxConcurrent = checkpoint.AlignmentUnaligned, 3 })
	request := w.rescale(5)
	w.run()
	w.wantPending(1)
	triggers := sentTo[checkpoint.Trigger](w)
	for node, sent := range triggers {
		if b := sent[0].Barrier; b.Alignment != checkpoint.AlignmentAligned || b.Kind != checkpoint.KindCheckpoint {
			t.Errorf("%s was sent %s, alignment %s", node, b, b.Alignment)
		}
	}
	w.wantNoFate(request)
	w.tick()
	w.wantPending(1) // nothing newer begins, although the interval is over
	restarts := w.job().Restart.Count

	w.ackState(1)
	if f, told := w.toldOf(request); !told || f.checkpoint != 1 {
		t.Fatalf("told %t: %s, checkpoint %d", told, f, f.checkpoint)
	}
	w.wantShape(5, 2, 1)
	if j := w.job(); j.Restart.Count != restarts || j.Failure != "" || j.ConsecutiveFailures != 0 {
		t.Errorf("restart %+v, failure %q", j.Restart, j.Failure)
	}
	for _, node := range []checkpoint.NodeID{"n1", "n2"} {
		told := sentTo[checkpoint.NotifyComplete](w)[node]
		if len(told) == 0 || told[0].Attempt != 1 || told[0].Checkpoint != 1 {
			t.Errorf("%s was told of %v: sinks of attempt 1 publish checkpoint 1", node, told)
		}
	}
	groups := make(map[int]int)
	for node, sent := range sentTo[checkpoint.Deploy](w) {
		for _, m := range sent {
			if m.Attempt != 2 || m.Overrides.Parallelism["count"] != 5 || m.Overrides.MaxParallelism["count"] != 128 {
				t.Errorf("%s was sent %s with overrides %+v", node, m, m.Overrides)
			}
			for _, s := range m.States {
				for _, h := range s.Handles {
					for g := h.KeyGroups.First; h.Kind == checkpoint.KeyedState && g <= h.KeyGroups.Last; g++ {
						groups[g]++
					}
				}
			}
		}
	}
	for g := range 128 {
		if groups[g] != 1 {
			t.Errorf("key group %d was sent %d times", g, groups[g])
		}
	}

	w.allRun()
	w.tick()
	w.wantPending(2) // and again from there
	w.ackState(2)
	again := w.rescale(3)
	w.run()
	w.ackState(3)
	if f, _ := w.toldOf(again); f.checkpoint != 3 {
		t.Fatalf("told %s", f)
	}
	w.wantShape(3, 3, 3)
	if w.job().TopologyOf(2).NumSubtasks() != scaledTopology(5).NumSubtasks() {
		t.Errorf("attempt 2 had %+v", w.job().TopologyOf(2))
	}
}

// What keeps a job from being rescaled is said, and the job goes on in the attempt that it is in.
func TestRescalingThatCannotBe(t *testing.T) {
	for name, tc := range map[string]struct {
		do   func(*world)
		want string
	}{
		"too few slots": {func(w *world) {
			w.leave("n3")
			w.run()
		}, "job job needs 5 slots, but the nodes have 2 for it"},
		"the room goes while the checkpoint is taken": {func(w *world) {
			w.run()
			w.leave("n3")
			w.ackState(1)
		}, "but the nodes have 2 for it; the job goes on as it was"},
		"only drained nodes have room": {func(w *world) {
			w.step(fsm.DrainNode{Node: "n3", At: w.at()})
			w.run()
		}, "the nodes that are not drained have 2 for it"},
		"the node with room makes another graph": {func(w *world) {
			w.builds = map[checkpoint.NodeID]checkpoint.JobPlanned{"n3": {Error: "no such parameter"}}
			w.run()
		}, "nodes whose build makes its graph have 2 for it"},
		"the checkpoint is declined": {func(w *world) {
			w.run()
			w.decline(1, sub("count", 0))
		}, "checkpoint 1, which was taken for that, failed: checkpoint_declined: count[0] on node"},
		"the checkpoint expires": {func(w *world) {
			w.run()
			w.letPass(w.job().Config.Timeout + time.Second)
		}, "under backpressure that takes long"},
		"state that cannot be redistributed": {func(w *world) {
			w.run()
			w.ackThat(1, func(s checkpoint.SubtaskID, state *checkpoint.SubtaskState) {
				state.EndOfData = s == sub("count", 0)
			})
		}, "it cannot go on from checkpoint 1: "},
		"a subtask has ended": {func(w *world) {
			w.status(sub("read", 0), checkpoint.SubtaskFinished)
			w.run()
		}, "read[0] on node n1 is FINISHED, and checkpointing.after_tasks_finish is false (not_all_required_tasks_running)"},
		"an attempt that fails": {func(w *world) {
			w.run()
			w.fail(sub("count", 1), checkpoint.Failure{Message: "boom"})
			w.run()
		}, "the parallelism of job job was not changed: it became RESTARTING: count[1] on node n2: boom"},
		"a job that is cancelled": {func(w *world) {
			w.run()
			w.step(fsm.CancelJob{Job: testJob, Term: w.term, At: w.at()})
			w.run()
		}, "job job was not changed: it became CANCELLING"},
	} {
		t.Run(name, func(t *testing.T) {
			w := roomy(t, func(c *checkpoint.Config) {
				c.Timeout, c.AfterTasksFinish = 20*time.Second, name != "a subtask has ended"
			})
			request := w.rescale(5)
			tc.do(w)
			f, told := w.toldOf(request)
			if !told || f.checkpoint != 0 || !strings.Contains(f.String(), tc.want) {
				t.Errorf("told %t: %q, want %q", told, f, tc.want)
			}
			j := w.job()
			if j.Attempt != 1 || j.Next != nil || j.Topology.Difference(testTopology()) != "" {
				t.Errorf("attempt %d with %+v, next %+v", j.Attempt, j.Topology.Vertices, j.Next)
			}
			if w.view.jobs[testJob].rescale != nil || !w.view.jobs[testJob].queue.empty() {
				t.Error("something of the request is left")
			}
		})
	}
}

// A request that comes while the subtasks of an attempt start waits until all run.
func TestRescalingWaitsUntilAllRun(t *testing.T) {
	w := roomy(t)
	w.status(sub("write", 0), checkpoint.SubtaskInitializing)
	savepoint, request := w.request(checkpoint.KindSavepoint, checkpoint.StopNone), w.rescale(5)
	w.run()
	w.wantPending()
	fates := w.view.takeFates()
	if len(fates) != 1 || fates[0].request != savepoint || fates[0].reason != checkpoint.ReasonNotAllTasksRunning {
		t.Fatalf("told %v, want that the savepoint is refused", fates)
	}
	w.status(sub("write", 0), checkpoint.SubtaskRunning)
	w.run()
	w.wantPending(1)
	w.ackState(1)
	if f, told := w.toldOf(request); !told || f.checkpoint != 1 {
		t.Errorf("told %t: %s", told, f)
	}
}

// While a rescaling waits for a node to say what graph it makes, checkpoints go on: those of the interval, and a user's.
func TestRescalingThatWaitsHoldsNothingUp(t *testing.T) {
	w := roomy(t)
	w.holdPlans = map[checkpoint.NodeID]bool{"n3": true}
	request := w.rescale(5)
	w.run()
	w.wantPending()
	w.tick()
	w.wantPending(1)
	if w.job().Pending[0].Aligned {
		t.Fatal("the rescaling did not wait")
	}
	w.request(checkpoint.KindCheckpoint, checkpoint.StopNone)
	w.run()
	w.wantPending(1, 2)
	w.wantNoFate(request)
}

// The pause between two tries to leave a drained node grows with each that fails, and what fails is said.
func TestLeavingIsTriedAgainLaterAndLater(t *testing.T) {
	w := roomy(t, func(c *checkpoint.Config) { c.TolerableFailures, c.Interval, c.Timeout = 100, 0, 2*time.Second })
	w.step(fsm.DrainNode{Node: "n2", At: w.at()})
	w.run()
	pause := turnRetry / 2
	for try := checkpoint.ID(1); try <= 9; try++ {
		w.wantPending(try)
		w.letPass(3 * time.Second)
		w.wantPending()
		pause = min(2*pause, turnRetryMost)
		w.letPass(pause - 4*time.Second)
		w.wantPending()
		w.refresh()
		r := reading{jobs: w.view.Jobs, drained: w.view.Drained, view: w.view, now: w.now}
		n, err := r.node("n2")
		want := fmt.Sprintf("job job has not left: checkpoint %d, which was taken for that, failed: checkpoint_expired: not acknowledged within 2s by", try)
		if err != nil || len(n.Leaving) != 1 || !strings.HasPrefix(n.Leaving[0], want) || !strings.HasSuffix(n.Leaving[0], fmt.Sprintf("; the next try comes %s after that one began", pause)) {
			t.Fatalf("%q, %v", n.Leaving, err)
		}
		var status api.Status
		fillStatus(&status, w.view, 2, w.now)
		if !slices.ContainsFunc(status.Problems, func(p string) bool { return strings.HasPrefix(p, "node n2 is draining, but "+want) }) {
			t.Errorf("problems: %q", status.Problems)
		}
		w.letPass(time.Second)
	}
	w.wantPending(10)
	w.ackState(10)
	if j := w.job(); j.Attempt != 2 || j.RestoredFrom != 10 {
		t.Errorf("attempt %d from checkpoint %d", j.Attempt, j.RestoredFrom)
	}
}

// A subtask of a source that has read its input already is no hindrance: what it has not read it will find to be nothing.
func TestR1_SourceThatHasPartlyEndedIsRescaled(t *testing.T) {
	w := roomy(t)
	shape := scaledShape(2)
	shape.Topology.Vertices[0].Parallelism, shape.Parallelism = 3, map[checkpoint.OperatorID]int{"read": 3}
	request := w.view.OnRescale(w.job(), shape, w.at())
	w.run()
	w.ackThat(1, func(s checkpoint.SubtaskID, state *checkpoint.SubtaskState) { state.EndOfData = s == sub("read", 1) })
	if f, _ := w.toldOf(request); f.checkpoint != 1 {
		t.Fatalf("told %s", f)
	}
	if j := w.job(); j.Attempt != 2 || j.Topology.Vertices[0].Parallelism != 3 {
		t.Errorf("attempt %d with %+v", j.Attempt, j.Topology.Vertices)
	}
}

// The leader dies at each point of a rescaling. Afterwards the job runs in the one shape or in the other, from a
// checkpoint that was published, and the new leader has forgotten a request that had not been committed.
func TestLeaderDiesDuringARescaling(t *testing.T) {
	// Each point is reached by executing so many actions from the request on.
	finished, shapes := false, make(map[int]bool)
	for point := 0; !finished; point++ {
		t.Run(fmt.Sprint(point), func(t *testing.T) {
			w := roomy(t)
			w.rescale(5)
			left := point
			if w.runUntil(&left) && left > 0 {
				w.acknowledge(1)
				finished = w.runUntil(&left) && left > 0
			}
			committed := w.job().Next != nil || w.job().Attempt == 2

			w.elect()
			w.rejoinAll()
			w.run()
			if len(w.pendingIDs()) > 0 {
				w.ackState(w.pendingIDs()[0])
			}
			w.advance(5 * time.Second)
			w.run()
			j := w.job()
			count := j.Topology.Vertices[1].Parallelism
			shapes[count] = true
			if want := map[bool]int{false: 2, true: 5}[committed]; j.Status != fsm.JobRunning || count != want || j.Next != nil {
				t.Fatalf("the entry committed: %t; the job is %s with %d counters, next %+v", committed, j.Status, count, j.Next)
			}
			if len(j.Assignment.NodeOf) != j.Topology.NumSubtasks() {
				t.Errorf("%d subtasks are placed of %d", len(j.Assignment.NodeOf), j.Topology.NumSubtasks())
			}
			latest, _ := j.LatestCompleted()
			if committed && (j.Attempt != 2 || j.RestoredFrom == 0 || j.RestoredFrom > latest.ID) {
				t.Errorf("attempt %d from checkpoint %d, the log ends with %d", j.Attempt, j.RestoredFrom, latest.ID)
			}
			if !committed && j.Attempt != 1 {
				t.Errorf("attempt %d, although nothing was changed", j.Attempt)
			}
		})
		if t.Failed() || point > 200 {
			t.Fatalf("stopped at point %d", point)
		}
	}
	if !shapes[2] || !shapes[5] {
		t.Errorf("the points that were reached lead to %v counters only", shapes)
	}
}

// runUntil decides and executes until so many actions have been executed, and reports whether nothing was left to do
// before.
func (w *world) runUntil(left *int) bool {
	w.t.Helper()
	for range 100 {
		w.refresh()
		actions := Decide(w.view, w.now)
		if len(actions) == 0 {
			return true
		}
		for _, a := range actions {
			if *left == 0 {
				return false
			}
			*left--
			w.execute(a)
		}
	}
	w.t.Fatal("Decide does not come to rest")
	return false
}

// acknowledge lets every subtask acknowledge a checkpoint, and decides nothing.
func (w *world) acknowledge(id checkpoint.ID) {
	j := w.job()
	for _, s := range j.Topology.Subtasks() {
		ack := ackOf(j.Attempt, id, s)
		h := &ack.State.Handles[0]
		if h.Name, h.Entries = "list", 3; s.Vertex == "count" {
			v := j.Topology.Vertices[1]
			*h = checkpoint.Handle{
				Operator: "count", Kind: checkpoint.KeyedState, KeyGroups: checkpoint.RangeOf(s.Index, v.MaxParallelism, v.Parallelism), Chunks: h.Chunks,
			}
		}
		w.view.OnAck(w.nodeOf(s), ack, w.now)
	}
}

// rejoinAll lets the nodes report to a new leader what they run: their share of the current attempt, if that has begun.
func (w *world) rejoinAll() {
	j := w.job()
	all := j.Topology.Subtasks()
	for _, id := range []checkpoint.NodeID{"n1", "n2", "n3"} {
		report := checkpoint.AttemptReport{Job: j.ID, Attempt: j.Attempt}
		for _, ordinal := range j.Assignment.Ordinals(id) {
			report.Subtasks = append(report.Subtasks, checkpoint.SubtaskReport{Subtask: all[ordinal], Status: checkpoint.SubtaskRunning})
		}
		if h := w.nodes[id]; len(report.Subtasks) == 0 {
			w.join(id, h.Slots, h.Node.Incarnation)
		} else {
			w.join(id, h.Slots, h.Node.Incarnation, report)
		}
	}
}

// A savepoint that somebody waits for is not given up for a rescaling: the checkpoint for that comes behind it.
func TestRescalingWaitsForSavepoints(t *testing.T) {
	w := roomy(t)
	w.request(checkpoint.KindSavepoint, checkpoint.StopNone)
	w.run()
	w.wantPending(1)
	w.rescale(3)
	w.run()
	w.wantPending(1)
	w.ackState(1)
	w.wantPending(2)
	if !w.job().Pending[0].Aligned {
		t.Error("checkpoint 2 is not the one for the rescaling")
	}
}

// rivalled returns a world in which the job is to come to three counters and gets all three slots there are for it, while
// an older job waits for as many.
func rivalled(t *testing.T) (w *world, rival checkpoint.JobID) {
	w = running(t, testConfig())
	w.join("n3", 1, 1)
	rival = checkpoint.JobID{9}
	w.step(fsm.SubmitJob{Job: rival, Name: "rival", Program: "test", Topology: scaledTopology(3), Config: testConfig(), At: 1})
	w.run()
	w.rescale(3)
	w.run()
	w.wantPending(1)
	return w, rival
}

// Other jobs do not get what a job gave up to be rescaled, be they older.
func TestInterruptedJobGetsItsSlotsBack(t *testing.T) {
	w, rival := rivalled(t)
	w.ackState(1)
	w.wantShape(3, 2, 1)
	if got := w.state.Jobs[rival].Status; got != fsm.JobCreated {
		t.Errorf("the other job is %s", got)
	}
}

// Nor do they under a leader that has still to read the manifest.
func TestInterruptedJobKeepsItsSlotsWhileItIsHeldUp(t *testing.T) {
	w, rival := rivalled(t)
	w.acknowledge(1)
	for left := 1; w.job().Status == fsm.JobRunning; left = 1 {
		w.runUntil(&left)
	}
	lost := w.manifests
	w.manifests = nil
	w.elect()
	for _, id := range []checkpoint.NodeID{"n1", "n2", "n3"} {
		w.join(id, 1, 1)
	}
	w.letPass(3 * time.Second)
	if got, own := w.state.Jobs[rival].Status, w.job(); got != fsm.JobCreated || own.Attempt != 1 {
		t.Fatalf("the other job is %s, the job at attempt %d", got, own.Attempt)
	}
	w.manifests = lost
	w.letPass(3 * time.Second)
	w.wantShape(3, 2, 1)
}

// A drained node is left at a checkpoint, without a failure, and not before there is room elsewhere.
func TestDrainedNodeIsLeftAtACheckpoint(t *testing.T) {
	w := running(t, testConfig())
	w.step(fsm.DrainNode{Node: "n2", At: w.at()})
	w.tick()
	if p := w.job().Pending; len(p) != 1 || p[0].Aligned {
		t.Fatalf("pending %+v: there is no room elsewhere yet, the job goes on", p)
	}
	w.ackState(1)
	if w.job().Attempt != 1 {
		t.Fatal("the job was stopped without a place to go")
	}
	r := reading{jobs: w.view.Jobs, drained: w.view.Drained, view: w.view, now: w.now}
	n, err := r.node("n2")
	if err != nil || n.Status != statusDraining || n.Subtasks != 2 || len(n.Leaving) != 1 ||
		n.Leaving[0] != "job job needs 2 slots, but the nodes that are not drained have 1 for it; it stays until there is room" {
		t.Errorf("%+v, %v", n, err)
	}

	w.join("n3", 1, 1)
	w.run()
	w.wantPending(2) // at once, not when the interval is over
	if p := w.job().Pending[0]; !p.Aligned {
		t.Fatalf("pending %+v", p)
	}
	w.ackState(2)
	j := w.job()
	if j.Status != fsm.JobRunning || j.Attempt != 2 || j.RestoredFrom != 2 || j.Restart.Count != 0 {
		t.Fatalf("the job is %s with attempt %d from %d after %d restarts", j.Status, j.Attempt, j.RestoredFrom, j.Restart.Count)
	}
	if slices.ContainsFunc(j.Assignment.Nodes, func(n checkpoint.NodeRef) bool { return n.ID == "n2" }) {
		t.Errorf("placed on %v", j.Assignment.Nodes)
	}
	if w.nodeOf(sub("read", 0)) != "n1" {
		t.Errorf("%s has moved, which could stay", sub("read", 0))
	}
	w.allRun()
	w.tick()
	w.wantPending(3) // and that is all
	if w.job().Pending[0].Aligned {
		t.Error("it is to leave again")
	}
	w.refresh()
	r = reading{jobs: w.view.Jobs, drained: w.view.Drained, view: w.view, now: w.now}
	if n, _ := r.node("n2"); n.Status != statusDrained || n.Subtasks != 0 || len(n.Leaving) != 0 {
		t.Errorf("%+v", n)
	}
}

// A leader that takes over finds the drained node in the replicated state, and goes on; a checkpoint that was taken for
// it under another leader serves too.
func TestDrainSurvivesTheLeader(t *testing.T) {
	w := roomy(t)
	w.step(fsm.DrainNode{Node: "n2", At: w.at()})
	w.run()
	w.wantPending(1)
	w.elect()
	w.rejoinAll()
	w.run()
	w.ackState(1)
	w.advance(time.Second)
	w.run()
	if j := w.job(); j.Attempt != 2 || j.RestoredFrom != 1 {
		t.Errorf("attempt %d from checkpoint %d", j.Attempt, j.RestoredFrom)
	}
}

// A checkpoint at which a job could not leave, because the room had gone, is not used when it is old.
func TestDrainTakesANewCheckpointWhenTheLastIsOld(t *testing.T) {
	w := roomy(t, func(c *checkpoint.Config) { c.Interval = 0 })
	w.step(fsm.DrainNode{Node: "n2", At: w.at()})
	w.run()
	w.leave("n3")
	w.ackState(1)
	w.letPass(time.Minute)
	w.join("n4", 1, 1)
	w.run()
	w.wantPending(2)
	if j := w.job(); j.Attempt != 1 {
		t.Errorf("attempt %d from checkpoint %d, which is a minute old", j.Attempt, j.RestoredFrom)
	}
}

// A checkpoint for a drain that fails is tried again, but not at once.
func TestDrainIsTriedAgain(t *testing.T) {
	w := roomy(t, func(c *checkpoint.Config) { c.Interval, c.TolerableFailures = 0, 5 })
	w.step(fsm.DrainNode{Node: "n2", At: w.at()})
	w.run()
	w.decline(1, sub("count", 0))
	w.wantPending()
	w.advance(turnRetry)
	w.run()
	w.wantPending(2)
	w.ackState(2)
	if w.job().Attempt != 2 {
		t.Errorf("attempt %d", w.job().Attempt)
	}
}

// A job whose every subtask is about to finish is left to finish.
func TestFinishingJobIsNotMoved(t *testing.T) {
	w := roomy(t)
	for _, s := range testTopology().Subtasks() {
		w.status(s, checkpoint.SubtaskFinishing)
	}
	w.run()
	w.wantPending(1)
	w.step(fsm.DrainNode{Node: "n2", At: w.at()})
	w.ackState(1)
	w.tick()
	if w.job().Attempt != 1 || len(w.pendingIDs()) != 0 {
		t.Errorf("attempt %d, pending %v", w.job().Attempt, w.pendingIDs())
	}
}
