package dataflow

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// timersOf returns the timers of one subtask, restored from what some have captured.
func timersOf(t fatal, groups checkpoint.KeyGroupRange, from []capturedKeyed) *timerQueue[string] {
	t.Helper()
	s := newKeyedState(codec.String, groups, testGroups, time.Now)
	q := newTimerQueue(s, eventTimerTable)
	for _, c := range from {
		for _, shard := range c.shards {
			shard.serve()
			if !groups.Contains(shard.group) {
				continue
			}
			if err := s.loadShard(shard.group, shard.table, shard.kind, shard.count, shard.data); err != nil {
				t.Fatal(err)
			}
		}
	}
	q.index()
	return q
}

// TestTimersAgainstModel registers, takes back and fires timers at random, over restores with other parallelisms. What
// fires is compared with a sorted list: each timer once, by time and then by the key's encoding.
func TestTimersAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parallelism := 1
		queues := []*timerQueue[string]{timersOf(t, checkpoint.RangeOf(0, testGroups, 1), nil)}
		model := make(map[timerRow[string]]bool)
		ownerOf := func(key string) *timerQueue[string] {
			return queues[checkpoint.OwnerOf(queues[0].state.groupOf(key), testGroups, parallelism)]
		}
		pick := func(t *rapid.T) (*timerQueue[string], timerRow[string]) {
			r := timerRow[string]{
				rapid.SampledFrom(modelKeys).Draw(t, "key"),
				EventTime(rapid.SampledFrom([]int64{-5, 0, 1, 2, 3, 4, 5, 6, 70, int64(MaxEventTime)}).Draw(t, "at")),
			}
			q := ownerOf(r.key)
			if err := q.state.setKey(r.key); err != nil {
				t.Fatal(err)
			}
			return q, r
		}
		register := func(t *rapid.T) {
			q, r := pick(t)
			q.register(r.at)
			model[r] = true
		}
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				n := 0
				for _, q := range queues {
					n += q.count
				}
				if n != len(model) {
					t.Fatalf("%d timers, want %d", n, len(model))
				}
			},
			"register": register,
			"again":    register,
			"take back": func(t *rapid.T) {
				q, r := pick(t)
				q.unregister(r.at)
				delete(model, r)
			},
			"fire": func(t *rapid.T) {
				until := EventTime(rapid.Int64Range(-6, 8).Draw(t, "until"))
				for index, q := range queues {
					var got []timerRow[string]
					for r, found := q.pop(until); found; r, found = q.pop(until) {
						if q.state.key != r.key {
							t.Fatalf("the current key is %q for the timer %v", q.state.key, r)
						}
						got = append(got, r)
					}
					var want []timerRow[string]
					for r := range model {
						if r.at <= until && checkpoint.OwnerOf(q.state.groupOf(r.key), testGroups, parallelism) == index {
							want = append(want, r)
							delete(model, r)
						}
					}
					slices.SortFunc(want, func(a, b timerRow[string]) int {
						return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(len(a.key), len(b.key)), cmp.Compare(a.key, b.key))
					})
					if !slices.Equal(got, want) {
						t.Fatalf("fired %v, want %v", got, want)
					}
				}
			},
			"rescale": func(t *rapid.T) {
				var captured []capturedKeyed
				for _, q := range queues {
					captured = append(captured, q.state.capture())
				}
				parallelism = rapid.IntRange(1, 5).Draw(t, "parallelism")
				queues = nil
				for i := range parallelism {
					queues = append(queues, timersOf(t, checkpoint.RangeOf(i, testGroups, parallelism), captured))
				}
			},
		})
	})
}

// TestTimersTakenBackTakeNoMemory: a timer that is moved with each record leaves the old ones in the heap for a while
// only.
func TestTimersTakenBackTakeNoMemory(t *testing.T) {
	q := timersOf(t, checkpoint.RangeOf(0, testGroups, 1), nil)
	for i := range EventTime(100_000) {
		key := modelKeys[i%5]
		if err := q.state.setKey(key); err != nil {
			t.Fatal(err)
		}
		q.unregister(1_000_000 + i - 5)
		q.register(1_000_000 + i)
		q.unregister(1) // there is none
	}
	if len(q.heap) > 100 {
		t.Errorf("%d in the heap for %d timers", len(q.heap), q.count)
	}
	n := 0
	for _, found := q.pop(MaxEventTime); found; _, found = q.pop(MaxEventTime) {
		n++
	}
	if n != 5 || q.count != 0 {
		t.Errorf("%d timers fire, want 5; %d are left", n, q.count)
	}
}

