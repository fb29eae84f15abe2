package coordinator

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// detailOfParts makes a breakdown of the test job: two readers, two counters, one writer.
func detailOfParts(parts ...checkpoint.SubtaskDetail) checkpoint.Detail {
	for i := range parts {
		parts[i].Node = checkpoint.NodeID("n" + string(rune('1'+i%2)))
	}
	return checkpoint.Detail{Subtasks: parts}
}

func acked(millis int64, m checkpoint.Metrics) checkpoint.SubtaskDetail {
	return checkpoint.SubtaskDetail{Acknowledged: true, AckMillis: millis, Metrics: m}
}

func inPhase(p checkpoint.Phase) checkpoint.SubtaskDetail { return checkpoint.SubtaskDetail{Phase: p} }

func TestSlowestOfAPendingCheckpoint(t *testing.T) {
	done := acked(10, checkpoint.Metrics{})
	delay, align, sync, async := inPhase(checkpoint.PhaseStartDelay), inPhase(checkpoint.PhaseAlignment), inPhase(checkpoint.PhaseSync), inPhase(checkpoint.PhaseAsync)
	upload, ack := inPhase(checkpoint.PhaseUpload), inPhase(checkpoint.PhaseAck)
	for _, tc := range []struct {
		name  string
		parts []checkpoint.SubtaskDetail
		want  string // subtask and phase; empty for none
	}{
		{"nobody has heard of it", []checkpoint.SubtaskDetail{delay, delay, delay, delay, delay}, "read[0] start delay"},
		{"a reader holds the barrier back", []checkpoint.SubtaskDetail{upload, sync, align, align, delay}, "read[1] sync"},
		{"the less far of two", []checkpoint.SubtaskDetail{sync, delay, align, delay, delay}, "read[1] start delay"},
		{"records in front of the barrier", []checkpoint.SubtaskDetail{done, done, align, delay, delay}, "count[1] start delay"},
		{"aligning", []checkpoint.SubtaskDetail{done, async, async, align, delay}, "count[1] alignment"},
		{"the barrier has passed", []checkpoint.SubtaskDetail{ack, upload, async, upload, done}, "count[0] async"},
		{"passed all but the last", []checkpoint.SubtaskDetail{done, async, done, done, delay}, "write[0] start delay"},
		{"only uploads", []checkpoint.SubtaskDetail{done, ack, done, upload, done}, "count[1] upload"},
		{"all acknowledged", []checkpoint.SubtaskDetail{done, done, done, done, done}, ""},
		{"nothing known", nil, ""},
	} {
		got := slowestPending(testTopology(), detailOfParts(tc.parts...), 1000, 3500)
		switch {
		case got == nil && tc.want != "", got != nil && got.ID+" "+got.Phase != tc.want, got != nil && got.Millis != 2500:
			t.Errorf("%s: %+v, want %s for 2500 ms", tc.name, got, tc.want)
		}
	}
}

func TestSlowestOfACompletedCheckpoint(t *testing.T) {
	quick := acked(20, checkpoint.Metrics{StartDelayMillis: 1, SyncMillis: 2, AsyncMillis: 17, UploadMillis: 9})
	finished := checkpoint.SubtaskDetail{Acknowledged: true, Finished: true}
	for _, tc := range []struct {
		name string
		last checkpoint.SubtaskDetail
		want api.SlowestSubtask
	}{
		{"alignment", acked(90, checkpoint.Metrics{StartDelayMillis: 5, AlignmentMillis: 60, SyncMillis: 2, AsyncMillis: 20}), api.SlowestSubtask{Phase: "alignment", Millis: 60}},
		{"upload", acked(90, checkpoint.Metrics{StartDelayMillis: 5, AsyncMillis: 80, UploadMillis: 70}), api.SlowestSubtask{Phase: "upload", Millis: 70}},
		{"async", acked(90, checkpoint.Metrics{StartDelayMillis: 5, AsyncMillis: 80, UploadMillis: 7}), api.SlowestSubtask{Phase: "async", Millis: 73}},
		{"start delay", acked(90, checkpoint.Metrics{StartDelayMillis: 80, AsyncMillis: 7}), api.SlowestSubtask{Phase: "start delay", Millis: 80}},
		{"ack", acked(900, checkpoint.Metrics{StartDelayMillis: 5, AsyncMillis: 80}), api.SlowestSubtask{Phase: "ack", Millis: 815}},
	} {
		tc.want.ID, tc.want.Node = "count[1]", "n2"
		got := slowestAck(testTopology(), detailOfParts(quick, finished, quick, tc.last, quick))
		if got == nil || *got != tc.want {
			t.Errorf("%s: %+v, want %+v", tc.name, got, tc.want)
		}
	}
	if got := slowestAck(testTopology(), detailOfParts(finished, finished, finished, finished, finished)); got != nil {
		t.Errorf("all had finished: %+v", got)
	}
}

