package coordinator

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"cairn/checkpoint"
)

// settledWorld has three nodes that have told what they hold to a leader that has led for two minutes.
func settledWorld(t testing.TB) *storeWorld {
	w := newStoreWorld(t, 2, "n1", "n2", "n3")
	w.pass(2 * time.Minute)
	return w
}

// kept completes a checkpoint with a new chunk on nodes, and waits until it is judged.
func (w *storeWorld) kept(on ...checkpoint.NodeID) checkpoint.ChunkRef {
	ref := w.chunk()
	w.put(ref, on...)
	w.complete(on[0], ref)
	w.pass(namedGrace + 2*time.Second)
	return ref
}

// The copies of a lost node are made elsewhere after the repair delay, and not before.
func TestRepairAfterTheDelay(t *testing.T) {
	w := settledWorld(t)
	ref := w.kept("n1", "n2")
	w.wantOrders(0)
	w.lose("n2")
	w.pass(55 * time.Second)
	w.wantOrders(0)
	if s := w.view.status(w.now); s.UnderReplicated.Chunks != 1 || s.UnderReplicated.Bytes != ref.Size || s.Lost.Chunks != 0 {
		t.Fatalf("under-replicated %+v, lost %+v", s.UnderReplicated, s.Lost)
	}
	w.pass(10 * time.Second)
	w.wantOn(ref, "n1", "n3")
	w.wantOrders(1)
	if got := w.orders[0]; got.node != "n3" || !slices.Equal(got.from, []checkpoint.NodeID{"n1"}) {
		t.Fatalf("ordered %+v", got)
	}
	w.pass(time.Minute)
	w.wantOrders(1)
	if s := w.view.status(w.now); s.UnderReplicated.Chunks != 0 || s.Repairing.Chunks != 0 {
		t.Fatalf("after the repair: %+v", s)
	}
}

// A node that comes back within the delay costs no copy, though it tells of its chunks only piece by piece.
func TestReturningNodeCostsNoCopy(t *testing.T) {
	w := settledWorld(t)
	for range 20 {
		w.kept("n1", "n2")
	}
	w.lose("n2")
	w.pass(50 * time.Second)
	w.start("n2")
	w.pass(5 * time.Minute)
	w.wantOrders(0)
}

// A node that comes back with an empty disk is missed at once: what it had is known.
func TestWipedNodeIsRepairedAtOnce(t *testing.T) {
	w := settledWorld(t)
	ref := w.kept("n1", "n2")
	w.lose("n2")
	w.wipe("n2")
	w.pass(10 * time.Second)
	w.start("n2")
	w.pass(10 * time.Second)
	if got := w.on(ref.ID); len(got) != 2 {
		t.Fatalf("the chunk is on %v", got)
	}
}

// A damaged copy is replaced at once: by a leader that leads for long, and by a new one, which holds nothing else for
// missing yet, not even while somebody has not told what he holds.
func TestCorruptCopyIsReplacedAtOnce(t *testing.T) {
	for _, test := range []string{"settled", "new leader", "a node that has not told"} {
		t.Run(test, func(t *testing.T) {
			w := settledWorld(t)
			ref, other := w.kept("n1", "n2"), w.kept("n1", "n2")
			switch test {
			case "new leader":
				w.elect()
				w.pass(10 * time.Second)
			case "a node that has not told":
				w.nodes["n3"].silent = true
				w.lose("n3")
				w.start("n3")
				w.pass(10 * time.Second)
			}
			w.corrupt("n2", ref.ID)
			w.pass(3 * time.Second)
			if got := w.on(ref.ID); len(got) != 2 {
				t.Fatalf("the chunk is on %v", got)
			}
			w.wantOrders(1)
			w.wantOn(other, "n1", "n2")
		})
	}
}

// What merely has not been reported is not missing: neither to a new leader, whose nodes may come, nor while a living node
// has not told all.
func TestUnreportedIsNotMissing(t *testing.T) {
	w := settledWorld(t)
	w.kept("n1", "n2")
	w.lose("n2")
	w.elect()
	w.pass(59 * time.Second)
	w.wantOrders(0)
	w.start("n2")
	w.pass(5 * time.Minute)
	w.wantOrders(0)

	w.nodes["n2"].silent = true
	w.elect()
	w.pass(5 * time.Minute)
	w.wantOrders(0)
	if problems := w.view.problems(w.now); len(problems) > 0 {
		t.Fatalf("it complains of what it does not know: %v", problems)
	}
}

