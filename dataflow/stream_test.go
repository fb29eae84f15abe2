package dataflow

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// runToEnd runs a sealed graph until its final checkpoint has completed.
func runToEnd(t *testing.T, g *Graph) {
	t.Helper()
	l := newLeader(t, g, 1, 0)
	l.run()
}

func sealed(t *testing.T, build func(*Graph)) *Graph {
	t.Helper()
	g := NewGraph()
	build(g)
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	return g
}

func sorted[T int64 | string](values []T) []T {
	slices.Sort(values)
	return values
}

func TestUnion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newLedger[int64]()
		g := sealed(t, func(g *Graph) {
			a := From(g, "a", numbers{n: 50, splits: 2, batch: 7}, codec.Int64, Parallelism(2))
			b := From(g, "b", numbers{n: 30, splits: 1, batch: 7}, codec.Int64)
			negated := Map(b, "negate", codec.Int64, func(v int64) int64 { return -1 - v })
			To(Union(a, negated, a), "write", out, Parallelism(2))
		})
		runToEnd(t, g)
		var want []int64
		for v := range int64(50) {
			want = append(want, v, v)
		}
		for v := range int64(30) {
			want = append(want, -1-v)
		}
		if got := sorted(out.output()); !slices.Equal(got, sorted(want)) {
			t.Errorf("%d records, want %d: %v", len(got), len(want), got)
		}
	})
}

func TestBroadcastReachesEverySubtask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newLedger[int64]()
		runToEnd(t, sealed(t, func(g *Graph) {
			To(Broadcast(From(g, "a", numbers{n: 40, splits: 1, batch: 7}, codec.Int64)), "write", out, Parallelism(3))
		}))
		count := make(map[int]int)
		for _, tx := range out.committed {
			count[tx.owner] += len(tx.records)
		}
		for subtask := range 3 {
			if count[subtask] != 40 {
				t.Errorf("subtask %d received %d of 40", subtask, count[subtask])
			}
		}
	})
}

func TestPartitionCustom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newLedger[int64]()
		runToEnd(t, sealed(t, func(g *Graph) {
			s := From(g, "a", numbers{n: 60, splits: 1, batch: 7}, codec.Int64)
			s = PartitionCustom(s, func(v int64, parallelism int) int { return parallelism - 1 - int(v)%parallelism })
			To(s, "write", out, Parallelism(4))
		}))
		for _, tx := range out.committed {
			for _, v := range tx.records {
				if want := 3 - int(v)%4; tx.owner != want {
					t.Errorf("%d went to subtask %d, want %d", v, tx.owner, want)
				}
			}
		}
		if n := len(out.output()); n != 60 {
			t.Errorf("%d records, want 60", n)
		}
	})
}

func TestPartitionOutOfRangeFailsTheTask(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := sealed(t, func(g *Graph) {
			s := From(g, "read", numbers{n: 60, splits: 1, batch: 7}, codec.Int64)
			To(PartitionCustom(s, func(int64, int) int { return 2 }), "write", newLedger[int64](), Parallelism(2))
		})
		a := startAttempt(t, g, 1, newMemoryStore(), 0, nil)
		defer a.stop()
		for e := range a.events {
			if r, is := e.(checkpoint.SubtaskReport); is && r.Status == checkpoint.SubtaskFailed && !r.Failure.Secondary {
				if !strings.Contains(r.Failure.Message, "operator read") || !strings.Contains(r.Failure.Message, "subtask 2 of 2") {
					t.Error(r.Failure.Message)
				}
				return
			}
		}
	})
}

var oddTag = NewOutputTag("odd", codec.String)

// parity passes even numbers on, and emits odd ones with a tag.
type parity struct{ odd func(string) }

func (p *parity) Open(ctx *ProcessContext[int64]) error {
	p.odd = SideEmitter(ctx, oddTag)
	return nil
}

func (p *parity) Process(_ int64, v int64, emit func(int64)) error {
	if v%2 == 0 {
		emit(v)
	} else {
		p.odd(fmt.Sprint("odd ", v))
	}
	return nil
}

