package statestore

import (
	"bytes"
	"fmt"

	"github.com/zeebo/blake3"

	"cairn/checkpoint"
)

// RefOf returns the reference of a chunk with the given content.
func RefOf(data []byte) checkpoint.ChunkRef {
	return checkpoint.ChunkRef{ID: blake3.Sum256(data), Size: int64(len(data))}
}

// newRef is RefOf for data that is about to be stored: it refuses what is too large before hashing it.
func newRef(data []byte) (checkpoint.ChunkRef, error) {
	if len(data) > MaxChunkSize {
		return checkpoint.ChunkRef{}, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrTooLarge, len(data), MaxChunkSize)
	}
	return RefOf(data), nil
}

// checkRef refuses a reference that no stored chunk can have, before any memory is taken for its size.
func checkRef(ref checkpoint.ChunkRef) error {
	switch {
	case ref.Size < 0:
		return fmt.Errorf("chunk %s: %w: the reference says %d bytes", ref.ID, ErrCorrupt, ref.Size)
	case ref.Size > MaxChunkSize:
		return fmt.Errorf("chunk %s: %w: %d bytes, at most %d are allowed", ref.ID, ErrTooLarge, ref.Size, MaxChunkSize)
	}
	return nil
}

// verify returns an error that wraps ErrCorrupt or ErrTooLarge unless data is exactly what ref names.
func verify(ref checkpoint.ChunkRef, data []byte) error {
	if err := checkRef(ref); err != nil {
		return err
	}
	if int64(len(data)) != ref.Size {
		return fmt.Errorf("chunk %s: %w: %d bytes instead of %d", ref.ID, ErrCorrupt, len(data), ref.Size)
	}
	if got := blake3.Sum256(data); got != ref.ID {
		return fmt.Errorf("chunk %s: %w: the content has the hash %s", ref.ID, ErrCorrupt, checkpoint.ChunkID(got))
	}
	return nil
}

// compareIDs orders chunks by name.
func compareIDs(a, b checkpoint.ChunkRef) int { return bytes.Compare(a.ID[:], b.ID[:]) }