// recorder is a processor that does what the test says and remembers what it is called for.
type recorder struct {
	ctx     *ProcessContext[string]
	process func(ctx *ProcessContext[string], key, v string)
	onTimer func(ctx *ProcessContext[string], key string, t Timer)
	calls   []string
}

func (r *recorder) Open(ctx *ProcessContext[string]) error {
	r.ctx = ctx
	return nil
}

func (r *recorder) Process(key, v string, _ func(string)) error {
	r.process(r.ctx, key, v)
	return nil
}

func (r *recorder) OnTimer(key string, t Timer, _ func(string)) error {
	r.calls = append(r.calls, fmt.Sprintf("%s at %d, timestamp %d, watermark %d", key, t.At, r.ctx.Timestamp(), r.ctx.Watermark()))
	if r.onTimer != nil {
		r.onTimer(r.ctx, key, t)
	}
	return nil
}

func (r *recorder) Finish(func(string)) error { return nil }

// noTimers hides OnTimer.
type noTimers struct {
	KeyedProcessor[string, string, string]
}

// openedRecorder is the operator of a recorder, or of one in disguise.
type openedRecorder struct {
	*processOperator[string, string]
	recorder KeyedProcessor[string, string, string]
}

// process takes in a record of a key.
func (o openedRecorder) process(key string) {
	callKeyed(o.processOperator, key, "", o.recorder.Process)
}

func openRecorder(t *testing.T, p KeyedProcessor[string, string, string]) openedRecorder {
	t.Helper()
	c := &chain{
		ctx: t.Context(), log: deadLogger, parallelism: 1, groups: testGroups, now: time.Now, timestamp: 77,
		ids: []checkpoint.OperatorID{"op"},
	}
	o := newProcessOperator[string, string](c, 0, codec.String, p, outlets{main: func(string) {}})
	if err := o.open(start{state: &operatorState{}}); err != nil {
		t.Fatal(err)
	}
	return openedRecorder{o, p}
}

// TestEventTimersFireWithTheWatermark: in order, with the timer's time as timestamp, and those that OnTimer registers
// with them, if they are due.
func TestEventTimersFireWithTheWatermark(t *testing.T) {
	r := &recorder{
		process: func(ctx *ProcessContext[string], key, v string) {
			ctx.RegisterEventTimer(20)
			ctx.RegisterEventTimer(10)
			ctx.RegisterEventTimer(10)
			ctx.RegisterEventTimer(11)
			ctx.DeleteEventTimer(11)
		},
		onTimer: func(ctx *ProcessContext[string], key string, t Timer) {
			if key == "a" && t.At == 10 {
				ctx.RegisterEventTimer(5)
				ctx.RegisterEventTimer(12)
				ctx.RegisterEventTimer(30)
			}
		},
	}
	o := openRecorder(t, r)
	o.process("b")
	o.process("a")
	o.onWatermark(9)
	o.onWatermark(15)
	if o.chain.timestamp != 77 {
		t.Errorf("the timestamp of the record under way is %d behind the timers", o.chain.timestamp)
	}
	o.onWatermark(MaxEventTime)
	end := fmt.Sprint(int64(MaxEventTime))
	want := []string{
		"a at 10, timestamp 10, watermark 15", "a at 5, timestamp 5, watermark 15", "b at 10, timestamp 10, watermark 15",
		"a at 12, timestamp 12, watermark 15",
		"a at 20, timestamp 20, watermark " + end, "b at 20, timestamp 20, watermark " + end, "a at 30, timestamp 30, watermark " + end,
	}
	if !slices.Equal(r.calls, want) || o.chain.err != nil {
		t.Errorf("%q, %v\nwant %q", r.calls, o.chain.err, want)
	}
}

