package coordinator

import (
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// The whole of a sweep, as the actions of the leader.
func TestI5_SweepStepByStep(t *testing.T) {
	w := swept(t)
	w.run()
	want := []string{
		"sweep 1: marking",
		"send n1 mark-chunks(sweep 4294967297)",
		"send n2 mark-chunks(sweep 4294967297)",
		"sweep 1: waiting",
		"sweep 1: planning",
		"plan sweep 1",
		"confirm leadership for sweep 1",
		"send n1 delete-chunks(sweep 4294967297, 5 chunks)",
		"send n2 delete-chunks(sweep 4294967297, 5 chunks)",
		"sweep 1: deleting manifests",
		"send n1 delete-chunks(sweep 4294967297, 1 chunks)",
		"send n2 delete-chunks(sweep 4294967297, 1 chunks)",
		"sweep 1: finishing",
		"sweep 1: idle",
	}
	if !slices.Equal(w.sweeps.trace, want) {
		t.Fatalf("actions:\n%s\nwant:\n%s", strings.Join(w.sweeps.trace, "\n"), strings.Join(want, "\n"))
	}
	w.wantDiscards()
	for _, node := range []checkpoint.NodeID{"n1", "n2"} {
		for _, s := range testTopology().Subtasks() {
			w.wantDeleted(node, chunkOf(1, s), true)
			w.wantDeleted(node, chunkOf(2, s), false)
		}
		w.wantDeleted(node, manifestOf(1), true)
		w.wantDeleted(node, manifestOf(2), false)
	}
}

// A cluster that has nothing to delete does nothing about it, and one that has does not do it all the time.
func TestSweepsCostNothingWhenIdle(t *testing.T) {
	w := swept(t)
	w.run()
	if sent, commands := w.pass(time.Minute); len(sent)+len(commands) > 0 {
		t.Fatalf("an idle cluster sent %v and proposed %v", sent, commands)
	}
	w.complete()
	w.wantDiscards() // 2 went at once
	w.complete()
	w.wantDiscards(3)
	w.advance(DefaultTiming().SweepPause - time.Millisecond)
	w.run()
	w.wantDiscards(3)
	w.advance(time.Millisecond)
	w.run()
	w.wantDiscards()
}

// U7, C14: a chunk that a retained checkpoint names too is kept, and goes with the last one that names it.
func TestU7_SharedChunksStayWhileNamed(t *testing.T) {
	w := running(t, manual())
	shared := checkpoint.ChunkRef{ID: checkpoint.ChunkID{0xaa}, Size: 7}
	share := func(id checkpoint.ID) {
		for _, s := range testTopology().Subtasks() {
			ack := ackOf(1, id, s)
			ack.State.Handles[0].Chunks = append(ack.State.Handles[0].Chunks, shared)
			w.view.OnAck(w.nodeOf(s), ack, w.now)
		}
		w.run()
	}
	share(w.begin())
	share(w.begin())
	w.wantDiscards(1)
	w.sweep()
	w.wantDiscards()
	w.wantDeleted("n1", chunkOf(1, sub("read", 0)), true)
	w.wantDeleted("n1", shared.ID, false)
	w.complete()
	w.sweep()
	w.wantDeleted("n1", shared.ID, true)
}

// C14: what was acknowledged of an aborted checkpoint goes, except for chunks that a retained one names.
func TestC14_PrivateStateOfAnAbortedCheckpointGoes(t *testing.T) {
	w := running(t, manual())
	w.complete()
	shared := chunkOf(1, sub("read", 0))
	id := w.begin()
	ack := ackOf(1, id, sub("read", 0))
	ack.State.Handles[0].Chunks = append(ack.State.Handles[0].Chunks, checkpoint.ChunkRef{ID: shared, Size: 10})
	w.view.OnAck(w.nodeOf(sub("read", 0)), ack, w.now)
	w.decline(id, sub("count", 0))
	w.sweep()
	w.wantDeleted("n1", chunkOf(id, sub("read", 0)), true)
	w.wantDeleted("n2", chunkOf(id, sub("read", 0)), true)
	w.wantDeleted("n1", shared, false)
	w.wantCompleted(1)
}

// C9: the state that was acknowledged before a timeout goes.
func TestC9_StateOfAnExpiredCheckpointGoes(t *testing.T) {
	c := manual()
	c.Timeout = time.Second
	w := running(t, c)
	id := w.begin()
	w.ack(id, sub("read", 0))
	w.advance(c.Timeout + time.Millisecond)
	w.run()
	w.wantPending()
	w.sweep()
	w.wantDeleted("n1", chunkOf(id, sub("read", 0)), true)
	w.wantDeleted("n1", chunkOf(id, sub("read", 1)), false) // never acknowledged: nobody knows it
}

// C10 to C13: the state of an ack that comes too late goes, unless the job is not ours to judge.
func TestC11_C12_C13_StateOfLateAcksGoes(t *testing.T) {
	s := sub("read", 0)
	tests := map[string]struct {
		ack  func(w *world) checkpoint.Ack
		gone bool
	}{
		"C10 of another job": {func(*world) checkpoint.Ack {
			ack := ackOf(1, 9, s)
			ack.Job = checkpoint.JobID{9}
			return ack
		}, false},
		"C11 of an unknown checkpoint": {func(*world) checkpoint.Ack { return ackOf(1, 9, s) }, true},
		"C12 of an older attempt": {func(w *world) checkpoint.Ack {
			w.fail(s, checkpoint.Failure{Message: "broken"})
			w.run()
			w.pass(2 * time.Minute)
			w.allStatus(checkpoint.SubtaskRunning)
			if got := w.job().Attempt; got != 2 {
				t.Fatalf("attempt %d", got)
			}
			return ackOf(1, 9, s)
		}, true},
		"C13 behind a decline": {func(w *world) checkpoint.Ack {
			id := w.begin()
			w.decline(id, sub("count", 0))
			return ackOf(1, id, s)
		}, true},
		"of a completed checkpoint": {func(w *world) checkpoint.Ack { return ackOf(1, w.complete(), s) }, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := running(t, manual())
			ack := test.ack(w)
			if w.view.OnAck(w.nodeOf(s), ack, w.now) {
				t.Fatal("the ack was counted")
			}
			w.sweep()
			w.wantDeleted("n1", ack.State.Handles[0].Chunks[0].ID, test.gone)
		})
	}
}

