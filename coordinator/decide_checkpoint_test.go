package coordinator

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

func TestC2_FinishedSubtasksArePreAcknowledged(t *testing.T) {
	w := running(t, testConfig())
	w.status(sub("read", 0), checkpoint.SubtaskFinished)
	w.tick()
	var triggered []checkpoint.SubtaskID
	for _, messages := range sentTo[checkpoint.Trigger](w) {
		for _, m := range messages {
			triggered = append(triggered, m.Subtasks...)
		}
	}
	if want := []checkpoint.SubtaskID{sub("read", 1)}; !slices.Equal(triggered, want) {
		t.Fatalf("triggered %v, want %v: the running tasks without a running predecessor", triggered, want)
	}
	w.ack(1, sub("read", 1), sub("count", 0), sub("count", 1), sub("write", 0))
	w.wantCompleted(1)
	m := w.manifests[w.job().Completed[0].Manifest.ID]
	if !m.Subtasks[0].EndOfData || m.Subtasks[0].Subtask != sub("read", 0) {
		t.Fatalf("the manifest holds %+v for the finished subtask, want its final state", m.Subtasks[0])
	}
}

// Once everybody has been asked, no event looks through the subtasks again for whom to ask.
func TestTriggeredCheckpointIsLeftAlone(t *testing.T) {
	w := running(t, testConfig())
	w.tick()
	if w.view.jobs[testJob].pending[1].unasked {
		t.Error("all heads were asked")
	}
	w.leave("n2")
	w.join("n2", 1, 1, w.report("n2", checkpoint.SubtaskRunning))
	w.run()
	if got := sentTo[checkpoint.Trigger](w); len(got["n2"]) != 1 || len(got["n1"]) != 0 {
		t.Errorf("triggers after n2 came back: %v", got)
	}
}

func TestC2_SubtasksWhosePredecessorsFinishLaterAreTriggeredThen(t *testing.T) {
	w := running(t, testConfig())
	w.tick()
	w.status(sub("read", 0), checkpoint.SubtaskFinished)
	w.run()
	if n := len(sentTo[checkpoint.Trigger](w)); n != 0 {
		t.Fatalf("%d nodes were triggered while read[1] still runs", n)
	}
	w.status(sub("read", 1), checkpoint.SubtaskFinished)
	w.run()
	var triggered []checkpoint.SubtaskID
	for _, s := range w.sent {
		if m, ok := s.Message.(checkpoint.Trigger); ok {
			triggered = append(triggered, m.Subtasks...)
		}
	}
	if want := []checkpoint.SubtaskID{sub("count", 0), sub("count", 1)}; !slices.Equal(triggered, want) {
		t.Fatalf("triggered %v, want %v", triggered, want)
	}
}

func TestC3_DeclineAbortsOnce(t *testing.T) {
	w := running(t, testConfig())
	w.tick()
	w.ack(1, sub("read", 0))
	w.decline(1, sub("count", 1))
	w.wantPending()
	if o := w.lastOutcome(); o.Status != fsm.OutcomeFailed || o.Reason != checkpoint.ReasonDeclined ||
		o.Message != "count[1] on node n2: disk full" || o.NumAcknowledged != 1 {
		t.Fatalf("outcome %+v", o)
	}
	if got := sentTo[checkpoint.NotifyAborted](w); len(got["n1"]) != 1 || len(got["n2"]) != 1 {
		t.Fatalf("aborts sent: %v", got)
	}
	w.decline(1, sub("count", 0))
	if len(w.commands) != 0 {
		t.Fatalf("a second decline led to %v", w.commands)
	}
}

func TestC4_DeclineOfTheOlderLeavesTheNewerAlone(t *testing.T) {
	c := testConfig()
	c.MaxConcurrent = 2
	w := running(t, c)
	w.tick()
	w.tick()
	w.wantPending(1, 2)
	w.decline(1, sub("read", 0))
	w.wantPending(2)
	w.ack(2)
	w.wantCompleted(2)
}

func TestC5_SameTaskAcksTwice(t *testing.T) {
	w := running(t, testConfig())
	w.tick()
	for range 5 {
		w.ack(1, sub("read", 0))
	}
	w.wantPending(1)
	if n := w.view.jobs[testJob].pending[1].numAcknowledged(); n != 1 {
		t.Fatalf("counted %d acks of one subtask", n)
	}
}

