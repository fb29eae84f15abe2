package coordinator

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"cairn/checkpoint"
)

// storeModel lives through a random life of a cluster: nodes die, come back, lose their disks; copies are damaged;
// checkpoints come and go; leaders change; surplus copies are given up.
type storeModel struct {
	*storeWorld
	random *rand.Rand
	chunks []checkpoint.ChunkRef // all that were stored
	epochs []int                 // where in orders leaderships begin
	urgent map[checkpoint.ChunkID]bool
}

// U7, I5: whatever happens, a named chunk that survives somewhere is on as many nodes as there should be when things calm
// down. Nothing is copied that need not be, nothing faster than allowed, and what is offered as surplus is.
func TestU7_NamedChunksThatSurviveAreRepaired(t *testing.T) {
	seeds := uint64(40)
	if testing.Short() {
		seeds = 8
	}
	copies, trimmed := 0, 0
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			m := newStoreModel(t, seed)
			for range 120 {
				trimmed += m.step()
			}
			m.calm()
			m.check()
			copies += len(m.orders)
		})
	}
	if copies == 0 || trimmed == 0 {
		t.Errorf("%d copies were made, %d given up: the test shows nothing", copies, trimmed)
	}
}

func newStoreModel(t *testing.T, seed uint64) *storeModel {
	random := rand.New(rand.NewPCG(seed, 7))
	w := newStoreWorld(t, 1+random.IntN(3), "n1", "n2", "n3", "n4", "n5")
	for _, id := range w.ids() {
		w.nodes[id].zone = []string{"", "a", "b"}[random.IntN(3)]
	}
	w.size = 64 << 10
	w.policy.repair.Rate = 256 << 10
	m := &storeModel{storeWorld: w, random: random, urgent: make(map[checkpoint.ChunkID]bool)}
	w.onOrder = m.checkOrder
	m.lead()
	return m
}

func (m *storeModel) lead() {
	m.epochs = append(m.epochs, len(m.orders))
	clear(m.urgent)
	m.elect()
}

func (m *storeModel) node() checkpoint.NodeID { return m.ids()[m.random.IntN(len(m.nodes))] }

// step does something and lets time pass. It returns how many copies were given up.
func (m *storeModel) step() (trimmed int) {
	id := m.node()
	n := m.nodes[id]
	switch what := m.random.IntN(20); {
	case what < 5:
		m.checkpoint()
	case what < 7 && len(m.live.Manifests) > 2:
		m.subsume(m.live.Manifests[m.random.IntN(len(m.live.Manifests))])
	case what < 9 && n.up:
		m.lose(id)
	case what < 13 && !n.up:
		if m.random.IntN(4) == 0 {
			m.wipe(id)
		}
		m.start(id)
	case what < 15 && n.up && m.view.nodes[id].complete:
		m.damage(id)
	case what == 15 && m.random.IntN(2) == 0:
		m.lead()
	case what == 16:
		n.broken = !n.broken
	case what == 17:
		n.mute = !n.mute
	case what == 18:
		n.drained = !n.drained
		m.facts()
	case what == 19:
		trimmed = m.trim()
	}
	m.pass(time.Duration(m.random.IntN(30_000)) * time.Millisecond)
	return trimmed
}

// checkpoint completes one that names some old chunks and some new ones, which are on as many nodes as there should be.
func (m *storeModel) checkpoint() {
	var up []checkpoint.NodeID
	for _, id := range m.ids() {
		if m.nodes[id].up && m.view.nodes[id].complete {
			up = append(up, id)
		}
	}
	if len(up) == 0 {
		return
	}
	m.random.Shuffle(len(up), func(i, j int) { up[i], up[j] = up[j], up[i] })
	var names []checkpoint.ChunkRef
	for range m.random.IntN(6) {
		ref := m.chunk()
		m.put(ref, up[:min(len(up), m.policy.replicas)]...)
		m.chunks = append(m.chunks, ref)
		names = append(names, ref)
	}
	for range m.random.IntN(4) {
		if len(m.chunks) > 0 {
			names = append(names, m.chunks[m.random.IntN(len(m.chunks))])
		}
	}
	m.complete(up[0], names...)
}