// describe is what ShowCheckpoint knows without the state store.
func describe(t *testing.T, w *world, id checkpoint.ID) described {
	t.Helper()
	d, err := reading{jobs: w.state.SortedJobs(), view: w.view, now: w.now}.checkpointDetail(w.job(), id)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestPendingCheckpointIsShownInParts(t *testing.T) {
	w := running(t, testConfig())
	w.tick()
	began := w.job().Pending[0].TriggeredAt
	w.advance(30 * time.Millisecond)
	one := ackOf(1, 1, sub("read", 0))
	one.Metrics = checkpoint.Metrics{StartDelayMillis: 1, SyncMillis: 2, AsyncMillis: 20, UploadMillis: 15, CheckpointedBytes: 7, PersistedBytes: 3}
	w.view.OnAck(w.nodeOf(sub("read", 0)), one, w.now)
	w.view.OnProgress(w.nodeOf(sub("read", 1)), checkpoint.Progress{Job: testJob, Attempt: 1, Checkpoint: 1, Subtasks: []checkpoint.SubtaskProgress{
		{Subtask: sub("read", 1), Phase: checkpoint.PhaseUpload, Metrics: checkpoint.Metrics{StartDelayMillis: 4}},
	}})
	w.advance(70 * time.Millisecond)
	d := describe(t, w, 1).model
	if d.Status != "in_progress" || d.NumAcknowledgedSubtasks != 1 || d.NumSubtasks != 5 || d.StateSize != 10 || d.CheckpointedSize != 7 ||
		d.PersistedData != 3 || d.EndToEndDurationMillis != 100 || d.DetailMissing != "" {
		t.Errorf("%+v", d)
	}
	want := api.SubtaskCheckpoint{
		ID: "read[0]", Node: string(w.nodeOf(sub("read", 0))), Acknowledged: true, AckTimestamp: int64(began) + 30, StateSize: 10, CheckpointedSize: 7,
		StartDelayMillis: 1, SyncMillis: 2, AsyncMillis: 20, UploadMillis: 15, PersistedData: 3,
	}
	if d.Subtasks[0] != want {
		t.Errorf("got  %+v\nwant %+v", d.Subtasks[0], want)
	}
	if s := d.Subtasks[1]; s.Acknowledged || s.Phase != "upload" || s.StartDelayMillis != 4 || s.AckTimestamp != 0 {
		t.Errorf("%+v", s)
	}
	if s := d.Subtasks[4]; s.ID != "write[0]" || s.Phase != "start delay" {
		t.Errorf("%+v", s)
	}
	tasks := []api.TaskCheckpoint{
		{
			Vertex: "read", NumSubtasks: 2, NumAcknowledgedSubtasks: 1, LatestAckTimestamp: int64(began) + 30, EndToEndDurationMillis: 30,
			StateSize: 10, CheckpointedSize: 7, PersistedData: 3,
		},
		{Vertex: "count", NumSubtasks: 2}, {Vertex: "write", NumSubtasks: 1},
	}
	if !reflect.DeepEqual(d.Tasks, tasks) {
		t.Errorf("got  %+v\nwant %+v", d.Tasks, tasks)
	}
	// read[1] has let the barrier pass: it is the counters that nothing has been heard of.
	if s := d.Slowest; s == nil || s.ID != "count[0]" || s.Phase != "start delay" || s.Millis != 100 {
		t.Errorf("slowest %+v", d.Slowest)
	}
}

// The breakdown of a checkpoint that an earlier leader saw end comes from the replicated history: inline, or as a chunk
// that ShowCheckpoint reads.
func TestBreakdownOfTheHistory(t *testing.T) {
	detail := detailOfParts(acked(5, checkpoint.Metrics{}), acked(6, checkpoint.Metrics{}), acked(7, checkpoint.Metrics{}), acked(8, checkpoint.Metrics{}), acked(9, checkpoint.Metrics{SyncMillis: 9}))
	chunk := checkpoint.ChunkRef{ID: checkpoint.ChunkID{7}, Size: 70}
	for _, tc := range []struct {
		name    string
		outcome fsm.Outcome
		slowest string
		chunk   checkpoint.ChunkRef
		missing string
	}{
		{"inline", fsm.Outcome{Detail: fsm.Detail{Inline: checkpoint.EncodeDetail(detail)}}, "write[0]", checkpoint.ChunkRef{}, ""},
		{"chunk", fsm.Outcome{Detail: fsm.Detail{Chunk: chunk}}, "", chunk, ""},
		{"not recorded", fsm.Outcome{}, "", checkpoint.ChunkRef{}, "the state store did not take it"},
		{"ended with its attempt", fsm.Outcome{Status: fsm.OutcomeFailed}, "", checkpoint.ChunkRef{}, "it ended together with its attempt"},
		{"damaged", fsm.Outcome{Detail: fsm.Detail{Inline: []byte("x")}}, "", checkpoint.ChunkRef{}, "cannot be read"},
		{"of another graph", fsm.Outcome{Detail: fsm.Detail{Inline: checkpoint.EncodeDetail(detailOfParts(acked(1, checkpoint.Metrics{})))}}, "", checkpoint.ChunkRef{}, "of 1 subtasks, the job had 5"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.outcome.ID = 3
			if tc.outcome.Status == 0 {
				tc.outcome.Status = fsm.OutcomeCompleted
			}
			j := &fsm.Job{ID: testJob, Name: "job", Topology: testTopology(), History: []fsm.Outcome{tc.outcome}}
			d, err := reading{jobs: []*fsm.Job{j}}.checkpointDetail(j, 3)
			if err != nil || d.chunk != tc.chunk || !strings.Contains(d.model.DetailMissing, tc.missing) || (d.model.DetailMissing == "") != (tc.missing == "") {
				t.Errorf("%+v, %v", d, err)
			}
			if s := d.model.Slowest; (s != nil) != (tc.slowest != "") || s != nil && s.ID != tc.slowest {
				t.Errorf("slowest %+v, want %s", s, tc.slowest)
			}
		})
	}
}

