package transport

import (
	"fmt"

	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// payloadTag opens a message whose one field, number 2, holds bytes: a frame of a ChannelData, a piece of a
// ChunkData.
const payloadTag = 2<<3 | byte(protowire.BytesType)

// outgoing is a payload on its way out.
type outgoing struct {
	data []byte
	// shared says that nobody changes data any more, so that it is sent without a copy. Otherwise the caller
	// has it back when the send returns.
	shared bool
}

// incoming receives the next message of a bulk stream: a payload, or else the header that opens the stream.
type incoming struct {
	header proto.Message // where a message that is no payload goes

	isPayload bool
	data      []byte     // valid until free
	buffer    mem.Buffer // what data lies in
}

// free gives the payload's memory back. The incoming can then be used again.
func (in *incoming) free() {
	if in.buffer != nil {
		in.buffer.Free()
	}
	in.isPayload, in.data, in.buffer = false, nil, nil
}

// codec is protobuf, except that payloads pass through pooled buffers without being copied into and out of
// protobuf messages. On the wire there is no difference, and so it bears protobuf's name.
type codec struct {
	messages encoding.CodecV2
	pool     mem.BufferPool
}

var _ encoding.CodecV2 = (*codec)(nil)

// newCodec makes a codec with a pool of its own. gRPC's default pool jumps from 32 KiB to 1 MiB, just above
// which a batch of records with its envelope would fall.
func newCodec() *codec {
	exponents := make([]uint8, 0, 12)
	for e := uint8(10); e <= 21; e++ {
		exponents = append(exponents, e)
	}
	pool, err := mem.NewBinaryTieredBufferPool(exponents...)
	if err != nil {
		panic(fmt.Sprintf("transport: buffer pool of fixed sizes: %v", err))
	}
	return &codec{messages: encoding.GetCodecV2(protocodec.Name), pool: pool}
}

// Name implements encoding.CodecV2.
func (c *codec) Name() string { return protocodec.Name }

// Marshal implements encoding.CodecV2.
func (c *codec) Marshal(v any) (mem.BufferSlice, error) {
	out, ok := v.(*outgoing)
	if !ok {
		return c.messages.Marshal(v)
	}
	header := protowire.AppendVarint([]byte{payloadTag}, uint64(len(out.data)))
	if out.shared {
		return mem.BufferSlice{mem.SliceBuffer(header), mem.SliceBuffer(out.data)}, nil
	}
	size := len(header) + len(out.data)
	if mem.IsBelowBufferPoolingThreshold(size) {
		return mem.BufferSlice{mem.SliceBuffer(append(header, out.data...))}, nil
	}
	buf := c.pool.Get(size)
	copy((*buf)[copy(*buf, header):], out.data)
	return mem.BufferSlice{mem.NewBuffer(buf, c.pool)}, nil
}

// Unmarshal implements encoding.CodecV2. A payload that lies in one piece is not copied at all.
func (c *codec) Unmarshal(data mem.BufferSlice, v any) error {
	in, ok := v.(*incoming)
	if !ok {
		return c.messages.Unmarshal(data, v)
	}
	in.free()
	buffer := data.MaterializeToBuffer(c.pool)
	if payload, ok := payloadOf(buffer.ReadOnlyData()); ok {
		in.isPayload, in.data, in.buffer = true, payload, buffer
		return nil
	}
	defer buffer.Free()
	return proto.Unmarshal(buffer.ReadOnlyData(), in.header)
}

// payloadOf returns the bytes in a message that consists of a payload and nothing else.
func payloadOf(message []byte) ([]byte, bool) {
	if len(message) == 0 || message[0] != payloadTag {
		return nil, false
	}
	size, n := protowire.ConsumeVarint(message[1:])
	if n < 0 || size != uint64(len(message)-1-n) {
		return nil, false
	}
	return message[1+n:], true
}