// A node that lives and never tells what it holds, in session after session, keeps the others' chunks from nothing for
// ever: neither from being repaired, nor from being listed. It is named.
func TestNodeThatNeverTellsIsNotWaitedForForEver(t *testing.T) {
	w := settledWorld(t)
	ref := w.kept("n1", "n2")
	w.lose("n3")
	w.nodes["n3"].silent = true
	w.start("n3")
	w.nodes["n4"] = &diskNode{ref: checkpoint.NodeRef{ID: "n4", Incarnation: 1}, disk: make(map[checkpoint.ChunkID]checkpoint.ChunkRef), up: true}
	w.open("n4")
	w.pass(inventoryPatience / 2)
	w.start("n3")
	w.lose("n2")
	w.pass(inventoryPatience/2 - time.Minute)
	w.wantOrders(0)
	if w.view.holdings(w.now).Complete {
		t.Fatal("nobody waits for n3")
	}
	w.pass(2 * time.Minute)
	w.wantOn(ref, "n1", "n4")
	if !w.view.holdings(w.now).Complete || w.view.status(w.now).Complete || w.view.lost(checkpoint.ChunkID{}, []checkpoint.ChunkRef{w.chunk()}, w.now) != nil {
		t.Error("either n3 is still waited for, or what it holds is taken for known")
	}
	if p := w.view.problems(w.now); !slices.Contains(p, "node n3 has not told for 11m0s what it holds: repairs and full sweeps go on without it") {
		t.Errorf("problems %q", p)
	}
}

// A node that is lost before a new leader is elected is missed when that has led for the delay.
func TestNewLeaderRepairsWhatNobodyHas(t *testing.T) {
	w := settledWorld(t)
	ref := w.kept("n1", "n2")
	w.lose("n2")
	w.elect()
	w.pass(70 * time.Second)
	w.wantOn(ref, "n1", "n3")
}

// Only what is named is repaired; what no checkpoint names any more, or not yet, is not.
func TestOnlyNamedChunksAreRepaired(t *testing.T) {
	w := settledWorld(t)
	subsumed := w.chunk()
	w.put(subsumed, "n1", "n2")
	manifest := w.complete("n1", subsumed)
	pending := w.chunk()
	w.put(pending, "n1", "n2")
	w.pass(10 * time.Second)
	w.subsume(manifest)
	w.lose("n2")
	w.pass(5 * time.Minute)
	w.wantOrders(0)
	if s := w.view.status(w.now); s.Chunks != 0 || s.UnderReplicated.Chunks != 0 {
		t.Fatalf("%+v", s)
	}
}

// A chunk that is named by checkpoint after checkpoint is judged, however short-lived each of them is, whether the
// manifests are the leader's own or have to be read.
func TestLongLivedChunkOfShortLivedCheckpoints(t *testing.T) {
	for _, own := range []bool{true, false} {
		t.Run(fmt.Sprint("own ", own), func(t *testing.T) {
			w := settledWorld(t)
			ref := w.chunk()
			w.put(ref, "n1")
			w.complete("n1", ref)
			for range 20 {
				w.pass(time.Second)
				next := w.manifest("n1", ref)
				if own {
					w.view.OnManifestStored(next, w.manifests[next.ID], w.now)
				}
				w.live.Manifests = []checkpoint.ChunkRef{next}
				w.view.OnLive(w.live, w.now)
			}
			if got := w.on(ref.ID); len(got) != 2 {
				t.Fatalf("the chunk is on %v", got)
			}
		})
	}
}

// What was named a moment ago is not judged: its copies are about to be told of.
func TestFreshCheckpointsAreNotJudged(t *testing.T) {
	w := settledWorld(t)
	ref := w.chunk()
	w.complete("n1", ref)
	w.pass(namedGrace - time.Second)
	if s := w.view.status(w.now); s.UnderReplicated.Chunks != 0 || s.Chunks != 2 {
		t.Fatalf("%+v", s)
	}
	w.put(ref, "n1", "n3")
	w.pass(time.Minute)
	w.wantOrders(0)
	if s := w.view.status(w.now); s.UnderReplicated.Chunks != 0 || s.Chunks != 2 {
		t.Fatalf("%+v", s)
	}
}
