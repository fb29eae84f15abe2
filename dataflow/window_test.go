package dataflow

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

const ms = time.Millisecond

func TestAssignWindows(t *testing.T) {
	for _, test := range []struct {
		name     string
		assigner WindowAssigner
		at       EventTime
		want     []TimeWindow // the latest first
	}{
		{"first of a tumbling window", TumblingWindows(10*ms, 0), 20, []TimeWindow{{20, 30}}},
		{"last of a tumbling window", TumblingWindows(10*ms, 0), 29, []TimeWindow{{20, 30}}},
		{"before the epoch", TumblingWindows(10*ms, 0), -1, []TimeWindow{{-10, 0}}},
		{"a whole window before the epoch", TumblingWindows(10*ms, 0), -10, []TimeWindow{{-10, 0}}},
		{"positive offset", TumblingWindows(10*ms, 3*ms), 2, []TimeWindow{{-7, 3}}},
		{"negative offset", TumblingWindows(10*ms, -3*ms), 7, []TimeWindow{{7, 17}}},
		{"negative offset before the epoch", TumblingWindows(10*ms, -3*ms), -4, []TimeWindow{{-13, -3}}},
		{"sliding", SlidingWindows(10*ms, 5*ms, 0), 12, []TimeWindow{{10, 20}, {5, 15}}},
		{"sliding, at a start", SlidingWindows(10*ms, 5*ms, 0), 10, []TimeWindow{{10, 20}, {5, 15}}},
		{"sliding, before the epoch", SlidingWindows(10*ms, 5*ms, 0), -3, []TimeWindow{{-5, 5}, {-10, 0}}},
		{"sliding, size no multiple of slide", SlidingWindows(10*ms, 4*ms, 1*ms), 9, []TimeWindow{{9, 19}, {5, 15}, {1, 11}}},
		{"sliding over gaps, within", SlidingWindows(3*ms, 10*ms, 0), 12, []TimeWindow{{10, 13}}},
		{"sliding over gaps, between", SlidingWindows(3*ms, 10*ms, 0), 13, nil},
		{"session", SessionWindows(10 * ms), -3, []TimeWindow{{-3, 7}}},
	} {
		if got := test.assigner.assign(test.at, nil); !slices.Equal(got, test.want) {
			t.Errorf("%s: %d is in %v, want %v", test.name, test.at, got, test.want)
		}
	}
}

var lateTag = NewOutputTag("late", observations)

// listWindows adds an operator that emits the values of each window.
func listWindows(g *Graph, a WindowAssigner, opts ...WindowOption) Stream[string] {
	w := Window(observed(g, "in"), a, opts...)
	return ProcessWindow(w, "windows", codec.String, func(key int64, w TimeWindow, all iter.Seq[observation], emit func(string)) {
		emit(valuesLine(key, w, all))
	})
}

func valuesLine(key int64, w TimeWindow, all iter.Seq[observation]) string {
	var values []int64
	for o := range all {
		values = append(values, o.v)
	}
	slices.Sort(values)
	return windowLine(key, w, values)
}

func windowLine(key int64, w TimeWindow, values []int64) string {
	return fmt.Sprintf("%d [%d,%d) %v", key, int64(w.Start), int64(w.End), values)
}

// observe pushes an observation.
func observe(h *operatorHarness, key int64, at EventTime, v int64) {
	h.t.Helper()
	push(h, 0, key, at, observation{key, v})
}

func TestTumblingWindows(t *testing.T) {
	h := newHarness(t, 2, func(g *Graph) Stream[string] { return listWindows(g, TumblingWindows(10*ms, 0)) })
	observe(h, 1, 3, 100)
	observe(h, 1, 9, 101)
	observe(h, 2, 5, 200)
	observe(h, 1, 10, 102)
	h.watermark(8)
	h.expect("before the last timestamp")
	observe(h, 2, 9, 201)
	h.watermark(9)
	h.expect("at the last timestamp", "9: 1 [0,10) [100 101]", "9: 2 [0,10) [200 201]")
	observe(h, 1, 9, 103)
	h.watermark(18)
	h.expect("nothing is late and emitted")
	if n := h.lateRecords(); n != 1 {
		t.Errorf("%d late records, want 1", n)
	}
	h.end()
	h.expect("at the end", "19: 1 [10,20) [102]")
}

