package dataflow

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"cairn/dataflow/codec"
)

// windowModel is what windows do, without timers and state: it looks at everything all the time.
type windowModel struct {
	assigner  WindowAssigner
	lateness  EventTime
	watermark EventTime
	windows   map[int64][]*modelWindow // by key
	out       []string
	late      int64
}

type modelWindow struct {
	TimeWindow
	values  []int64
	emitted bool
}

func (m *windowModel) observe(key int64, at EventTime, v int64) {
	windows := m.covering(at)
	taken := len(windows) == 0
	for _, w := range windows {
		all := m.windows[key]
		var same []*modelWindow
		if m.assigner.merges() {
			for i := 0; i < len(all); i++ {
				if all[i].Start < w.End && w.Start < all[i].End {
					same = append(same, all[i])
				}
			}
		} else {
			same = slices.DeleteFunc(slices.Clone(all), func(o *modelWindow) bool { return o.TimeWindow != w })
		}
		merged := &modelWindow{TimeWindow: w, values: []int64{v}}
		for _, o := range same {
			merged.Start, merged.End = min(merged.Start, o.Start), max(merged.End, o.End)
			merged.values = append(merged.values, o.values...)
		}
		if merged.End-1+m.lateness <= m.watermark {
			continue
		}
		taken = true
		all = slices.DeleteFunc(all, func(o *modelWindow) bool { return slices.Contains(same, o) })
		m.windows[key] = append(all, merged)
		m.emitDue(key)
	}
	if !taken {
		m.late++
	}
}

// covering finds the windows of a time by trying all.
func (m *windowModel) covering(at EventTime) (windows []TimeWindow) {
	a := m.assigner
	if a.merges() {
		return []TimeWindow{{at, at + millis(a.size)}}
	}
	for k := EventTime(-1000); k < 1000; k++ {
		start := millis(a.offset) + k*millis(a.slide)
		if start <= at && at < start+millis(a.size) {
			windows = append(windows, TimeWindow{start, start + millis(a.size)})
		}
	}
	return windows
}

func (m *windowModel) advance(w EventTime) {
	m.watermark = w
	for key := range m.windows {
		m.emitDue(key)
		m.windows[key] = slices.DeleteFunc(m.windows[key], func(o *modelWindow) bool { return o.End-1+m.lateness <= w })
	}
}

func (m *windowModel) emitDue(key int64) {
	for _, o := range m.windows[key] {
		if !o.emitted && o.End-1 <= m.watermark {
			o.emitted = true
			slices.Sort(o.values)
			m.out = append(m.out, fmt.Sprintf("%d: %s", int64(o.End-1), windowLine(key, o.TimeWindow, o.values)))
		}
	}
}

func (m *windowModel) take() []string {
	out := m.out
	m.out = nil
	slices.Sort(out)
	return out
}

// valueList collects values as a sorted list, changing its accumulator in place: a snapshot that still waited
// for the former one would come to light.
type valueList struct{}

func (valueList) New() []int64 { return nil }
func (valueList) Add(acc []int64, v observation) []int64 {
	at, _ := slices.BinarySearch(acc, v.v)
	return slices.Insert(acc, at, v.v)
}
func (valueList) Result(acc []int64) []int64 { return acc }
func (valueList) Merge(a, b []int64) []int64 {
	for _, v := range b {
		a = valueList{}.Add(a, observation{v: v})
	}
	return a
}

// aggregateWindows is listWindows with an aggregate.
func aggregateWindows(g *Graph, a WindowAssigner, opts ...WindowOption) Stream[string] {
	w := Window(observed(g, "in"), a, opts...)
	return AggregateWindow(w, "windows", codec.String, codec.Slice(codec.Int64), valueList{},
		func(key int64, w TimeWindow, values []int64, emit func(string)) { emit(windowLine(key, w, values)) })
}

