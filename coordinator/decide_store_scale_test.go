package coordinator

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/zeebo/blake3"

	"cairn/checkpoint"
	"cairn/fsm"
)

// heapInUse returns the bytes that are in use.
func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// bigStore is a leader that knows of so many chunks, each on two of three nodes and named by two checkpoints.
func bigStore(chunks int) (v *storeView, nodes []checkpoint.NodeRef, now time.Time) {
	now = time.UnixMilli(1_000_000)
	v = newStoreView(storePolicy{replicas: 2, repair: DefaultRepair()}, 0, now)
	var facts []nodeFact
	for i := range 3 {
		ref := checkpoint.NodeRef{ID: checkpoint.NodeID(fmt.Sprint("n", i+1)), Incarnation: 1}
		nodes = append(nodes, ref)
		facts = append(facts, nodeFact{id: ref.ID, state: nodeAlive})
		v.OnSession(checkpoint.Hello{Node: ref}, now)
		v.OnInventory(ref, checkpoint.Inventory{First: true})
	}
	v.OnNodes(facts, now)
	const piece = 8192
	for from := 0; from < chunks; from += piece {
		var refs []checkpoint.ChunkRef
		for i := from; i < min(chunks, from+piece); i++ {
			refs = append(refs, checkpoint.ChunkRef{ID: blake3.Sum256(fmt.Append(nil, i)), Size: 64 << 10})
		}
		for at, ref := range nodes {
			var theirs []checkpoint.ChunkRef
			for i, chunk := range refs {
				if i%3 != at {
					theirs = append(theirs, chunk)
				}
			}
			v.OnInventory(ref, checkpoint.Inventory{Chunks: theirs})
		}
		// Manifests are read one after the other: here each names a piece, and two of them the same.
		for range 2 {
			manifest := checkpoint.ChunkRef{ID: blake3.Sum256(fmt.Append(nil, "manifest", from, len(v.names.naming))), Size: 1}
			v.take(v.name(manifest, now), checkpoint.Manifest{Subtasks: []checkpoint.SubtaskState{{Handles: []checkpoint.Handle{{Chunks: refs}}}}}, now)
		}
	}
	for _, ref := range nodes {
		v.OnInventory(ref, checkpoint.Inventory{Last: true})
	}
	now = now.Add(2 * time.Minute)
	v.survey(now)
	return v, nodes, now
}

// All that a leader remembers of a million chunks, each on two of three nodes and named by two checkpoints, takes less
// than 200 MB, and neither saying how the store is nor planning repair takes long.
func TestAMillionChunks(t *testing.T) {
	if testing.Short() || underRace {
		t.Skip("takes seconds and 200 MB, and measures")
	}
	const chunks = 1_000_000
	before := heapInUse()
	v, nodes, now := bigStore(chunks)
	used := heapInUse() - before
	measure := func(what string, most time.Duration, f func()) {
		began := time.Now()
		f()
		took := time.Since(began)
		t.Logf("%s: %s", what, took)
		if took > most {
			t.Errorf("%s took %s", what, took)
		}
	}
	t.Logf("%.0f MB, %d bytes for each chunk", float64(used)/1e6, used/chunks)
	if used > 200e6 {
		t.Errorf("what is known of a million chunks takes %d bytes", used)
	}
	measure("status", 10*time.Millisecond, func() {
		if s := v.status(now); s.Chunks < chunks {
			t.Errorf("%+v", s)
		}
	})
	measure("nothing to repair", 100*time.Millisecond, func() { v.survey(now) })
	v.OnSessionClosed(nodes[0], now)
	v.OnNodes([]nodeFact{{id: "n1", state: nodeLost}}, now)
	now = now.Add(2 * time.Minute)
	measure("two thirds to repair: looking at all", 3*time.Second, func() { v.survey(now) })
	measure("two thirds to repair: planning", time.Second, func() {
		if len(decideStore(v, now)) == 0 {
			t.Error("nothing is ordered")
		}
	})
	measure("holdings", 3*time.Second, func() {
		if h := v.holdings(now); len(h.Chunks) < chunks {
			t.Errorf("%d chunks are held", len(h.Chunks))
		}
	})
	measure("a checkpoint of a tenth of it goes", 3*time.Second, func() {
		var live fsm.Live
		for _, n := range v.names.naming {
			if live.Manifests = append(live.Manifests, n.ref); len(live.Manifests) >= len(v.names.naming)*9/10 {
				break
			}
		}
		v.OnLive(live, now)
	})
	runtime.KeepAlive(v)
}
