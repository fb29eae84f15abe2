package coordinator

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// U8, I11: without proof that nobody else leads, nothing is deleted, and nothing comes off the lists.
func TestU8_NoDeletionWithoutConfirmation(t *testing.T) {
	w := swept(t)
	w.sweeps.confirmErr = errDeposed
	w.run()
	w.wantPhase(SweepIdle)
	if len(w.sweeps.deleted) > 0 {
		t.Fatalf("deleted %v", w.sweeps.deleted)
	}
	w.wantDiscards(1)
}

// The confirmation follows the last mark and precedes the first deletion: it must prove that no other leader had
// begun anything before the marks.
func TestU8_ConfirmationIsBetweenMarksAndDeletions(t *testing.T) {
	w := swept(t)
	w.run()
	confirmed := slices.Index(w.sweeps.trace, "confirm leadership for sweep 1")
	lastMark := slices.Index(w.sweeps.trace, "send n2 mark-chunks(sweep 4294967297)")
	firstDelete := slices.Index(w.sweeps.trace, "send n1 delete-chunks(sweep 4294967297, 5 chunks)")
	if lastMark < 0 || confirmed < lastMark || firstDelete < confirmed {
		t.Fatalf("actions %q", w.sweeps.trace)
	}
}

// U4, U8: a new leader starts over from the replicated list, wherever the old one stood, under a number of its own;
// answers to the old one are not taken for answers to it.
func TestU8_NewLeaderStartsOver(t *testing.T) {
	for _, stop := range []SweepPhase{SweepMarking, SweepWaiting, SweepPlanning, SweepDeletingState, SweepDeletingManifests} {
		t.Run(stop.String(), func(t *testing.T) {
			w := swept(t)
			switch stop {
			case SweepMarking:
				w.sweeps.holdMark = map[checkpoint.NodeID]bool{"n1": true}
			case SweepWaiting:
				w.begin()
			case SweepPlanning:
				w.sweeps.holdPlan = true
			case SweepDeletingState:
				w.sweeps.holdDelete = map[checkpoint.NodeID]bool{"n1": true}
			case SweepDeletingManifests:
				w.sweeps.afterDelete = func(_ checkpoint.NodeID, chunks []checkpoint.ChunkID) {
					if slices.Contains(chunks, manifestOf(1)) {
						w.sweeps.holdDelete = map[checkpoint.NodeID]bool{"n1": true}
					}
				}
			}
			w.run()
			w.wantPhase(stop)
			w.wantDiscards(1)
			old := w.view.cleaning.number
			w.sweeps = sweepWorld{}

			reports := make(map[checkpoint.NodeID][]checkpoint.AttemptReport)
			for _, s := range testTopology().Subtasks() {
				id := w.nodeOf(s)
				if reports[id] == nil {
					reports[id] = []checkpoint.AttemptReport{{Job: testJob, Attempt: 1}}
				}
				reports[id][0].Subtasks = append(reports[id][0].Subtasks, checkpoint.SubtaskReport{Subtask: s, Status: checkpoint.SubtaskRunning})
			}
			w.elect()
			for id, r := range reports {
				w.join(id, 1, 1, r...)
			}
			w.sweeps.holdMark = map[checkpoint.NodeID]bool{"n1": true, "n2": true}
			w.sweep()
			w.wantPhase(SweepMarking)
			if w.view.cleaning.number <= old {
				t.Fatalf("sweep %d follows %d", w.view.cleaning.number, old)
			}
			for _, n := range []checkpoint.NodeID{"n1", "n2"} {
				w.view.OnChunksMarked(n, checkpoint.ChunksMarked{Sweep: old})
			}
			w.run()
			w.wantPhase(SweepMarking)
			for _, n := range []checkpoint.NodeID{"n1", "n2"} {
				w.view.OnChunksMarked(n, checkpoint.ChunksMarked{Sweep: w.view.cleaning.number})
			}
			w.run()
			if stop == SweepWaiting {
				w.wantPhase(SweepWaiting)
				w.ack(3)
				w.wantDiscards(2)
			} else {
				w.wantDiscards()
			}
			w.wantDeleted("n2", chunkOf(1, sub("read", 0)), true)
		})
	}
}

// Manifests go last: a leader that takes over needs them to know what is left.
func TestManifestsAreDeletedLast(t *testing.T) {
	w := swept(t)
	chunks := make(map[checkpoint.NodeID]int)
	w.sweeps.afterDelete = func(id checkpoint.NodeID, deleted []checkpoint.ChunkID) {
		if slices.Contains(deleted, manifestOf(1)) && (chunks["n1"] < 5 || chunks["n2"] < 5) {
			t.Errorf("node %s was told to delete the manifest when the nodes had deleted %v", id, chunks)
		}
		chunks[id] += len(deleted)
	}
	w.run()
	w.wantDiscards()
}

