package coordinator

import (
	"reflect"
	"testing"
	"time"

	"cairn/api"
	"cairn/checkpoint"
)

// hears lets the leader hear from a node how a subtask gets on.
func (w *world) hears(s checkpoint.SubtaskID, m checkpoint.SubtaskMetrics) {
	m.Subtask = s
	w.view.OnTaskMetrics(w.nodeOf(s), checkpoint.TaskMetrics{
		Job: testJob, Attempt: w.job().Attempt, Subtasks: []checkpoint.SubtaskMetrics{m},
	}, w.now)
}

func (w *world) reading() reading { return reading{jobs: w.view.Jobs, view: w.view, now: w.now} }

func (w *world) metrics(vertex checkpoint.VertexID) []api.SubtaskMetrics {
	w.t.Helper()
	m, err := w.reading().jobMetrics(w.job(), vertex)
	if err != nil {
		w.t.Fatal(err)
	}
	return m.Subtasks
}

// vertex returns what is shown of a vertex.
func (w *world) vertex(id string) *api.VertexMetrics {
	w.t.Helper()
	detail, err := w.reading().jobDetail(w.job())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, v := range detail.Vertices {
		if v.ID == id {
			return v.Metrics
		}
	}
	w.t.Fatalf("no vertex %s", id)
	return nil
}

func eventTime(ms int64) *int64 { return &ms }

