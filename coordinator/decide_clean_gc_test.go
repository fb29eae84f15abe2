package coordinator

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"cairn/checkpoint"
)

// chunkNamed returns a chunk whose ID is spread like a hash.
func chunkNamed(n int) (id checkpoint.ChunkID) {
	binary.BigEndian.PutUint64(id[:], uint64(n+1)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(id[8:], uint64(n))
	return id
}

// gcWorld is a small random input of PlanGC, and what is where.
func gcWorld(rng *rand.Rand) (in GCInput, where map[checkpoint.NodeID][]checkpoint.ChunkID) {
	const pool = 40
	id := func() checkpoint.ChunkID {
		if rng.IntN(4) == 0 {
			return checkpoint.ChunkID{byte(rng.IntN(pool))} // bunched together: no hash does that, and it must work all the same
		}
		return chunkNamed(rng.IntN(pool))
	}
	list := func(n int) (ids []checkpoint.ChunkID) {
		for range rng.IntN(n) {
			ids = append(ids, id())
		}
		return ids
	}
	in.Named = [][]checkpoint.ChunkID{list(10), list(10), nil}
	in.Discarded = [][]checkpoint.ChunkID{list(10), list(10)}
	in.Manifests, in.Shared = list(4), list(10)
	in.Held = sorted([][]checkpoint.ChunkID{list(2 * pool)})
	in.Replicas = rng.IntN(3)
	in.Members = []checkpoint.NodeID{"n1", "n2", "n3"}
	where, in.Extra = make(map[checkpoint.NodeID][]checkpoint.ChunkID), make(map[checkpoint.NodeID][]checkpoint.ChunkID)
	for _, node := range []checkpoint.NodeID{"n1", "n2", "n3", "n4"} {
		for _, c := range in.Held {
			if rng.IntN(3) > 0 {
				where[node] = append(where[node], c)
			}
			if rng.IntN(3) == 0 {
				in.Extra[node] = append(in.Extra[node], c)
			}
		}
	}
	in.Locate = func(ids []checkpoint.ChunkID) map[checkpoint.NodeID][]checkpoint.ChunkID {
		found := make(map[checkpoint.NodeID][]checkpoint.ChunkID)
		for node, holds := range where {
			for _, c := range ids {
				if slices.Contains(holds, c) {
					found[node] = append(found[node], c)
				}
			}
		}
		return found
	}
	return in, where
}

// I5: what is named stays, with copies enough; what is not goes from wherever it is.
func TestU8_PlanGC(t *testing.T) {
	trimmed, orphans := 0, 0
	for seed := range uint64(3000) {
		in, where := gcWorld(rand.New(rand.NewPCG(seed, 1)))
		p := PlanGC(in)
		if err := checkGC(in, where, p); err != nil {
			t.Fatalf("seed %d: %v\ninput %+v\nplan %+v", seed, err, in, p)
		}
		trimmed, orphans = trimmed+p.Trimmed, orphans+p.Orphans
	}
	if trimmed < 1000 || orphans < 1000 {
		t.Fatalf("%d copies were trimmed and %d orphans found: the test shows little", trimmed, orphans)
	}
}

// checkGC compares a plan with what the words say.
func checkGC(in GCInput, where map[checkpoint.NodeID][]checkpoint.ChunkID, p GCPlan) error {
	named := make(map[checkpoint.ChunkID]bool)
	for _, id := range slices.Concat(in.Named...) {
		named[id] = true
	}
	everywhere := make(map[checkpoint.ChunkID]bool)
	for _, id := range slices.Concat(p.Chunks, p.Manifests) {
		if named[id] || everywhere[id] {
			return fmt.Errorf("chunk %x is named (%t) or goes twice", id[:2], named[id])
		}
		everywhere[id] = true
	}
	for _, id := range slices.Concat(slices.Concat(in.Discarded...), in.Manifests, in.Shared) {
		if !named[id] && !everywhere[id] {
			return fmt.Errorf("chunk %x stays", id[:2])
		}
	}
	for _, id := range in.Manifests {
		if slices.Contains(p.Chunks, id) {
			return fmt.Errorf("manifest %x goes too early", id[:2])
		}
	}
	left := make(map[checkpoint.ChunkID]int)
	for node, holds := range where {
		for _, id := range holds {
			switch gone := slices.Contains(p.Copies[node], id); {
			case !slices.Contains(in.Members, node):
				if gone {
					return fmt.Errorf("node %s is no member", node)
				}
			case !gone && !everywhere[id] && !named[id]:
				return fmt.Errorf("orphan %x stays on %s", id[:2], node)
			case !gone:
				left[id]++
			case everywhere[id]:
				return fmt.Errorf("chunk %x goes twice", id[:2])
			case named[id] && !slices.Contains(in.Extra[node], id):
				return fmt.Errorf("chunk %x is trimmed on %s, where it is not too many", id[:2], node)
			}
		}
	}
	for node, gone := range p.Copies {
		for _, id := range gone {
			if named[id] && (left[id] < in.Replicas || in.Replicas == 0) {
				return fmt.Errorf("chunk %x is trimmed on %s, and %d copies are left", id[:2], node, left[id])
			}
		}
		if !slices.IsSortedFunc(gone, compareChunks) {
			return fmt.Errorf("the list of %s has no order", node)
		}
	}
	return nil
}

// millionChunks is a store of n chunks on three nodes, two copies of each, of which three retained checkpoints name
// nearly all, and one in a thousand is an orphan.
func millionChunks(n int) GCInput {
	in := GCInput{Replicas: 2, Members: []checkpoint.NodeID{"n1", "n2", "n3"}, Held: make([]checkpoint.ChunkID, n)}
	for i := range n {
		in.Held[i] = chunkNamed(i)
	}
	for m := range 3 {
		var names []checkpoint.ChunkID
		for i := range n {
			if i%1000 != 0 && i%10 != m {
				names = append(names, in.Held[i])
			}
		}
		in.Named = append(in.Named, sorted([][]checkpoint.ChunkID{names}))
	}
	slices.SortFunc(in.Held, compareChunks)
	in.Locate = func(ids []checkpoint.ChunkID) map[checkpoint.NodeID][]checkpoint.ChunkID {
		return map[checkpoint.NodeID][]checkpoint.ChunkID{"n1": ids, "n2": ids}
	}
	return in
}

// BenchmarkPlanGC plans a full sweep of a million chunks.
func BenchmarkPlanGC(b *testing.B) {
	in := millionChunks(1_000_000)
	b.ReportAllocs()
	for b.Loop() {
		if p := PlanGC(in); p.Orphans != 1000 {
			b.Fatalf("%d orphans", p.Orphans)
		}
	}
}

// Planning needs little beside what it is given, and no time that anybody would notice.
func TestPlanGCOfAMillionChunks(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some memory")
	}
	in := millionChunks(200_000)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begun := time.Now()
	p := PlanGC(in)
	took := time.Since(begun)
	runtime.ReadMemStats(&after)
	if p.Orphans != 200 || len(p.Copies["n1"]) != 200 || len(slices.Collect(maps.Keys(p.Copies))) != 2 {
		t.Fatalf("%d orphans", p.Orphans)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 4<<20 || took > 10*time.Second {
		t.Errorf("it took %s and %d bytes", took, allocated)
	}
}