// TestProcessingTimersFireWithTheClock: those that are due, and what they emit has no event time, whatever record was
// under way.
func TestProcessingTimersFireWithTheClock(t *testing.T) {
	r := &recorder{process: func(ctx *ProcessContext[string], _, _ string) {
		ctx.RegisterProcessingTimer(200)
		ctx.RegisterProcessingTimer(100)
		ctx.RegisterEventTimer(50)
		ctx.RegisterProcessingTimer(150)
		ctx.DeleteProcessingTimer(150)
	}}
	o := openRecorder(t, r)
	o.process("a")
	if at, waits := o.nextProcessingTimer(); at != 100 || !waits {
		t.Errorf("the first timer is at %d, %v", at, waits)
	}
	o.fireProcessingTimers(99)
	o.fireProcessingTimers(199)
	none, start := int64(NoTimestamp), int64(MinEventTime)
	if want := []string{fmt.Sprintf("a at 100, timestamp %d, watermark %d", none, start)}; !slices.Equal(r.calls, want) {
		t.Errorf("%q, want %q", r.calls, want)
	}
	if err := o.finish(); err != nil {
		t.Fatal(err)
	}
	if at, waits := o.nextProcessingTimer(); waits {
		t.Errorf("at the end of the input it waits for %d", at)
	}
}

func TestTimersThatCannotBeRegistered(t *testing.T) {
	r := &recorder{process: func(ctx *ProcessContext[string], _, _ string) { ctx.RegisterEventTimer(1) }}
	o := openRecorder(t, noTimers{r})
	if o.process("a"); o.chain.err == nil {
		t.Error("no error without OnTimer")
	}
	o.fireProcessingTimers(100)
	if _, waits := o.nextProcessingTimer(); waits {
		t.Error("it waits for a timer")
	}
}

// windowed counts the records of each key in windows of 20 ms of event time.
type windowed struct {
	ctx    *ProcessContext[string]
	counts *MapState[string, int64, int64]
}

func (w *windowed) Open(ctx *ProcessContext[string]) error {
	w.ctx = ctx
	w.counts = NewMapState(ctx, "counts", codec.Int64, codec.Int64)
	return nil
}

func (w *windowed) Process(_ string, _ string, _ func(string)) error {
	start := int64(w.ctx.Timestamp()) / 20 * 20
	n, _ := w.counts.Get(start)
	w.counts.Put(start, n+1)
	w.ctx.RegisterEventTimer(EventTime(start + 19))
	return nil
}

func (w *windowed) OnTimer(key string, t Timer, emit func(string)) error {
	start := int64(t.At) - 19
	n, found := w.counts.Get(start)
	if !found {
		return fmt.Errorf("no count for the window at %d", start)
	}
	w.counts.Delete(start)
	emit(fmt.Sprintf("%s %d %d", key, start, n))
	return nil
}

func (w *windowed) Finish(func(string)) error { return nil }

// TestI7_EventTimers runs a job with timers through kills and aborted checkpoints: each window comes once, and whole.
func TestI7_EventTimers(t *testing.T) {
	counts := make(map[string]int)
	for v := range 600 {
		counts[fmt.Sprintf("k%d %d", v%7, v/20*20)]++
	}
	var want []string
	for w, n := range counts {
		want = append(want, fmt.Sprint(w, " ", n))
	}
	slices.Sort(want)
	early, killed := 0, 0
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 9))
			out, readers := newLedger[string](), 1+rng.IntN(3)
			g := sealed(t, func(g *Graph) {
				g.SetAutoWatermarkInterval(3 * time.Millisecond)
				nums := From(g, "read", numbers{n: 600, splits: readers, batch: 1 + rng.IntN(20), pace: true}, codec.Int64, Parallelism(readers))
				nums = AssignTimestampsAndWatermarks(nums, "time", MonotonousTimestamps(), func(v int64) EventTime { return EventTime(v) })
				keyed := KeyBy(Map(nums, "name", codec.String, func(v int64) string { return fmt.Sprint("k", v%7) }), codec.String,
					func(k string) string { return k })
				windows := Process(keyed, "count", codec.String,
					func() KeyedProcessor[string, string, string] { return &windowed{} }, Parallelism(1+rng.IntN(4)))
				To(windows, "write", out)
			})
			l := newLeader(t, g, seed, 6)
			l.run()
			killed += l.counts.killed
			if len(out.committed) > 1 {
				early++ // windows were written before the end of the input
			}
			got := sorted(out.output())
			if !slices.Equal(got, want) {
				t.Errorf("seed %d, %+v: %s", seed, l.counts, firstDifference(got, want))
			}
		})
	}
	if early < 15 || killed < 20 {
		t.Errorf("%d runs with windows before the end, %d kills: the test has lost its teeth", early, killed)
	}
}

