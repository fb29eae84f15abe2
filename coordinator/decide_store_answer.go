package coordinator

import (
	"slices"
	"time"

	"cairn/checkpoint"
	"cairn/placement"
)

// What others in this coordinator, and nodes, ask the storekeeper.

// Holdings are what the nodes hold at one moment, for a sweep of all that they have.
type Holdings struct {
	// Complete says that every node that is alive has sent its whole inventory, or is not waited for any longer. Without it
	// the rest is empty.
	Complete bool
	Chunks   []checkpoint.ChunkID // ascending, each once
	// Extra are copies beyond the number of replicas, ascending, which may be given up when nothing else changes meanwhile.
	Extra map[checkpoint.NodeID][]checkpoint.ChunkID
	// Replicas is the number of copies that each chunk should have. 0 says that none is to be given up.
	Replicas int
}

// maxExtra bounds the copies that are offered at once to be given up.
const maxExtra = 1 << 16

// holdings returns what the nodes hold, in no particular order.
func (v *storeView) holdings(now time.Time) Holdings {
	if !v.toldEnough(now) {
		return Holdings{}
	}
	h := Holdings{Complete: true, Extra: make(map[checkpoint.NodeID][]checkpoint.ChunkID), Replicas: v.policy.replicas}
	held, extra := make([]bool, v.index.NumGroups()), make([]bool, v.index.NumGroups())
	for at, g := range v.index.Groups() {
		living, _ := v.copies(g.Nodes, now)
		held[at] = living > 0
		extra[at] = len(v.keepers(g.Nodes)) > v.policy.replicas && g.Needed.Chunks > 0
	}
	h.Chunks = slices.AppendSeq(make([]checkpoint.ChunkID, 0, v.index.Len()), v.index.HeldIn(held))
	if !slices.Contains(extra, true) {
		return h
	}
	left := maxExtra
	for n := range v.index.JudgedIn(extra) {
		if left <= 0 {
			break
		}
		c := v.index.Chunk(n)
		for _, id := range v.surplus(c, v.index.Holders(c.Ref.ID)) {
			h.Extra[id] = append(h.Extra[id], c.Ref.ID)
			left--
		}
	}
	return h
}

// keepers returns those of the nodes whose copies can be relied on.
func (v *storeView) keepers(ids []checkpoint.NodeID) []*storeNode {
	var nodes []*storeNode
	for _, id := range ids {
		if n := v.nodes[id]; n != nil && n.obeys() {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// surplus returns the nodes that may give up their copy of a chunk. Those keep it that should have it: first the one
// that stored it, which a restore reads locally, then as placement has it. Drained nodes give theirs up before others.
func (v *storeView) surplus(c placement.Chunk, holders []checkpoint.NodeID) []checkpoint.NodeID {
	var first, places, drained []placement.Node
	for _, n := range v.keepers(holders) {
		place := placement.Node{ID: n.ref.ID, Zone: n.zone}
		switch {
		case n.drained:
			drained = append(drained, place)
		case n.ref.ID == c.Writer:
			first = append(first, place)
		default:
			places = append(places, place)
		}
	}
	ordered := append(first, placement.Order(c.Ref.ID, places, first)...)
	ordered = append(ordered, placement.Order(c.Ref.ID, drained, ordered)...)
	var ids []checkpoint.NodeID
	for _, place := range ordered[min(len(ordered), max(1, v.policy.replicas)):] {
		ids = append(ids, place.ID)
	}
	return ids
}

// LostChunk is a chunk of which no node that is alive has a copy.
type LostChunk struct {
	Chunk checkpoint.ChunkRef
	Had   []checkpoint.NodeID // nodes that are not alive and had one, as far as this leader has heard of them; ascending
}

// lost returns those of the chunks, which a manifest names, of which no living node has a copy. It returns none when that
// cannot be said: while some living node has not told yet what it holds, or may not have had the time to say that it is
// there, right after the manifest was stored (a rescaled job starts from it at once), and when the nodes share a store.
func (v *storeView) lost(manifest checkpoint.ChunkID, refs []checkpoint.ChunkRef, now time.Time) []LostChunk {
	if !v.met(now) || v.sharedStore() != "" || !v.allTold() || v.isFresh(manifest, now) {
		return nil
	}
	var lost []LostChunk
	for _, ref := range refs {
		holders := v.index.Holders(ref.ID)
		if living, _ := v.copies(holders, now); living == 0 {
			slices.Sort(holders)
			lost = append(lost, LostChunk{Chunk: ref, Had: holders})
		}
	}
	return lost
}

// locate answers a node that asks who holds chunks: nodes that live and can be asked first, those in its own zone before
// others, and last those that are gone.
func (v *storeView) locate(asker checkpoint.NodeRef, m checkpoint.LocateChunks) checkpoint.ChunksLocated {
	answer := checkpoint.ChunksLocated{Request: m.Request, Holders: make([][]int, len(m.Chunks))}
	position := make(map[checkpoint.NodeID]int)
	zone := ""
	if n := v.node(asker); n != nil {
		zone = n.zone
	}
	for i, id := range m.Chunks {
		for _, holder := range v.preferred(id, zone) {
			at, known := position[holder.ref.ID]
			if !known {
				at = len(answer.Nodes)
				position[holder.ref.ID] = at
				answer.Nodes = append(answer.Nodes, holder.ref)
			}
			answer.Holders[i] = append(answer.Holders[i], at)
		}
	}
	return answer
}

// preferred returns the holders of a chunk in the order in which a node of a zone should ask them.
func (v *storeView) preferred(id checkpoint.ChunkID, zone string) []*storeNode {
	var places []placement.Node
	for _, holder := range v.index.Holders(id) {
		if n := v.nodes[holder]; n != nil {
			places = append(places, placement.Node{ID: holder, Zone: n.zone})
		}
	}
	var nodes []*storeNode
	for _, place := range placement.Order(id, places, nil) {
		nodes = append(nodes, v.nodes[place.ID])
	}
	distance := func(n *storeNode) int {
		switch {
		case !n.lives():
			return 3
		case !n.open || n.state != nodeAlive:
			return 2
		case n.zone != zone:
			return 1
		}
		return 0
	}
	slices.SortStableFunc(nodes, func(a, b *storeNode) int { return distance(a) - distance(b) })
	return nodes
}
