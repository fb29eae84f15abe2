package placement

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"cairn/checkpoint"
)

// plainIndex is what an index is meant to know, written down plainly.
type plainIndex struct {
	held    map[checkpoint.NodeID]map[checkpoint.ChunkID]bool // true: confirmed
	needs   map[checkpoint.ChunkID]int
	since   map[checkpoint.ChunkID]uint32
	judged  map[checkpoint.ChunkID]bool
	numbers map[checkpoint.ChunkID]Number
}

func (p *plainIndex) holders(id checkpoint.ChunkID) []checkpoint.NodeID {
	var nodes []checkpoint.NodeID
	for node, chunks := range p.held {
		if _, has := chunks[id]; has {
			nodes = append(nodes, node)
		}
	}
	slices.Sort(nodes)
	return nodes
}

// check compares an index with what it is meant to know.
func (p *plainIndex) check(t *testing.T, x *Index, all []checkpoint.ChunkRef) {
	t.Helper()
	groups := make(map[string]Group)
	for _, g := range x.Groups() {
		slices.Sort(g.Nodes)
		sum := groups[fmt.Sprint(g.Nodes)]
		sum.Chunks += g.Chunks
		sum.Needed.Add(g.Needed)
		groups[fmt.Sprint(g.Nodes)] = sum
	}
	want, len := make(map[string]Group), 0
	var needed Count
	for _, ref := range all {
		holders := p.holders(ref.ID)
		got := x.Holders(ref.ID)
		slices.Sort(got)
		if !slices.Equal(got, holders) {
			t.Fatalf("chunk %s is held by %v, the index says %v", ref.ID, holders, got)
		}
		if holders != nil {
			len++
		}
		if holders == nil && p.needs[ref.ID] == 0 {
			if _, known := x.NumberOf(ref.ID); known {
				t.Fatalf("chunk %s is remembered: nobody holds or needs it", ref.ID)
			}
			continue
		}
		if p.needs[ref.ID] > 0 {
			needed.Add(Count{1, ref.Size})
		}
		g := want[fmt.Sprint(holders)]
		g.Chunks++
		if p.judged[ref.ID] {
			g.Needed.Add(Count{1, ref.Size})
		}
		want[fmt.Sprint(holders)] = g
		n, _ := x.NumberOf(ref.ID)
		if c := x.Chunk(n); c.Ref != ref || c.Judged != p.judged[ref.ID] || p.needs[ref.ID] > 0 && c.Since != p.since[ref.ID] {
			t.Fatalf("the index says %+v of chunk %s: needed %d times since %d, judged %v", c, ref.ID, p.needs[ref.ID], p.since[ref.ID], p.judged[ref.ID])
		}
	}
	if !maps.EqualFunc(groups, want, func(a, b Group) bool { return a.Chunks == b.Chunks && a.Needed == b.Needed }) {
		t.Fatalf("the groups are %v, want %v", groups, want)
	}
	if x.Needed() != needed {
		t.Fatalf("%+v are needed, the index says %+v", needed, x.Needed())
	}
	if x.Len() != len || countAll(x) != len {
		t.Fatalf("%d chunks, of which All yields %d; %d are held", x.Len(), countAll(x), len)
	}
}

func countAll(x *Index) int {
	n := 0
	for range x.All() {
		n++
	}
	return n
}

// An index knows what was said, whatever is said in which order. Few chunks on few nodes: everything meets everything.
func TestIndexAgainstAPlainOne(t *testing.T) {
	for seed := range uint64(15) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			x := NewIndex()
			x.groups.limit = 4 // so that groups are thrown away often
			p := &plainIndex{
				held: make(map[checkpoint.NodeID]map[checkpoint.ChunkID]bool), needs: make(map[checkpoint.ChunkID]int),
				since: make(map[checkpoint.ChunkID]uint32), judged: make(map[checkpoint.ChunkID]bool), numbers: make(map[checkpoint.ChunkID]Number),
			}
			var all []checkpoint.ChunkRef
			for i := range 12 {
				all = append(all, checkpoint.ChunkRef{ID: chunkID(fmt.Sprint(i)), Size: int64(1 + i)})
			}
			nodes := testNodes(4)
			for _, n := range nodes {
				p.held[n] = make(map[checkpoint.ChunkID]bool)
			}
			for now := range uint32(1500) {
				ref, node := all[random.IntN(len(all))], nodes[random.IntN(len(nodes))]
				p.change(t, x, random.IntN(18), now, ref, node)
				if x.groups.limit > 4 {
					x.groups.limit = 4 + int(now)%64
				}
				p.check(t, x, all)
			}
		})
	}
}

