package dataflow

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/dataflow/codec"
)

// pairing emits, once, a pair for each key that both streams have, and counts the records of either.
type pairing struct{ first, second *ValueState[int64, int64] }

func (p *pairing) Open(ctx *ProcessContext[int64]) error {
	p.first = NewValueState[int64](ctx, "first", codec.Int64)
	p.second = NewValueState[int64](ctx, "second", codec.Int64)
	return nil
}

func (p *pairing) ProcessFirst(key, _ int64, emit func(string)) error {
	n, _ := p.first.Get()
	p.first.Put(n + 1)
	if m, both := p.second.Get(); both && n == 0 && m > 0 {
		emit(fmt.Sprint("both have ", key))
	}
	return nil
}

func (p *pairing) ProcessSecond(key int64, s string, emit func(string)) error {
	if s != fmt.Sprint("s", key) {
		return fmt.Errorf("record %q with the key %d", s, key)
	}
	m, _ := p.second.Get()
	p.second.Put(m + 1)
	if n, both := p.first.Get(); both && m == 0 && n > 0 {
		emit(fmt.Sprint("both have ", key))
	}
	return nil
}

func (p *pairing) Finish(emit func(string)) error {
	for key, n := range p.first.All() {
		m, _ := p.second.Get()
		emit(fmt.Sprintf("%d: %d and %d", key, n, m))
	}
	return nil
}

// Records of either stream meet in the state of their key, exactly once through any crash.
func TestI7_ConnectedStreams(t *testing.T) {
	var want []string
	for key := range 10 {
		want = append(want, fmt.Sprintf("%d: 20 and %d", key, map[bool]int{true: 20, false: 0}[key < 5]))
		if key < 5 {
			want = append(want, fmt.Sprint("both have ", key))
		}
	}
	slices.Sort(want)
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 3))
			out := newLedger[string]()
			l := newLeader(t, sealed(t, func(g *Graph) {
				a := From(g, "a", numbers{n: 200, splits: 3, batch: 7, pace: true}, codec.Int64, Parallelism(1+rng.IntN(3)))
				b := From(g, "b", numbers{n: 100, splits: 2, batch: 5, pace: true}, codec.Int64)
				names := Map(b, "name", codec.String, func(v int64) string { return fmt.Sprint("s", v%5) })
				both := ProcessConnected(
					KeyBy(a, codec.Int64, func(v int64) int64 { return v % 10 }),
					KeyBy(names, codec.Int64, func(s string) int64 { return int64(s[1] - '0') }), "pair", codec.String,
					func() KeyedCoProcessor[int64, int64, string, string] { return &pairing{} }, Parallelism(1+rng.IntN(4)))
				To(both, "write", out)
			}), seed, 5)
			l.run()
			if got := sorted(out.output()); !slices.Equal(got, want) {
				t.Errorf("seed %d, %+v: %s", seed, l.counts, firstDifference(got, want))
			}
		})
	}
}

func TestMapAndFlatMapConnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mapped, flat := newLedger[string](), newLedger[string]()
		runToEnd(t, sealed(t, func(g *Graph) {
			a := From(g, "a", numbers{n: 3, splits: 1, batch: 7}, codec.Int64)
			b := Map(From(g, "b", numbers{n: 2, splits: 1, batch: 7}, codec.Int64), "negate", codec.Float64,
				func(v int64) float64 { return -0.5 - float64(v) })
			To(MapConnected(a, b, "map", codec.String,
				func(v int64) string { return fmt.Sprint(v) }, func(v float64) string { return fmt.Sprint(v) }), "mapped", mapped)
			To(FlatMapConnected(a, b, "flat map", codec.String,
				func(v int64, emit func(string)) {
					for range v {
						emit(fmt.Sprint(v))
					}
				},
				func(float64, func(string)) {}), "flat", flat)
		}))
		if got, want := sorted(mapped.output()), []string{"-0.5", "-1.5", "0", "1", "2"}; !slices.Equal(got, want) {
			t.Errorf("mapped to %v, want %v", got, want)
		}
		if got, want := sorted(flat.output()), []string{"1", "2", "2"}; !slices.Equal(got, want) {
			t.Errorf("flat-mapped to %v, want %v", got, want)
		}
	})
}

func TestConnectedStreamsOfDifferentGraphs(t *testing.T) {
	g := NewGraph()
	a, b := From(g, "a", numbers{}, codec.Int64), From(NewGraph(), "b", numbers{}, codec.Int64)
	To(MapConnected(a, b, "map", codec.Int64, identity, identity), "write", newLedger[int64]())
	if err := g.Seal(); err == nil || !strings.Contains(err.Error(), "operator map: the streams that it connects belong to different graphs") {
		t.Error(err)
	}
}

// alarm is a processor with two inputs, of keyed records or of broadcast ones, that sets timers in both domains.
type alarm struct{ ctx *ProcessContext[int64] }

func (a *alarm) Open(ctx *ProcessContext[int64]) error {
	a.ctx = ctx
	return nil
}

func (a *alarm) Process(_ int64, o observation, _ func(string)) error {
	a.ctx.RegisterEventTimer(EventTime(o.v))
	a.ctx.RegisterProcessingTimer(EventTime(o.v + 1))
	return nil
}

func (a *alarm) ProcessFirst(key int64, o observation, emit func(string)) error {
	return a.Process(key, o, emit)
}

func (a *alarm) ProcessSecond(key int64, o observation, emit func(string)) error {
	return a.Process(key, o, emit)
}

func (a *alarm) ProcessBroadcast(observation, func(string)) error { return nil }

func (a *alarm) OnTimer(key int64, t Timer, emit func(string)) error {
	emit(fmt.Sprintf("%d at %d in %s", key, int64(t.At), t.Domain))
	return nil
}

func (a *alarm) Finish(emit func(string)) error {
	emit("finished")
	return nil
}

// Operators with two inputs have the timers of one with one input: they fire after a restore, and those in processing time
// are dropped at the end.
func TestTimersOfOperatorsWithTwoInputs(t *testing.T) {
	for name, build := range map[string]func(*Graph) Stream[string]{
		"connected": func(g *Graph) Stream[string] {
			return ProcessConnected(observed(g, "a"), observed(g, "b"), "alarm", codec.String,
				func() KeyedCoProcessor[int64, observation, observation, string] { return &alarm{} })
		},
		"broadcast": func(g *Graph) Stream[string] {
			return ProcessBroadcast(observed(g, "a"), observed(g, "b").stream, "alarm", codec.String,
				func() BroadcastProcessor[int64, observation, observation, string] { return &alarm{} })
		},
	} {
		h := newHarness(t, 1, build)
		observe(h, 1, 5, 20)
		observe(h, 2, 5, 30)
		if name == "connected" {
			push(h, 1, 3, 5, observation{3, 20})
		} else {
			observe(h, 3, 5, 20)
		}
		h.restore(h.snapshot(), 1)
		h.watermark(20)
		h.expect(name+": event time", "20: 1 at 20 in event time", "20: 3 at 20 in event time")
		h.advanceClock(time.UnixMilli(21))
		none := fmt.Sprint(int64(NoTimestamp))
		h.expect(name+": processing time", none+": 1 at 21 in processing time", none+": 3 at 21 in processing time")
		h.end()
		h.expect(name+": the end", "30: 2 at 30 in event time", none+": finished")
	}
}
