package dataflow

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// counter counts the records of each key and emits each count, and the total at the end.
type counter struct{ count *ValueState[string, int64] }

func (c *counter) Open(ctx *ProcessContext[string]) error {
	c.count = NewValueState[string](ctx, "count", codec.Int64)
	return nil
}

func (c *counter) Process(key string, _ string, emit func(string)) error {
	n, _ := c.count.Get()
	c.count.Put(n + 1)
	emit(fmt.Sprintf("%s %d", key, n+1))
	return nil
}

func (c *counter) Finish(emit func(string)) error {
	for key, n := range c.count.All() {
		emit(fmt.Sprintf("%s total %d", key, n))
	}
	return nil
}

// countingJob reads numbers, turns each into two words, counts the words, and writes the counts.
func countingJob(t *testing.T, source numbers, out Sink[string], parallelism [3]int) *Graph {
	t.Helper()
	g := NewGraph()
	nums := From(g, "read", source, codec.Int64, Parallelism(parallelism[0]))
	words := FlatMap(nums, "split", codec.String, func(v int64, emit func(string)) {
		emit(fmt.Sprintf("a%d", v%13))
		emit(fmt.Sprintf("b%d", v%7))
	})
	keyed := KeyBy(words, codec.String, func(w string) string { return w })
	counts := Process(keyed, "count", codec.String,
		func() KeyedProcessor[string, string, string] { return &counter{} }, Parallelism(parallelism[1]))
	To(counts, "write", out, Parallelism(parallelism[2]))
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	return g
}

// countingOutput is what the job writes for n numbers, computed without it.
func countingOutput(n int) []string {
	counts := make(map[string]int)
	var want []string
	for v := range n {
		for _, w := range []string{fmt.Sprintf("a%d", v%13), fmt.Sprintf("b%d", v%7)} {
			counts[w]++
			want = append(want, fmt.Sprintf("%s %d", w, counts[w]))
		}
	}
	for w, c := range counts {
		want = append(want, fmt.Sprintf("%s total %d", w, c))
	}
	slices.Sort(want)
	return want
}

// slowly makes every write of a sink take up to the given time, so that queues fill up before it.
type slowly[T any] struct {
	Sink[T]
	most time.Duration
}

func (s slowly[T]) Open(ctx SinkContext) (SinkWriter[T], error) {
	w, err := s.Sink.Open(ctx)
	return &pacedWriter[T]{w, s.most}, err
}

type pacedWriter[T any] struct {
	SinkWriter[T]
	most time.Duration
}

func (w *pacedWriter[T]) Write(v T) error {
	time.Sleep(rand.N(w.most))
	return w.SinkWriter.Write(v)
}

// TestI7_ExactlyOnce runs the job through kills, aborted checkpoints and completions that nobody heard of,
// and compares what was committed with a run that never fails. Half of the runs are under back pressure, so that
// barriers have something to overtake.
func TestI7_ExactlyOnce(t *testing.T) {
	for _, test := range []struct {
		name      string
		alignment checkpoint.Alignment
		timeout   time.Duration
		overtakes bool
	}{
		{"aligned", checkpoint.AlignmentAligned, 0, false},
		{"unaligned", checkpoint.AlignmentUnaligned, 0, true},
		{"adaptive at once", checkpoint.AlignmentAdaptive, 0, true},
		{"adaptive", checkpoint.AlignmentAdaptive, 5 * time.Millisecond, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			const seeds = 60
			want := countingOutput(600)
			var ran, killed, completed, aborted int
			var persisted int64
			for seed := range uint64(seeds) {
				t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						rng := rand.New(rand.NewPCG(seed, 1))
						out := newLedger[string]()
						parallelism := [3]int{1 + rng.IntN(3), 1 + rng.IntN(4), 1 + rng.IntN(3)}
						source := numbers{n: 600, splits: 5, batch: 1 + rng.IntN(30), pace: true}
						l := newLeader(t, countingJob(t, source, out, parallelism), seed, 6)
						if rng.IntN(2) == 0 {
							l.graph = countingJob(t, source, slowly[string]{out, 300 * time.Microsecond}, parallelism)
							l.tune = append(l.tune, narrow)
						}
						l.alignment, l.timeout = test.alignment, test.timeout
						l.run()
						got := out.output()
						slices.Sort(got)
						if !slices.Equal(got, want) {
							t.Errorf("parallelism %v, %+v: %s", parallelism, l.counts, firstDifference(got, want))
						}
						ran++
						killed += l.counts.killed
						completed += l.counts.completed
						aborted += l.counts.aborted
						persisted += l.persisted
					})
				})
			}
			t.Logf("%d kills, %d checkpoints completed, %d aborted, %d bytes in flight", killed, completed, aborted, persisted)
			if ran == seeds && (killed < 60 || completed < 200 || aborted < 60 || test.overtakes != (persisted > 0)) {
				t.Errorf("only %d kills, %d completed and %d aborted checkpoints, %d bytes in flight: the test has lost its teeth",
					killed, completed, aborted, persisted)
			}
		})
	}
}

// TestB9_AtLeastOnceLosesNothing allows duplicates, which come after a restore, and nothing else.
func TestB9_AtLeastOnceLosesNothing(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			out := newLedger[string]()
			g := countingJob(t, numbers{n: 400, splits: 3, batch: 9, pace: true}, out, [3]int{3, 2, 2})
			l := newLeader(t, g, seed, 4)
			l.mode = checkpoint.AtLeastOnce
			l.run()
			got := make(map[string]bool)
			for _, line := range out.output() {
				got[line] = true
			}
			for w, n := range map[string]int{"a0": 31, "b0": 58} {
				for i := 1; i <= n; i++ {
					if !got[fmt.Sprintf("%s %d", w, i)] {
						t.Errorf("seed %d: %s %d is missing", seed, w, i)
					}
				}
			}
		})
	}
}

func firstDifference(got, want []string) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("%d lines, want %d; first difference at %d: %q, want %q", len(got), len(want), i, got[i], want[i])
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(got), len(want))
}
