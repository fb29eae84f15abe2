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

// inOrder passes on the numbers of each split, and fails unless they come one after the other.
type inOrder struct {
	splits int
	next   *ValueState[int64, int64]
}

func (o *inOrder) Open(ctx *ProcessContext[int64]) error {
	o.next = NewValueState[int64](ctx, "next", codec.Int64)
	return nil
}

func (o *inOrder) Process(split, v int64, emit func(int64)) error {
	next, restored := o.next.Get()
	if !restored {
		next = split
	}
	if v != next {
		return fmt.Errorf("split %d goes on with %d, want %d", split, v, next)
	}
	o.next.Put(v + int64(o.splits))
	emit(v)
	return nil
}

func (o *inOrder) Finish(func(int64)) error { return nil }

// orderedJob leads the numbers of each split through two exchanges, which have to keep their order.
func orderedJob(t *testing.T, source numbers, out Sink[int64], parallelism int) *Graph {
	t.Helper()
	g := NewGraph()
	s := From(g, "read", source, codec.Int64, Parallelism(2))
	for _, id := range []checkpoint.OperatorID{"first", "second"} {
		keyed := KeyBy(s, codec.Int64, func(v int64) int64 { return v % int64(source.splits) })
		s = Process(keyed, id, codec.Int64, func() KeyedProcessor[int64, int64, int64] { return &inOrder{splits: source.splits} },
			Parallelism(parallelism))
	}
	To(Rebalance(s), "write", out, Parallelism(1))
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestInFlightRecordsKeepTheirOrder restores under back pressure again and again: what was in flight comes before what is
// sent anew, each record once.
func TestInFlightRecordsKeepTheirOrder(t *testing.T) {
	const n, seeds = 400, 40
	var persisted int64
	var killed int
	for seed := range uint64(seeds) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 2))
			out := newLedger[int64]()
			source := numbers{n: n, splits: 1 + rng.IntN(6), batch: 1 + rng.IntN(30)}
			l := newLeader(t, orderedJob(t, source, slowly[int64]{out, 300 * time.Microsecond}, 1+rng.IntN(3)), seed, 8)
			l.alignment = checkpoint.AlignmentUnaligned
			if rng.IntN(2) == 0 {
				l.alignment, l.timeout = checkpoint.AlignmentAdaptive, rand.N(8*time.Millisecond)
			}
			l.tune = append(l.tune, narrow)
			l.run()
			got := out.output()
			slices.Sort(got)
			for v, g := range got {
				if g != int64(v) || len(got) != n {
					t.Fatalf("seed %d: %d numbers, the one at %d is %d", seed, len(got), v, g)
				}
			}
			persisted += l.persisted
			killed += l.counts.killed
		})
	}
	t.Logf("%d kills, %d bytes in flight", killed, persisted)
	if !t.Failed() && (persisted == 0 || killed < seeds) {
		t.Errorf("%d kills, %d bytes in flight: the test has lost its teeth", killed, persisted)
	}
}