// Windows do what the model does, record by record, with any disorder and lateness, through snapshots and rescaling.
func TestWindowsAgainstModel(t *testing.T) {
	var late, emissions int64
	restores := 0
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 11))
		size := time.Duration(1+rng.IntN(20)) * ms
		slide := time.Duration(1+rng.IntN(25)) * ms
		assigner := []WindowAssigner{
			TumblingWindows(size, time.Duration(rng.Int64N(int64(size/ms)))*ms),
			SlidingWindows(size, slide, -time.Duration(rng.Int64N(int64(slide/ms)))*ms),
			SessionWindows(time.Duration(1+rng.IntN(8)) * ms),
		}[seed%3]
		lateness := time.Duration(rng.IntN(2)*rng.IntN(20)) * ms
		build := listWindows
		if rng.IntN(2) == 0 {
			build = aggregateWindows
		}
		h := newHarness(t, 1+rng.IntN(4), func(g *Graph) Stream[string] { return build(g, assigner, AllowedLateness(lateness)) })
		m := &windowModel{assigner: assigner, lateness: millis(lateness), watermark: MinEventTime, windows: make(map[int64][]*modelWindow)}
		dropped := int64(0)
		now, disorder := EventTime(-60), 1+rng.IntN(40)
		for step := range 150 {
			switch n := rng.IntN(20); {
			case n < 15:
				key, at := rng.Int64N(4), now-EventTime(rng.IntN(disorder))
				observe(h, key, at, int64(step))
				m.observe(key, at, int64(step))
			case n < 19:
				now += EventTime(rng.IntN(15))
				if w := now - EventTime(rng.IntN(30)); w > m.watermark {
					h.watermark(w)
					m.advance(w)
				}
			default:
				dropped += h.lateRecords()
				h.restore(h.snapshot(), 1+rng.IntN(4))
				m.watermark = MinEventTime
				restores++
			}
			if got, want := h.take(), m.take(); !slices.Equal(got, want) {
				t.Fatalf("seed %d, %+v, lateness %s, step %d: emitted %q, want %q", seed, assigner, lateness, step, got, want)
			} else {
				emissions += int64(len(got))
			}
		}
		if dropped += h.lateRecords(); dropped != m.late {
			t.Errorf("seed %d: %d records dropped, want %d", seed, dropped, m.late)
		}
		h.end()
		m.advance(MaxEventTime)
		if got, want := h.take(), m.take(); !slices.Equal(got, want) {
			t.Fatalf("seed %d: at the end %q, want %q", seed, got, want)
		}
		late += m.late
	}
	t.Logf("%d emissions, %d late records, %d restores", emissions, late, restores)
	if emissions < 5000 || late < 500 || restores < 1000 {
		t.Error("the test has lost its teeth")
	}
}

// batchWindows is what windows of all observations have, evaluated at once.
func batchWindows(a WindowAssigner, all []timedObservation) (lines []string) {
	type place struct {
		key int64
		w   TimeWindow
	}
	m := &windowModel{assigner: a}
	contents := make(map[place][]int64)
	slices.SortFunc(all, func(a, b timedObservation) int { return cmp.Compare(a.at, b.at) })
	last := make(map[int64]place) // session of a key
	for _, o := range all {
		if !a.merges() {
			for _, w := range m.covering(o.at) {
				contents[place{o.key, w}] = append(contents[place{o.key, w}], o.v)
			}
			continue
		}
		p, open := last[o.key]
		values := contents[p]
		if open && o.at < p.w.End {
			delete(contents, p)
			p.w.End = o.at + millis(a.size)
		} else {
			p, values = place{o.key, TimeWindow{o.at, o.at + millis(a.size)}}, nil
		}
		contents[p], last[o.key] = append(values, o.v), p
	}
	for _, p := range slices.Collect(maps.Keys(contents)) {
		slices.Sort(contents[p])
		lines = append(lines, fmt.Sprintf("%d: %s", int64(p.w.End-1), windowLine(p.key, p.w, contents[p])))
	}
	slices.Sort(lines)
	return lines
}

type timedObservation struct {
	observation
	at EventTime
}

// With disorder within the bound, each window is emitted once, with all that a batch evaluation finds in it.
func TestWindowsAgainstBatch(t *testing.T) {
	for seed := range uint64(120) {
		rng := rand.New(rand.NewPCG(seed, 13))
		assigner := []WindowAssigner{
			TumblingWindows(20*ms, 7*ms), SlidingWindows(20*ms, 6*ms, -2*ms), SessionWindows(5 * ms),
		}[seed%3]
		build := listWindows
		if rng.IntN(2) == 0 {
			build = aggregateWindows
		}
		h := newHarness(t, 2, func(g *Graph) Stream[string] { return build(g, assigner) })
		var all []timedObservation
		newest, bound := EventTime(-300), EventTime(30)
		for v := range int64(300) {
			newest += EventTime(rng.IntN(5))
			o := timedObservation{observation{rng.Int64N(5), v}, newest - EventTime(rng.IntN(int(bound)))}
			all = append(all, o)
			observe(h, o.key, o.at, o.v)
			switch rng.IntN(20) {
			case 0, 1, 2:
				h.watermark(newest - bound)
			case 3:
				h.restore(h.snapshot(), 1+rng.IntN(5))
			}
		}
		h.end()
		if got, want := h.take(), batchWindows(assigner, all); !slices.Equal(got, want) {
			t.Fatalf("seed %d: %s", seed, firstDifference(got, want))
		}
	}
}