func (p *parity) Finish(func(int64)) error { return nil }

func newParity() KeyedProcessor[int64, int64, int64] { return &parity{} }

func TestSideOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		even, chained, exchanged := newLedger[int64](), newLedger[string](), newLedger[string]()
		runToEnd(t, sealed(t, func(g *Graph) {
			s := From(g, "a", numbers{n: 20, splits: 2, batch: 3}, codec.Int64)
			s = Process(KeyBy(s, codec.Int64, identity), "parity", codec.Int64, newParity, Parallelism(2))
			To(s, "even", even)
			To(SideOutput(s, oddTag), "odd", chained)
			To(SideOutput(s, oddTag), "odd elsewhere", exchanged, Parallelism(1))
		}))
		if n := len(even.output()); n != 10 {
			t.Errorf("%d even numbers, want 10", n)
		}
		if a, b := sorted(chained.output()), sorted(exchanged.output()); len(a) != 10 || a[0] != "odd 1" || !slices.Equal(a, b) {
			t.Errorf("odd numbers: %v and %v", a, b)
		}
	})
}

func TestSideOutputThatNobodyReadsIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := newLedger[int64]()
		runToEnd(t, sealed(t, func(g *Graph) {
			s := From(g, "a", numbers{n: 20, splits: 2, batch: 3}, codec.Int64)
			To(Process(KeyBy(s, codec.Int64, identity), "parity", codec.Int64, newParity), "even", out)
		}))
		if n := len(out.output()); n != 10 {
			t.Errorf("%d even numbers, want 10", n)
		}
	})
}

func TestStreamsThatDoNotFit(t *testing.T) {
	read := func(g *Graph, id checkpoint.OperatorID, opts ...Option) Stream[int64] {
		return From(g, id, numbers{}, codec.Int64, opts...)
	}
	for want, build := range map[string]func(*Graph){
		"forwarded to from a, but their parallelism is 3 and 2": func(g *Graph) {
			To(Forward(read(g, "a", Parallelism(2))), "b", newLedger[int64](), Parallelism(3))
		},
		"belong to different graphs": func(g *Graph) {
			To(Union(read(g, "a"), read(NewGraph(), "b")), "c", newLedger[int64]())
		},
		"partition the union": func(g *Graph) {
			To(Union(read(g, "a"), Rebalance(read(g, "b"))), "c", newLedger[int64]())
		},
		`side output "odd" is read as string and as int64`: func(g *Graph) {
			s := read(g, "a")
			To(SideOutput(s, oddTag), "b", newLedger[string]())
			To(SideOutput(s, NewOutputTag("odd", codec.Int64)), "c", newLedger[int64]())
		},
		"out-of-orderness -1s": func(g *Graph) {
			s := AssignTimestampsAndWatermarks(read(g, "a"), "t", BoundedOutOfOrderness(-time.Second), func(int64) EventTime { return 0 })
			To(s, "b", newLedger[int64]())
		},
		"operator w: its input from a has no event time": func(g *Graph) {
			keyed := KeyBy(read(g, "a"), codec.Int64, identity)
			To(ReduceWindow(Window(keyed, TumblingWindows(time.Second, 0)), "w", func(a, b int64) int64 { return a + b }), "b", newLedger[int64]())
		},
		"watermark interval 0s": func(g *Graph) {
			g.SetAutoWatermarkInterval(0)
			To(read(g, "a"), "b", newLedger[int64]())
		},
	} {
		g := NewGraph()
		build(g)
		if err := g.Seal(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// witness is an operator that notes what it sees of event time.
type witness struct {
	stateless
	mu   sync.Mutex
	seen []string
	last EventTime
}

func (w *witness) onWatermark(t EventTime) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.last = t
	w.seen = append(w.seen, fmt.Sprint("watermark ", int64(t)))
}

// witnessed adds an operator that fails the test when a record comes after a watermark that excludes it.
func witnessed(t *testing.T, s Stream[int64], id checkpoint.OperatorID, w *witness, opts ...Option) Stream[int64] {
	return transform(s, id, codec.Int64, func(c *chain, at int, outs outlets) (operator, []any) {
		emit := mainOutput[int64](outs)
		return w, oneInput(func(v int64) {
			w.mu.Lock()
			if c.timestamp != EventTime(v*10) {
				t.Errorf("%s: record %d has the event time %d", id, v, c.timestamp)
			}
			if c.timestamp <= w.last {
				t.Errorf("%s: record %d at %d comes after the watermark %d", id, v, c.timestamp, w.last)
			}
			w.seen = append(w.seen, fmt.Sprint("record ", v))
			w.mu.Unlock()
			emit(v)
		})
	}, opts)
}

// Event times and watermarks travel through chains and exchanges: a watermark stays behind the records that it follows,
// is the minimum of its inputs, and comes to its end with the input.
func TestEventTimeTravels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chained, behind := &witness{last: MinEventTime}, &witness{last: MinEventTime}
		out := newLedger[int64]()
		g := sealed(t, func(g *Graph) {
			g.SetAutoWatermarkInterval(5 * time.Millisecond)
			tenfold := func(v int64) EventTime { return EventTime(v * 10) }
			a := From(g, "a", numbers{n: 300, splits: 1, batch: 3, pace: true}, codec.Int64)
			a = AssignTimestampsAndWatermarks(a, "times of a", MonotonousTimestamps(), tenfold)
			a = witnessed(t, a, "chained", chained)
			b := From(g, "b", numbers{n: 200, splits: 1, batch: 1, pace: true}, codec.Int64)
			b = AssignTimestampsAndWatermarks(b, "times of b", BoundedOutOfOrderness(20*time.Millisecond), tenfold)
			To(witnessed(t, Rebalance(Union(a, b)), "behind", behind), "write", out)
		})
		runToEnd(t, g)
		if n := len(out.output()); n != 500 {
			t.Errorf("%d records, want 500", n)
		}
		for name, w := range map[string]*witness{"chained": chained, "behind": behind} {
			watermarks := 0
			for _, s := range w.seen {
				if strings.HasPrefix(s, "watermark") {
					watermarks++
				}
			}
			if watermarks < 10 || w.last != MaxEventTime {
				t.Errorf("%s: %d watermarks, the last is %v", name, watermarks, w.last)
			}
		}
	})
}

