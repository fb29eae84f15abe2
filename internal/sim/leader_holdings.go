package sim

import (
	"bytes"
	"maps"
	"slices"

	"cairn/checkpoint"
	"cairn/coordinator"
)

// What a leader knows of the nodes' chunks, in the place of its storekeeper.

// inventory takes in what a node tells of its chunks. Changes follow the list.
func (l *leaderLoop) inventory(id checkpoint.NodeID, m checkpoint.FromNode) {
	switch m := m.(type) {
	case checkpoint.Inventory:
		l.holds[id] = make(map[checkpoint.ChunkID]bool, len(m.Chunks))
		for _, ref := range m.Chunks {
			l.holds[id][ref.ID] = true
		}
		l.view.OnInventory(id, m, l.c.clock())
	case checkpoint.InventoryChange:
		for _, ref := range m.Added {
			if l.holds[id] != nil {
				l.holds[id][ref.ID] = true
			}
		}
		for _, chunk := range m.Removed {
			delete(l.holds[id], chunk)
		}
	}
}

// listHoldings answers with what the nodes hold, a moment later.
func (l *leaderLoop) listHoldings() {
	l.view.OnListing(l.c.clock())
	enough := copies
	if l.w.broken(TrimsTooMuch) {
		enough--
	}
	h := coordinator.Holdings{Complete: true, Extra: make(map[checkpoint.NodeID][]checkpoint.ChunkID), Replicas: enough}
	on := make(map[checkpoint.ChunkID][]checkpoint.NodeID)
	for _, host := range l.w.hosts {
		if l.sessions[host.id] == nil {
			continue
		}
		if l.holds[host.id] == nil {
			h = coordinator.Holdings{}
			break
		}
		for id := range l.holds[host.id] {
			on[id] = append(on[id], host.id)
		}
	}
	if h.Complete {
		h.Chunks = sortedChunks(maps.Keys(on))
	}
	for _, id := range h.Chunks {
		for _, node := range on[id][min(len(on[id]), enough):] {
			h.Extra[node] = append(h.Extra[node], id)
		}
	}
	l.after(l.w.storeDelay(), func() {
		l.post(func() { l.view.OnHoldings(h, nil, l.c.clock()) })
	})
}

// heldBy is what the storekeeper answers when a sweep is planned.
func (l *leaderLoop) heldBy(ids []checkpoint.ChunkID) (map[checkpoint.NodeID][]checkpoint.ChunkID, error) {
	held := make(map[checkpoint.NodeID][]checkpoint.ChunkID)
	for node, holds := range l.holds {
		for _, id := range ids {
			if holds[id] && l.sessions[node] != nil {
				held[node] = append(held[node], id)
			}
		}
	}
	return held, nil
}

func sortedChunks(ids func(func(checkpoint.ChunkID) bool)) []checkpoint.ChunkID {
	return slices.SortedFunc(ids, func(a, b checkpoint.ChunkID) int { return bytes.Compare(a[:], b[:]) })
}

// inventory tells the leader what is on the disk.
func (n *node) inventory() {
	m := checkpoint.Inventory{First: true, Last: true}
	for _, id := range sortedChunks(maps.Keys(n.host.disk)) {
		m.Chunks = append(m.Chunks, checkpoint.ChunkRef{ID: id, Size: 1})
	}
	n.news = checkpoint.InventoryChange{}
	n.tell(m)
}

// changed notes what to tell of the disk. Several changes share a message; one that undoes another replaces it.
func (n *node) changed(id checkpoint.ChunkID, there bool) {
	news := &n.news
	if len(news.Added)+len(news.Removed) == 0 {
		n.after(newsDelay, n.tellNews)
	}
	news.Added = slices.DeleteFunc(news.Added, func(ref checkpoint.ChunkRef) bool { return ref.ID == id })
	news.Removed = slices.DeleteFunc(news.Removed, func(removed checkpoint.ChunkID) bool { return removed == id })
	if there {
		news.Added = append(news.Added, checkpoint.ChunkRef{ID: id, Size: 1})
	} else {
		news.Removed = append(news.Removed, id)
	}
}

// tellNews comes before a mark is answered: behind the answer the leader relies on knowing what was deleted before.
func (n *node) tellNews() {
	if len(n.news.Added)+len(n.news.Removed) > 0 {
		n.tell(n.news)
		n.news = checkpoint.InventoryChange{}
	}
}
