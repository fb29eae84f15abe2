package coordinator

import (
	"errors"
	"slices"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// holds says what the nodes hold, one list after the other, beginning with n1: to the storekeeper's question, and when a
// sweep is planned.
func (w *world) holds(lists ...[]checkpoint.ChunkID) {
	w.sweeps.where = make(map[checkpoint.NodeID][]checkpoint.ChunkID)
	for i, list := range lists {
		w.sweeps.where[checkpoint.NodeID([]string{"n1", "n2", "n3"}[i])] = list
	}
	w.sweeps.holdings = Holdings{Complete: true, Chunks: sorted(lists), Replicas: 2}
}

// full lets the time for a full sweep pass, and runs it.
func (w *world) full() {
	w.t.Helper()
	w.pass(DefaultTiming().FullSweepSoon + DefaultTiming().SweepPause)
}

// U8, I5: what lies on the disks and nothing names is found and deleted, where it is; what is named stays.
func TestU8_FullSweepDeletesOrphans(t *testing.T) {
	w := swept(t)
	orphan, shared := checkpoint.ChunkID{0xee}, checkpoint.ChunkID{0xed}
	kept := []checkpoint.ChunkID{manifestOf(2)}
	for _, s := range testTopology().Subtasks() {
		kept = append(kept, chunkOf(2, s))
	}
	w.holds(append([]checkpoint.ChunkID{orphan, shared}, kept...), append([]checkpoint.ChunkID{shared}, kept...))
	var figures FullSweepFigures
	w.sweeps.afterDelete = func(checkpoint.NodeID, []checkpoint.ChunkID) { figures, _ = w.view.FullSweep() }
	w.full()
	w.wantDiscards()
	w.wantDeleted("n1", orphan, true)
	w.wantDeleted("n2", orphan, false) // it is not there
	w.wantDeleted("n1", shared, true)
	w.wantDeleted("n2", shared, true)
	for _, id := range kept {
		w.wantDeleted("n1", id, false)
		w.wantDeleted("n2", id, false)
	}
	if figures.Orphans != 2 || figures.Held != len(kept)+2 {
		t.Errorf("figures %+v", figures)
	}
	if w.view.SweptAt().IsZero() {
		t.Error("nobody knows that there was a full sweep")
	}
}

// C14: what was stored for a checkpoint that is aborted goes also where it was never acknowledged; chunks that a
// retained checkpoint names stay.
func TestC14_UnacknowledgedStateOfAnAbortedCheckpointGoes(t *testing.T) {
	w := running(t, manual())
	w.complete()
	id := w.begin()
	w.ack(id, sub("read", 0))
	unacked, retained := chunkOf(id, sub("read", 1)), chunkOf(1, sub("read", 0))
	w.decline(id, sub("count", 0))
	w.holds([]checkpoint.ChunkID{unacked, retained, chunkOf(id, sub("read", 0))}, []checkpoint.ChunkID{unacked, retained})
	w.full()
	w.wantDeleted("n1", unacked, true)
	w.wantDeleted("n2", unacked, true)
	w.wantDeleted("n1", chunkOf(id, sub("read", 0)), true)
	w.wantDeleted("n1", retained, false)
	w.wantDeleted("n2", retained, false)
	w.wantCompleted(1)
}

// U8: an orphan is never younger than the oldest pending checkpoint: the sweep waits for it, and spares what it names by
// then.
func TestU8_OrphansWaitForPendingCheckpoints(t *testing.T) {
	w := running(t, manual())
	id := w.begin()
	stored := chunkOf(id, sub("read", 0)) // on the disks, and not acknowledged yet
	w.holds([]checkpoint.ChunkID{stored, {0xee}}, []checkpoint.ChunkID{stored})
	w.full()
	w.wantPhase(SweepWaiting)
	w.ack(id)
	w.wantCompleted(id)
	w.wantPhase(SweepIdle)
	w.wantDeleted("n1", checkpoint.ChunkID{0xee}, true)
	w.wantDeleted("n1", stored, false)
}

// U7: of copies beyond R those go that are too many, by a message to their node only, and never more of them than there
// are others on nodes that are alive and marked.
func TestU7_TrimmingLeavesCopiesEnough(t *testing.T) {
	for name, test := range map[string]struct {
		change func(w *world, chunk checkpoint.ChunkID)
		gone   bool
	}{
		"three copies": {func(*world, checkpoint.ChunkID) {}, true},
		"one is gone meanwhile": {func(w *world, _ checkpoint.ChunkID) {
			w.sweeps.where["n2"] = nil
		}, false},
		"a node is lost meanwhile": {func(w *world, _ checkpoint.ChunkID) {
			w.leave("n3")
		}, false},
		"a node has started again meanwhile": {func(w *world, _ checkpoint.ChunkID) {
			w.join("n3", 1, 2)
		}, false},
		"it was deleted there already": {func(w *world, _ checkpoint.ChunkID) {
			w.sweeps.where["n1"] = nil
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := running(t, manual())
			w.join("n3", 1, 1)
			chunk := chunkOf(w.complete(), sub("read", 0))
			w.holds([]checkpoint.ChunkID{chunk}, []checkpoint.ChunkID{chunk}, []checkpoint.ChunkID{chunk})
			w.sweeps.holdings.Extra = map[checkpoint.NodeID][]checkpoint.ChunkID{"n1": {chunk}}
			earlier := w.begin()
			w.full()
			w.wantPhase(SweepWaiting)
			test.change(w, chunk)
			w.decline(earlier, sub("count", 0))
			w.wantDeleted("n1", chunk, test.gone)
			w.wantDeleted("n2", chunk, false)
			w.wantDeleted("n3", chunk, false)
		})
	}
}

// A chunk that nothing names any more when the sweep is planned is not trimmed but deleted.
func TestU7_CondemnedCopiesAreNotTrimmed(t *testing.T) {
	orphan := checkpoint.ChunkID{1}
	in := GCInput{
		Held: []checkpoint.ChunkID{orphan}, Extra: map[checkpoint.NodeID][]checkpoint.ChunkID{"n1": {orphan}}, Replicas: 1,
		Members: []checkpoint.NodeID{"n1", "n2"},
		Locate: func(ids []checkpoint.ChunkID) map[checkpoint.NodeID][]checkpoint.ChunkID {
			return map[checkpoint.NodeID][]checkpoint.ChunkID{"n1": ids, "n2": ids}
		},
	}
	p := PlanGC(in)
	if p.Trimmed != 0 || len(p.Copies["n1"]) != 1 || len(p.Copies["n2"]) != 1 {
		t.Errorf("plan %+v", p)
	}
}

// Full sweeps come soon behind what leaves orphans, and else rarely.
func TestFullSweepsComeWhenTheyAreWorthWhile(t *testing.T) {
	timing := DefaultTiming()
	w := running(t, manual())
	lists := func() int {
		return len(slices.DeleteFunc(slices.Clone(w.sweeps.trace), func(a string) bool { return a != ListHoldings{}.String() }))
	}
	want := func(n int, when string) {
		t.Helper()
		if got := lists(); got != n {
			t.Fatalf("%s: %d lists, want %d", when, got, n)
		}
	}
	w.holds(nil)
	w.pass(timing.FullSweepSoon - time.Second)
	want(0, "soon after the election")
	w.pass(time.Second)
	want(1, "later")
	w.pass(timing.FullSweepPause - time.Second)
	want(1, "in the pause")
	w.pass(2 * time.Second)
	want(2, "behind the pause")
	w.view.OnInventory("n1", checkpoint.Inventory{First: true}, w.now)
	w.pass(timing.FullSweepSoon)
	want(2, "with an inventory half told")
	w.view.OnInventory("n1", checkpoint.Inventory{Last: true}, w.now)
	w.pass(time.Second)
	w.view.OnInventory("n2", checkpoint.Inventory{Last: true}, w.now)
	w.pass(timing.FullSweepSoon)
	want(3, "with two inventories")
	w.step(fsm.CancelJob{Job: testJob, Term: w.term, At: w.at()})
	w.run()
	w.allStatus(checkpoint.SubtaskCanceled)
	w.pass(timing.FullSweepSoon + time.Second)
	want(4, "with the job at its end")
	w.elect()
	w.join("n1", 1, 1)
	w.pass(timing.FullSweepSoon + time.Second)
	want(5, "under the next leader")
}

// What failed checkpoints have left is swept soon, and at most once a minute: it may be what fills a disk.
func TestFullSweepBehindFailedCheckpoints(t *testing.T) {
	timing := DefaultTiming()
	w := running(t, manual())
	lists := func() int {
		return len(slices.DeleteFunc(slices.Clone(w.sweeps.trace), func(a string) bool { return a != ListHoldings{}.String() }))
	}
	w.holds(nil)
	w.pass(timing.FullSweepSoon + time.Second)
	first := lists()
	fail := func() {
		t.Helper()
		id := w.begin()
		w.view.OnDecline(w.nodeOf(sub("count", 0)), checkpoint.Decline{
			Job: testJob, Attempt: w.job().Attempt, Checkpoint: id, Subtask: sub("count", 0),
			Reason: checkpoint.ReasonAsyncException, Phase: checkpoint.PhaseUpload, Message: "no space",
		})
		w.run()
		if isPending(w.job(), id) {
			t.Fatalf("checkpoint %d is pending although it was declined", id)
		}
	}
	fail()
	w.pass(failedUploadsPause - timing.FullSweepSoon)
	if got := lists(); got != first {
		t.Errorf("%d lists within a minute of the first, want none", got-first)
	}
	w.pass(timing.FullSweepSoon)
	if got := lists(); got != first+1 {
		t.Errorf("%d lists a minute behind the first, want one", got-first)
	}
	w.pass(2 * failedUploadsPause)
	if got := lists(); got != first+1 {
		t.Errorf("%d lists with nothing failing any more, want one", got-first)
	}
	fail()
	w.pass(timing.FullSweepSoon + time.Second)
	if got := lists(); got != first+2 {
		t.Errorf("%d lists soon behind another failure, want two", got-first)
	}
}

// While not every node has told what it holds, ordinary sweeps go on and full ones wait.
func TestU8_NoFullSweepBeforeTheInventories(t *testing.T) {
	w := swept(t)
	orphan := checkpoint.ChunkID{0xee}
	w.holds([]checkpoint.ChunkID{orphan})
	w.sweeps.holdings.Complete = false
	w.pass(time.Minute)
	w.wantDiscards()
	w.wantDeleted("n1", orphan, false)
	if !w.view.SweptAt().IsZero() {
		t.Error("that was a full sweep?")
	}
	w.sweeps.holdings.Complete = true
	w.pass(DefaultTiming().SweepRetry + DefaultTiming().SweepPause)
	w.wantDeleted("n1", orphan, true)
}

// Nothing is listed while a node may still report, which may know of state in use.
func TestU8_NoFullSweepBeforeTheReports(t *testing.T) {
	w := running(t, manual())
	w.elect()
	w.join("n1", 1, 1, checkpoint.AttemptReport{Job: testJob, Attempt: 1})
	w.view.Timing.AdoptionGrace = time.Hour
	w.holds([]checkpoint.ChunkID{{0xee}})
	w.pass(time.Minute)
	if len(w.sweeps.trace) > 0 {
		t.Fatalf("actions %q", w.sweeps.trace)
	}
}

// An import under way may have stored chunks that only its manifest names, which is not there yet: what is discarded goes,
// and orphans stay.
func TestU8_ImportUnderWayHoldsOrphansUp(t *testing.T) {
	ref := func(n byte) checkpoint.ChunkRef { return checkpoint.ChunkRef{ID: checkpoint.ChunkID{n}, Size: 1} }
	in := SweepInput{
		Live: []checkpoint.ChunkRef{ref(1)}, Incomplete: []checkpoint.ChunkRef{ref(1)}, Garbage: []checkpoint.ChunkID{{2}},
		Held: []checkpoint.ChunkID{{1}, {2}, {3}, {4}}, Members: []checkpoint.NodeID{"n1"},
	}
	locate := func(ids []checkpoint.ChunkID) (map[checkpoint.NodeID][]checkpoint.ChunkID, error) {
		return map[checkpoint.NodeID][]checkpoint.ChunkID{"n1": ids}, nil
	}
	unreadable := func(checkpoint.ChunkRef) ([]checkpoint.ChunkID, error) { return nil, errors.New("not found") }
	p := in.Plan(unreadable, locate)
	if p.HeldUp == nil || p.Err != nil || len(p.Copies) > 0 || !slices.Equal(p.Chunks, []checkpoint.ChunkID{{2}}) {
		t.Errorf("with an unreadable manifest: %+v", p)
	}
	p = in.Plan(func(checkpoint.ChunkRef) ([]checkpoint.ChunkID, error) { return []checkpoint.ChunkID{{3}}, nil }, locate)
	if p.HeldUp != nil || !slices.Equal(p.Copies["n1"], []checkpoint.ChunkID{{4}}) {
		t.Errorf("with a readable manifest: %+v", p)
	}
	in.Incomplete = nil
	if p = in.Plan(unreadable, locate); p.Err == nil {
		t.Errorf("with a manifest in use that cannot be read: %+v", p)
	}
}

// A full sweep comes upon discards that it has not taken on. Their manifests stay as long as they are listed.
func TestU8_ManifestsOfOtherDiscardsStay(t *testing.T) {
	c := manual()
	c.MaxConcurrent = 2
	w := running(t, c)
	w.complete()
	earlier := w.step(fsm.BeginCheckpoint{Job: testJob, Attempt: 1, Kind: checkpoint.KindSavepoint, Term: w.term, At: w.at()}).Checkpoint
	w.holds([]checkpoint.ChunkID{manifestOf(1), {0xee}})
	w.full()
	w.wantPhase(SweepWaiting)
	w.complete() // discards the first one
	w.sweeps.holdDelete = map[checkpoint.NodeID]bool{"n1": true}
	w.ack(earlier)
	w.wantPhase(SweepDeletingState)
	w.wantDiscards(1)
	w.wantDeleted("n1", checkpoint.ChunkID{0xee}, true)
	w.wantDeleted("n1", manifestOf(1), false)
}

// U8: a new leader that has lost the list of garbage finds it on the disks.
func TestU8_GarbageOfADeadLeaderIsFound(t *testing.T) {
	w := running(t, manual())
	id := w.begin()
	w.ack(id, sub("read", 0))
	w.decline(id, sub("count", 0))
	garbage := chunkOf(id, sub("read", 0))
	w.elect()
	reports := make(map[checkpoint.NodeID]checkpoint.AttemptReport)
	for _, s := range testTopology().Subtasks() {
		r := reports[w.nodeOf(s)]
		r.Job, r.Attempt = testJob, 1
		r.Subtasks = append(r.Subtasks, checkpoint.SubtaskReport{Subtask: s, Status: checkpoint.SubtaskRunning})
		reports[w.nodeOf(s)] = r
	}
	w.join("n1", 1, 1, reports["n1"])
	w.join("n2", 1, 1, reports["n2"])
	w.holds([]checkpoint.ChunkID{garbage}, []checkpoint.ChunkID{garbage})
	w.full()
	w.wantDeleted("n1", garbage, true)
	w.wantDeleted("n2", garbage, true)
}