func TestLateRecords(t *testing.T) {
	h := newHarness(t, 1, func(g *Graph) Stream[string] {
		return listWindows(g, TumblingWindows(10*ms, 0), AllowedLateness(5*ms))
	})
	observe(h, 1, 3, 100)
	h.watermark(9)
	h.expect("on time", "9: 1 [0,10) [100]")
	observe(h, 1, 4, 101)
	h.expect("late, at once", "9: 1 [0,10) [100 101]")
	h.watermark(13)
	h.expect("no news")
	observe(h, 1, 5, 102)
	h.expect("late, at once", "9: 1 [0,10) [100 101 102]")
	observe(h, 2, 5, 200)
	h.expect("a window that begins late", "9: 2 [0,10) [200]")
	h.watermark(14)
	h.expect("forgotten")
	observe(h, 1, 5, 103)
	h.expect("too late")
	if n := h.lateRecords(); n != 1 {
		t.Errorf("%d late records, want 1", n)
	}
	h.end()
	h.expect("at the end")
}

// A record that is late for one sliding window goes into the others, and is no late data.
func TestLateForSomeWindows(t *testing.T) {
	h := newHarness(t, 1, func(g *Graph) Stream[string] { return listWindows(g, SlidingWindows(10*ms, 5*ms, 0)) })
	observe(h, 1, 12, 100)
	h.watermark(14)
	h.expect("first", "14: 1 [5,15) [100]")
	observe(h, 1, 13, 101)
	h.watermark(19)
	h.expect("second", "19: 1 [10,20) [100 101]")
	if n := h.lateRecords(); n != 0 {
		t.Errorf("%d late records, want none", n)
	}
}

func TestLateDataGoesToItsSideOutput(t *testing.T) {
	tag := NewOutputTag("late", codec.Int64)
	h := newHarness(t, 1, func(g *Graph) Stream[string] {
		keyed := KeyBy(From(g, "in", numbers{}, codec.Int64), codec.Int64, identity)
		w := Window(keyed, SessionWindows(10*ms), LateData(tag))
		return AggregateWindow(w, "windows", codec.String, codec.Int64, total{}, func(key int64, w TimeWindow, n int64, emit func(string)) {
			emit(windowLine(key, w, []int64{n}))
		})
	})
	h.tag = tag.Name()
	h.start(1, 0, nil)
	push(h, 0, 7, 5, int64(7))
	h.watermark(30)
	h.expect("on time", "14: 7 [5,15) [7]")
	push(h, 0, 7, 20, int64(7))
	if want := []string{"20: 7"}; !slices.Equal(h.side, want) || h.lateRecords() != 0 {
		t.Errorf("late data %v, %d dropped, want %v and none", h.side, h.lateRecords(), want)
	}
	push(h, 0, 7, 22, int64(7))
	h.watermark(31)
	h.expect("a session that ends behind the watermark is in time", "31: 7 [22,32) [7]")
}

// total adds up.
type total struct{}

func (total) New() int64             { return 0 }
func (total) Add(acc, v int64) int64 { return acc + v }
func (total) Result(acc int64) int64 { return acc }
func (total) Merge(a, b int64) int64 { return a + b }

