package coordinator

import (
	"context"

	"cairn/api"
	"cairn/checkpoint"
)

// status and locate stand here until the storekeeper knows how the nodes' parts of the store are.

func (k *storekeeper) status(ctx context.Context) (status api.StoreStatus, err error) {
	err = k.ask(ctx, func() { status = api.StoreStatus{Backend: "nodes", Nodes: []api.StoreNode{}} })
	return status, err
}

func (k *storekeeper) locate(ctx context.Context, refs []checkpoint.ChunkRef) (found api.ChunkLocations, err error) {
	err = k.ask(ctx, func() {
		position := make(map[checkpoint.NodeID]int)
		for _, ref := range refs {
			holders := []int{}
			for _, id := range k.index.Holders(ref.ID) {
				n, known := position[id]
				if !known {
					n = len(found.Nodes)
					position[id], found.Nodes = n, append(found.Nodes, string(id))
				}
				holders = append(holders, n)
			}
			found.Holders = append(found.Holders, holders)
		}
	})
	return found, err
}