func TestC6_LastAckCompletesAndNotifiesEachNodeOnce(t *testing.T) {
	c := testConfig()
	c.Retain = 1
	w := running(t, c)
	for id := checkpoint.ID(1); id <= 2; id++ {
		w.tick()
		w.ack(id)
		w.wantPending()
		w.wantCompleted(id)
		got := sentTo[checkpoint.NotifyComplete](w)
		for _, node := range []checkpoint.NodeID{"n1", "n2"} {
			if len(got[node]) != 1 || got[node][0].Checkpoint != id {
				t.Fatalf("notifications to %s: %v", node, got[node])
			}
		}
		w.run()
		if len(w.sent) != 0 {
			t.Fatalf("sent again: %v", w.sent)
		}
	}
}

func TestC7_InterleavedAcksOfTwoPendings(t *testing.T) {
	c := testConfig()
	c.MaxConcurrent = 2
	w := running(t, c)
	w.tick()
	w.tick()
	subtasks := testTopology().Subtasks()
	for i, s := range subtasks[:len(subtasks)-1] {
		w.ack(checkpoint.ID(1+i%2), s)
		w.ack(checkpoint.ID(2-i%2), s)
	}
	w.ack(1, subtasks[len(subtasks)-1])
	w.wantCompleted(1)
	w.wantPending(2)
	w.ack(2, subtasks[len(subtasks)-1])
	w.wantCompleted(1, 2)
}

func TestC8_NewerCompletesFirst(t *testing.T) {
	c := testConfig()
	c.MaxConcurrent = 2
	w := running(t, c)
	w.tick()
	w.tick()
	w.ack(1, sub("read", 0))
	w.ack(2)
	w.wantCompleted(2)
	w.wantPending()
	if o := w.job().History[0]; o.ID != 1 || o.Reason != checkpoint.ReasonSubsumed {
		t.Fatalf("outcome of the older: %+v", o)
	}
	if got := sentTo[checkpoint.NotifyAborted](w)["n1"]; len(got) != 1 || got[0].Checkpoint != 1 {
		t.Fatalf("aborts to n1: %v", got)
	}
	w.ack(1)
	w.wantCompleted(2)
}

func TestC9_TimeoutNamesWhoIsMissing(t *testing.T) {
	c := testConfig()
	c.Timeout = 5 * time.Second
	w := running(t, c)
	w.tick()
	w.ack(1, sub("read", 0), sub("read", 1), sub("count", 0), sub("write", 0))
	w.advance(5*time.Second + time.Millisecond)
	w.run()
	o := w.lastOutcome()
	if o.Reason != checkpoint.ReasonExpired || !strings.Contains(o.Message, "count[1] on node n2") || strings.Contains(o.Message, "read") {
		t.Fatalf("outcome %+v", o)
	}
	if len(sentTo[checkpoint.NotifyComplete](w)) != 0 || len(sentTo[checkpoint.NotifyAborted](w)) != 2 {
		t.Fatalf("sent %v", w.sent)
	}
}

// Whatever does not speak about a pending checkpoint of the current attempt changes nothing (I6).
func TestI6_StaleAcksChangeNothing(t *testing.T) {
	s := sub("read", 0)
	for name, ack := range map[string]func(w *world) (checkpoint.NodeID, checkpoint.Ack){
		"C10 another job": func(w *world) (checkpoint.NodeID, checkpoint.Ack) {
			a := ackOf(1, 1, s)
			a.Job = checkpoint.JobID{9}
			return "n1", a
		},
		"C11 unknown checkpoint": func(w *world) (checkpoint.NodeID, checkpoint.Ack) { return "n1", ackOf(1, 99, s) },
		"C12 older attempt":      func(w *world) (checkpoint.NodeID, checkpoint.Ack) { return "n1", ackOf(0, 1, s) },
		"unknown subtask":        func(w *world) (checkpoint.NodeID, checkpoint.Ack) { return "n1", ackOf(1, 1, sub("read", 7)) },
		"not that node's subtask": func(w *world) (checkpoint.NodeID, checkpoint.Ack) {
			return "n2", ackOf(1, 1, s)
		},
		"unknown node": func(w *world) (checkpoint.NodeID, checkpoint.Ack) { return "n9", ackOf(1, 1, s) },
	} {
		t.Run(name, func(t *testing.T) {
			w := running(t, testConfig())
			w.tick()
			node, a := ack(w)
			if w.view.OnAck(node, a, w.now) {
				t.Error("the ack was counted")
			}
			w.run()
			if p := w.view.jobs[testJob].pending[1]; p.numAcknowledged() != 0 {
				t.Errorf("%d acks counted", p.numAcknowledged())
			}
			w.wantPending(1)
		})
	}
}

