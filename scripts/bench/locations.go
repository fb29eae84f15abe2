package main

import (
	"context"
	"fmt"
	"runtime"

	"cairn/checkpoint"
	"cairn/placement"
)

// storeNodes are the nodes of the large state stores that are made up here. Each chunk is on two of them.
var storeNodes = []checkpoint.NodeID{"n1", "n2", "n3"}

// measureLocations has an index take in all that a leader is told of a million chunks, and weighs it.
func measureLocations(ctx context.Context, b *bench) error {
	const chunks = 1_000_000
	refs := make([]checkpoint.ChunkRef, chunks)
	for i := range refs {
		refs[i] = checkpoint.ChunkRef{ID: chunkNamed(i), Size: 64 << 10}
	}
	var heap sample
	for range choose(b, 1, 3) {
		if err := ctx.Err(); err != nil {
			return err
		}
		before := heapInUse()
		index, named := locationsOf(refs, 2)
		heap = append(heap, float64(heapInUse()-before)/1e6)
		if index.Len() != chunks {
			return fmt.Errorf("the index knows of %d chunks, of %d", index.Len(), chunks)
		}
		runtime.KeepAlive(named)
	}
	b.add(valueOf("location index, 1,000,000 chunks twice on 3 nodes", heap, "MB").with(valueBelow(200, "MB")))
	return nil
}

// locationsOf returns what a leader knows when each node has told what it holds, and so many manifests have been read
// that name everything; of each it keeps what it names.
func locationsOf(refs []checkpoint.ChunkRef, manifests int) (index *placement.Index, named [][]placement.Number) {
	index = placement.NewIndex()
	for at, node := range storeNodes {
		index.BeginList(node)
		for i, ref := range refs {
			if i%len(storeNodes) != at {
				index.Add(node, ref)
			}
		}
		index.EndList(node)
	}
	for range manifests {
		numbers := make([]placement.Number, len(refs))
		for i, ref := range refs {
			numbers[i] = index.Need(ref, storeNodes[(i+1)%len(storeNodes)], 0)
			index.Judge(numbers[i], 0)
		}
		named = append(named, numbers)
	}
	return index, named
}

// chunkNamed returns the name of a chunk that nobody has.
func chunkNamed(i int) (id checkpoint.ChunkID) {
	copy(id[:], noise(uint64(i), len(id)))
	return id
}

// heapInUse returns the bytes of memory that are reachable.
func heapInUse() uint64 {
	runtime.GC()
	runtime.GC() // the second one frees what finalizers and pools have held
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