// A node that is lost does not hold a sweep up, at whatever point. It keeps its copies.
func TestSweepGoesOnWithoutALostNode(t *testing.T) {
	for name, hold := range map[string]func(*sweepWorld){
		"marking":  func(s *sweepWorld) { s.holdMark = map[checkpoint.NodeID]bool{"n3": true} },
		"deleting": func(s *sweepWorld) { s.holdDelete = map[checkpoint.NodeID]bool{"n3": true} },
	} {
		t.Run(name, func(t *testing.T) {
			w := swept(t)
			w.join("n3", 1, 1) // runs nothing
			hold(&w.sweeps)
			w.run()
			w.wantDiscards(1)
			w.leave("n3")
			w.run()
			w.wantDiscards(1) // it may come back
			w.advance(DefaultTiming().SessionGrace + time.Millisecond)
			w.run()
			w.wantDiscards()
			w.wantDeleted("n2", manifestOf(1), true)
		})
	}
}

// A node that has started again has forgotten the mark: it is told to delete nothing.
func TestI5_RestartedNodeDeletesNothing(t *testing.T) {
	w := swept(t)
	w.join("n3", 1, 1)
	w.begin()
	w.run()
	w.wantPhase(SweepWaiting)
	w.join("n3", 1, 2)
	w.ack(3)
	w.wantDiscards(2)
	w.wantDeleted("n2", manifestOf(1), true)
	if got := w.sweeps.deleted["n3"]; len(got) > 0 {
		t.Fatalf("the new process was told to delete %v", got)
	}
}

// A mark that is confirmed when the others have gone on came too late: what was stored between is not noted.
func TestI5_LateMarkDeletesNothing(t *testing.T) {
	w := swept(t)
	w.join("n3", 1, 1)
	w.sweeps.holdMark = map[checkpoint.NodeID]bool{"n3": true}
	w.begin()
	w.run()
	w.wantPhase(SweepMarking)
	w.pass(DefaultTiming().SweepAnswer + time.Millisecond)
	w.wantPhase(SweepWaiting)
	w.view.OnChunksMarked("n3", checkpoint.ChunksMarked{Sweep: w.view.cleaning.number})
	w.ack(3)
	w.wantDiscards(2)
	w.wantDeleted("n1", manifestOf(1), true)
	if got := w.sweeps.deleted["n3"]; len(got) > 0 {
		t.Fatalf("told to delete %v", got)
	}
}

// A mark is sent again on a new session of the same process, which does not start its notes anew.
func TestMarkIsSentAgain(t *testing.T) {
	w := swept(t)
	w.join("n3", 1, 1)
	w.sweeps.holdMark = map[checkpoint.NodeID]bool{"n3": true}
	w.run()
	w.wantPhase(SweepMarking)
	w.sweeps.holdMark = nil
	w.leave("n3")
	w.join("n3", 1, 1)
	w.run()
	w.wantDiscards()
	w.wantDeleted("n3", manifestOf(1), true)
}

