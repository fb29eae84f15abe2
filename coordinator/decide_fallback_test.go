package coordinator

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// lostWorld is one in which the job has completed some checkpoints on n1 and n2, and n3 is there to take over. Then n2
// was lost, with the only copies of the state of count[1] in the given checkpoints.
func lostWorld(t *testing.T, config checkpoint.Config, completed int, lost ...checkpoint.ID) *world {
	w := running(t, config)
	w.join("n3", 1, 1)
	for id := range checkpoint.ID(completed) {
		w.tick()
		w.ack(id + 1)
	}
	w.lost = make(map[checkpoint.ChunkID][]checkpoint.NodeID)
	for _, id := range lost {
		w.lost[stateOf(id, sub("count", 1))] = []checkpoint.NodeID{"n2"}
	}
	w.leave("n2")
	w.advance(time.Second)
	w.run()
	w.wantRestarting()
	return w
}

// stateOf is the chunk that ackOf names.
func stateOf(id checkpoint.ID, s checkpoint.SubtaskID) checkpoint.ChunkID {
	return ackOf(1, id, s).State.Handles[0].Chunks[0].ID
}

func allowed() checkpoint.Config {
	c := testConfig()
	c.RestoreFallback = true
	return c
}

// wantReason demands that the job says all of it.
func (w *world) wantReason(parts ...string) {
	w.t.Helper()
	reason := jobReason(w.view, w.job(), w.now)
	for _, part := range parts {
		if !strings.Contains(reason, part) {
			w.t.Fatalf("reason %q, want %q in it", reason, part)
		}
	}
}

func (w *world) wantAttempt(number checkpoint.Attempt, from checkpoint.ID) {
	w.t.Helper()
	if j := w.job(); j.Status != fsm.JobRunning || j.Attempt != number || j.RestoredFrom != from {
		w.t.Fatalf("the job is %s, attempt %d from checkpoint %d; want attempt %d from %d: %s", j.Status, j.Attempt, j.RestoredFrom, number, from, j.Failure)
	}
}

// State that is lost holds the job: not one attempt is started in vain, however long it takes. It says what is missing,
// whose it was, who had it, and what helps. When the node is back the job goes on.
func TestU5_LostStateHoldsTheJob(t *testing.T) {
	w := lostWorld(t, testConfig(), 3, 3)
	w.pass(10 * time.Minute)
	w.wantRestarting()
	if j := w.job(); j.Attempt != 1 || j.Restart.Count != 1 || len(j.Completed) != 3 {
		t.Fatalf("attempt %d, %d restarts, %d checkpoints", j.Attempt, j.Restart.Count, len(j.Completed))
	}
	if w.checks < 300 {
		t.Errorf("it was looked %d times in ten minutes", w.checks)
	}
	id := stateOf(3, sub("count", 1))
	w.wantReason("it cannot be restored from checkpoint 3", fmt.Sprintf("chunk %s of count[1] was on node n2, which is lost: it has been gone for 10m", id),
		"start the nodes that have it", `let the job go back to checkpoint 2: "coord job set job restore.fallback=true"`, "may be published again")
	w.lost = nil
	w.join("n2", 1, 2)
	w.pass(2 * time.Second)
	w.wantAttempt(2, 3)
	w.wantReason("")
}

// What was said of a chunk when several are missing.
func TestLostStateIsSummedUp(t *testing.T) {
	w := lostWorld(t, testConfig(), 1, 1)
	w.lost[stateOf(1, sub("count", 0))] = nil
	w.lost[stateOf(1, sub("read", 1))] = []checkpoint.NodeID{"n1", "n9"}
	w.lost[checkpoint.ChunkID{99}] = nil // of nobody
	w.pass(2 * time.Second)
	w.wantReason("(and 2 more) of read[1] was on node n1, which does not have it any more, and on node n9, which this leader has not met")
	for id := range w.lost {
		if id != stateOf(1, sub("count", 0)) {
			delete(w.lost, id)
		}
	}
	w.pass(2 * time.Second)
	w.wantReason("of count[0] was on node n1, which does not have it any more") // by the manifest
}

