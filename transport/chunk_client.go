package transport

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	"cairn/checkpoint"
	"cairn/transport/transportpb"
)

// Peer is the chunk store of the node at one address. Its methods are safe for concurrent use and bounded by
// their contexts alone.
type Peer struct {
	dialer  *Dialer
	address string
}

// Peer returns the chunk store of the node at address. It does not connect yet.
func (d *Dialer) Peer(address string) *Peer { return &Peer{dialer: d, address: address} }

// Put sends a chunk, and returns when the peer has it durably. The data is not kept.
func (p *Peer) Put(ctx context.Context, ref checkpoint.ChunkRef, chunk EncodedChunk) error {
	header := chunkHeader{ref: ref, encoding: chunk.Encoding, size: int64(len(chunk.Data))}
	if err := header.check(); err != nil {
		return p.failed("put", ref, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return p.call("put", ref, func(client transportpb.ChunkServiceClient) error {
		stream, err := client.PutChunk(ctx)
		if err != nil {
			return err
		}
		if err := sendChunk(stream, header, chunk.Data); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		_, err = stream.CloseAndRecv() // after EOF: the peer's reason for ending early
		return err
	})
}

func sendChunk(stream grpc.ClientStreamingClient[transportpb.ChunkData, transportpb.PutChunkResponse], header chunkHeader, data []byte) error {
	if err := stream.Send(header.toPB()); err != nil {
		return err
	}
	return pieces(data, func(piece []byte) error { return stream.SendMsg(&outgoing{data: piece}) })
}

// Get returns a chunk from the peer, not decoded yet. The caller verifies the content.
func (p *Peer) Get(ctx context.Context, ref checkpoint.ChunkRef) (EncodedChunk, error) {
	if err := checkChunkRef(ref); err != nil {
		return EncodedChunk{}, p.failed("get", ref, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // also when the peer sends more than it should
	var chunk EncodedChunk
	err := p.call("get", ref, func(client transportpb.ChunkServiceClient) error {
		stream, err := client.GetChunk(ctx, &transportpb.GetChunkRequest{Ref: checkpoint.ChunkRefToPB(ref)})
		if err != nil {
			return err
		}
		chunk, err = receiveChunk(stream, ref)
		return err
	})
	return chunk, err
}

// receiveChunk reads the header of the chunk that was asked for, and what follows it.
func receiveChunk(stream grpc.ServerStreamingClient[transportpb.ChunkData], ref checkpoint.ChunkRef) (EncodedChunk, error) {
	first, err := stream.Recv()
	if err != nil {
		return EncodedChunk{}, err
	}
	header, err := chunkHeaderFromPB(first.GetEncoded())
	if err != nil {
		return EncodedChunk{}, err
	}
	if header.ref != ref {
		return EncodedChunk{}, fmt.Errorf("%w: chunk %s of %d bytes came instead of one of %d", ErrChunkCorrupt, header.ref.ID, header.ref.Size, ref.Size)
	}
	return receivePieces(stream, newAssembly(header))
}

// receivePieces reads pieces to the end of a stream.
func receivePieces(stream interface{ RecvMsg(any) error }, whole *assembly) (EncodedChunk, error) {
	in := incoming{header: &transportpb.ChunkData{}}
	defer in.free()
	for {
		err := stream.RecvMsg(&in)
		if errors.Is(err, io.EOF) {
			return whole.chunk()
		}
		if err != nil {
			return EncodedChunk{}, err
		}
		if !in.isPayload {
			return EncodedChunk{}, fmt.Errorf("%w: not a piece of a chunk", ErrMalformed)
		}
		if err := whole.add(in.data); err != nil {
			return EncodedChunk{}, err
		}
		in.free()
	}
}

// Has reports whether the peer has the chunk.
func (p *Peer) Has(ctx context.Context, ref checkpoint.ChunkRef) (bool, error) {
	if err := checkChunkRef(ref); err != nil {
		return false, p.failed("look for", ref, err)
	}
	var has bool
	err := p.call("look for", ref, func(client transportpb.ChunkServiceClient) error {
		response, err := client.HasChunk(ctx, &transportpb.HasChunkRequest{Ref: checkpoint.ChunkRefToPB(ref)})
		has = response.GetHas()
		return err
	})
	return has, err
}

// call runs one exchange with the peer and names verb, chunk and peer in its error.
func (p *Peer) call(verb string, ref checkpoint.ChunkRef, exchange func(transportpb.ChunkServiceClient) error) error {
	c, err := p.dialer.conn(p.address, laneChunks)
	if err != nil {
		return err
	}
	if err := exchange(transportpb.NewChunkServiceClient(c)); err != nil {
		return p.failed(verb, ref, c.meaning(err))
	}
	return nil
}

func (p *Peer) failed(verb string, ref checkpoint.ChunkRef, err error) error {
	return fmt.Errorf("%s chunk %s at node %s: %w", verb, ref.ID, p.address, err)
}
