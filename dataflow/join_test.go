package dataflow

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/dataflow/codec"
)

// texts returns a keyed stream of strings whose keys are what comes before the first colon.
func texts(g *Graph, id string) KeyedStream[int64, string] {
	s := Map(From(g, "in of texts", numbers{}, codec.Int64), "texts", codec.String, func(v int64) string { return fmt.Sprint(v, ":", id) })
	return KeyBy(s, codec.Int64, func(s string) (key int64) {
		_, _ = fmt.Sscanf(s, "%d:", &key)
		return key
	})
}

func pairLine(o observation, s string) string { return fmt.Sprintf("%d+%s", o.v, s) }

func emitPair(o observation, s string, emit func(string)) { emit(pairLine(o, s)) }

func intervalJoinHarness(t *testing.T, lower, upper time.Duration) *operatorHarness {
	t.Helper()
	return newHarness(t, 2, func(g *Graph) Stream[string] {
		return IntervalJoin(observed(g, "a"), texts(g, "b"), lower, upper, "join", codec.String, emitPair)
	})
}

func TestIntervalJoin(t *testing.T) {
	h := intervalJoinHarness(t, -2*ms, 5*ms)
	push(h, 0, 1, 10, observation{1, 100})
	push(h, 1, 1, 7, "1:below")
	push(h, 1, 1, 8, "1:lower")
	push(h, 1, 2, 10, "2:other key")
	h.expect("the lower bound is in the interval", "10: 100+1:lower")
	push(h, 1, 1, 15, "1:upper")
	push(h, 1, 1, 16, "1:above")
	h.expect("the upper bound is in the interval", "15: 100+1:upper")
	push(h, 0, 1, 10, observation{1, 101})
	h.expect("in the order of time", "10: 101+1:lower", "15: 101+1:upper")
	h.watermark(12)
	push(h, 0, 1, 12, observation{1, 102})
	push(h, 1, 1, 12, "1:late")
	if n := h.lateRecords(); n != 2 {
		t.Errorf("%d late records, want 2", n)
	}
	h.expect("late records meet nobody")
	push(h, 1, 1, 13, "1:x")
	h.expect("what may still have partners is kept", "13: 100+1:x", "13: 101+1:x")
	h.end()
}

// What no partner can come for any more is removed, and not before.
func TestIntervalJoinForgets(t *testing.T) {
	for _, test := range []struct {
		lower, upper      time.Duration
		firstEnd, lastEnd EventTime // of records at 100
	}{
		{-2 * ms, 5 * ms, 105, 102},
		{3 * ms, 5 * ms, 105, 100},
		{-5 * ms, -3 * ms, 100, 105},
		{0, 0, 100, 100},
	} {
		for input, end := range []EventTime{test.firstEnd, test.lastEnd} {
			h := intervalJoinHarness(t, test.lower, test.upper)
			if input == 0 {
				push(h, 0, 1, 100, observation{1, 1})
			} else {
				push(h, 1, 1, 100, "1:x")
			}
			kept := func() (n int) {
				for _, s := range h.snapshot().Subtasks {
					n += len(s.Handles)
				}
				return n
			}
			if h.watermark(end - 1); kept() == 0 {
				t.Errorf("%s to %s: input %d is forgotten before %d", test.lower, test.upper, input, end)
			}
			if h.watermark(end); kept() != 0 {
				t.Errorf("%s to %s: input %d is kept beyond %d", test.lower, test.upper, input, end)
			}
		}
	}
}

func TestIntervalJoinNeedsEventTimes(t *testing.T) {
	h := intervalJoinHarness(t, 0, 0)
	s := h.subtasks[0]
	s.chain.groups, s.chain.timestamp = harnessGroups, NoTimestamp
	for key := range int64(20) {
		s.ins[0].(func(observation))(observation{key, 1})
	}
	if err := s.chain.err; err == nil || !strings.Contains(err.Error(), "operator join") {
		t.Error(err)
	}
}

// sides are random records of two streams, with disorder within a bound, passed to a harness between watermarks,
// snapshots and restores.
type joinedSides struct {
	first  []timedObservation
	second []timedObservation // v is in the text
}

func text(o timedObservation) string { return fmt.Sprintf("%d:%d", o.key, o.v) }

