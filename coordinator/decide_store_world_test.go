package coordinator

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/zeebo/blake3"

	"cairn/checkpoint"
	"cairn/fsm"
	"cairn/placement"
)

// storeWorld is a storekeeper without goroutines or a network: the real view and decisions, with the test in the place of
// the nodes, their disks and the log.
type storeWorld struct {
	t         testing.TB
	now       time.Time
	policy    storePolicy
	view      *storeView
	term      uint64
	nodes     map[checkpoint.NodeID]*diskNode
	manifests map[checkpoint.ChunkID]checkpoint.Manifest
	live      fsm.Live
	stored    int // numbers the chunks
	size      int64
	orders    []madeOrder // of all copies, in order
	late      []lateEvent
	// unreadable manifests cannot be read.
	unreadable map[checkpoint.ChunkID]bool
	onOrder    func(a orderCopies) // before the order is carried out
}

// diskNode is a task node and its disk.
type diskNode struct {
	ref     checkpoint.NodeRef
	zone    string
	disk    map[checkpoint.ChunkID]checkpoint.ChunkRef
	up      bool
	gone    time.Time
	drained bool
	mute    bool // does not answer orders
	broken  bool // fails them
	silent  bool // does not tell what it holds
}

type madeOrder struct {
	at   time.Time
	node checkpoint.NodeID
	ref  checkpoint.ChunkRef
	from []checkpoint.NodeID
}

type lateEvent struct {
	at time.Time
	do func()
}

func newStoreWorld(t testing.TB, replicas int, nodes ...checkpoint.NodeID) *storeWorld {
	w := &storeWorld{
		t: t, now: time.UnixMilli(1_000_000), size: 1 << 10,
		policy: storePolicy{replicas: replicas, repair: DefaultRepair(), adoption: 3 * time.Second},
		nodes:  make(map[checkpoint.NodeID]*diskNode), manifests: make(map[checkpoint.ChunkID]checkpoint.Manifest),
		unreadable: make(map[checkpoint.ChunkID]bool),
	}
	for _, id := range nodes {
		w.nodes[id] = &diskNode{ref: checkpoint.NodeRef{ID: id, Incarnation: 1, Address: string(id) + ":1"}, disk: make(map[checkpoint.ChunkID]checkpoint.ChunkRef), up: true}
	}
	w.elect()
	return w
}

// elect begins a new leadership, to which all living nodes tell what they hold.
func (w *storeWorld) elect() {
	w.term++
	w.view = newStoreView(w.policy, w.term<<32, w.now)
	w.late = nil
	w.view.OnLive(w.live, w.now)
	for _, id := range w.ids() {
		if w.nodes[id].up {
			w.open(id)
		}
	}
}

func (w *storeWorld) ids() []checkpoint.NodeID { return slices.Sorted(maps.Keys(w.nodes)) }

// open opens a session of a node, which tells what it holds in two pieces a second apart.
func (w *storeWorld) open(id checkpoint.NodeID) {
	n := w.nodes[id]
	w.view.OnSession(checkpoint.Hello{Node: n.ref, Zone: n.zone}, w.now)
	w.facts()
	if n.silent {
		return
	}
	var refs []checkpoint.ChunkRef
	for _, c := range slices.SortedFunc(maps.Keys(n.disk), func(a, b checkpoint.ChunkID) int { return slices.Compare(a[:], b[:]) }) {
		refs = append(refs, n.disk[c])
	}
	half := len(refs) / 2
	w.view.OnInventory(n.ref, checkpoint.Inventory{First: true, Chunks: refs[:half]})
	ref := n.ref
	w.after(time.Second, func() { w.view.OnInventory(ref, checkpoint.Inventory{Last: true, Chunks: refs[half:]}) })
}

func (w *storeWorld) after(d time.Duration, do func()) {
	w.late = append(w.late, lateEvent{w.now.Add(d), do})
}

// facts tells how the leader judges the nodes.
func (w *storeWorld) facts() {
	var facts []nodeFact
	for _, id := range w.ids() {
		n, state := w.nodes[id], nodeLost
		if n.up {
			state = nodeAlive
		}
		facts = append(facts, nodeFact{id, state, n.drained})
	}
	w.view.OnNodes(facts, w.now)
}

// lose kills a node.
func (w *storeWorld) lose(id checkpoint.NodeID) {
	n := w.nodes[id]
	n.up, n.gone = false, w.now
	w.view.OnSessionClosed(n.ref, w.now)
	w.facts()
}

// start starts a node that was lost.
func (w *storeWorld) start(id checkpoint.NodeID) {
	n := w.nodes[id]
	n.up = true
	n.ref.Incarnation++
	w.open(id)
}

// wipe empties the disk of a node that is down.
func (w *storeWorld) wipe(id checkpoint.NodeID) { clear(w.nodes[id].disk) }

// chunk returns a chunk that was not there before.
func (w *storeWorld) chunk() checkpoint.ChunkRef {
	w.stored++
	return checkpoint.ChunkRef{ID: blake3.Sum256(fmt.Append(nil, w.stored)), Size: w.size}
}

// put stores a chunk on nodes.
func (w *storeWorld) put(ref checkpoint.ChunkRef, on ...checkpoint.NodeID) {
	for _, id := range on {
		n := w.nodes[id]
		n.disk[ref.ID] = ref
		w.view.OnInventoryChange(n.ref, checkpoint.InventoryChange{Added: []checkpoint.ChunkRef{ref}})
	}
}