func TestSessionWindows(t *testing.T) {
	h := newHarness(t, 1, func(g *Graph) Stream[string] {
		return listWindows(g, SessionWindows(10*ms), AllowedLateness(20*ms))
	})
	observe(h, 1, 0, 100)
	observe(h, 1, 9, 101)
	observe(h, 1, 41, 106) // exactly the gap behind the next: a session of its own
	observe(h, 1, 31, 102)
	observe(h, 2, 5, 200)
	h.watermark(17)
	h.expect("the first of key 2", "14: 2 [5,15) [200]")
	h.watermark(18)
	h.expect("the first of key 1", "18: 1 [0,19) [100 101]")
	observe(h, 1, 15, 103)
	h.expect("one that was emitted goes on: it ends later")
	h.watermark(24)
	h.expect("and is emitted then", "24: 1 [0,25) [100 101 103]")
	observe(h, 1, 23, 104)
	h.expect("bridged: two become one")
	h.watermark(39)
	h.expect("not yet")
	h.watermark(40)
	h.expect("one", "40: 1 [0,41) [100 101 102 103 104]")
	observe(h, 1, 5, 105)
	h.expect("late within it, at once", "40: 1 [0,41) [100 101 102 103 104 105]")
	observe(h, 2, 6, 201)
	h.expect("alone it is late data")
	if n := h.lateRecords(); n != 1 {
		t.Errorf("%d late records, want 1", n)
	}
	h.end()
	h.expect("at the end", "50: 1 [41,51) [106]")
}

// What has been emitted is not emitted again after a restore, and timers are there.
func TestWindowsGoOnAfterRestore(t *testing.T) {
	h := newHarness(t, 2, func(g *Graph) Stream[string] {
		return listWindows(g, TumblingWindows(10*ms, 0), AllowedLateness(10*ms))
	})
	for key := range int64(4) {
		observe(h, key, 5, key)
		observe(h, key, 15, 10+key)
	}
	h.watermark(9)
	h.expect("first", "9: 0 [0,10) [0]", "9: 1 [0,10) [1]", "9: 2 [0,10) [2]", "9: 3 [0,10) [3]")
	h.restore(h.snapshot(), 3)
	// It has a timer at 9, in the place where that of [0,10) was.
	observe(h, 3, -5, 30)
	h.watermark(8)
	h.expect("only what is new", "-1: 3 [-10,0) [30]")
	h.watermark(9)
	h.expect("nothing twice")
	observe(h, 2, 6, 20)
	h.expect("late, at once", "9: 2 [0,10) [2 20]")
	h.watermark(19)
	h.expect("second", "19: 0 [10,20) [10]", "19: 1 [10,20) [11]", "19: 2 [10,20) [12]", "19: 3 [10,20) [13]")
	h.end()
	h.expect("at the end")
}

func TestProcessingTimeWindows(t *testing.T) {
	h := newHarness(t, 1, func(g *Graph) Stream[string] {
		return listWindows(g, TumblingWindows(10*ms, 0), ProcessingTimeWindows())
	})
	at := func(m int64) time.Time { return time.UnixMilli(m) }
	h.advanceClock(at(3))
	observe(h, 1, NoTimestamp, 100)
	h.advanceClock(at(9))
	h.expect("in its last millisecond")
	observe(h, 1, 500, 101)
	h.watermark(1000)
	h.expect("watermarks do not matter")
	h.advanceClock(at(10))
	h.expect("when it is over", "9: 1 [0,10) [100 101]")
	observe(h, 1, NoTimestamp, 102)
	h.restore(h.snapshot(), 2)
	h.advanceClock(at(25))
	h.expect("after a restore", "19: 1 [10,20) [102]")
}

func TestReduceWindow(t *testing.T) {
	h := newHarness(t, 1, func(g *Graph) Stream[string] {
		s := Map(From(g, "in", numbers{}, codec.Int64), "text", codec.String, func(v int64) string { return fmt.Sprint(v) })
		keyed := KeyBy(s, codec.Int64, func(string) int64 { return 0 })
		return ReduceWindow(Window(keyed, SessionWindows(6*ms)), "join", func(a, b string) string { return a + "+" + b })
	})
	push(h, 0, 0, 0, "a")
	push(h, 0, 0, 10, "b")
	push(h, 0, 0, 11, "c")
	push(h, 0, 0, 5, "d")
	h.watermark(20)
	h.expect("merged", "16: a+b+c+d")
}