// Regions that go on need no state: only what the others need holds them.
func TestLostStateOfWhatGoesOnHoldsNothing(t *testing.T) {
	w := inLanes(t, testConfig(), 1, 1, 1)
	w.completeLanes()
	w.lost = map[checkpoint.ChunkID][]checkpoint.NodeID{stateOf(1, sub("read", 0)): nil}
	w.failLane(1)
	w.pass(2 * time.Second)
	w.wantKept(2, 0, 2)
	w.allLanes(checkpoint.SubtaskRunning)
	w.run()
	w.failLane(0)
	w.pass(time.Minute)
	w.wantRestarting()
	w.wantReason("of read[0]")
}

// A subtask that cannot have a chunk says which. The leader looks for itself, and starts nothing before it can be had.
func TestU5_ChunkThatATaskCannotHaveHoldsTheJob(t *testing.T) {
	w := running(t, testConfig())
	w.tick()
	w.ack(1)
	id := stateOf(1, sub("count", 1))
	w.unreadable = map[checkpoint.ChunkID]bool{id: true}
	w.fail(sub("count", 1), checkpoint.Failure{Message: "no good copy", Unavailable: checkpoint.ChunkRef{ID: id, Size: 10}})
	w.run()
	w.pass(10 * time.Minute)
	w.wantRestarting()
	if j := w.job(); j.Attempt != 1 || j.Restart.Count != 1 {
		t.Fatalf("attempt %d, %d restarts", j.Attempt, j.Restart.Count)
	}
	w.wantReason("of count[1] cannot be read: node n2: hash mismatch")
	w.unreadable = nil
	w.pass(2 * time.Second)
	w.wantAttempt(2, 1)
}

// A job that may goes back to the newest older checkpoint that it can be restored from, when the grace is over, and says
// so. Nobody restores from what was given up.
func TestFallbackToAnOlderCheckpoint(t *testing.T) {
	w := lostWorld(t, allowed(), 3, 3)
	w.pass(DefaultTiming().FallbackGrace - 2*time.Second)
	w.wantRestarting()
	w.wantReason("cannot be restored from checkpoint 3", "when it stays so for 30s, the job goes back to an older checkpoint")
	w.pass(4 * time.Second)
	w.wantAttempt(2, 2)
	j := w.job()
	if len(j.GivenUp) != 1 || j.GivenUp[0].ID != 3 || j.Restart.Count != 1 {
		t.Fatalf("given up %+v, %d restarts", j.GivenUp, j.Restart.Count)
	}
	for _, part := range []string{"checkpoint 3 was given up", "of count[1] was on node n2", "goes back to checkpoint 2", "may be published again"} {
		if !strings.Contains(j.Failure, part) {
			t.Errorf("failure %q, want %q in it", j.Failure, part)
		}
	}
	list, err := (reading{view: w.view, jobs: w.view.Jobs, now: w.now}).checkpoints(j)
	if i := slices.IndexFunc(list, func(c api.Checkpoint) bool { return c.ID == 3 }); err != nil || i < 0 || list[i].Status != statusCompleted ||
		list[i].Retained || !strings.Contains(list[i].GivenUp, "was on node n2") {
		t.Errorf("listed as %+v, %v", list, err)
	}
	w.allStatus(checkpoint.SubtaskRunning)
	w.run()
	w.tick()
	w.ack(4)
	w.wantCompleted(1, 2, 4)
}

// Two in a row are out of reach: both are given up, without another grace for the second.
func TestFallbackOverTwoCheckpoints(t *testing.T) {
	w := lostWorld(t, allowed(), 3, 3, 2)
	w.pass(DefaultTiming().FallbackGrace + 5*time.Second)
	w.wantAttempt(2, 1)
	if got := w.job().GivenUp; len(got) != 2 || got[0].ID != 3 || got[1].ID != 2 {
		t.Errorf("given up %+v", got)
	}
}