func TestC20_AbortsCarryTheLatestCompleted(t *testing.T) {
	w := running(t, testConfig())
	w.tick()
	w.ack(1)
	w.tick()
	w.decline(2, sub("read", 0))
	if got := sentTo[checkpoint.NotifyAborted](w)["n1"]; len(got) != 1 || got[0].LatestCompleted != 1 {
		t.Fatalf("aborts to n1: %+v", got)
	}
}

func TestC21_ManifestThatCannotBeWrittenFailsTheCheckpoint(t *testing.T) {
	w := running(t, testConfig())
	w.writeErr = errors.New("no space on node n1")
	w.tick()
	w.ack(1)
	w.wantCompleted()
	w.wantPending()
	if o := w.lastOutcome(); o.Reason != checkpoint.ReasonFinalizeFailure || !strings.Contains(o.Message, "no space on node n1") {
		t.Fatalf("outcome %+v", o)
	}
}

// Notifications are derived from what is committed: as long as the manifest is being written, or the commit is
// under way, nobody hears anything (I3).
func TestI3_NothingIsNotifiedBeforeTheCommit(t *testing.T) {
	w := running(t, testConfig())
	w.holdWrite = true
	w.tick()
	w.ack(1)
	w.advance(time.Second)
	w.run()
	if len(sentTo[checkpoint.NotifyComplete](w)) != 0 {
		t.Fatal("notified while the manifest was being written")
	}
	// All is there for the proposal. Deciding it must not notify in the same breath.
	w.view.OnManifestWritten(testJob, 1, checkpoint.ChunkRef{ID: checkpoint.ChunkID{1}}, fsm.Detail{}, nil)
	proposed := false
	for _, a := range Decide(w.view, w.now) {
		if p, ok := a.(Propose); ok {
			_, complete := p.Command.(fsm.CompleteCheckpoint)
			proposed = proposed || complete
		}
		if s, ok := a.(Send); ok {
			if _, notify := s.Message.(checkpoint.NotifyComplete); notify {
				t.Fatal("notified before the commit")
			}
		}
	}
	if !proposed {
		t.Fatal("the completion was not proposed")
	}
}

func TestFinalCheckpointDoesNotWaitForTheInterval(t *testing.T) {
	c := testConfig()
	c.Interval = time.Minute
	w := running(t, c)
	w.allStatus(checkpoint.SubtaskFinishing)
	w.run()
	w.wantPending(1)
	w.decline(1, sub("count", 0)) // then it takes another one, a moment later
	w.advance(finalRetry)
	w.run()
	w.wantPending(2)
	w.ack(2)
	w.tick()
	w.wantPending() // the subtasks are being told; no further one begins
	w.allStatus(checkpoint.SubtaskFinished)
	w.run()
	if got := w.job().Status; got != fsm.JobFinished {
		t.Fatalf("the job is %s", got)
	}
}

func TestAbortTextStaysShort(t *testing.T) {
	c := testConfig()
	c.Timeout = time.Second
	w := newWorld(t)
	w.join("n1", 1000, 1)
	w.step(fsm.SubmitJob{Job: testJob, Name: "job", Program: "test", Topology: topologyOf(1000), Config: c, At: w.at()})
	w.run()
	for _, s := range w.job().Topology.Subtasks() {
		w.status(s, checkpoint.SubtaskRunning)
	}
	w.tick()
	w.advance(c.Timeout + time.Millisecond)
	w.run()
	if o := w.lastOutcome(); !strings.HasSuffix(o.Message, "a[4] on node n1 (start delay) and 995 more") {
		t.Fatalf("message %q", o.Message)
	}
}
