package coordinator

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/checkpoint"
)

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
