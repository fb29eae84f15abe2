package coordinator

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/api"
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

// The copies go where placement has them, from nodes that hold the chunk, and not to nodes that cannot take them.
func TestWhereCopiesGo(t *testing.T) {
	full := checkpoint.StoreReport{FreeBytes: roomLeft, TotalBytes: 1 << 40}
	for name, test := range map[string]struct {
		hinder func(w *storeWorld, first checkpoint.NodeID)
		to     int // of the nodes besides the holder, in the order of placement
	}{
		"the next in order":            {func(*storeWorld, checkpoint.NodeID) {}, 0},
		"not a full one":               {func(w *storeWorld, n checkpoint.NodeID) { w.view.OnStoreReport(w.nodes[n].ref, full) }, 1},
		"not one that fails":           {func(w *storeWorld, n checkpoint.NodeID) { w.nodes[n].broken = true }, 1},
		"not one that does not answer": {func(w *storeWorld, n checkpoint.NodeID) { w.nodes[n].mute = true }, 1},
		"not a drained one":            {func(w *storeWorld, n checkpoint.NodeID) { w.nodes[n].drained = true; w.facts() }, 1},
		"a drained one where no other is left": {func(w *storeWorld, first checkpoint.NodeID) {
			for id, n := range w.nodes {
				n.drained = id != "n1"
			}
			w.facts()
		}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newStoreWorld(t, 2, "n1", "n2", "n3", "n4")
			w.pass(2 * time.Minute)
			ref := w.chunk()
			order := slices.DeleteFunc(w.orderOf(ref), func(id checkpoint.NodeID) bool { return id == "n1" })
			test.hinder(w, order[0])
			w.put(ref, "n1")
			w.view.OnManifestStored(w.complete("n1", ref), checkpoint.Manifest{}, w.now)
			w.pass(5 * time.Minute)
			want := []checkpoint.NodeID{"n1", order[test.to]}
			slices.Sort(want)
			w.wantOn(ref, want...)
			if len(w.orders) > 2 {
				t.Errorf("%d copies were ordered", len(w.orders))
			}
		})
	}
}

func TestCopiesAreSpreadOverZones(t *testing.T) {
	w := newStoreWorld(t, 2, "n1", "n2", "n3", "n4")
	for id, zone := range map[checkpoint.NodeID]string{"n1": "a", "n2": "a", "n3": "a", "n4": "b"} {
		w.nodes[id].zone = zone
	}
	w.elect()
	w.pass(2 * time.Minute)
	for range 10 {
		ref := w.kept("n1")
		w.pass(10 * time.Second)
		w.wantOn(ref, "n1", "n4")
	}
}

// The chunks with the fewest copies come first, then the oldest.
func TestMostEndangeredFirst(t *testing.T) {
	w := newStoreWorld(t, 3, "n1", "n2", "n3", "n4", "n5")
	w.policy.repair.Rate = w.size // one each second
	w.elect()
	w.pass(2 * time.Minute)
	var two, one []checkpoint.ChunkRef
	for range 3 {
		ref := w.chunk()
		w.put(ref, "n1", "n4", "n5")
		w.complete("n1", ref)
		two = append(two, ref)
		w.pass(2 * time.Second)
	}
	for range 3 {
		ref := w.chunk()
		w.put(ref, "n1", "n4", "n5")
		w.complete("n1", ref)
		one = append(one, ref)
	}
	w.pass(10 * time.Second)
	w.wantOrders(0)
	for _, ref := range one { // two copies are gone of these, one of those
		delete(w.nodes["n5"].disk, ref.ID)
		w.view.OnInventoryChange(w.nodes["n5"].ref, checkpoint.InventoryChange{Removed: []checkpoint.ChunkID{ref.ID}})
		delete(w.nodes["n4"].disk, ref.ID)
		w.view.OnInventoryChange(w.nodes["n4"].ref, checkpoint.InventoryChange{Removed: []checkpoint.ChunkID{ref.ID}})
	}
	for _, ref := range two {
		delete(w.nodes["n5"].disk, ref.ID)
		w.view.OnInventoryChange(w.nodes["n5"].ref, checkpoint.InventoryChange{Removed: []checkpoint.ChunkID{ref.ID}})
	}
	w.pass(time.Minute)
	w.wantOrders(9)
	for i, o := range w.orders[:3] {
		if !slices.Contains(one, o.ref) {
			t.Errorf("copy %d is not of a chunk with one copy", i)
		}
	}
	var rest []checkpoint.ChunkRef
	for _, o := range w.orders[3:] {
		if slices.Contains(two, o.ref) {
			rest = append(rest, o.ref)
		}
	}
	if !slices.Equal(rest, two) {
		t.Errorf("chunks of the same danger are not copied in the order of their age")
	}
}