// A breakdown that is too large for the log is read from the state store, and one that cannot be had is said to be
// missing.
func TestShowCheckpointReadsItsChunk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := idleCluster(t)
		defer c.stop()
		ctx := context.Background()
		c.awaitRunning("wc")
		if _, err := s.TriggerCheckpoint(ctx, "wc"); err != nil {
			t.Fatal(err)
		}
		l := c.leader("")
		detail := detailOfParts(acked(5, checkpoint.Metrics{}), acked(6, checkpoint.Metrics{}), acked(7, checkpoint.Metrics{}), acked(8, checkpoint.Metrics{}), acked(9, checkpoint.Metrics{}))
		ref, err := c.store.Put(ctx, checkpoint.EncodeDetail(detail))
		if err != nil {
			t.Fatal(err)
		}
		job := *l.replica.machine.Jobs()[0]
		for chunk, want := range map[checkpoint.ChunkRef]string{ref: "", {ID: checkpoint.ChunkID{9}}: "could not be read: chunk 09"} {
			d := s.(service).withBreakdown(ctx, described{
				topology: testTopology(),
				job:      &job, model: api.CheckpointDetail{Checkpoint: api.Checkpoint{Status: "completed"}}, chunk: chunk,
			})
			if !strings.Contains(d.DetailMissing, want) || (len(d.Subtasks) == 5) != (want == "") {
				t.Errorf("%+v", d)
			}
		}
	})
}

func TestStatistics(t *testing.T) {
	w := running(t, testConfig())
	for i := range 3 {
		w.tick()
		id := w.job().Pending[0].ID
		if i == 1 {
			w.decline(id, sub("count", 0))
			continue
		}
		w.advance(time.Duration(20*(i+1)) * time.Millisecond)
		w.ack(id)
	}
	w.tick()
	s, err := reading{view: w.view, now: w.now}.statistics(w.job())
	if err != nil {
		t.Fatal(err)
	}
	if want := (api.CheckpointCounts{Total: 4, InProgress: 1, Completed: 2, Failed: 1}); s.Counts != want {
		t.Errorf("counts %+v, want %+v", s.Counts, want)
	}
	if d := s.Summary.EndToEndDuration; d.Min != 20 || d.Max != 60 || d.Avg != 40 || d.P50 != 20 || d.P99 != 60 {
		t.Errorf("durations %+v", d)
	}
	if d := s.Summary.StateSize; d.Min != 50 || d.P999 != 50 {
		t.Errorf("sizes %+v", d)
	}
	if s.Latest.Completed == nil || s.Latest.Completed.ID != 3 || s.Latest.Failed == nil || s.Latest.Failed.ID != 2 || s.Latest.Savepoint != nil {
		t.Errorf("latest %+v", s.Latest)
	}
	if f := s.Latest.Failed; f.FailureReason != "checkpoint_declined" || !strings.HasPrefix(f.FailureMessage, "checkpoint_declined: ") {
		t.Errorf("failed %+v", f)
	}
}

