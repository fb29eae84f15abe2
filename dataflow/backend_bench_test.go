package dataflow

import (
	"fmt"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
	"cairn/dataflow/pebblestate"
)

// benchHomes are the backends as nodes have them.
func benchHomes(b *testing.B, bench func(b *testing.B, home rowHome)) {
	b.Run("memory", func(b *testing.B) { bench(b, rowHome{}) })
	b.Run("pebble", func(b *testing.B) {
		backend, err := pebblestate.New(pebblestate.Options{Logger: deadLogger})
		if err != nil {
			b.Fatal(err)
		}
		defer backend.Close()
		bench(b, rowHome{backend: backend, dir: b.TempDir()})
	})
}

// BenchmarkBackendCapture is the synchronous part of a snapshot of a million keys, a thousandth of which has been
// written since the one before. The upload of that is over.
func BenchmarkBackendCapture(b *testing.B) {
	benchHomes(b, func(b *testing.B, home rowHome) {
		store := &keepingStore{memoryStore: newMemoryStore()}
		o, counts := openCounts(b, home, store, checkpoint.SubtaskState{})
		keys := make([]string, 1_000_000)
		for i := range keys {
			keys[i] = fmt.Sprint("key ", i)
			putCount(b, o, counts, keys[i], int64(i))
		}
		var longest, spent time.Duration
		n := 0
		for b.Loop() {
			for i := range len(keys) / 1000 {
				putCount(b, o, counts, keys[(n*1000+i)%len(keys)], int64(n))
			}
			start := time.Now()
			s := captureOperator(b, o, barrier(1))
			took := time.Since(start)
			longest, spent, n = max(longest, took), spent+took, n+1
			uploadSnapshot(b, s, store, 0)
		}
		b.ReportMetric(float64(spent.Microseconds())/float64(n), "sync-µs")
		b.ReportMetric(float64(longest.Microseconds()), "longest-µs")
		closeOperator(b, o)
	})
}

// BenchmarkBackendValue reads and writes the value of one of a million keys.
func BenchmarkBackendValue(b *testing.B) {
	benchHomes(b, func(b *testing.B, home rowHome) {
		o := keyedOperatorIn(home, 0, 1, 128, time.Now)
		var counts *ValueState[string, int64]
		openOperator(b, o, newMemoryStore(), checkpoint.SubtaskState{}, func(ctx *ProcessContext[string]) {
			counts = NewValueState(ctx, "count", codec.Int64)
		})
		keys := make([]string, 1_000_000)
		for i := range keys {
			keys[i] = fmt.Sprint("key ", i)
			putCount(b, o, counts, keys[i], int64(i))
		}
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			i = (i + 7919) % len(keys)
			_ = o.keyed.setKey(keys[i])
			v, _ := counts.Get()
			counts.Put(v + 1)
		}
		closeOperator(b, o)
	})
}

// BenchmarkBackendRestore opens a state of a million keys; half is that of one of two subtasks.
func BenchmarkBackendRestore(b *testing.B) {
	benchHomes(b, func(b *testing.B, home rowHome) {
		store := newMemoryStore()
		o, counts := openCounts(b, home, store, checkpoint.SubtaskState{})
		for i := range 1_000_000 {
			putCount(b, o, counts, fmt.Sprint("key ", i), int64(i))
		}
		state := uploadSnapshot(b, captureOperator(b, o, barrier(1)), store, 0)
		closeOperator(b, o)
		for _, part := range []string{"all", "half"} {
			b.Run(part, func(b *testing.B) {
				if part == "half" {
					state.Handles[0].KeyGroups = checkpoint.RangeOf(0, testGroups, 2)
				}
				for b.Loop() {
					if home.backend != nil {
						home.dir = b.TempDir()
					}
					o, _ := openCounts(b, home, store, state)
					closeOperator(b, o)
				}
			})
		}
	})
}