// Chunks are copied at the rate that was set, on average and, but for one second's bytes and one chunk, at any time.
func TestRepairRate(t *testing.T) {
	w := newStoreWorld(t, 2, "n1", "n2", "n3")
	w.policy.repair.Rate, w.size = 10<<20, 3<<20
	w.elect()
	w.pass(2 * time.Minute)
	var refs []checkpoint.ChunkRef
	for range 200 {
		refs = append(refs, w.chunk())
		w.put(refs[len(refs)-1], "n1", "n2")
	}
	w.complete("n1", refs...)
	w.pass(10 * time.Second)
	w.lose("n2")
	w.pass(65 * time.Second)
	began := w.now
	for len(w.orders) < len(refs) && w.now.Sub(began) < 5*time.Minute {
		w.pass(time.Second)
	}
	w.wantOrders(len(refs))
	wantRate(t, w.orders, w.policy.repair.Rate)
	if took := w.now.Sub(w.orders[0].at); took > 70*time.Second {
		t.Errorf("600 MiB at 10 MiB/s took %s", took)
	}
}

// wantRate checks that no stretch of time has seen more bytes than the rate allows.
func wantRate(t testing.TB, orders []madeOrder, rate int64) {
	t.Helper()
	for i := range orders {
		bytes, largest := int64(0), int64(0)
		for _, o := range orders[i:] {
			bytes, largest = bytes+o.ref.Size, max(largest, o.ref.Size)
			if most := rate + int64(float64(rate)*o.at.Sub(orders[i].at).Seconds()) + largest; bytes > most {
				t.Fatalf("%d bytes were ordered within %s, at %d bytes per second", bytes, o.at.Sub(orders[i].at), rate)
			}
		}
	}
}

// Orders that come to nothing are given again, ever more seldom: the log and the network stay quiet.
func TestFailingCopiesAreTriedMoreAndMoreSeldom(t *testing.T) {
	w := settledWorld(t)
	w.nodes["n2"].broken, w.nodes["n3"].broken = true, true
	ref := w.kept("n1")
	w.pass(time.Hour)
	if n := len(w.orders); n < 5 || n > 15 {
		t.Fatalf("%d copies were ordered in an hour", n)
	}
	to := make(map[checkpoint.NodeID]int)
	for _, o := range w.orders {
		to[o.node]++
	}
	if to["n2"] < 2 || to["n3"] < 2 {
		t.Errorf("the tries went to %v", to)
	}
	w.nodes["n2"].broken = false
	w.pass(30 * time.Minute)
	w.wantOn(ref, "n1", "n2")
}

// Any number of nodes may fail at a chunk: as long as one does not, it gets its copy.
func TestEveryNodeHasItsTurn(t *testing.T) {
	w := newStoreWorld(t, 2, "n1", "n2", "n3", "n4", "n5")
	w.pass(2 * time.Minute)
	ref := w.chunk()
	order := slices.DeleteFunc(w.orderOf(ref), func(id checkpoint.NodeID) bool { return id == "n1" })
	for _, id := range order[:3] {
		w.nodes[id].broken = true
	}
	w.put(ref, "n1")
	w.view.OnManifestStored(w.complete("n1", ref), checkpoint.Manifest{}, w.now)
	w.pass(10 * time.Minute)
	want := []checkpoint.NodeID{"n1", order[3]}
	slices.Sort(want)
	w.wantOn(ref, want...)
}

// An order whose session breaks is given to somebody else.
func TestBrokenSessionEndsItsOrders(t *testing.T) {
	w := settledWorld(t)
	ref := w.chunk()
	order := slices.DeleteFunc(w.orderOf(ref), func(id checkpoint.NodeID) bool { return id == "n1" })
	w.nodes[order[0]].mute = true
	w.put(ref, "n1")
	w.complete("n1", ref)
	for len(w.orders) == 0 {
		w.pass(storeTick)
	}
	if s := w.view.status(w.now); s.Repairing != (api.ChunkCount{Chunks: 1, Bytes: ref.Size}) {
		t.Fatalf("repairing %+v", s.Repairing)
	}
	w.lose(order[0])
	if s := w.view.status(w.now); s.Repairing.Chunks != 0 {
		t.Fatalf("repairing %+v", s.Repairing)
	}
	w.pass(copyPause + 5*time.Second)
	want := []checkpoint.NodeID{"n1", order[1]}
	slices.Sort(want)
	w.wantOn(ref, want...)
}