// The garbage of a checkpoint does not hold up the next one that stores the same again.
func TestI5_GarbageThatIsAcknowledgedAgainStays(t *testing.T) {
	w := running(t, manual())
	id := w.begin()
	w.ack(id, sub("read", 0))
	w.decline(id, sub("count", 0))
	next := w.begin()
	again := ackOf(1, id, sub("read", 0))
	again.Checkpoint = next
	w.view.OnAck(w.nodeOf(sub("read", 0)), again, w.now)
	w.sweep()
	w.wantPhase(SweepWaiting)
	w.ack(next)
	w.wantCompleted(next)
	w.wantPhase(SweepIdle)
	w.wantDeleted("n1", chunkOf(id, sub("read", 0)), false)
}

// A sweep waits for the checkpoints that may have stored chunks before the marks, savepoints of other jobs included,
// and not for those that begin later.
func TestI5_SweepWaitsForEarlierCheckpoints(t *testing.T) {
	for name, end := range map[string]func(*world, checkpoint.ID){
		"completed": func(w *world, id checkpoint.ID) { w.ack(id) },
		"declined":  func(w *world, id checkpoint.ID) { w.decline(id, sub("count", 0)) },
		"attempt failed": func(w *world, _ checkpoint.ID) {
			w.fail(sub("read", 0), checkpoint.Failure{Message: "broken"})
			w.run()
		},
		"job cancelled": func(w *world, _ checkpoint.ID) {
			w.step(fsm.CancelJob{Job: testJob, Term: w.term, At: w.at()})
			w.run()
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := manual()
			c.MaxConcurrent = 2
			w := running(t, c)
			w.complete()
			w.complete()
			earlier := w.begin()
			w.sweep()
			w.wantPhase(SweepWaiting)
			later := w.begin()
			w.wantPhase(SweepWaiting)
			w.wantDeleted("n1", manifestOf(1), false)
			end(w, earlier)
			w.wantPhase(SweepIdle)
			w.wantDeleted("n1", manifestOf(1), true)
			if name == "completed" || name == "declined" {
				w.wantPending(later)
			}
		})
	}
}

// T6: while more checkpoints are being deleted than may be pending, nothing begins.
func TestT6_CleaningHoldsUpCheckpoints(t *testing.T) {
	w := running(t, manual())
	for range 3 {
		w.complete()
	}
	w.wantDiscards(1, 2)
	w.sweeps.holdDelete = map[checkpoint.NodeID]bool{"n2": true}
	w.sweep()
	w.wantPhase(SweepDeletingState)
	if !w.view.jobs[testJob].cleaningBehind(w.job()) {
		t.Fatal("2 checkpoints are being deleted, 1 may be pending, and the next may begin")
	}
	w.request(checkpoint.KindCheckpoint, checkpoint.StopNone)
	w.run()
	w.wantPending()
	w.sweeps.holdDelete = nil
	w.view.OnChunksDeleted("n2", checkpoint.ChunksDeleted{Sweep: w.view.cleaning.number}, w.now)
	w.run()
	w.wantDiscards()
	w.wantPending(4)
}

// T6: one deletion per pending checkpoint is the normal course of things.
func TestT6_KeepingUpHoldsUpNothing(t *testing.T) {
	w := swept(t)
	w.sweeps.holdDelete = map[checkpoint.NodeID]bool{"n2": true}
	w.run()
	w.wantPhase(SweepDeletingState)
	w.request(checkpoint.KindCheckpoint, checkpoint.StopNone)
	w.run()
	w.wantPending(3)
}

