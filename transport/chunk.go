package transport

import (
	"context"
	"fmt"

	"cairn/checkpoint"
	"cairn/checkpoint/checkpointpb"
	"cairn/transport/transportpb"
)

// ChunkEncoding is the form in which a chunk travels. A receiver refuses one that it does not know.
type ChunkEncoding uint8

const (
	ChunkRaw  ChunkEncoding = iota // the content itself
	ChunkZstd                      // one zstd frame that is smaller than the content
)

// EncodedChunk is the content of a chunk in the form in which it travels.
type EncodedChunk struct {
	Encoding ChunkEncoding
	Data     []byte
}

// ChunkStore is where the chunks that peers send end up, and where those that they ask for come from. Its
// errors reach the peer as sentinels when they wrap ErrChunkNotFound, ErrChunkCorrupt, ErrChunkTooLarge or
// syscall.ENOSPC.
type ChunkStore interface {
	// Write decodes, verifies and stores a chunk. It is durable when Write returns. The data belongs to the store from the
	// call on.
	Write(ctx context.Context, ref checkpoint.ChunkRef, chunk EncodedChunk) error
	// Get returns a chunk, verified. Nobody changes the data any more.
	Get(ctx context.Context, ref checkpoint.ChunkRef) (EncodedChunk, error)
	// Verify reads the chunk and checks its content. The error is nil for a good copy, and otherwise as of Get.
	Verify(ctx context.Context, ref checkpoint.ChunkRef) error
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

// chunkHeader is what goes ahead of the pieces of a chunk.
type chunkHeader struct {
	ref      checkpoint.ChunkRef
	encoding ChunkEncoding
	size     int64 // of the encoded content in bytes
}

// check refuses a header of which no chunk can follow.
func (h chunkHeader) check() error {
	if err := checkChunkRef(h.ref); err != nil {
		return err
	}
	switch h.encoding {
	case ChunkRaw:
		if h.size != h.ref.Size {
			return fmt.Errorf("chunk %s: %w: %d bytes instead of %d", h.ref.ID, ErrChunkCorrupt, h.size, h.ref.Size)
		}
	case ChunkZstd:
		if h.size <= 0 || h.size >= h.ref.Size {
			return fmt.Errorf("chunk %s: %w: %d bytes compressed, the content has %d", h.ref.ID, ErrChunkCorrupt, h.size, h.ref.Size)
		}
	default:
		return fmt.Errorf("chunk %s: %w: unknown encoding %d", h.ref.ID, ErrMalformed, h.encoding)
	}
	return nil
}

func (h chunkHeader) toPB() *transportpb.ChunkData {
	encoding := transportpb.ChunkEncoding_CHUNK_ENCODING_RAW
	if h.encoding == ChunkZstd {
		encoding = transportpb.ChunkEncoding_CHUNK_ENCODING_ZSTD
	}
	return &transportpb.ChunkData{Kind: &transportpb.ChunkData_Encoded{Encoded: &transportpb.ChunkHeader{
		Ref: checkpoint.ChunkRefToPB(h.ref), Encoding: encoding, Size: uint64(h.size),
	}}}
}

// chunkHeaderFromPB reads a header from outside and refuses those of which no chunk can follow.
func chunkHeaderFromPB(pb *transportpb.ChunkHeader) (h chunkHeader, err error) {
	if h.ref, err = chunkRefFromPB(pb.GetRef()); err != nil {
		return h, err
	}
	switch pb.GetEncoding() {
	case transportpb.ChunkEncoding_CHUNK_ENCODING_RAW:
		h.encoding = ChunkRaw
	case transportpb.ChunkEncoding_CHUNK_ENCODING_ZSTD:
		h.encoding = ChunkZstd
	default:
		return h, fmt.Errorf("chunk %s: %w: unknown encoding %d; known are raw and zstd", h.ref.ID, ErrMalformed, pb.GetEncoding())
	}
	if pb.GetSize() > MaxChunkSize {
		return h, fmt.Errorf("chunk %s: %d bytes encoded: %w, at most %d", h.ref.ID, pb.GetSize(), ErrChunkTooLarge, MaxChunkSize)
	}
	h.size = int64(pb.GetSize())
	return h, h.check()
}

// assembly puts the pieces of a chunk together, and never holds more than its header says.
type assembly struct {
	header chunkHeader
	data   []byte
}

func newAssembly(h chunkHeader) *assembly {
	// A header costs its sender nothing, so memory is taken as the pieces come.
	return &assembly{header: h, data: make([]byte, 0, min(h.size, chunkPiece))}
}

func (a *assembly) add(piece []byte) error {
	if int64(len(a.data)+len(piece)) > a.header.size {
		return fmt.Errorf("chunk %s: %w: more than the %d bytes it should have", a.header.ref.ID, ErrChunkTooLarge, a.header.size)
	}
	if cap(a.data) == len(a.data) && len(piece) > 0 {
		grown := make([]byte, len(a.data), min(a.header.size, int64(2*cap(a.data)+len(piece))))
		copy(grown, a.data)
		a.data = grown
	}
	a.data = append(a.data, piece...)
	return nil
}

// chunk returns the whole chunk.
func (a *assembly) chunk() (EncodedChunk, error) {
	if int64(len(a.data)) != a.header.size {
		return EncodedChunk{}, fmt.Errorf("chunk %s: %w: %d bytes instead of %d", a.header.ref.ID, ErrChunkCorrupt, len(a.data), a.header.size)
	}
	return EncodedChunk{Encoding: a.header.encoding, Data: a.data}, nil
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
