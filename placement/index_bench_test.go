package placement

import (
	"runtime"
	"testing"
	"time"

	"cairn/checkpoint"
)

const million = 1_000_000

// heap returns the bytes that are in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A million chunks on two of three nodes each, all needed, take less than 200 MB.
func TestIndexOfAMillionChunks(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second and 200 MB")
	}
	before := heap()
	x, needed := manyChunks(million)
	used := heap() - before
	t.Logf("%d chunks: %.0f MB, %d bytes each", x.Len(), float64(used)/1e6, used/million)
	if used > 200e6 {
		t.Errorf("the index of a million chunks takes %d bytes", used)
	}
	runtime.KeepAlive(needed)
}

func BenchmarkIndexMillion(b *testing.B) {
	before := heap()
	x, needed := manyChunks(million)
	b.ReportMetric(float64(heap()-before)/1e6, "MB")
	b.Run("add", func(b *testing.B) {
		for i := range b.N {
			x.Add(testNodeIDs[i%3], checkpoint.ChunkRef{ID: numbered(i % million), Size: 4096})
		}
	})
	b.Run("groups", func(b *testing.B) {
		for range b.N {
			for range x.Groups() {
			}
		}
	})
	b.Run("scan", func(b *testing.B) {
		groups := make([]bool, x.NumGroups())
		began := time.Now()
		for range b.N {
			for range x.JudgedIn(groups) {
			}
		}
		b.ReportMetric(float64(time.Since(began).Nanoseconds())/float64(b.N)/million, "ns/chunk")
	})
	b.Run("list", func(b *testing.B) {
		for range b.N {
			x.BeginList("n1")
			for i := range million {
				if i%3 != 1 {
					x.Add("n1", checkpoint.ChunkRef{ID: numbered(i), Size: 4096})
				}
			}
			x.EndList("n1")
		}
	})
	runtime.KeepAlive(needed)
}

func BenchmarkOrder(b *testing.B) {
	nodes := []Node{{ID: "n1"}, {ID: "n2"}, {ID: "n3"}, {ID: "n4"}, {ID: "n5"}}
	for i := range b.N {
		Order(numbered(i), nodes, nil)
	}
}