func (m *storeModel) damage(id checkpoint.NodeID) {
	for chunk := range m.nodes[id].disk {
		m.urgent[chunk] = true
		m.corrupt(id, chunk)
		return
	}
}

// trim gives up the copies that are offered as surplus. It checks that those stay that should.
func (m *storeModel) trim() (trimmed int) {
	h := m.view.holdings(m.now)
	for _, id := range slices.Sorted(maps.Keys(h.Extra)) {
		for _, chunk := range h.Extra[id] {
			delete(m.nodes[id].disk, chunk)
			m.view.OnInventoryChange(m.nodes[id].ref, checkpoint.InventoryChange{Removed: []checkpoint.ChunkID{chunk}})
			if left := len(m.on(chunk)); left < m.policy.replicas {
				m.t.Fatalf("without the surplus copies a chunk is on %d nodes", left)
			}
			trimmed++
		}
	}
	return trimmed
}

// named are the chunks that the state names.
func (m *storeModel) named() map[checkpoint.ChunkID]bool {
	named := make(map[checkpoint.ChunkID]bool)
	for _, ref := range m.live.Manifests {
		named[ref.ID] = true
		for _, id := range NamedChunks(m.manifests[ref.ID]) {
			named[id] = true
		}
	}
	return named
}

// checkOrder checks that an order is not needless.
func (m *storeModel) checkOrder(a orderCopies) {
	named := m.named()
	for _, c := range a.Copies {
		id := c.Chunk.ID
		if _, has := m.nodes[a.Node.ID].disk[id]; has || !named[id] {
			m.t.Fatalf("%s is to copy a chunk that it has (%v), named: %v", a.Node.ID, has, named[id])
		}
		expected := len(m.on(id))
		for _, n := range m.nodes {
			if _, has := n.disk[id]; has && !n.up && m.now.Sub(n.gone) < m.policy.repair.Delay {
				expected++
			}
		}
		if expected >= m.policy.replicas && !m.urgent[id] {
			m.t.Fatalf("a chunk is to be copied that is on %d nodes", expected)
		}
	}
}

// calm ends all faults and lets the repair come to its end.
func (m *storeModel) calm() {
	for _, id := range m.ids() {
		n := m.nodes[id]
		n.broken, n.mute, n.drained = false, false, false
	}
	m.facts()
	m.pass(40 * time.Minute)
}

func (m *storeModel) check() {
	living := 0
	for _, n := range m.nodes {
		if n.up {
			living++
		}
	}
	lost, few := 0, 0
	for id := range m.named() {
		switch on := len(m.on(id)); {
		case on == 0:
			lost++
			few++
		case on < m.policy.replicas:
			few++
		}
		if on := len(m.on(id)); on > 0 && on < min(m.policy.replicas, living) {
			m.t.Errorf("a chunk is on %d of %d nodes that live, for %d replicas", on, living, m.policy.replicas)
		}
	}
	s := m.view.status(m.now)
	if int(s.Chunks) != len(m.named()) || int(s.Lost.Chunks) != lost || int(s.UnderReplicated.Chunks) != few {
		m.t.Errorf("the status says %d chunks, %d lost, %d with too few copies; there are %d, %d, %d",
			s.Chunks, s.Lost.Chunks, s.UnderReplicated.Chunks, len(m.named()), lost, few)
	}
	if len(m.view.orders) > 0 || len(m.view.copying) > 0 {
		m.t.Errorf("%d orders are left, and %d chunks being copied", len(m.view.orders), len(m.view.copying))
	}
	for i, from := range m.epochs {
		to := len(m.orders)
		if i+1 < len(m.epochs) {
			to = m.epochs[i+1]
		}
		wantRate(m.t, m.orders[from:to], m.policy.repair.Rate)
	}
}