// Orders are bounded, and so is what a node is told to do at a time.
func TestOrdersAreBounded(t *testing.T) {
	w := settledWorld(t)
	w.size = 16
	w.nodes["n2"].mute, w.nodes["n3"].mute = true, true
	perNode := make(map[checkpoint.NodeID]int)
	w.onOrder = func(a orderCopies) {
		if perNode[a.Node.ID]++; len(a.Copies) > copiesPerOrder {
			t.Errorf("an order of %d copies", len(a.Copies))
		}
	}
	var refs []checkpoint.ChunkRef
	for range 3000 {
		refs = append(refs, w.chunk())
		w.put(refs[len(refs)-1], "n1")
	}
	w.complete("n1", refs...)
	w.pass(time.Minute)
	if perNode["n2"] != ordersPerNode || perNode["n3"] != ordersPerNode {
		t.Errorf("unanswered orders: %v", perNode)
	}
}

// While the orders are carried out every message of a node makes the storekeeper decide again: whatever waits, that costs
// next to nothing.
func TestWaitingForOrdersCostsNothing(t *testing.T) {
	w := settledWorld(t)
	refs := make([]checkpoint.ChunkRef, 2000)
	for i := range refs {
		refs[i] = w.chunk()
		w.put(refs[i], "n1")
	}
	for _, id := range []checkpoint.NodeID{"n2", "n3"} {
		w.view.nodes[id].orders = ordersPerNode
	}
	w.complete("n1", refs...)
	w.pass(namedGrace + 5*time.Second)
	if len(w.view.queue) < len(refs) {
		t.Fatalf("%d chunks wait", len(w.view.queue))
	}
	if n := testing.AllocsPerRun(10, func() { decideStore(w.view, w.now) }); n > 30 {
		t.Errorf("%.0f allocations", n)
	}
	w.view.nodes["n2"].orders = 0
	if a := decideStore(w.view, w.now); len(a) != 1 {
		t.Errorf("decided %v when n2 is free", a)
	}
}

// A single node with two replicas in mind is under-replicated, and copies as soon as another one joins.
func TestFewerNodesThanReplicas(t *testing.T) {
	w := newStoreWorld(t, 2, "n1", "n2")
	w.lose("n2")
	w.pass(2 * time.Minute)
	ref := w.kept("n1")
	w.pass(5 * time.Minute)
	w.wantOrders(0)
	problems := w.view.problems(w.now)
	if want := "2 chunks (2 KiB) of retained checkpoints are on fewer than 2 nodes"; !slices.Equal(problems, []string{want}) {
		t.Fatalf("problems %q, want %q", problems, want)
	}
	w.start("n2")
	w.pass(10 * time.Second)
	w.wantOn(ref, "n1", "n2")
	if problems := w.view.problems(w.now); len(problems) > 0 {
		t.Fatalf("problems %q", problems)
	}
}

func TestProblemsOfTheStore(t *testing.T) {
	w := newStoreWorld(t, 2, "n1", "n2", "n3")
	if problems := w.view.problems(w.now); len(problems) > 0 {
		t.Fatalf("a new leader complains: %q", problems)
	}
	w.pass(2 * time.Minute)
	w.view.OnStoreReport(w.nodes["n3"].ref, checkpoint.StoreReport{Path: "/data/n3", Quarantined: 3})
	w.kept("n2")
	w.put(w.kept("n1", "n2"), "n1")
	w.lose("n2")
	w.lose("n1")
	problems := strings.Join(w.view.problems(w.now), "\n")
	want := "4 chunks (4 KiB) of retained checkpoints are on fewer than 2 nodes; 1 (1 KiB) is on none\n" +
		"node n3 has 3 damaged copies in quarantine under /data/n3/quarantine: look at its disk, and remove them"
	if problems != want {
		t.Errorf("problems:\n%s\nwant:\n%s", problems, want)
	}
}

