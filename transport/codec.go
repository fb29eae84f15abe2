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

// encoded is a payload that the codec has encoded ahead of the send, which takes it over.
type encoded struct{ buffer mem.Buffer }

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
	switch out := v.(type) {
	case *encoded:
		return mem.BufferSlice{out.buffer}, nil
	case *outgoing:
		if out.shared {
			return mem.BufferSlice{mem.SliceBuffer(payloadHeader(len(out.data))), mem.SliceBuffer(out.data)}, nil
		}
		return mem.BufferSlice{c.encode(out.data)}, nil
	}
	return c.messages.Marshal(v)
}

// encode returns a payload's message in memory of its own.
func (c *codec) encode(data []byte) mem.Buffer {
	header := payloadHeader(len(data))
	size := len(header) + len(data)
	if mem.IsBelowBufferPoolingThreshold(size) {
		return mem.SliceBuffer(append(header, data...))
	}
	buf := c.pool.Get(size)
	copy((*buf)[copy(*buf, header):], data)
	return mem.NewBuffer(buf, c.pool)
}

func payloadHeader(size int) []byte {
	return protowire.AppendVarint([]byte{payloadTag}, uint64(size))
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