// change says the same to both.
func (p *plainIndex) change(t *testing.T, x *Index, what int, now uint32, ref checkpoint.ChunkRef, node checkpoint.NodeID) {
	t.Helper()
	held := p.held[node]
	_, has := held[ref.ID]
	switch what {
	case 0, 1, 2, 3, 4:
		if got := x.Add(node, ref); got == has {
			t.Fatalf("adding chunk %s to %s is news: %v", ref.ID, node, got)
		}
		held[ref.ID] = true
	case 5, 6, 7:
		if got := x.Remove(node, ref.ID); got != has {
			t.Fatalf("removing chunk %s from %s is news: %v", ref.ID, node, got)
		}
		delete(held, ref.ID)
	case 8:
		x.BeginList(node)
		for id := range held {
			held[id] = false
		}
	case 9:
		x.EndList(node)
		maps.DeleteFunc(held, func(_ checkpoint.ChunkID, confirmed bool) bool { return !confirmed })
	case 10:
		x.Forget(node)
		clear(held)
	case 11, 12, 13, 14:
		if p.needs[ref.ID]++; p.needs[ref.ID] == 1 {
			p.since[ref.ID] = now
		}
		p.numbers[ref.ID] = x.Need(ref, node, now)
	case 15, 16:
		if p.needs[ref.ID] > 0 {
			x.Release(p.numbers[ref.ID])
			if p.needs[ref.ID]--; p.needs[ref.ID] == 0 {
				delete(p.judged, ref.ID)
			}
		}
	case 17:
		if n, known := p.numbers[ref.ID]; known && p.needs[ref.ID] > 0 {
			at := now - min(now, 20)
			x.Judge(n, at)
			if p.since[ref.ID] <= at {
				p.judged[ref.ID] = true
			}
		}
	}
}

// What only some nodes hold and nobody needs can be forgotten; the rest stays.
func TestIndexDropsWhatNobodyNeeds(t *testing.T) {
	x := NewIndex()
	ref := func(i int) checkpoint.ChunkRef { return checkpoint.ChunkRef{ID: chunkID(fmt.Sprint(i)), Size: 1} }
	x.Add("gone", ref(1))
	x.Add("gone", ref(2))
	x.Need(ref(2), "", 0)
	x.Add("gone", ref(3))
	x.Add("n1", ref(3))
	groups := make([]bool, x.NumGroups())
	for at, g := range x.Groups() {
		groups[at] = slices.Equal(g.Nodes, []checkpoint.NodeID{"gone"})
	}
	x.DropUnneeded(groups)
	if _, known := x.NumberOf(ref(1).ID); known || x.Len() != 2 || len(x.Holders(ref(3).ID)) != 2 {
		t.Fatalf("chunk 1 is known: %v; %d chunks are left, chunk 3 is on %v", known, x.Len(), x.Holders(ref(3).ID))
	}
}

// Nodes that come and go, under ever new names, leave nothing behind: neither sets of holders nor names.
func TestIndexForgetsNodesAndGroups(t *testing.T) {
	x := NewIndex()
	refs := make([]checkpoint.ChunkRef, 500)
	for i := range refs {
		refs[i] = checkpoint.ChunkRef{ID: chunkID(fmt.Sprint(i)), Size: 1}
	}
	random := rand.New(rand.NewPCG(1, 1))
	for life := range 3000 {
		node := checkpoint.NodeID(fmt.Sprint("pod-", life))
		for range 20 {
			x.Add(node, refs[random.IntN(len(refs))])
		}
		if life >= 10 {
			x.Forget(checkpoint.NodeID(fmt.Sprint("pod-", life-10)))
		}
	}
	if groups, nodes := len(x.groups.list), len(x.nodes.ids); groups > 8*fewGroups || nodes > 2000 {
		t.Fatalf("%d groups and %d nodes are remembered; 10 nodes hold %d chunks", groups, nodes, x.Len())
	}
}

// manyChunks returns an index of a million chunks on two of three nodes each, all of them needed by a manifest.
func manyChunks(chunks int) (*Index, []Number) {
	x, needed := NewIndex(), make([]Number, 0, chunks)
	for i := range chunks {
		ref := checkpoint.ChunkRef{ID: numbered(i), Size: 4096}
		for at := range 2 {
			x.Add(testNodeIDs[(i+at)%3], ref)
		}
		n := x.Need(ref, testNodeIDs[i%3], 0)
		x.Judge(n, 0)
		needed = append(needed, n)
	}
	return x, needed
}

var testNodeIDs = testNodes(3)

// numbered returns the name of a chunk, which looks like a hash where the index looks.
func numbered(i int) checkpoint.ChunkID {
	var id checkpoint.ChunkID
	h := uint64(i)*0x9e3779b97f4a7c15 + 1
	for at := 0; at < len(id); at += 8 {
		for b := range 8 {
			id[at+b] = byte(h >> (8 * b))
		}
		h = h*0xd1342543de82ef95 + 1
	}
	return id
}
