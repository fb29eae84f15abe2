package coordinator

import (
	"context"
	"slices"

	"cairn/checkpoint"
)

// heldAtOnce is how many chunks the storekeeper looks up before it turns to something else.
const heldAtOnce = 1 << 14

// heldBy returns which of the chunks each node holds, in the order of ids. Only nodes count that are alive and have told
// all that they hold, and what they have told by now.
func (k *storekeeper) heldBy(ctx context.Context, ids []checkpoint.ChunkID) (map[checkpoint.NodeID][]checkpoint.ChunkID, error) {
	held := make(map[checkpoint.NodeID][]checkpoint.ChunkID)
	for part := range slices.Chunk(ids, heldAtOnce) {
		err := k.ask(ctx, func() {
			for _, id := range part {
				for _, n := range k.view.keepers(k.view.index.Holders(id)) {
					held[n.ref.ID] = append(held[n.ref.ID], id)
				}
			}
		})
		if err != nil {
			return nil, err // the map may still be being filled
		}
	}
	return held, nil
}
