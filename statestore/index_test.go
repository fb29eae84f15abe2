package statestore

import (
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/zeebo/blake3"

	"cairn/checkpoint"
)

// The index of a million chunks stays within 140 bytes for each.
func TestIndexMemory(t *testing.T) {
	const chunks = 1_000_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	x := newIndex()
	var n [8]byte
	for i := range uint64(chunks) {
		binary.LittleEndian.PutUint64(n[:], i)
		x.setLoose(checkpoint.ChunkID(blake3.Sum256(n[:])), place{size: 100, stored: 100})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := float64(after.HeapAlloc-before.HeapAlloc) / chunks
	t.Logf("%.0f bytes for a chunk", each)
	if each > 140 {
		t.Errorf("%.0f bytes for a chunk", each)
	}
	if stats := x.stats(); stats != (Stats{Chunks: chunks, Bytes: 100 * chunks, StoredBytes: 100 * chunks}) {
		t.Errorf("%+v", stats)
	}
}