func TestWindowsNeedEventTimes(t *testing.T) {
	for at, want := range map[EventTime]string{
		NoTimestamp: "operator windows, subtask windows[0], key 1: the record has no event time: AssignTimestampsAndWatermarks has to come before",
		1 << 62:     "the record has the event time 4611686018427387904: allowed are those from",
	} {
		h := newHarness(t, 1, func(g *Graph) Stream[string] { return listWindows(g, TumblingWindows(ms, 0)) })
		s := h.subtasks[0]
		s.chain.timestamp = at
		s.ins[0].(func(observation))(observation{1, 1})
		if err := s.chain.err; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestWindowsThatCannotBe(t *testing.T) {
	for want, build := range map[string]func(*Graph){
		"size 0s":              func(g *Graph) { listWindows(g, TumblingWindows(0, 0)) },
		"slide -1ms":           func(g *Graph) { listWindows(g, SlidingWindows(ms, -ms, 0)) },
		"offset 5ms":           func(g *Graph) { listWindows(g, TumblingWindows(5*ms, 5*ms)) },
		"size 1.5ms":           func(g *Graph) { listWindows(g, TumblingWindows(1500*time.Microsecond, 0)) },
		"a gap of 0s":          func(g *Graph) { listWindows(g, SessionWindows(0)) },
		"no assigner":          func(g *Graph) { listWindows(g, WindowAssigner{}) },
		"lateness of -1ms":     func(g *Graph) { listWindows(g, SessionWindows(ms), AllowedLateness(-ms)) },
		"in processing time":   func(g *Graph) { listWindows(g, SessionWindows(ms), AllowedLateness(ms), ProcessingTimeWindows()) },
		"the tag of late data": func(g *Graph) { listWindows(g, SessionWindows(ms), LateData(NewOutputTag("late", codec.String))) },
		"an interval from 2ms to 1ms": func(g *Graph) {
			IntervalJoin(observed(g, "a"), observed(g, "b"), 2*ms, ms, "join", codec.String, func(_, _ observation, _ func(string)) {})
		},
	} {
		g := NewGraph()
		build(g)
		if err := g.Seal(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	g := NewGraph()
	listWindows(g, SessionWindows(ms), LateData(lateTag))
	g.operators[0].timed = true
	if err := g.Seal(); err != nil {
		t.Error(err)
	}
}

// A snapshot has what was there when it was captured, though accumulators and lists change in place while it waits.
func TestWindowsAndJoinsAreCapturedAsTheyAre(t *testing.T) {
	for name, test := range map[string]struct {
		build func(*Graph) Stream[string]
		want  []string
	}{
		"windows":  {func(g *Graph) Stream[string] { return aggregateWindows(g, TumblingWindows(100*ms, 0)) }, []string{"99: 1 [0,100) [5 6 7]"}},
		"sessions": {func(g *Graph) Stream[string] { return aggregateWindows(g, SessionWindows(20*ms)) }, []string{"31: 1 [10,32) [5 6 7]"}},
		"join": {func(g *Graph) Stream[string] {
			return IntervalJoin(observed(g, "a"), observed(g, "b"), -50*ms, 50*ms, "join", codec.String, func(a, b observation, emit func(string)) {
				emit(fmt.Sprint(a.v, b.v))
			})
		}, []string{"40: 5 9", "40: 6 9", "40: 7 9"}},
	} {
		h := newHarness(t, 1, test.build)
		observe(h, 1, 10, 5)
		observe(h, 1, 12, 6)
		observe(h, 1, 12, 7) // slices have room for one more: they are changed in place
		s := h.subtasks[0]
		snap := &snapshot{barrier: barrier(1)}
		if err := s.op.capture(snap); err != nil {
			t.Fatal(err)
		}
		observe(h, 1, 12, 1)
		observe(h, 1, 10, 2)
		observe(h, 1, 15, 3)
		state, err := snap.upload(t.Context(), h.store, s.chain.subtask)
		if err != nil {
			t.Fatal(err)
		}
		h.start(1, 1, []checkpoint.SubtaskState{state})
		h.out = nil
		if len(s.ins) > 1 {
			push(h, 1, 1, 40, observation{1, 9})
		}
		h.watermark(1000)
		h.expect(name, test.want...)
	}
}