// A look at a checkpoint may take longer than it stays fresh, with several of them that cannot be read too.
func TestFallbackOverCheckpointsThatTakeLongToRead(t *testing.T) {
	config := allowed()
	config.Retain = 4
	w := lostWorld(t, config, 4, 4)
	delete(w.manifests, w.job().Completed[1].Manifest.ID)
	delete(w.manifests, w.job().Completed[2].Manifest.ID)
	w.slowLoads = 3 * time.Second
	w.pass(2 * DefaultTiming().FallbackGrace)
	w.wantAttempt(2, 1)
}

// The same for a manifest that cannot be read.
func TestFallbackFromAnUnreadableManifest(t *testing.T) {
	w := running(t, allowed())
	for id := range checkpoint.ID(2) {
		w.tick()
		w.ack(id + 1)
	}
	w.fail(sub("count", 0), checkpoint.Failure{Message: "boom"})
	w.run()
	delete(w.manifests, w.job().Completed[1].Manifest.ID)
	w.elect()
	w.join("n1", 1, 1)
	w.join("n2", 1, 1)
	w.pass(DefaultTiming().AdoptionGrace + DefaultTiming().FallbackGrace + 5*time.Second)
	w.wantAttempt(2, 1)
	if f := w.job().Failure; !strings.Contains(f, "checkpoint 2 was given up: it cannot be restored from checkpoint 2: chunk ") {
		t.Errorf("failure %q", f)
	}
}

// With nothing older that could be restored the job fails, and keeps what it has for a person to look at.
func TestFallbackWithNothingLeft(t *testing.T) {
	for name, lost := range map[string][]checkpoint.ID{"the only one": {1}, "all": {1, 2, 3}} {
		t.Run(name, func(t *testing.T) {
			w := lostWorld(t, allowed(), len(lost), lost...)
			w.pass(DefaultTiming().FallbackGrace - 2*time.Second)
			w.wantRestarting()
			w.pass(5 * time.Second)
			j := w.job()
			if j.Status != fsm.JobFailed || len(j.Completed) != len(lost) || len(j.Discards) != 0 || len(j.GivenUp) != 0 {
				t.Fatalf("the job is %s, checkpoints %v, discards %v", j.Status, j.Completed, j.Discards)
			}
			if !strings.Contains(j.Failure, "was on node n2") || !strings.Contains(j.Failure, "no older checkpoint") {
				t.Errorf("failure %q", j.Failure)
			}
		})
	}
}

// While the nodes are away nothing is given up, and nothing fails. What a node that has just come may bring is waited for.
func TestNoFallbackWhileNodesAreAway(t *testing.T) {
	w := lostWorld(t, allowed(), 3, 3)
	w.pass(10 * time.Second)
	for _, id := range []checkpoint.NodeID{"n1", "n3"} {
		w.leave(id)
	}
	w.pass(time.Hour)
	w.wantRestarting()
	w.join("n1", 1, 2)
	w.join("n3", 1, 2)
	w.pass(DefaultTiming().FallbackGrace - 2*time.Second)
	w.wantRestarting()
	w.lost = nil
	w.join("n2", 1, 2)
	w.pass(2 * time.Second)
	w.wantAttempt(2, 3)
	if got := w.job().GivenUp; len(got) != 0 {
		t.Errorf("given up %+v", got)
	}
}

// What older checkpoints need must be there: to give one up for nothing would be worse than to wait.
func TestFallbackWaitsForTheGraceOfEach(t *testing.T) {
	w := lostWorld(t, allowed(), 2, 2)
	w.pass(DefaultTiming().FallbackGrace - 3*time.Second)
	w.lost[stateOf(1, sub("count", 1))] = []checkpoint.NodeID{"n2"} // of late
	w.pass(10 * time.Second)
	w.wantRestarting()
	delete(w.lost, stateOf(1, sub("count", 1)))
	w.pass(2 * time.Second)
	w.wantAttempt(2, 1)
}