// Nodes that do not all use the same store are named, with the stores, as long as they live.
func TestStoresApart(t *testing.T) {
	w := newStoreWorld(t, 2, "n1", "n2", "n3")
	w.pass(2 * time.Minute)
	for _, id := range []checkpoint.NodeID{"n1", "n3"} {
		w.view.OnSession(checkpoint.Hello{Node: w.nodes[id].ref, SharedStore: "file:///mnt/state"}, w.now)
	}
	w.view.OnStoreReport(w.nodes["n3"].ref, checkpoint.StoreReport{Path: "file:///mnt/state", Quarantined: 1})
	want := []string{
		"node n3 has read 1 damaged copy in file:///mnt/state",
		"the nodes keep state in different stores, and must all have the same --store: file:///mnt/state (n1, n3); nodes (n2)",
	}
	if problems := w.view.problems(w.now); !slices.Equal(problems, want) {
		t.Errorf("problems %q, want %q", problems, want)
	}
	w.lose("n2")
	if problems := w.view.problems(w.now); !slices.Equal(problems, want[:1]) {
		t.Errorf("problems %q without the other store, want %q", problems, want[:1])
	}
}

// Lost is what no living node has; who had it is said as far as it is known. Before everybody has told, nothing is lost.
func TestLostChunks(t *testing.T) {
	w := settledWorld(t)
	ref, held := w.kept("n1", "n2"), w.kept("n3", "n1")
	ask := []checkpoint.ChunkRef{held, ref}
	w.lose("n2")
	w.lose("n1")
	lost := w.view.lost(checkpoint.ChunkID{}, ask, w.now)
	if len(lost) != 1 || lost[0].Chunk != ref || !slices.Equal(lost[0].Had, []checkpoint.NodeID{"n1", "n2"}) {
		t.Fatalf("lost %+v", lost)
	}
	w.nodes["n1"].silent = true
	w.wipe("n1")
	w.start("n1")
	if lost := w.view.lost(checkpoint.ChunkID{}, ask, w.now); lost != nil {
		t.Fatalf("lost %+v, and n1 has not told what it holds", lost)
	}
	w.nodes["n1"].silent = false
	w.elect()
	if lost := w.view.lost(checkpoint.ChunkID{}, ask, w.now); lost != nil {
		t.Fatalf("lost %+v to a leader whom nobody had the time to tell anything", lost)
	}
	w.pass(5 * time.Second)
	if lost := w.view.lost(checkpoint.ChunkID{}, ask, w.now); len(lost) != 1 || lost[0].Chunk != ref {
		t.Fatalf("lost %+v", lost)
	}
}

// What a checkpoint names that has just completed is not lost while the nodes have yet to tell that they have stored it: a
// job that is rescaled starts from it at once.
func TestFreshCheckpointIsNotLost(t *testing.T) {
	w := settledWorld(t)
	ref, manifest := w.chunk(), w.chunk()
	w.view.OnManifestStored(manifest, checkpoint.Manifest{Subtasks: []checkpoint.SubtaskState{{Handles: []checkpoint.Handle{{Chunks: []checkpoint.ChunkRef{ref}}}}}}, w.now)
	fresh := func(when string) {
		t.Helper()
		if lost := w.view.lost(manifest.ID, []checkpoint.ChunkRef{ref}, w.now); lost != nil {
			t.Errorf("lost %+v %s", lost, when)
		}
	}
	fresh("before the log names the checkpoint")
	w.live.Manifests = []checkpoint.ChunkRef{manifest}
	w.view.OnLive(w.live, w.now)
	fresh("right after it has completed")
	w.pass(namedGrace)
	if lost := w.view.lost(manifest.ID, []checkpoint.ChunkRef{ref}, w.now); len(lost) != 1 {
		t.Errorf("lost %+v, and nobody has told of the chunk", lost)
	}
}

// Located are living holders first, those of the asker's zone before others, and the dead last.
func TestLocateChunks(t *testing.T) {
	w := newStoreWorld(t, 2, "n1", "n2", "n3", "n4")
	w.nodes["n1"].zone, w.nodes["n3"].zone = "a", "a"
	w.elect()
	w.pass(2 * time.Second)
	ref := w.chunk()
	w.put(ref, "n2", "n3", "n4")
	w.lose("n4")
	answer := w.view.locate(w.nodes["n1"].ref, checkpoint.LocateChunks{Request: 7, Chunks: []checkpoint.ChunkID{{1}, ref.ID}})
	var got []checkpoint.NodeID
	for _, at := range answer.Holders[1] {
		got = append(got, answer.Nodes[at].ID)
	}
	if answer.Request != 7 || len(answer.Holders[0]) != 0 || !slices.Equal(got, []checkpoint.NodeID{"n3", "n2", "n4"}) {
		t.Fatalf("%+v", answer)
	}
}

