package coordinator

import (
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

func measuredAck(id checkpoint.ID, s checkpoint.SubtaskID, m checkpoint.Metrics) checkpoint.Ack {
	a := ackOf(1, id, s)
	a.Metrics = m
	return a
}

func TestOutcomeHoldsSizesAndBreakdown(t *testing.T) {
	w := running(t, testConfig())
	w.tick()
	for i, s := range testTopology().Subtasks() {
		w.advance(10 * time.Millisecond)
		w.view.OnAck(w.nodeOf(s), measuredAck(1, s, checkpoint.Metrics{
			AlignmentMillis: int64(5 - i), CheckpointedBytes: 7, ProcessedBytes: 3, PersistedBytes: 2,
		}), w.now)
	}
	w.run()
	o := w.lastOutcome()
	if want := (fsm.Sizes{State: 50, Checkpointed: 35, AlignmentMillis: 5, Processed: 15, Persisted: 10}); o.Sizes != want {
		t.Fatalf("sizes %+v, want %+v", o.Sizes, want)
	}
	logged, err := checkpoint.DecodeDetail(o.Detail.Inline)
	if err != nil {
		t.Fatal(err)
	}
	known, _ := w.view.detailOf(w.job(), 1, w.now)
	for _, d := range []checkpoint.Detail{logged, known} {
		if len(d.Subtasks) != 5 {
			t.Fatalf("detail %+v", d)
		}
		if p := d.Subtasks[1]; p.Node != "n2" || !p.Acknowledged || p.AckMillis != 20 || p.StateSize != 10 || p.Metrics.AlignmentMillis != 4 {
			t.Fatalf("part of read[1]: %+v", p)
		}
	}
}

func TestDetailOfAPendingCheckpoint(t *testing.T) {
	w := running(t, testConfig())
	w.status(sub("read", 0), checkpoint.SubtaskFinished)
	w.tick()
	w.view.OnProgress("n2", checkpoint.Progress{Job: testJob, Attempt: 1, Checkpoint: 1, Subtasks: []checkpoint.SubtaskProgress{
		{Subtask: sub("count", 1), Phase: checkpoint.PhaseUpload, Metrics: checkpoint.Metrics{AlignmentMillis: 9}},
		{Subtask: sub("count", 0), Phase: checkpoint.PhaseSync}, // not that node's
	}})
	w.ack(1, sub("read", 1))
	d, known := w.view.detailOf(w.job(), 1, w.now)
	if !known {
		t.Fatal("nothing is known of a pending checkpoint")
	}
	if p := d.Subtasks[0]; !p.Acknowledged || !p.Finished {
		t.Errorf("finished subtask: %+v", p)
	}
	if p := d.Subtasks[1]; !p.Acknowledged || p.Finished || p.Phase != 0 {
		t.Errorf("acknowledged subtask: %+v", p)
	}
	if p := d.Subtasks[2]; p.Acknowledged || p.Phase != checkpoint.PhaseStartDelay {
		t.Errorf("silent subtask: %+v", p)
	}
	if p := d.Subtasks[3]; p.Acknowledged || p.Phase != checkpoint.PhaseUpload || p.Metrics.AlignmentMillis != 9 {
		t.Errorf("uploading subtask: %+v", p)
	}
}

// wide returns a world with a running job of so many subtasks that its breakdowns do not fit into the log.
func wide(t *testing.T, c checkpoint.Config) *world {
	w := newWorld(t)
	w.join("n1", 1000, 1)
	w.step(fsm.SubmitJob{Job: testJob, Name: "job", Program: "test", Topology: topologyOf(1000), Config: c, At: w.at()})
	w.run()
	for _, s := range w.job().Topology.Subtasks() {
		w.status(s, checkpoint.SubtaskRunning)
	}
	w.tick()
	w.wantPending(1)
	return w
}

func TestLargeBreakdownIsStoredBeforeTheAbort(t *testing.T) {
	w := wide(t, testConfig())
	w.holdWrite = true
	w.decline(1, sub("a", 7))
	w.wantPending(1) // the breakdown is being stored
	w.tick()
	w.wantPending(1)
	w.view.OnDetailWritten(testJob, 1, fsm.Detail{Chunk: checkpoint.ChunkRef{ID: checkpoint.ChunkID{9}, Size: 3}})
	w.run()
	if o := w.lastOutcome(); o.Reason != checkpoint.ReasonDeclined || o.Detail.Chunk.ID != (checkpoint.ChunkID{9}) || o.Detail.Inline != nil {
		t.Fatalf("outcome %+v", o)
	}
}

// Statistics fail nothing: the abort goes on when its breakdown could not be stored.
func TestAbortGoesOnWithoutItsBreakdown(t *testing.T) {
	w := wide(t, testConfig())
	w.holdWrite = true
	w.decline(1, sub("a", 7))
	w.view.OnDetailWritten(testJob, 1, fsm.Detail{})
	w.run()
	w.wantPending()
	if o := w.lastOutcome(); o.Reason != checkpoint.ReasonDeclined || !o.Detail.Chunk.ID.IsZero() {
		t.Fatalf("outcome %+v", o)
	}
}

func TestRecentCheckpointsAreBounded(t *testing.T) {
	w := running(t, testConfig())
	for id := checkpoint.ID(1); id <= 3*keptRecent; id++ {
		w.tick()
		w.ack(id)
	}
	if n := len(w.view.jobs[testJob].recent); n != keptRecent {
		t.Fatalf("%d are kept", n)
	}
	if _, known := w.view.detailOf(w.job(), 1, w.now); known {
		t.Fatal("the first one is still known")
	}
}
