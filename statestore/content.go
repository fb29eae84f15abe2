package statestore

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/zeebo/blake3"

	"cairn/checkpoint"
)

// content is what a chunk is to hold, in one form or several, which are of the same content then. It is known to be what
// the chunk's reference names.
type content struct {
	data    []byte
	file    string  // that holds it; empty for none
	encoded Encoded // with nil Data for none
}

// load returns the bytes, which are those that ref names.
func (c content) load(fsys fileSystem, ref checkpoint.ChunkRef) ([]byte, error) {
	switch {
	case c.data != nil:
		return c.data, nil
	case c.encoded.Data != nil:
		return c.encoded.Decode(ref)
	case c.file == "":
		return nil, nil
	}
	data, err := fsys.ReadFile(c.file, ref.Size)
	if err != nil {
		return nil, err
	}
	if err := verify(ref, data); err != nil {
		return nil, fmt.Errorf("%s: %w", c.file, err)
	}
	return data, nil
}

// encode makes sure that the encoded form is there. It may lie in the buffer, which is given back after the last use.
func (c *content) encode(fsys fileSystem, ref checkpoint.ChunkRef) (*buffer, error) {
	if c.encoded.Data != nil {
		return nil, nil
	}
	data, err := c.load(fsys, ref)
	if err != nil {
		return nil, err
	}
	c.data = data
	if !worthTrying(data) {
		c.encoded = Encoded{Data: data}
		return nil, nil
	}
	room := borrow(compressedBound(len(data)))
	c.encoded = encodeInto(room.bytes[:0], data)
	return room, nil
}

// newFileRef returns the reference of a file's content. It reads the file once, and keeps little of it in memory.
func newFileRef(path string) (ref checkpoint.ChunkRef, err error) {
	f, err := os.Open(path)
	if err != nil {
		return checkpoint.ChunkRef{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	hash := blake3.New()
	buf := make([]byte, 256<<10)
	for {
		n, err := f.Read(buf)
		_, _ = hash.Write(buf[:n]) // never fails
		if ref.Size += int64(n); ref.Size > MaxChunkSize {
			return checkpoint.ChunkRef{}, fmt.Errorf("%s: %w: at most %d bytes are allowed", path, ErrTooLarge, MaxChunkSize)
		}
		if err == io.EOF {
			hash.Sum(ref.ID[:0])
			return ref, nil
		}
		if err != nil {
			return checkpoint.ChunkRef{}, err
		}
	}
}