func TestMetricsOfASubtask(t *testing.T) {
	w := running(t, manual())
	read0, read1 := sub("read", 0), sub("read", 1)
	w.hears(read0, checkpoint.SubtaskMetrics{
		RecordsIn: 1, RecordsOut: 2, BytesIn: 3, BytesOut: 4, LateRecords: 18, Watermark: eventTime(5), Checkpoint: 6, StateBytes: 7,
		AlignmentMillis: 8, StartDelayMillis: 9, Load: &checkpoint.TaskLoad{
			RecordsIn: 10, RecordsOut: 11, BytesIn: 12, BytesOut: 13, BusyMillis: 14, BackpressuredMillis: 15, IdleMillis: 16, InFlightBytes: 17,
		},
	})
	got := w.metrics("read")
	want := []api.SubtaskMetrics{{
		ID: "read[0]", Node: string(w.nodeOf(read0)), Status: "RUNNING", MeasuredAt: w.now.UnixMilli(), Watermark: eventTime(5),
		Totals: &api.TaskTotals{RecordsIn: 1, RecordsOut: 2, BytesIn: 3, BytesOut: 4, LateRecords: 18},
		Load: &api.TaskLoad{
			RecordsInPerSecond: 10, RecordsOutPerSecond: 11, BytesInPerSecond: 12, BytesOutPerSecond: 13, BusyMillisPerSecond: 14,
			BackpressuredMillisPerSecond: 15, IdleMillisPerSecond: 16, InFlightBytes: 17,
		},
		LastCheckpoint: &api.LastCheckpoint{ID: 6, StateBytes: 7, AlignmentMillis: 8, StartDelayMillis: 9},
	}, {
		ID: "read[1]", Node: string(w.nodeOf(read1)), Status: "RUNNING",
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if all := w.metrics(""); len(all) != 5 {
		t.Errorf("all subtasks are %+v", all)
	}
	if _, err := w.reading().jobMetrics(w.job(), "reed"); api.CodeOf(err) != api.NotFound || err.Error() != `job job has no vertex "reed"; it has read, count, write` {
		t.Errorf("an unknown vertex: %v", err)
	}
}

// Rates that are of the past are not known; that is not the same as 0. Totals stay what they were.
func TestMetricsOfThePastHaveNoRates(t *testing.T) {
	load := &checkpoint.TaskLoad{RecordsIn: 10, BusyMillis: 1000}
	for name, test := range map[string]struct {
		pass func(*world)
		want *api.TaskLoad
	}{
		"fresh":    {func(w *world) { w.advance(metricsFresh) }, loadModel(load)},
		"silent":   {func(w *world) { w.advance(metricsFresh + time.Millisecond) }, nil},
		"finished": {func(w *world) { w.status(sub("read", 0), checkpoint.SubtaskFinished) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := running(t, manual())
			w.hears(sub("read", 0), checkpoint.SubtaskMetrics{RecordsIn: 100, Load: load})
			test.pass(w)
			got := w.metrics("read")[0]
			if !reflect.DeepEqual(got.Load, test.want) || got.Totals == nil || got.Totals.RecordsIn != 100 {
				t.Errorf("shown is %+v, load %+v", got, got.Load)
			}
			if v := w.vertex("read"); !reflect.DeepEqual(v.Load, test.want) || v.Totals.RecordsIn != 100 || v.Measured != 1 {
				t.Errorf("of the vertex %+v, load %+v", v, v.Load)
			}
		})
	}
}

// A vertex shows the sums of its subtasks, and the worst of how busy they are.
func TestMetricsOfAVertex(t *testing.T) {
	w := running(t, manual())
	if v := w.vertex("read"); v != nil {
		t.Errorf("nothing was heard, shown is %+v", v)
	}
	w.hears(sub("read", 0), checkpoint.SubtaskMetrics{
		RecordsIn: 1, RecordsOut: 2, BytesIn: 3, BytesOut: 4, LateRecords: 1, StateBytes: 5, Watermark: eventTime(-6), Load: &checkpoint.TaskLoad{
			RecordsIn: 10, RecordsOut: 20, BytesIn: 30, BytesOut: 40, BusyMillis: 900, BackpressuredMillis: 50, IdleMillis: 50, InFlightBytes: 7,
		},
	})
	w.hears(sub("read", 1), checkpoint.SubtaskMetrics{
		RecordsIn: 100, RecordsOut: 200, BytesIn: 300, BytesOut: 400, LateRecords: 10, StateBytes: 500, Watermark: eventTime(8), Load: &checkpoint.TaskLoad{
			RecordsIn: 1, RecordsOut: 2, BytesIn: 3, BytesOut: 4, BusyMillis: 100, BackpressuredMillis: 300, IdleMillis: 600, InFlightBytes: 70,
		},
	})
	want := &api.VertexMetrics{
		Measured: 2, Loads: 2, Totals: api.TaskTotals{RecordsIn: 101, RecordsOut: 202, BytesIn: 303, BytesOut: 404, LateRecords: 11},
		StateBytes: 505, Watermark: eventTime(-6), Load: &api.TaskLoad{
			RecordsInPerSecond: 11, RecordsOutPerSecond: 22, BytesInPerSecond: 33, BytesOutPerSecond: 44,
			BusyMillisPerSecond: 900, BackpressuredMillisPerSecond: 300, IdleMillisPerSecond: 600, InFlightBytes: 77,
		},
	}
	if got := w.vertex("read"); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v, %+v\nwant %+v, %+v", got, got.Load, want, want.Load)
	}
	w.hears(sub("read", 0), checkpoint.SubtaskMetrics{})
	if got := w.vertex("read"); got.Watermark != nil || got.Loads != 1 {
		t.Errorf("while one subtask has no event time: %+v", got)
	}
}

// What an attempt measured goes with it.
func TestMetricsEndWithTheAttempt(t *testing.T) {
	w := running(t, manual())
	w.hears(sub("read", 0), checkpoint.SubtaskMetrics{RecordsIn: 1})
	w.fail(sub("read", 1), checkpoint.Failure{Message: "out of memory"})
	w.run()
	w.advance(time.Second)
	w.run()
	if w.job().Attempt != 2 {
		t.Fatalf("attempt %d runs", w.job().Attempt)
	}
	if got := w.metrics("read")[0]; got.Totals != nil || got.MeasuredAt != 0 {
		t.Errorf("of the attempt before: %+v", got)
	}
}