// ticking emits the time of each timer in processing time, and what it sees of a state with a TTL.
type ticking struct {
	ctx   *ProcessContext[string]
	fresh *ValueState[string, int64]
}

func (p *ticking) Open(ctx *ProcessContext[string]) error {
	p.ctx = ctx
	p.fresh = NewValueState(ctx, "fresh", codec.Int64, TTL(150*time.Millisecond))
	return nil
}

func (p *ticking) Process(_ string, _ string, _ func(string)) error {
	p.fresh.Put(1)
	now := p.ctx.ProcessingTime()
	p.ctx.RegisterProcessingTimer(now.Add(300 * time.Millisecond))
	p.ctx.RegisterProcessingTimer(now.Add(100 * time.Millisecond))
	p.ctx.RegisterProcessingTimer(now.Add(200 * time.Millisecond))
	p.ctx.DeleteProcessingTimer(now.Add(200 * time.Millisecond))
	p.ctx.RegisterProcessingTimer(now.Add(time.Hour)) // the input ends before
	return nil
}

func (p *ticking) OnTimer(key string, t Timer, emit func(string)) error {
	if now := p.ctx.ProcessingTime(); now != t.At {
		return fmt.Errorf("the timer of %s fires at %s", t.At, now)
	}
	if at := p.ctx.Timestamp(); at != NoTimestamp {
		return fmt.Errorf("the timer's records have the timestamp %s", at)
	}
	_, found := p.fresh.Get()
	emit(fmt.Sprint(key, " ", t.At.Time().Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)), " ", found))
	return nil
}

func (p *ticking) Finish(func(string)) error { return nil }

// quiet is a source of one record, which ends after a while in which nothing comes.
type quiet struct{ for_ time.Duration }

type quietReader struct {
	quiet
	numbersReader
	ends time.Time
}

func (s quiet) Open(ctx SourceContext) (SourceReader[int64], error) {
	return &quietReader{quiet: s}, nil
}

func (r *quietReader) Next(emit func(int64)) (ReadStatus, error) {
	if r.ends.IsZero() {
		r.ends = time.Now().Add(r.for_)
		emit(1)
	}
	if !time.Now().Before(r.ends) {
		return End(), nil
	}
	return IdleUntil(r.ends), nil
}

// TestProcessingTimers: the task wakes up for its timers while nothing else happens, to the millisecond, and does not
// wait for those that are left at the end of the input. State with a TTL goes meanwhile.
func TestProcessingTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newLedger[string]()
		g := sealed(t, func(g *Graph) {
			keyed := KeyBy(Map(From(g, "read", quiet{time.Second}, codec.Int64), "name", codec.String, func(int64) string { return "k" }),
				codec.String, func(k string) string { return k })
			To(Process(keyed, "tick", codec.String, func() KeyedProcessor[string, string, string] { return &ticking{} }, Parallelism(2)), "write", out)
		})
		began := time.Now()
		runToEnd(t, g)
		if took := time.Since(began); took > time.Minute {
			t.Errorf("the job took %s: it has waited for a timer behind the end of its input", took)
		}
		got := sorted(out.output()) // both have three digits
		if len(got) != 2 {
			t.Fatalf("%q: want two timers", got)
		}
		for i, suffix := range []string{"ms true", "ms false"} {
			if !strings.HasSuffix(got[i], suffix) {
				t.Errorf("%q, want one that ends in %q", got[i], suffix)
			}
		}
	})
}
