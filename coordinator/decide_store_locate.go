package coordinator

import (
	"cairn/api"
	"cairn/checkpoint"
)

// locations tells clients which living nodes hold the chunks.
func (v *storeView) locations(refs []checkpoint.ChunkRef) api.ChunkLocations {
	found := api.ChunkLocations{Complete: v.allTold(), Shared: v.sharedStore() != "", Holders: make([][]int, len(refs))}
	position := make(map[checkpoint.NodeID]int)
	for i, ref := range refs {
		for _, n := range v.preferred(ref.ID, "") {
			if !n.lives() {
				continue
			}
			at, known := position[n.ref.ID]
			if !known {
				at = len(found.Nodes)
				position[n.ref.ID], found.Nodes = at, append(found.Nodes, string(n.ref.ID))
			}
			found.Holders[i] = append(found.Holders[i], at)
		}
	}
	return found
}
