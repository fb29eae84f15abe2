package statestore

import (
	"context"
	"iter"

	"cairn/checkpoint"
)

// List implements Inventory for all that is in the shared store, whoever has stored it: each chunk once. It holds little
// in memory. When it has come to the end, it forgets the processes that are gone and have left nothing.
func (s *Shared) List(ctx context.Context) iter.Seq2[checkpoint.ChunkRef, error] {
	return func(yield func(checkpoint.ChunkRef, error) bool) {
		seen, departed := make(owners), make(owners)
		if _, err := s.listOwners(ctx, departed); err != nil {
			yield(checkpoint.ChunkRef{}, err)
			return
		}
		if !s.listChunks(ctx, seen, yield) {
			return
		}
		if err := s.tidyOwners(ctx, seen, departed); err != nil {
			s.log.Warn("processes that are gone could not be forgotten; the next list tries again", "store", s.Name(), "cause", err)
		}
	}
}

// listChunks yields the chunks and notes whose they are. It reports false when that ended early.
func (s *Shared) listChunks(ctx context.Context, seen owners, yield func(checkpoint.ChunkRef, error) bool) bool {
	var last checkpoint.ChunkID
	for object, err := range s.objects.List(ctx, chunkPrefix) {
		if err != nil {
			yield(checkpoint.ChunkRef{}, s.failed("list", err))
			return false
		}
		n, ours := parseObjectName(object.Key)
		if !ours {
			continue
		}
		seen[n.owner] = struct{}{}
		if n.chunk.ID == last {
			continue
		}
		last = n.chunk.ID
		if !yield(n.chunk, nil) {
			return false
		}
	}
	return true
}