// What is discarded when the marks are out already is the next sweep's: its chunks may have been stored behind the
// marks, and then the nodes spare them.
func TestSweepTakesOnWhatWasThereBeforeTheMarks(t *testing.T) {
	c := manual()
	c.MaxConcurrent = 2
	w := running(t, c)
	w.complete()
	w.complete()
	earlier := w.step(fsm.BeginCheckpoint{Job: testJob, Attempt: 1, Kind: checkpoint.KindSavepoint, Term: w.term, At: w.at()}).Checkpoint
	w.sweep()
	w.wantPhase(SweepWaiting)
	w.complete()
	w.complete()
	failed := w.begin()
	w.ack(failed, sub("read", 0))
	w.decline(failed, sub("count", 0))
	w.wantDiscards(1, 2, 4)
	w.ack(earlier)
	w.wantDiscards(2, 4)
	w.wantDeleted("n1", chunkOf(failed, sub("read", 0)), false)
	w.sweep()
	w.wantDiscards()
	w.wantDeleted("n1", chunkOf(4, sub("read", 0)), true)
	w.wantDeleted("n1", chunkOf(failed, sub("read", 0)), true)
}

// L5: a cancelled job's checkpoints go, unless they are to be retained; a coordinator that stops deletes nothing.
func TestL5_ChunksOfACancelledJob(t *testing.T) {
	for name, retained := range map[string]bool{"deleted": false, "retained": true} {
		t.Run(name, func(t *testing.T) {
			c := manual()
			c.RetainOnCancel = retained
			w := running(t, c)
			w.complete()
			w.step(fsm.CancelJob{Job: testJob, Term: w.term, At: w.at()})
			w.run()
			w.allStatus(checkpoint.SubtaskCanceled)
			w.run()
			if got := w.job().Status; got != fsm.JobCanceled {
				t.Fatalf("the job is %s", got)
			}
			w.sweep()
			w.wantDeleted("n1", chunkOf(1, sub("read", 0)), !retained)
			w.wantDeleted("n1", manifestOf(1), !retained)
			w.wantDiscards()
		})
	}
}

// Details of the statistics stay as long as the history shows them.
func TestI5_DetailsOfTheHistoryStay(t *testing.T) {
	old, kept := checkpoint.ChunkRef{ID: checkpoint.ChunkID{0xd1}, Size: 5000}, checkpoint.ChunkRef{ID: checkpoint.ChunkID{0xd2}, Size: 5000}
	before := &fsm.Job{ID: testJob, History: []fsm.Outcome{{ID: 1, Detail: fsm.Detail{Chunk: old}}, {ID: 2, Detail: fsm.Detail{Chunk: kept}}}}
	after := &fsm.Job{ID: testJob, History: before.History[1:]}
	v := NewView(1, time.Unix(0, 0), DefaultTiming())
	v.SetJobs([]*fsm.Job{before})
	v.SetJobs([]*fsm.Job{after})
	v.OnSweepAdvanced(AdvanceSweep{Sweep: 1, To: SweepMarking}, time.Unix(1, 0))
	p := v.OnSweepPlanning(time.Unix(1, 0)).Plan(nil, nil)
	if want := []checkpoint.ChunkID{old.ID}; !slices.Equal(p.Chunks, want) {
		t.Fatalf("deleted are %v, want %v", p.Chunks, want)
	}
}

// A job's source, its savepoints and its log are in use; so is a discard that another job starts from.
func TestI5_WhatIsInUse(t *testing.T) {
	ref := func(n byte) checkpoint.ChunkRef { return checkpoint.ChunkRef{ID: checkpoint.ChunkID{n}, Size: 1} }
	owner := &fsm.Job{
		ID: checkpoint.JobID{1}, Completed: []fsm.Completed{{ID: 3, Manifest: ref(3)}}, Savepoints: []fsm.Completed{{ID: 2, Manifest: ref(2)}},
		Discards: []fsm.Discard{{ID: 1, Manifest: ref(1)}, {ID: 4, Manifest: ref(4)}},
	}
	heir := &fsm.Job{ID: checkpoint.JobID{2}, Status: fsm.JobRunning, Source: fsm.Source{Job: owner.ID, Checkpoint: 1, Manifest: ref(1)}}
	v := NewView(1, time.Unix(0, 0), DefaultTiming())
	v.SetJobs([]*fsm.Job{owner, heir})
	v.OnSweepAdvanced(AdvanceSweep{Sweep: 1, To: SweepMarking}, time.Unix(1, 0))
	in := v.OnSweepPlanning(time.Unix(1, 0))
	for n, live := range map[byte]bool{1: true, 2: true, 3: true, 4: false} {
		if got := slices.ContainsFunc(in.Live, func(r checkpoint.ChunkRef) bool { return r.ID == ref(n).ID }); got != live {
			t.Errorf("manifest %d in use: %t", n, got)
		}
	}
	if len(in.Discards) != 1 || in.Discards[0].ID != 4 {
		t.Errorf("discards %v", in.Discards)
	}
	done := *heir
	done.Completed = []fsm.Completed{{ID: 5, Manifest: ref(5)}}
	v.SetJobs([]*fsm.Job{owner, &done})
	if got := len(v.discardable(time.Unix(1, 0), 10)); got != 2 {
		t.Errorf("%d discards can be deleted, want 2: the heir has a checkpoint of its own", got)
	}
}