// Copies beyond the replicas may go: the writer keeps his, zones stay spread, drained nodes give theirs first. Nothing is
// said of extra copies while somebody has not told what he holds.
func TestExtraCopies(t *testing.T) {
	w := newStoreWorld(t, 2, "n1", "n2", "n3", "n4")
	for id, zone := range map[checkpoint.NodeID]string{"n1": "a", "n2": "a", "n3": "a", "n4": "b"} {
		w.nodes[id].zone = zone
	}
	w.elect()
	w.pass(2 * time.Second)
	for range 10 {
		ref := w.chunk()
		w.put(ref, "n1", "n2", "n3", "n4")
		manifest := w.complete("n2", ref)
		w.pass(10 * time.Second)
		h := w.view.holdings(w.now)
		for id, want := range map[checkpoint.NodeID]bool{"n1": true, "n2": false, "n3": true, "n4": false} {
			if got := slices.Contains(h.Extra[id], ref.ID); got != want {
				t.Fatalf("the copy of %s is extra: %v", id, got)
			}
		}
		w.subsume(manifest)
		if h := w.view.holdings(w.now); slices.Contains(h.Extra["n1"], ref.ID) || !h.Complete {
			t.Fatalf("copies of a chunk that is not named are extra")
		}
	}
	ref := w.chunk()
	w.put(ref, "n1", "n2", "n4")
	w.complete("n2", ref)
	w.nodes["n2"].drained = true
	w.facts()
	w.pass(10 * time.Second)
	if h := w.view.holdings(w.now); !slices.Contains(h.Extra["n2"], ref.ID) || len(h.Extra["n1"]) > 2 {
		t.Fatalf("extra %v", h.Extra)
	}
	w.nodes["n3"].silent = true
	w.lose("n3")
	w.start("n3")
	if h := w.view.holdings(w.now); h.Complete || len(h.Chunks) > 0 || len(h.Extra) > 0 {
		t.Fatalf("%+v, and n3 has not told what it holds", h)
	}
}

// Nodes with a shared store are apart: nothing is expected of them and nothing repaired.
func TestSharedStoreIsApart(t *testing.T) {
	w := newStoreWorld(t, 2, "n1", "n2")
	w.view = newStoreView(w.policy, 0, w.now)
	for _, id := range w.ids() {
		w.view.OnSession(checkpoint.Hello{Node: w.nodes[id].ref, SharedStore: "s3://state"}, w.now)
	}
	ref := w.chunk()
	w.complete("n1", ref)
	w.late = nil
	w.pass(5 * time.Minute)
	s := w.view.status(w.now)
	if s.Backend != "s3://state" || !s.Complete || s.UnderReplicated.Chunks != 0 || s.Chunks != 2 {
		t.Errorf("status %+v", s)
	}
	if lost, problems := w.view.lost(checkpoint.ChunkID{}, []checkpoint.ChunkRef{ref}, w.now), w.view.problems(w.now); lost != nil || problems != nil || len(w.orders) > 0 {
		t.Errorf("lost %v, problems %v, orders %v", lost, problems, w.orders)
	}
	if h := w.view.holdings(w.now); !h.Complete || len(h.Chunks) > 0 {
		t.Errorf("holdings %+v", h)
	}
}

