package statestore

import (
	"context"
	"fmt"

	"cairn/checkpoint"
)

// Encoding is the form in which the content of a chunk is stored and sent. The numbers are on disk: they are never used
// for anything else.
type Encoding uint8

const (
	// EncodingRaw is the content itself.
	EncodingRaw Encoding = 0
	// EncodingZstd is one zstd frame, which states the size of the content and is smaller than it.
	EncodingZstd Encoding = 1
)

// String returns the name of the encoding.
func (e Encoding) String() string {
	switch e {
	case EncodingRaw:
		return "raw"
	case EncodingZstd:
		return "zstd"
	}
	return fmt.Sprintf("encoding %d", uint8(e))
}

// Encoded is the content of a chunk in the form in which it is stored and sent. The name of a chunk is the hash of its
// content, and its size that of the content: how a chunk is encoded is a matter of each copy.
type Encoded struct {
	Encoding Encoding
	Data     []byte
}

// EncodedStore is a Store that takes and gives chunks in the form in which they are stored, so that what its writer has
// compressed is compressed once.
type EncodedStore interface {
	// WriteEncoded is Store.Write. It decodes and checks the content before it stores anything, and does not keep e.Data.
	WriteEncoded(ctx context.Context, ref checkpoint.ChunkRef, e Encoded) error
	// GetEncoded is Store.Get. The content has been checked all the same. The data belongs to the caller.
	GetEncoded(ctx context.Context, ref checkpoint.ChunkRef) (Encoded, error)
}

// Encode returns the form in which content is to be stored: compressed where that saves at least an eighth. What cannot
// be compressed shares the memory of data.
func Encode(data []byte) Encoded {
	if !worthTrying(data) {
		return Encoded{Data: data}
	}
	return encodeInto(make([]byte, 0, compressedBound(len(data))), data)
}

// encodeInto is Encode, with memory to put the compressed form in.
func encodeInto(dst, data []byte) Encoded {
	if packed := compress(dst, data); pays(len(packed), len(data)) {
		return Encoded{Encoding: EncodingZstd, Data: packed}
	}
	return Encoded{Data: data}
}

// Decode returns the content after checking its size and hash. It takes no more memory than ref.Size, and none before it
// has seen that the encoded form claims that size. Raw content shares the memory of e.Data.
func (e Encoded) Decode(ref checkpoint.ChunkRef) ([]byte, error) {
	if err := e.check(ref); err != nil {
		return nil, err
	}
	if e.Encoding == EncodingRaw {
		return e.Data, verify(ref, e.Data)
	}
	return e.decompress(make([]byte, 0, ref.Size), ref)
}

// verify checks the content as Decode does, and keeps none of it.
func (e Encoded) verify(ref checkpoint.ChunkRef) error {
	if err := e.check(ref); err != nil {
		return err
	}
	if e.Encoding == EncodingRaw {
		return verify(ref, e.Data)
	}
	scratch := borrow(int(ref.Size))
	defer scratch.giveBack()
	_, err := e.decompress(scratch.bytes[:0:ref.Size], ref)
	return err
}

// decompress is behind check. dst has the capacity that ref says.
func (e Encoded) decompress(dst []byte, ref checkpoint.ChunkRef) ([]byte, error) {
	data, err := decompress(dst, e.Data)
	if err != nil {
		return nil, fmt.Errorf("chunk %s: %w: %w", ref.ID, ErrCorrupt, err)
	}
	return data, verify(ref, data)
}

// check refuses what cannot be the chunk, before anything is decoded.
func (e Encoded) check(ref checkpoint.ChunkRef) error {
	if err := checkRef(ref); err != nil {
		return err
	}
	switch e.Encoding {
	case EncodingRaw:
		if int64(len(e.Data)) != ref.Size {
			return fmt.Errorf("chunk %s: %w: %d bytes instead of %d", ref.ID, ErrCorrupt, len(e.Data), ref.Size)
		}
		return nil
	case EncodingZstd:
		if int64(len(e.Data)) >= ref.Size {
			return fmt.Errorf("chunk %s: %w: %d bytes compressed, the content has %d", ref.ID, ErrCorrupt, len(e.Data), ref.Size)
		}
		if size, err := frameSize(e.Data); err != nil || size != ref.Size {
			return fmt.Errorf("chunk %s: %w: the frame is of %d bytes instead of %d (%v)", ref.ID, ErrCorrupt, size, ref.Size, err)
		}
		return nil
	}
	return fmt.Errorf("chunk %s: %w: unknown %s; known are raw and zstd", ref.ID, ErrCorrupt, e.Encoding)
}