// A node that cannot delete, or whose session breaks meanwhile, is tried again, and given up after a while: its
// copies stay, and the manifest goes nowhere before.
func TestFailedDeletionsAreTriedAgain(t *testing.T) {
	for name, fault := range map[string]func(*world){
		"error": func(w *world) { w.sweeps.deleteErr = map[checkpoint.NodeID]string{"n2": "disk broken"} },
		"session": func(w *world) {
			w.sweeps.afterDelete = func(id checkpoint.NodeID, _ []checkpoint.ChunkID) {
				if id == "n3" {
					w.sweeps.holdDelete = map[checkpoint.NodeID]bool{"n3": true}
					w.join("n3", 1, 1)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := swept(t)
			w.join("n3", 1, 1)
			w.run()
			w.complete()
			fault(w)
			for range maxSweepTries - 1 {
				w.pass(DefaultTiming().SweepRetry)
				w.wantPhase(SweepIdle)
				w.wantDiscards(2)
				w.wantDeleted("n1", chunkOf(2, sub("read", 0)), true)
				w.wantDeleted("n1", manifestOf(2), false)
			}
			w.pass(DefaultTiming().SweepRetry)
			w.wantDiscards()

			w = swept(t)
			w.join("n3", 1, 1)
			fault(w)
			w.run()
			w.wantDiscards(1)
			w.sweeps = sweepWorld{}
			w.pass(DefaultTiming().SweepRetry)
			w.wantDiscards()
			w.wantDeleted("n2", manifestOf(1), true)
		})
	}
}

// A manifest that is in use and cannot be read could name anything: nothing is deleted, and the lists are kept short
// by giving up the oldest discards.
func TestI5_UnreadableManifestInUseStopsDeletion(t *testing.T) {
	w := swept(t)
	w.view.cleaning.named = make(map[checkpoint.ChunkID][]checkpoint.ChunkID) // as after a change of the leader
	w.sweeps.unreadable = map[checkpoint.ChunkID]bool{manifestOf(2): true}
	w.run()
	w.wantPhase(SweepIdle)
	w.wantDiscards(1)
	if len(w.sweeps.deleted) > 0 {
		t.Fatalf("deleted %v", w.sweeps.deleted)
	}
	want := fmt.Sprintf("nothing is deleted of the state that is not needed any more: reading manifest %[1]s: chunk %[1]s: not found; "+
		"it is of checkpoint 2 of job job: start the nodes that have it", manifestOf(2))
	if p := w.view.sweepProblems(); !slices.Equal(p, []string{want}) {
		t.Errorf("problems %q, want %q", p, want)
	}
	w.sweeps.unreadable = nil
	w.sweep()
	w.wantDiscards(1) // not so soon
	w.pass(DefaultTiming().SweepRetry)
	w.wantDiscards()
	if p := w.view.sweepProblems(); len(p) > 0 {
		t.Errorf("problems %q behind it", p)
	}
}

// What holds sweeps up is named, whatever it is of, and so is what helps.
func TestWhatHoldsSweepsUp(t *testing.T) {
	w := swept(t)
	w.view.Imports = []fsm.Import{{Job: checkpoint.JobID{7}, JobName: "old", Checkpoint: 9, Manifest: checkpoint.ChunkRef{ID: checkpoint.ChunkID{1}}}}
	other := *w.view.Jobs[0]
	other.Savepoints = []fsm.Completed{{ID: 4, Manifest: checkpoint.ChunkRef{ID: checkpoint.ChunkID{2}}}}
	other.Source = fsm.Source{Kind: checkpoint.KindSavepoint, Checkpoint: 3, Manifest: checkpoint.ChunkRef{ID: checkpoint.ChunkID{3}}}
	w.view.Jobs = []*fsm.Job{&other}
	for id, want := range map[byte]string{
		1: "imported savepoint 9 of job old: import it again, or give it up with coord savepoint dispose 07000000000000000000000000000000/9",
		2: "savepoint 4 of job job: start the nodes that have it, or give it up with coord savepoint dispose " + other.ID.String() + "/4",
		3: "savepoint 3, from which job job was submitted: start the nodes that have it",
		4: "",
	} {
		if got := w.view.namedBy(checkpoint.ChunkID{id}); got != want {
			t.Errorf("manifest %d is of %q, want %q", id, got, want)
		}
	}
}

// A job whose discard list is full begins nothing (T6). When sweeps are held up for good, the oldest discards are
// given up, and the job goes on.
func TestT6_FullDiscardList(t *testing.T) {
	full := func(t *testing.T) *world {
		w := running(t, manual())
		for range maxDiscards + 2 {
			id := w.step(fsm.BeginCheckpoint{Job: testJob, Attempt: 1, Kind: checkpoint.KindCheckpoint, Term: w.term, At: w.at()}).Checkpoint
			w.step(fsm.CompleteCheckpoint{
				Job: testJob, Attempt: 1, Checkpoint: id, Term: w.term, At: w.at(), NumSubtasks: 5,
				Manifest: checkpoint.ChunkRef{ID: checkpoint.ChunkID{byte(id), byte(id >> 8), 0xcc}, Size: 1},
			})
		}
		if got := len(w.job().Discards); got != maxDiscards+1 {
			t.Fatalf("%d discards", got)
		}
		w.view.SetJobs(w.state.SortedJobs())
		w.request(checkpoint.KindCheckpoint, checkpoint.StopNone)
		w.run()
		w.wantPending()
		return w
	}
	t.Run("deleted", func(t *testing.T) {
		w := full(t)
		for id := range checkpoint.ID(maxDiscards + 3) {
			w.manifests[checkpoint.ChunkID{byte(id), byte(id >> 8), 0xcc}] = checkpoint.Manifest{}
		}
		w.sweep()
		w.wantDiscards()
		w.wantPending(maxDiscards + 3)
	})
	t.Run("held up", func(t *testing.T) {
		w := full(t)
		w.sweep()
		if got := len(w.job().Discards); got > maxDiscards {
			t.Fatalf("%d discards", got)
		}
		w.wantPending(maxDiscards + 3)
		if len(w.sweeps.deleted) > 0 {
			t.Fatalf("deleted %v", w.sweeps.deleted)
		}
	})
}

// The manifest of a discard that cannot be read is looked for a while: its nodes may come back. Then it counts as
// deleted, which it is when a leader died behind deleting it.
func TestUnreadableDiscardIsGivenUp(t *testing.T) {
	w := running(t, manual())
	for range 3 {
		w.complete()
	}
	w.wantDiscards(1, 2)
	w.view.cleaning.named = make(map[checkpoint.ChunkID][]checkpoint.ChunkID)
	w.sweeps.unreadable = map[checkpoint.ChunkID]bool{manifestOf(1): true}
	w.sweep()
	w.wantDiscards(1) // the other one is not held up
	w.wantDeleted("n1", manifestOf(2), true)
	for range maxSweepTries - 2 {
		w.pass(DefaultTiming().SweepRetry)
		w.wantDiscards(1)
	}
	w.pass(DefaultTiming().SweepRetry)
	w.wantDiscards()
	w.wantDeleted("n1", manifestOf(1), false)
}

// Long lists are sent in parts, each when the one before has been answered.
func TestDeletionsAreSentInParts(t *testing.T) {
	w := running(t, manual())
	const chunks = 2*chunksPerDelete + 10
	id := w.begin()
	for i, s := range testTopology().Subtasks() {
		ack := ackOf(1, id, s)
		if i == 0 {
			for n := range chunks {
				ack.State.Handles[0].Chunks = append(ack.State.Handles[0].Chunks,
					checkpoint.ChunkRef{ID: checkpoint.ChunkID{0xee, byte(n), byte(n >> 8)}, Size: 1})
			}
		}
		w.view.OnAck(w.nodeOf(s), ack, w.now)
	}
	w.run()
	w.complete()
	var sizes []int
	w.sweeps.holdDelete = map[checkpoint.NodeID]bool{"n1": true}
	w.sweeps.afterDelete = func(id checkpoint.NodeID, chunks []checkpoint.ChunkID) {
		if id == "n1" {
			sizes = append(sizes, len(chunks))
		}
	}
	w.sweep()
	for n := 1; n <= 3; n++ {
		if len(sizes) != n {
			t.Fatalf("%d parts were sent behind %d answers", len(sizes), n-1)
		}
		w.view.OnChunksDeleted("n1", checkpoint.ChunksDeleted{Sweep: w.view.cleaning.number}, w.now)
		w.view.OnChunksDeleted("n1", checkpoint.ChunksDeleted{Sweep: w.view.cleaning.number}, w.now) // twice: counts once
		if n == 3 {
			w.sweeps.holdDelete = nil
		}
		w.run()
	}
	if fmt.Sprint(sizes) != fmt.Sprint([]int{chunksPerDelete, chunksPerDelete, 15, 1}) {
		t.Fatalf("parts of %v", sizes)
	}
	w.wantDiscards()
	for n := range chunks {
		w.wantDeleted("n1", checkpoint.ChunkID{0xee, byte(n), byte(n >> 8)}, true)
		if w.sweeps.deleted["n1"][checkpoint.ChunkID{0xee, byte(n), byte(n >> 8)}] != 1 {
			t.Fatalf("chunk %d was asked for twice", n)
		}
	}
}

// Nothing is swept while a node has not reported that may know of state in use.
func TestI5_NoSweepBeforeTheReports(t *testing.T) {
	w := swept(t)
	w.elect()
	w.join("n1", 1, 1, checkpoint.AttemptReport{Job: testJob, Attempt: 1})
	w.sweep()
	w.wantPhase(SweepIdle)
	if len(w.sweeps.trace) > 0 {
		t.Fatalf("actions %q", w.sweeps.trace)
	}
}

// The final state of a finished subtask is in use by every later checkpoint, though nobody stores it again; until the
// job has ended.
func TestI5_FinalStatesStayUntilTheJobEnds(t *testing.T) {
	w := running(t, manual())
	for _, s := range testTopology().Subtasks() {
		w.status(s, checkpoint.SubtaskFinishing)
	}
	w.run()
	w.wantPending(1)
	w.ack(1)
	finish := func(subtasks ...checkpoint.SubtaskID) {
		for _, s := range subtasks {
			w.view.OnStatus(w.nodeOf(s), checkpoint.StatusChange{Job: testJob, Attempt: 1, Report: checkpoint.SubtaskReport{
				Subtask: s, Status: checkpoint.SubtaskFinished, Final: ackOf(1, 1, s).State,
			}})
		}
		w.run()
	}
	all := testTopology().Subtasks()
	finish(all[0])
	if in := w.view.OnSweepPlanning(w.now); !slices.Contains(in.Named, chunkOf(1, all[0])) {
		t.Fatalf("named are %v", in.Named)
	}
	w.view.cleaning.asked = false
	finish(all[1:]...)
	if got := w.job().Status; got != fsm.JobFinished {
		t.Fatalf("the job is %s", got)
	}
	w.sweep()
	w.wantDiscards()
	for _, s := range all {
		w.wantDeleted("n1", chunkOf(1, s), true)
	}
}
