package transport

import (
	"context"
	"fmt"

	"cairn/checkpoint"
	"cairn/checkpoint/checkpointpb"
)

// ChunkStore is where the chunks that peers send end up, and where those that they ask for come from. Its
// errors reach the peer as sentinels when they wrap ErrChunkNotFound, ErrChunkCorrupt, ErrChunkTooLarge or
// syscall.ENOSPC.
type ChunkStore interface {
	// Write stores a chunk. It is durable when Write returns. data belongs to the store from the call on.
	Write(ctx context.Context, ref checkpoint.ChunkRef, data []byte) error
	// Get returns a chunk, verified.
	Get(ctx context.Context, ref checkpoint.ChunkRef) ([]byte, error)
	// Has reports whether the chunk is there.
	Has(ctx context.Context, ref checkpoint.ChunkRef) (bool, error)
}

// chunkRefFromPB reads a reference from outside and refuses those that no chunk can have.
func chunkRefFromPB(pb *checkpointpb.ChunkRef) (checkpoint.ChunkRef, error) {
	ref, err := checkpoint.ChunkRefFromPB(pb)
	if err != nil {
		return ref, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return ref, checkChunkRef(ref)
}

func checkChunkRef(ref checkpoint.ChunkRef) error {
	if ref.ID.IsZero() || ref.Size < 0 {
		return fmt.Errorf("%w: chunk %s of %d bytes", ErrMalformed, ref.ID, ref.Size)
	}
	if ref.Size > MaxChunkSize {
		return fmt.Errorf("chunk %s of %d bytes: %w, at most %d", ref.ID, ref.Size, ErrChunkTooLarge, MaxChunkSize)
	}
	return nil
}

// assembly puts the pieces of a chunk together, and never holds more than the chunk's size.
type assembly struct {
	ref  checkpoint.ChunkRef
	data []byte
}

func newAssembly(ref checkpoint.ChunkRef) *assembly {
	// A reference costs its sender nothing, so memory is taken as the pieces come.
	return &assembly{ref: ref, data: make([]byte, 0, min(ref.Size, chunkPiece))}
}

func (a *assembly) add(piece []byte) error {
	if int64(len(a.data)+len(piece)) > a.ref.Size {
		return fmt.Errorf("chunk %s: %w: more than the %d bytes it should have", a.ref.ID, ErrChunkTooLarge, a.ref.Size)
	}
	if cap(a.data) == len(a.data) && len(piece) > 0 {
		grown := make([]byte, len(a.data), min(a.ref.Size, int64(2*cap(a.data)+len(piece))))
		copy(grown, a.data)
		a.data = grown
	}
	a.data = append(a.data, piece...)
	return nil
}

// chunk returns the whole chunk.
func (a *assembly) chunk() ([]byte, error) {
	if int64(len(a.data)) != a.ref.Size {
		return nil, fmt.Errorf("chunk %s: %w: %d bytes instead of %d", a.ref.ID, ErrChunkCorrupt, len(a.data), a.ref.Size)
	}
	return a.data, nil
}

// pieces calls send for each piece of data.
func pieces(data []byte, send func([]byte) error) error {
	for len(data) > 0 {
		n := min(len(data), chunkPiece)
		if err := send(data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}
