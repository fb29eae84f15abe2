package statestore

import (
	"fmt"

	"cairn/checkpoint"
)

// ChangeKind is what happened to a chunk.
type ChangeKind uint8

const (
	// ChunkAdded says that the chunk is stored durably. It may have been before.
	ChunkAdded ChangeKind = iota + 1
	// ChunkRemoved says that the chunk was deleted.
	ChunkRemoved
	// ChunkCorrupt says that the copy failed its check, or that its file has vanished. It is not there any more.
	ChunkCorrupt
)

// String returns the name of the kind.
func (k ChangeKind) String() string {
	switch k {
	case ChunkAdded:
		return "added"
	case ChunkRemoved:
		return "removed"
	case ChunkCorrupt:
		return "corrupt"
	}
	return fmt.Sprintf("change %d", uint8(k))
}

// Change is something that happened to a chunk of a Local.
type Change struct {
	Kind ChangeKind
	Ref  checkpoint.ChunkRef
}
