package coordinator

import (
	"context"
	"time"

	"cairn/checkpoint"
)

// simReplicas is how many copies are enough.
const simReplicas = 2

// simInventory is what a leader knows of a node's chunks.
type simInventory struct {
	complete bool
	chunks   map[checkpoint.ChunkID]bool
}

// inventory is what a process tells behind its report.
func (n *simNode) inventory() checkpoint.Inventory {
	m := checkpoint.Inventory{First: true, Last: true}
	for ref, err := range n.own.List(context.Background()) {
		if err != nil {
			panic(err)
		}
		m.Chunks = append(m.Chunks, ref)
	}
	return m
}

// tellNews tells the leader that the node obeys what has changed on its disk.
func (n *simNode) tellNews(s *cleanSim) {
	for _, l := range s.leaders {
		if link := l.links[n.ref.ID]; link != nil && l.term == n.term {
			for _, m := range n.news {
				if s.opts.noNews && len(m.Removed) > 0 {
					continue
				}
				link.toLeader = append(link.toLeader, m)
			}
		}
	}
	n.news = nil
}

// inventory takes in what a node tells of its chunks.
func (l *simLeader) inventory(n *simNode, m checkpoint.FromNode, now time.Time) {
	of := l.index[n.ref.ID]
	switch m := m.(type) {
	case checkpoint.Inventory:
		of.complete, of.chunks = true, make(map[checkpoint.ChunkID]bool)
		for _, ref := range m.Chunks {
			of.chunks[ref.ID] = true
		}
		l.view.OnInventory(n.ref.ID, m, now)
	case checkpoint.InventoryChange:
		for _, ref := range m.Added {
			if of.complete {
				of.chunks[ref.ID] = true
			}
		}
		for _, id := range m.Removed {
			delete(of.chunks, id)
		}
	}
}

// list answers ListHoldings, some time later.
func (s *cleanSim) list(l *simLeader) {
	l.view.OnListing(s.now)
	h := Holdings{Complete: true, Extra: make(map[checkpoint.NodeID][]checkpoint.ChunkID), Replicas: simReplicas}
	if s.opts.noTrim {
		h.Replicas = 0
	}
	var lists [][]checkpoint.ChunkID
	for _, n := range s.nodes {
		of := l.index[n.ref.ID]
		if known := l.view.nodes[n.ref.ID]; known == nil || l.view.stateOf(known, s.now) != nodeAlive {
			continue
		}
		if !of.complete {
			h = Holdings{}
			break
		}
		lists = append(lists, sortedKeys(of.chunks))
	}
	if h.Complete {
		h.Chunks = sorted(lists)
		for _, id := range h.Chunks {
			s.listExtra(l, h.Extra, id)
		}
	}
	l.async = append(l.async, func() { l.view.OnHoldings(h, nil, s.now) })
}

// listExtra names the copies of a chunk that are too many, of any of the nodes that have one.
func (s *cleanSim) listExtra(l *simLeader, extra map[checkpoint.NodeID][]checkpoint.ChunkID, id checkpoint.ChunkID) {
	var on []checkpoint.NodeID
	for _, n := range s.nodes {
		if l.index[n.ref.ID].chunks[id] {
			on = append(on, n.ref.ID)
		}
	}
	s.rng.Shuffle(len(on), func(i, j int) { on[i], on[j] = on[j], on[i] })
	for len(on) > simReplicas {
		extra[on[0]] = append(extra[on[0]], id)
		on = on[1:]
	}
}

// locate is the storekeeper's answer when a sweep is planned.
func (l *simLeader) locate(ids []checkpoint.ChunkID) map[checkpoint.NodeID][]checkpoint.ChunkID {
	found := make(map[checkpoint.NodeID][]checkpoint.ChunkID)
	for node, of := range l.index {
		for _, id := range ids {
			if of.chunks[id] {
				found[node] = append(found[node], id)
			}
		}
	}
	return found
}

func sortedKeys(set map[checkpoint.ChunkID]bool) []checkpoint.ChunkID {
	var ids []checkpoint.ChunkID
	for id := range set {
		ids = append(ids, id)
	}
	return sorted([][]checkpoint.ChunkID{ids})
}

func (s *cleanSim) planned(l *simLeader, in SweepInput) SweepPlan {
	p := in.Plan(s.load, func(ids []checkpoint.ChunkID) (map[checkpoint.NodeID][]checkpoint.ChunkID, error) {
		return l.locate(ids), nil
	})
	s.trimmed += p.Trimmed
	return p
}