// Whatever moment the leader dies at, the next one comes to the same end: what was given up is a replicated fact, and what
// was not is judged anew.
func TestFallbackAcrossLeaders(t *testing.T) {
	for _, test := range []struct {
		name  string
		stop  func(fsm.Command) bool // the leader dies before it has proposed it
		after bool                   // or right behind
	}{
		{"before it is given up", func(c fsm.Command) bool { _, is := c.(fsm.GiveUpCheckpoint); return is }, false},
		{"after it was given up", func(c fsm.Command) bool { _, is := c.(fsm.GiveUpCheckpoint); return is }, true},
		{"before the attempt", func(c fsm.Command) bool { _, is := c.(fsm.StartAttempt); return is }, false},
		{"after the attempt", func(c fsm.Command) bool { _, is := c.(fsm.StartAttempt); return is }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := lostWorld(t, allowed(), 2, 2)
			w.passUntil(DefaultTiming().FallbackGrace+5*time.Second, test.stop, test.after)
			w.elect()
			w.join("n1", 1, 1)
			w.join("n3", 1, 1)
			w.pass(DefaultTiming().AdoptionGrace + DefaultTiming().FallbackGrace + 5*time.Second)
			w.wantAttempt(2, 1)
			if got := w.job().GivenUp; len(got) != 1 || got[0].ID != 2 {
				t.Errorf("given up %+v", got)
			}
			if deploys := len(w.view.nodes["n3"].holds); deploys != 1 {
				t.Errorf("n3 holds %d attempts", deploys)
			}
		})
	}
}

// passUntil lets time pass until the leader is about to propose a command, or has.
func (w *world) passUntil(d time.Duration, stop func(fsm.Command) bool, after bool) {
	w.t.Helper()
	for end := w.now.Add(d); w.now.Before(end); w.advance(time.Second) {
		for settled := false; !settled; {
			w.refresh()
			actions := Decide(w.view, w.now)
			settled = len(actions) == 0
			for _, a := range actions {
				p, proposes := a.(Propose)
				dies := proposes && stop(p.Command)
				if !dies || after {
					w.execute(a)
				}
				if dies {
					return
				}
			}
		}
	}
	w.t.Fatal("it was not proposed")
}

// Without leave, or from what is not in the log, there is no way back.
func TestNoFallbackFromASavepointThatTheJobWasToEndWith(t *testing.T) {
	w := running(t, allowed())
	w.tick()
	w.ack(1)
	w.request(checkpoint.KindSavepoint, checkpoint.StopSuspend)
	w.run()
	w.ack(2)
	w.fail(sub("count", 1), checkpoint.Failure{Message: "boom"})
	w.run()
	w.lost = map[checkpoint.ChunkID][]checkpoint.NodeID{stateOf(2, sub("count", 1)): {"n2"}}
	w.pass(10 * time.Minute)
	w.wantRestarting()
	w.wantReason("cannot be restored from checkpoint 2")
	if got := w.job().GivenUp; len(got) != 0 || len(w.job().Completed) != 1 {
		t.Errorf("given up %+v", got)
	}
}

// A problem is told when it is news, not every second.
func TestHeldUpRestoreIsNewsOnce(t *testing.T) {
	w := lostWorld(t, testConfig(), 1, 1)
	load := LoadManifest{Job: testJob, Checkpoint: 1, Check: true}
	lacking := func(id byte) error {
		return &StateMissingError{Missing: []MissingChunk{{LostChunk: LostChunk{Chunk: checkpoint.ChunkRef{ID: checkpoint.ChunkID{id}}}}}}
	}
	for i, step := range []struct {
		err  error
		news bool
	}{
		{lacking(1), true}, {lacking(1), false}, {lacking(2), true}, {errors.New("no"), true}, {errors.New("no"), false}, {nil, false}, {lacking(2), true},
	} {
		w.view.OnManifestLoading(load)
		if news := w.view.OnManifestLoaded(testJob, 1, w.view.jobs[testJob].restore.manifest, step.err, w.now); news != step.news {
			t.Errorf("step %d: news %t", i, news)
		}
	}
}