// A list that begins anew takes the place of the old one: what is not repeated is gone at its end. A piece of it that is
// older than a change does not bring a chunk back.
func TestListsReplaceEachOther(t *testing.T) {
	w := newStoreWorld(t, 2, "n1")
	n1 := w.nodes["n1"].ref
	a, b, c := w.chunk(), w.chunk(), w.chunk()
	refs := func(r ...checkpoint.ChunkRef) []checkpoint.ChunkRef { return r }
	for i, step := range []struct {
		m        checkpoint.FromNode
		want     []checkpoint.ChunkRef
		complete bool
	}{
		{checkpoint.Inventory{First: true, Last: true, Chunks: refs(a, b)}, refs(a, b), true},
		{checkpoint.Inventory{First: true, Chunks: refs(b)}, refs(a, b), false},
		{checkpoint.InventoryChange{Added: refs(c), Removed: []checkpoint.ChunkID{b.ID}}, refs(a, c), false},
		{checkpoint.Inventory{Chunks: refs(b)}, refs(a, c), false},
		{checkpoint.Inventory{Last: true}, refs(c), true},
		{checkpoint.Inventory{First: true, Chunks: refs(a)}, refs(a, c), false},
		{checkpoint.Inventory{First: true, Chunks: refs(b)}, refs(a, b, c), false},
		{checkpoint.InventoryChange{Removed: []checkpoint.ChunkID{a.ID}}, refs(b, c), false},
		{checkpoint.InventoryChange{Added: refs(a)}, refs(a, b, c), false},
		{checkpoint.Inventory{Last: true}, refs(a, b), true},
	} {
		switch m := step.m.(type) {
		case checkpoint.Inventory:
			w.view.OnInventory(n1, m)
		case checkpoint.InventoryChange:
			w.view.OnInventoryChange(n1, m)
		}
		var got []checkpoint.ChunkRef
		for _, ref := range refs(a, b, c) {
			if len(w.view.index.Holders(ref.ID)) > 0 {
				got = append(got, ref)
			}
		}
		if !slices.Equal(got, step.want) || w.view.nodes["n1"].complete != step.complete {
			t.Fatalf("step %d: %d chunks are held, complete: %v", i, len(got), w.view.nodes["n1"].complete)
		}
	}
}

// Manifests that cannot be read are tried again; until all are known the status is not complete.
func TestUnreadableManifest(t *testing.T) {
	w := settledWorld(t)
	ref := w.chunk()
	w.put(ref, "n1")
	manifest := w.complete("n1", ref)
	w.unreadable[manifest.ID] = true
	w.pass(time.Minute)
	if w.view.status(w.now).Complete {
		t.Error("complete, without having read a manifest")
	}
	w.wantOrders(0)
	w.unreadable[manifest.ID] = false
	w.pass(2 * time.Minute)
	if got := w.on(ref.ID); len(got) != 2 || !w.view.status(w.now).Complete {
		t.Errorf("the chunk is on %v", got)
	}
}

// A manifest that a new leader cannot read hides nothing else that is wrong, and not that it is lost.
func TestUnreadableManifestHidesNoProblem(t *testing.T) {
	w := settledWorld(t)
	manifest := w.complete("n1", w.kept("n1", "n2"))
	for _, id := range w.ids() {
		delete(w.nodes[id].disk, manifest.ID)
	}
	w.unreadable[manifest.ID] = true
	w.elect()
	w.pass(time.Minute)
	if p := w.view.problems(w.now); len(p) != 1 || !strings.Contains(p[0], "1 (1 KiB) is on none") {
		t.Errorf("problems %q", p)
	}
}

// A manifest of this leader's own need not be read, and one that is being imported is not missing.
func TestManifestsThatAreNotRead(t *testing.T) {
	w := settledWorld(t)
	ref := w.chunk()
	w.put(ref, "n1", "n2")
	own := w.chunk()
	w.view.OnManifestStored(own, checkpoint.Manifest{Subtasks: []checkpoint.SubtaskState{{Handles: []checkpoint.Handle{{Chunks: []checkpoint.ChunkRef{ref}}}}}}, w.now)
	imported := w.chunk()
	w.live.Manifests, w.live.Incomplete = []checkpoint.ChunkRef{own, imported}, []checkpoint.ChunkRef{imported}
	w.view.OnLive(w.live, w.now)
	if a := decideStore(w.view, w.now); len(a) > 0 {
		t.Fatalf("decided %v", a)
	}
	w.put(own, "n1", "n2")
	w.pass(10 * time.Second)
	if s := w.view.status(w.now); s.Chunks != 2 || s.UnderReplicated.Chunks != 0 {
		t.Fatalf("%+v", s)
	}
}

func TestSizeText(t *testing.T) {
	for bytes, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1536: "1.5 KiB", 1<<20 - 1: "1 MiB", 5 << 30: "5 GiB"} {
		if got := sizeText(bytes); got != want {
			t.Errorf("%d bytes: %q, want %q", bytes, got, want)
		}
	}
}

func TestRepairValidate(t *testing.T) {
	if err := DefaultRepair().Validate(); err != nil {
		t.Error(err)
	}
	for _, r := range []Repair{{Delay: -1, Rate: 1}, {Delay: time.Second}} {
		if err := r.Validate(); err == nil || !strings.Contains(fmt.Sprint(err), "must") {
			t.Errorf("%+v: %v", r, err)
		}
	}
}
