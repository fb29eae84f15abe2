package dataflow

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// A tap is called for every record that an operator takes in, and changes nothing by being there.
func TestTapSeesEveryRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		seen := make(map[checkpoint.OperatorID]int)
		out := newLedger[int64]()
		g := sealed(t, func(g *Graph) {
			g.SetTap(func(_ checkpoint.SubtaskID, o checkpoint.OperatorID) {
				mu.Lock()
				defer mu.Unlock()
				seen[o]++
			})
			a := From(g, "a", numbers{n: 60, splits: 2, batch: 7}, codec.Int64, Parallelism(2))
			even := Filter(a, "even", func(v int64) bool { return v%2 == 0 })
			To(Rebalance(Union(even, even)), "write", out)
		})
		runToEnd(t, g)
		if seen["a"] != 0 || seen["even"] != 60 || seen["write"] != 60 || len(out.output()) != 60 {
			t.Errorf("the tap has seen %v of %d records", seen, len(out.output()))
		}
	})
}

// What a tap does, the operator seems to do.
func TestTapThatPanics(t *testing.T) {
	g := passingJob(t, numbers{n: 10, splits: 1, batch: 10}, func(v int64) int64 { return v }, newLedger[int64]())
	g.SetTap(func(s checkpoint.SubtaskID, o checkpoint.OperatorID) {
		if o == "pass" && s.Index == 0 {
			panic("tapped")
		}
	})
	r := failureOf(t, g, newMemoryStore(), 0, nil)
	if m := r.Failure.Message; !strings.Contains(m, "operator pass, subtask read[0]") || !strings.Contains(m, "panic: tapped") {
		t.Errorf("the failure is %q", m)
	}
}