// complete completes a checkpoint that a node has written, and which names these chunks.
func (w *storeWorld) complete(writer checkpoint.NodeID, chunks ...checkpoint.ChunkRef) checkpoint.ChunkRef {
	manifest := w.manifest(writer, chunks...)
	w.live.Manifests = append(slices.Clone(w.live.Manifests), manifest)
	w.view.OnLive(w.live, w.now)
	return manifest
}

// manifest stores a manifest on all nodes.
func (w *storeWorld) manifest(writer checkpoint.NodeID, chunks ...checkpoint.ChunkRef) checkpoint.ChunkRef {
	manifest := w.chunk()
	w.manifests[manifest.ID] = checkpoint.Manifest{
		Subtasks: []checkpoint.SubtaskState{{Handles: []checkpoint.Handle{{Chunks: chunks}}}}, Writers: []checkpoint.NodeID{writer},
	}
	for _, id := range w.ids() {
		if w.nodes[id].up {
			w.put(manifest, id)
		}
	}
	return manifest
}

// subsume makes the state name a checkpoint no more.
func (w *storeWorld) subsume(manifest checkpoint.ChunkRef) {
	w.live.Manifests = slices.DeleteFunc(slices.Clone(w.live.Manifests), func(m checkpoint.ChunkRef) bool { return m == manifest })
	w.view.OnLive(w.live, w.now)
}

// corrupt damages a node's copy, which it finds and puts away.
func (w *storeWorld) corrupt(id checkpoint.NodeID, chunk checkpoint.ChunkID) {
	n := w.nodes[id]
	delete(n.disk, chunk)
	w.view.OnInventoryChange(n.ref, checkpoint.InventoryChange{Corrupt: []checkpoint.ChunkID{chunk}})
}

// pass lets time pass, in which the storekeeper does what it decides.
func (w *storeWorld) pass(d time.Duration) {
	w.t.Helper()
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(storeTick)
		due := slices.Clone(w.late)
		w.late = nil
		for _, e := range due {
			if e.at.After(w.now) {
				w.late = append(w.late, e)
			} else {
				e.do()
			}
		}
		w.act()
	}
}

func (w *storeWorld) act() {
	w.t.Helper()
	w.view.survey(w.now)
	for _, a := range decideStore(w.view, w.now) {
		switch a := a.(type) {
		case readManifest:
			var err error
			if w.unreadable[a.Manifest.ID] {
				err = errors.New("not found")
			}
			w.view.OnManifestReading(a.Manifest)
			w.view.OnManifestRead(a.Manifest, w.manifests[a.Manifest.ID], err, w.now)
		case orderCopies:
			if w.onOrder != nil {
				w.onOrder(a)
			}
			w.view.OnCopiesOrdered(a, w.now)
			w.carryOut(a)
		}
	}
}

// carryOut has a node copy what it is told to, within half a second.
func (w *storeWorld) carryOut(a orderCopies) {
	n := w.nodes[a.Node.ID]
	for _, c := range a.Copies {
		var from []checkpoint.NodeID
		for _, ref := range c.From {
			from = append(from, ref.ID)
		}
		w.orders = append(w.orders, madeOrder{w.now, a.Node.ID, c.Chunk, from})
	}
	if n.mute {
		return
	}
	w.after(500*time.Millisecond, func() {
		if !n.up || n.ref != a.Node {
			return
		}
		answer := checkpoint.ChunksCopied{Order: a.Order}
		for _, c := range a.Copies {
			source := slices.ContainsFunc(c.From, func(ref checkpoint.NodeRef) bool {
				_, has := w.nodes[ref.ID].disk[c.Chunk.ID]
				return w.nodes[ref.ID].up && has
			})
			if !source || n.broken {
				answer.Failed = append(answer.Failed, checkpoint.ChunkFailure{Chunk: c.Chunk.ID, Error: "no copy"})
				continue
			}
			w.put(c.Chunk, a.Node.ID)
			answer.Copied = append(answer.Copied, c.Chunk.ID)
		}
		w.view.OnChunksCopied(a.Node, answer, w.now)
	})
}

// on returns the living nodes that have a chunk.
func (w *storeWorld) on(chunk checkpoint.ChunkID) []checkpoint.NodeID {
	var ids []checkpoint.NodeID
	for _, id := range w.ids() {
		if _, has := w.nodes[id].disk[chunk]; has && w.nodes[id].up {
			ids = append(ids, id)
		}
	}
	return ids
}

func (w *storeWorld) wantOn(ref checkpoint.ChunkRef, want ...checkpoint.NodeID) {
	w.t.Helper()
	if got := w.on(ref.ID); !slices.Equal(got, want) {
		w.t.Fatalf("the chunk is on %v, want %v", got, want)
	}
}

func (w *storeWorld) wantOrders(n int) {
	w.t.Helper()
	if len(w.orders) != n {
		w.t.Fatalf("%d copies were ordered, want %d: %v", len(w.orders), n, w.orders)
	}
}

// orderOf returns the nodes in the order in which a chunk belongs on them.
func (w *storeWorld) orderOf(ref checkpoint.ChunkRef) []checkpoint.NodeID {
	var places []placement.Node
	for _, id := range w.ids() {
		places = append(places, placement.Node{ID: id, Zone: w.nodes[id].zone})
	}
	var ids []checkpoint.NodeID
	for _, p := range placement.Order(ref.ID, places, nil) {
		ids = append(ids, p.ID)
	}
	return ids
}