// U1: a job that runs, and completes no checkpoint any more, is not healthy; the status says why.
func TestU1_JobWithoutCheckpointsIsAProblem(t *testing.T) {
	config := testConfig() // every second
	config.Timeout, config.MinPause, config.TolerableFailures = 10*time.Second, time.Second, 100
	problems := func(w *world) string {
		var status api.Status
		fillStatus(&status, w.view, 0, w.now)
		return strings.Join(status.Problems, "; ")
	}
	w := running(t, config)
	w.tick()
	w.ack(1)
	for range 13 { // within the timeout, twice the interval and the pause
		w.tick()
		if got := problems(w); got != "" {
			t.Fatalf("too early: %s", got)
		}
	}
	w.tick()
	if got := problems(w); !strings.HasPrefix(got, "job job runs, but has completed no checkpoint for 14s: checkpoint 2 failed, the last of 1 in a row that count: checkpoint_expired: ") {
		t.Errorf("got %s", got)
	}
	w.ack(w.job().Pending[0].ID)
	if got := problems(w); got != "" {
		t.Errorf("after a success: %s", got)
	}

	config.Interval = 0
	manual := running(t, config)
	manual.advance(time.Hour)
	if got := problems(manual); got != "" {
		t.Errorf("with manual checkpoints: %s", got)
	}
	config.Interval, config.Timeout = time.Second, time.Hour
	hung := running(t, config)
	hung.tick()
	hung.advance(2 * time.Hour)
	if got := problems(hung); !strings.Contains(got, "for 2h0m1s: checkpoint 1 waits for read[0] on node n1 in start delay") {
		t.Errorf("got %s", got)
	}

	config.Timeout = 10 * time.Second
	ending := running(t, config)
	ending.allStatus(checkpoint.SubtaskFinishing)
	for range 20 { // the checkpoint that it is to end with does not succeed
		ending.tick()
		for _, id := range ending.pendingIDs() {
			ending.decline(id, sub("count", 0))
		}
	}
	if got := problems(ending); !strings.Contains(got, "has completed no checkpoint for 20s: checkpoint ") {
		t.Errorf("at the end of its input: %s", got)
	}
	ending.tick()
	ending.ack(ending.pendingIDs()[0])
	ending.advance(time.Hour)
	if got := problems(ending); got != "" {
		t.Errorf("with its final checkpoint: %s", got)
	}
}

func TestSavepointsAreListedNewestFirst(t *testing.T) {
	held := checkpoint.ChunkRef{ID: checkpoint.ChunkID{5}}
	jobs := []*fsm.Job{
		{ID: checkpoint.JobID{1}, Name: "a", Savepoints: []fsm.Completed{{ID: 3, CompletedAt: 30}, {ID: 5, CompletedAt: 50, Manifest: held}}},
		{ID: checkpoint.JobID{2}, Name: "b", Savepoints: []fsm.Completed{{ID: 40, CompletedAt: 40}, {ID: 41, CompletedAt: 50}}},
		{ID: checkpoint.JobID{3}, Name: "c", Source: fsm.Source{Manifest: held}},
	}
	for ref, want := range map[string][]uint64{"": {5, 41, 40, 3}, "a": {5, 3}, "c": nil} {
		list, err := reading{jobs: jobs}.savepoints(ref)
		var ids []uint64
		for _, s := range list {
			ids = append(ids, s.ID)
			if used := len(s.UsedBy) == 1 && s.UsedBy[0] == jobs[2].ID.String(); used != (s.ID == 5) {
				t.Errorf("savepoint %d is used by %v", s.ID, s.UsedBy)
			}
		}
		if err != nil || !slices.Equal(ids, want) {
			t.Errorf("of %q: %v, %v; want %v", ref, ids, err, want)
		}
	}
}

func TestLastCompleted(t *testing.T) {
	outcome := func(id checkpoint.ID, status fsm.OutcomeStatus) fsm.Outcome {
		return fsm.Outcome{ID: id, Status: status, EndedAt: checkpoint.Timestamp(id * 10)}
	}
	for name, tc := range map[string]struct {
		job  fsm.Job
		want checkpoint.ID
	}{
		"none":                          {fsm.Job{}, 0},
		"only a claimed one":            {fsm.Job{Completed: []fsm.Completed{{ID: 7}}}, 0},
		"in the log, behind 100 others": {fsm.Job{Completed: []fsm.Completed{{ID: 7, Attempt: 1, CompletedAt: 70}}, History: []fsm.Outcome{outcome(8, fsm.OutcomeFailed)}}, 7},
		"a savepoint":                   {fsm.Job{Completed: []fsm.Completed{{ID: 7, Attempt: 1}}, Savepoints: []fsm.Completed{{ID: 9, Attempt: 1, CompletedAt: 90}}}, 9},
		"in the history":                {fsm.Job{History: []fsm.Outcome{outcome(3, fsm.OutcomeCompleted), outcome(2, fsm.OutcomeCompleted), outcome(4, fsm.OutcomeFailed)}}, 3},
	} {
		if id, at := lastCompleted(&tc.job); id != tc.want || at != checkpoint.Timestamp(10*id) {
			t.Errorf("%s: %d at %d, want %d", name, id, at, tc.want)
		}
	}
}
