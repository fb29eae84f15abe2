package coordinator

import (
	"slices"
	"testing"
	"time"

	"cairn/api"
	"cairn/checkpoint"
)

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
