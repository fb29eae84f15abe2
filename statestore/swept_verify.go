package statestore

import (
	"context"

	"cairn/checkpoint"
)

// verifier is a store that checks a copy without handing its content out.
type verifier interface {
	Verify(ctx context.Context, ref checkpoint.ChunkRef) error
}

// Verify reads this node's copy of a chunk and checks it. It returns ErrNotFound when there is none, and ErrCorrupt when it
// is damaged; then it has been put into quarantine.
func (s *Swept) Verify(ctx context.Context, ref checkpoint.ChunkRef) error {
	if v, ok := s.own.(verifier); ok {
		return v.Verify(ctx, ref)
	}
	_, err := s.own.Get(ctx, ref)
	return err
}
