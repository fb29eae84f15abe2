package coordinator

import (
	"slices"
	"testing"
	"time"

	"cairn/checkpoint"
)

// joinShared lets a node open a session that uses a shared store.
func (w *world) joinShared(id checkpoint.NodeID, inc checkpoint.Incarnation) checkpoint.NodeRef {
	h := checkpoint.Hello{
		Node: checkpoint.NodeRef{ID: id, Incarnation: inc, Address: "host-" + string(id)}, Slots: 1, Programs: []string{"test"},
		SharedStore: "s3://bucket",
	}
	w.nodes[id] = h
	w.view.OnSession(h, w.now)
	w.view.OnReport(id, checkpoint.Report{Term: w.term}, w.now)
	return h.Node
}

// sharing returns a world of two nodes with a shared store, at the moment when its list is asked for.
func sharing(t *testing.T) *world {
	w := newWorld(t)
	w.joinShared("n1", 1)
	w.joinShared("n2", 1)
	w.pass(DefaultTiming().FullSweepSoon)
	return w
}

// asked returns the last question for the list of a shared store.
func (w *world) askedFor() (a ListShared) { return w.view.cleaning.full.lastAsked() }

func (f *fullSweeps) lastAsked() ListShared {
	return ListShared{Node: f.shared.node, Request: f.shared.request}
}

func (w *world) piece(node checkpoint.NodeID, m checkpoint.Inventory) {
	w.view.OnInventory(node, m, w.now)
	w.run()
}

// markOf returns the last mark that was sent to a node.
func (w *world) markOf(id checkpoint.NodeID) checkpoint.MarkChunks {
	w.t.Helper()
	marks := sentTo[checkpoint.MarkChunks](w)[id]
	if len(marks) == 0 {
		w.t.Fatalf("node %s was sent no mark", id)
	}
	return marks[len(marks)-1]
}

// One node lists a shared store, in pieces; every node deletes what nothing names, and the first one on behalf of those
// who have ended.
func TestU8_FullSweepOfASharedStore(t *testing.T) {
	w := sharing(t)
	a := w.askedFor()
	if a.Node.ID != "n1" || a.Request == 0 {
		t.Fatalf("asked is %v", a)
	}
	other := w.joinShared("n2", 2) // another process of the node
	orphans := []checkpoint.ChunkID{{1}, {2}}
	w.piece("n1", checkpoint.Inventory{Request: a.Request, First: true, Chunks: []checkpoint.ChunkRef{{ID: orphans[1]}}})
	w.piece("n1", checkpoint.Inventory{Request: a.Request + 1, Last: true, Chunks: []checkpoint.ChunkRef{{ID: checkpoint.ChunkID{3}}}})
	w.piece("n2", checkpoint.Inventory{Request: a.Request, Last: true})
	if len(w.sweeps.deleted) > 0 {
		t.Fatal("a sweep has begun before the list is complete")
	}
	w.piece("n1", checkpoint.Inventory{
		Request: a.Request, Last: true, Chunks: []checkpoint.ChunkRef{{ID: orphans[0]}},
		Owners: []checkpoint.NodeRef{{ID: "n1", Incarnation: 1}, {ID: "n2", Incarnation: 1}, {ID: "n2", Incarnation: 2}, {ID: "n9", Incarnation: 1}},
	})
	m := w.markOf("n1")
	if len(m.Live) != 2 || m.Live[0].ID != "n1" || m.Live[1] != other {
		t.Errorf("live are %v", m.Live)
	}
	if want := []checkpoint.NodeRef{{ID: "n2", Incarnation: 1}}; !slices.Equal(m.Gone, want) {
		t.Errorf("gone are %v, want %v: n9 may be cut off from this leader", m.Gone, want)
	}
	for _, node := range []checkpoint.NodeID{"n1", "n2"} {
		w.wantDeleted(node, orphans[0], true)
		w.wantDeleted(node, orphans[1], true)
		w.wantDeleted(node, checkpoint.ChunkID{3}, false)
	}
}

// When the node that lists dies, or does not come on, another one is asked; when none is left, it is tried later.
func TestSharedStoreIsListedByAnotherNode(t *testing.T) {
	for name, fault := range map[string]func(*world){
		"dies":       func(w *world) { w.leave("n1"); w.pass(time.Second) },
		"is silent":  func(w *world) { w.pass(DefaultTiming().SweepAnswer + time.Second) },
		"is another": func(w *world) { w.joinShared("n1", 2); w.run() },
	} {
		t.Run(name, func(t *testing.T) {
			w := sharing(t)
			first := w.askedFor()
			fault(w)
			second := w.askedFor()
			if second.Request == first.Request || name != "is another" && second.Node.ID != "n2" {
				t.Fatalf("asked is %v behind %v", second, first)
			}
			w.piece("n1", checkpoint.Inventory{Request: first.Request, First: true, Last: true})
			if got := w.view.cleaning.full.phase; got != listShared {
				t.Fatal("a late answer was taken for one of the second")
			}
		})
	}
	t.Run("nobody is left", func(t *testing.T) {
		w := sharing(t)
		w.leave("n2")
		w.pass(DefaultTiming().SweepAnswer + time.Second)
		if got := w.view.cleaning.full.phase; got != listIdle {
			t.Fatalf("the list is in phase %d", got)
		}
		w.pass(DefaultTiming().SweepRetry)
		if w.askedFor().Request == 0 {
			t.Fatal("nobody is asked again")
		}
	})
}

// Nobody deletes for an owner that may come back: one that is suspect, that was lost a while ago, or that this leader has
// had no time to meet.
func TestNobodyDeletesForOwnersThatMayComeBack(t *testing.T) {
	timing := DefaultTiming()
	for name, test := range map[string]struct {
		before func(*world)
		gone   bool
	}{
		"alive":              {func(*world) {}, false},
		"suspect":            {func(w *world) { w.leave("n2") }, false},
		"lost":               {func(w *world) { w.leave("n2"); w.pass(time.Minute) }, false},
		"lost for long":      {func(w *world) { w.leave("n2"); w.pass(timing.OwnerGone + time.Minute) }, true},
		"replaced":           {func(w *world) { w.joinShared("n2", 2) }, true},
		"replaced by a loss": {func(w *world) { w.joinShared("n2", 2); w.leave("n2"); w.pass(time.Minute) }, false},
		"replaced by a loss, long ago": {func(w *world) {
			w.joinShared("n2", 2)
			w.leave("n2")
			w.pass(timing.OwnerGone + time.Minute)
		}, true},
		"has said goodbye": {func(w *world) { w.view.OnMemberLeft("n2", 1); w.leave("n2") }, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := sharing(t)
			owner := w.nodes["n2"].Node
			test.before(w)
			w.view.cleaning.full.owners = []checkpoint.NodeRef{owner}
			w.view.takeOwners(w.now)
			if got := slices.Contains(w.view.cleaning.gone, owner); got != test.gone {
				t.Errorf("gone: %t, want %t", got, test.gone)
			}
		})
	}
	t.Run("never met", func(t *testing.T) {
		w := sharing(t)
		owner := checkpoint.NodeRef{ID: "n9", Incarnation: 1}
		if w.view.hasEnded(owner, w.now) {
			t.Error("gone at once")
		}
		w.pass(timing.OwnerGone)
		if !w.view.hasEnded(owner, w.now) {
			t.Error("never gone")
		}
	})
}