func pushSides(h *operatorHarness, rng *rand.Rand) joinedSides {
	var all joinedSides
	newest, bound := EventTime(-200), EventTime(25)
	for v := range int64(250) {
		newest += EventTime(rng.IntN(4))
		o := timedObservation{observation{rng.Int64N(4), v}, newest - EventTime(rng.IntN(int(bound)))}
		if rng.IntN(2) == 0 {
			all.first = append(all.first, o)
			push(h, 0, o.key, o.at, o.observation)
		} else {
			all.second = append(all.second, o)
			push(h, 1, o.key, o.at, text(o))
		}
		switch rng.IntN(20) {
		case 0, 1, 2:
			h.watermark(newest - bound)
		case 3:
			h.restore(h.snapshot(), 1+rng.IntN(5))
		}
	}
	h.end()
	return all
}

func TestIntervalJoinAgainstBatch(t *testing.T) {
	pairs := 0
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 17))
		lower := EventTime(rng.IntN(40) - 20)
		upper := lower + EventTime(rng.IntN(20))
		h := intervalJoinHarness(t, time.Duration(lower)*ms, time.Duration(upper)*ms)
		all := pushSides(h, rng)
		var want []string
		for _, a := range all.first {
			for _, b := range all.second {
				if a.key == b.key && a.at+lower <= b.at && b.at <= a.at+upper {
					want = append(want, fmt.Sprintf("%d: %s", int64(max(a.at, b.at)), pairLine(a.observation, text(b))))
				}
			}
		}
		slices.Sort(want)
		pairs += len(want)
		if got := h.take(); !slices.Equal(got, want) {
			t.Fatalf("seed %d, %d to %d: %s", seed, lower, upper, firstDifference(got, want))
		}
	}
	if pairs < 5000 {
		t.Errorf("%d pairs: the test has lost its teeth", pairs)
	}
}

func TestWindowJoinAgainstBatch(t *testing.T) {
	pairs := 0
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 19))
		size, slide := EventTime(1+rng.IntN(30)), EventTime(1+rng.IntN(15))
		assigner := SlidingWindows(time.Duration(size)*ms, time.Duration(slide)*ms, 0)
		h := newHarness(t, 2, func(g *Graph) Stream[string] {
			return WindowJoin(observed(g, "a"), texts(g, "b"), assigner, "join", codec.String, emitPair)
		})
		all := pushSides(h, rng)
		var want []string
		for start := -1000 / slide * slide; start < 2000; start += slide {
			in := func(o timedObservation) bool { return start <= o.at && o.at < start+size }
			for _, a := range all.first {
				for _, b := range all.second {
					if a.key == b.key && in(a) && in(b) {
						want = append(want, fmt.Sprintf("%d: %s", int64(start+size-1), pairLine(a.observation, text(b))))
					}
				}
			}
		}
		slices.Sort(want)
		pairs += len(want)
		if got := h.take(); !slices.Equal(got, want) {
			t.Fatalf("seed %d, size %d, slide %d: %s", seed, size, slide, firstDifference(got, want))
		}
	}
	if pairs < 5000 {
		t.Errorf("%d pairs: the test has lost its teeth", pairs)
	}
}

// Either side of a group may be empty, and sessions are of both streams.
func TestCoGroupWindow(t *testing.T) {
	h := newHarness(t, 1, func(g *Graph) Stream[string] {
		return CoGroupWindow(observed(g, "a"), texts(g, "b"), SessionWindows(10*ms), "group", codec.String,
			func(key int64, w TimeWindow, as iter.Seq[observation], bs iter.Seq[string], emit func(string)) {
				emit(fmt.Sprint(valuesLine(key, w, as), " ", slices.Collect(bs)))
			})
	})
	push(h, 0, 1, 0, observation{1, 100})
	push(h, 0, 1, 12, observation{1, 101})
	push(h, 1, 1, 6, "1:x")
	push(h, 0, 2, 0, observation{2, 200})
	push(h, 1, 2, 20, "2:y")
	h.watermark(15)
	h.expect("no second", "9: 2 [0,10) [200] []")
	push(h, 1, 2, 1, "2:late")
	if n := h.lateRecords(); n != 1 {
		t.Errorf("%d late records, want 1", n)
	}
	h.end()
	h.expect("at the end", "21: 1 [0,22) [100 101] [1:x]", "29: 2 [20,30) [] [2:y]")
}