// An idle input is not waited for.
func TestIdleInputDoesNotHoldTimeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &witness{last: MinEventTime}
		g := sealed(t, func(g *Graph) {
			g.SetAutoWatermarkInterval(5 * time.Millisecond)
			tenfold := func(v int64) EventTime { return EventTime(v * 10) }
			busy := From(g, "busy", numbers{n: 1 << 30, splits: 1, batch: 1, pace: true}, codec.Int64)
			busy = AssignTimestampsAndWatermarks(busy, "times", MonotonousTimestamps(), tenfold)
			silent := From(g, "silent", silence{}, codec.Int64)
			silent = AssignTimestampsAndWatermarks(silent, "no times", MonotonousTimestamps().WithIdleness(50*time.Millisecond), tenfold)
			To(witnessed(t, Rebalance(Union(busy, silent)), "behind", w), "write", newLedger[int64]())
		})
		a := startAttempt(t, g, 1, newMemoryStore(), 0, nil)
		defer a.stop()
		advanced := func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.last > MinEventTime
		}
		for range 1000 {
			if time.Sleep(time.Millisecond); advanced() { // virtual time passes
				return
			}
		}
		t.Error("event time has not advanced within a second of virtual time")
	})
}

// silence is a source that has nothing to say and does not end.
type silence struct{}

func (silence) Open(SourceContext) (SourceReader[int64], error) { return silence{}, nil }
func (silence) Next(func(int64)) (ReadStatus, error)            { return IdleOn(nil), nil }
func (silence) Snapshot() ([][]byte, error)                     { return nil, nil }
func (silence) Position() string                                { return "nowhere" }
func (silence) Close() error                                    { return nil }
