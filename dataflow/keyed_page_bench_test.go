package dataflow

import (
	"context"
	"runtime"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// benchKeys is the number of keys of the benchmarks below, and benchKey an order of them that no cache foresees.
const benchKeys = 1_000_000

func benchKey(i int) uint64 { return uint64(i) * 7_368_787 % benchKeys }

// openMemoryCounts returns the counts of a subtask that has half of 128 key groups, and as many keys of them.
func openMemoryCounts(b *testing.B) (s *keyedState[uint64], counts *ValueState[uint64, int64], keys []uint64) {
	b.Helper()
	s = newKeyedState(codec.Uint64, checkpoint.RangeOf(0, 128, 2), 128, time.Now)
	ctx := &ProcessContext[uint64]{keyed: s}
	counts = NewValueState(ctx, "count", codec.Int64)
	if ctx.err != nil {
		b.Fatal(ctx.err)
	}
	keys = make([]uint64, 0, benchKeys)
	for i := range benchKeys {
		if k := benchKey(i); s.setKey(k) == nil {
			keys = append(keys, k)
		}
	}
	before := heapInUse()
	for _, k := range keys {
		count(b, s, counts, k)
	}
	b.ReportMetric(float64(heapInUse()-before)/float64(len(keys)), "B/key")
	return s, counts, keys
}

func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func count(b *testing.B, s *keyedState[uint64], counts *ValueState[uint64, int64], key uint64) {
	if err := s.setKey(key); err != nil {
		b.Fatal(err)
	}
	n, _ := counts.Get()
	counts.Put(n + 1)
}

// BenchmarkMemoryCount counts a record of one of half a million keys.
func BenchmarkMemoryCount(b *testing.B) {
	s, counts, keys := openMemoryCounts(b)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		count(b, s, counts, keys[i%len(keys)])
	}
}

// BenchmarkMemorySnapshot is all the work of a snapshot of half a million keys: by the upload alone, and by the task
// alone, which writes to every key before the upload begins. The time of as many records without a snapshot is taken off.
func BenchmarkMemorySnapshot(b *testing.B) {
	for _, who := range []string{"upload", "task"} {
		b.Run(who, func(b *testing.B) {
			s, counts, keys := openMemoryCounts(b)
			write := func() (first, all time.Duration) {
				start := time.Now()
				for i, k := range keys {
					if i == 10_000 {
						first = time.Since(start)
					}
					count(b, s, counts, k)
				}
				return first, time.Since(start)
			}
			var behind, spent time.Duration
			for b.Loop() {
				firstBefore, before := write()
				start := time.Now()
				c := s.capture()
				if who == "task" {
					first, all := write()
					behind += first - firstBefore
					spent += all - before
					start = time.Now()
				}
				w := &chunkWriter{ctx: context.Background(), store: discardingStore{}}
				if err := w.writeKeyed(c); err != nil {
					b.Fatal(err)
				}
				if err := w.flush(); err != nil {
					b.Fatal(err)
				}
				spent += time.Since(start)
			}
			b.ReportMetric(float64(behind.Microseconds())/float64(b.N), "first-10000-µs")
			b.ReportMetric(float64(spent.Microseconds())/float64(b.N), "snapshot-µs")
		})
	}
}

// discardingStore stores nothing.
type discardingStore struct{ ChunkStore }

func (discardingStore) Put(context.Context, []byte) (checkpoint.ChunkRef, error) {
	return checkpoint.ChunkRef{}, nil
}
