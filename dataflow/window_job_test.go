package dataflow

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cairn/dataflow/codec"
)

// TestI7_WindowsAndJoins runs jobs of windows and joins through kills, aborted checkpoints and completions that nobody
// heard of: what is committed is what a batch evaluation of the input gives.
func TestI7_WindowsAndJoins(t *testing.T) {
	var killed, completed int
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 23))
			out := newLedger[string]()
			l := newLeader(t, windowedJob(t, out, 1+rng.IntN(4)), seed, 6)
			l.run()
			if got, want := sorted(out.output()), windowedOutput(); !slices.Equal(got, want) {
				t.Errorf("seed %d, %+v: %s", seed, l.counts, firstDifference(got, want))
			}
			killed += l.counts.killed
			completed += l.counts.completed
		})
	}
	t.Logf("%d kills, %d checkpoints completed", killed, completed)
	if killed < 40 || completed < 120 {
		t.Error("the test has lost its teeth")
	}
}

const windowedNumbers = 300

// windowedJob reads numbers in order, number v at 10 v ms, and puts them into windows of all kinds, and joins them with
// others.
func windowedJob(t *testing.T, out Sink[string], parallelism int) *Graph {
	return sealed(t, func(g *Graph) {
		g.SetAutoWatermarkInterval(5 * time.Millisecond)
		at := func(v int64) EventTime { return EventTime(10 * v) }
		// A split for each subtask: what it reads is in order.
		a := From(g, "a", numbers{n: windowedNumbers, splits: 2, batch: 5, pace: true}, codec.Int64, Parallelism(2))
		a = AssignTimestampsAndWatermarks(a, "times of a", MonotonousTimestamps(), at)
		b := From(g, "b", numbers{n: windowedNumbers, splits: 1, batch: 7, pace: true}, codec.Int64)
		b = AssignTimestampsAndWatermarks(b, "times of b", BoundedOutOfOrderness(50*ms), at)
		byKind := func(s Stream[int64]) KeyedStream[int64, int64] {
			return KeyBy(s, codec.Int64, func(v int64) int64 { return v % 5 })
		}
		line := func(kind string) func(int64, TimeWindow, int64, func(string)) {
			return func(key int64, w TimeWindow, sum int64, emit func(string)) {
				emit(kind + " " + windowLine(key, w, []int64{sum}))
			}
		}
		p := Parallelism(parallelism)
		tumbling := AggregateWindow(Window(byKind(a), TumblingWindows(230*ms, 0)), "tumbling", codec.String, codec.Int64, total{}, line("tumbling"), p)
		// Of every 60 numbers the last 20 are missing: a session ends there.
		some := KeyBy(Filter(a, "some", func(v int64) bool { return v%60 < 40 }), codec.Int64, func(v int64) int64 { return v % 5 })
		sessions := AggregateWindow(Window(some, SessionWindows(100*ms)), "sessions", codec.String, codec.Int64, total{}, line("session"), p)
		join := IntervalJoin(byKind(a), byKind(b), -50*ms, 50*ms, "join", codec.String, func(a, b int64, emit func(string)) {
			emit(fmt.Sprint("interval ", a, " ", b))
		}, p)
		windowJoin := WindowJoin(byKind(a), byKind(b), TumblingWindows(100*ms, 0), "window join", codec.String, func(a, b int64, emit func(string)) {
			emit(fmt.Sprint("window ", a, " ", b))
		}, p)
		To(Union(tumbling, sessions, join, windowJoin), "write", out)
	})
}

// windowedOutput is what the job writes, computed without it.
func windowedOutput() (lines []string) {
	tumbling := make(map[string]int64)
	var sessions [5][]TimeWindow
	sums := make(map[string]int64)
	for v := range int64(windowedNumbers) {
		key, at := v%5, EventTime(10*v)
		start := at / 230 * 230
		tumbling[fmt.Sprintf("%d [%d,%d)", key, start, start+230)] += v
		if v%60 < 40 {
			n := len(sessions[key])
			if n == 0 || at >= sessions[key][n-1].End {
				sessions[key] = append(sessions[key], TimeWindow{at, 0})
				n++
			}
			sessions[key][n-1].End = at + 100
			sums[fmt.Sprint(key, sessions[key][n-1].Start)] += v
		}
		for b := range int64(windowedNumbers) {
			if b%5 != key {
				continue
			}
			if b >= v-5 && b <= v+5 {
				lines = append(lines, fmt.Sprint("interval ", v, " ", b))
			}
			if b/10 == v/10 {
				lines = append(lines, fmt.Sprint("window ", v, " ", b))
			}
		}
	}
	for w, sum := range tumbling {
		lines = append(lines, fmt.Sprintf("tumbling %s [%d]", w, sum))
	}
	for key, windows := range sessions {
		for _, w := range windows {
			lines = append(lines, "session "+windowLine(int64(key), w, []int64{sums[fmt.Sprint(key, w.Start)]}))
		}
	}
	slices.Sort(lines)
	return lines
}
