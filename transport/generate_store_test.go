package transport

import (
	"math"

	"pgregory.net/rapid"

	"cairn/checkpoint"
)

func drawChunk(t *rapid.T) checkpoint.ChunkID {
	c := rapid.Make[checkpoint.ChunkID]().Draw(t, "chunk")
	c[0] |= 1 // not the zero name, which names nothing
	return c
}

func drawRef(t *rapid.T) checkpoint.ChunkRef {
	return checkpoint.ChunkRef{ID: drawChunk(t), Size: rapid.Int64Range(0, MaxChunkSize).Draw(t, "size")}
}

// drawStoreToNode returns nil half of the time.
func drawStoreToNode(t *rapid.T) checkpoint.ToNode {
	switch ranged(t, 0, 5) {
	case 0:
		return checkpoint.CopyChunks{
			Term: drawTerm(t), Order: rapid.Uint64().Draw(t, "order"),
			Copies: listOf(t, func(t *rapid.T) checkpoint.ChunkCopy {
				return checkpoint.ChunkCopy{Chunk: drawRef(t), From: listOf(t, drawNode)}
			}),
		}
	case 1:
		return rapid.Make[checkpoint.ListChunks]().Draw(t, "list")
	case 2:
		m := checkpoint.ChunksLocated{Term: drawTerm(t), Request: rapid.Uint64().Draw(t, "request"), Nodes: listOf(t, drawNode)}
		if len(m.Nodes) > 0 {
			m.Holders = listOf(t, func(t *rapid.T) []int {
				return listOf(t, func(t *rapid.T) int { return ranged(t, 0, len(m.Nodes)-1) })
			})
		}
		return m
	}
	return nil
}

// drawStoreFromNode returns nil half of the time.
func drawStoreFromNode(t *rapid.T) checkpoint.FromNode {
	figure := func() int64 { return rapid.Int64Range(0, math.MaxInt64).Draw(t, "figure") }
	switch ranged(t, 0, 9) {
	case 0:
		return checkpoint.Inventory{
			Request: rapid.Uint64().Draw(t, "request"), First: rapid.Bool().Draw(t, "first"), Last: rapid.Bool().Draw(t, "last"),
			Chunks: listOf(t, drawRef), Owners: listOf(t, drawNode),
		}
	case 1:
		return checkpoint.InventoryChange{Added: listOf(t, drawRef), Removed: listOf(t, drawChunk), Corrupt: listOf(t, drawChunk)}
	case 2:
		return checkpoint.StoreReport{
			Path: rapid.String().Draw(t, "path"), Chunks: figure(), Bytes: figure(), StoredBytes: figure(),
			FreeBytes: figure(), TotalBytes: figure(), Quarantined: figure(),
			Scrub: checkpoint.ScrubProgress{
				CompletedAt: checkpoint.Timestamp(figure()), Corrupt: figure(), StartedAt: checkpoint.Timestamp(figure()),
				Done: figure(), Total: figure(),
			},
		}
	case 3:
		return checkpoint.LocateChunks{Request: rapid.Uint64().Draw(t, "request"), Chunks: listOf(t, drawChunk)}
	case 4:
		return checkpoint.ChunksCopied{
			Order: rapid.Uint64().Draw(t, "order"), Copied: listOf(t, drawChunk),
			Failed: listOf(t, func(t *rapid.T) checkpoint.ChunkFailure {
				return checkpoint.ChunkFailure{Chunk: drawChunk(t), Error: rapid.String().Draw(t, "error")}
			}),
		}
	}
	return nil
}
