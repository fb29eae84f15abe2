package dataflow

import (
	"context"

	"cairn/checkpoint"
)

// ChunkStore keeps the bytes of snapshots. Its methods are safe for concurrent use.
type ChunkStore interface {
	// Put returns when the chunk is durable on as many replicas as the store's policy says. It does not keep
	// data.
	Put(ctx context.Context, data []byte) (checkpoint.ChunkRef, error)
	// Get returns a chunk whose content has been verified. The caller does not change it.
	Get(ctx context.Context, ref checkpoint.ChunkRef) ([]byte, error)
}

// ChunkExpecter is a ChunkStore that is quicker when it knows beforehand which chunks will be read.
type ChunkExpecter interface {
	// Expect says that the chunks are about to be read. It does not wait for them.
	Expect(ctx context.Context, refs []checkpoint.ChunkRef)
}
