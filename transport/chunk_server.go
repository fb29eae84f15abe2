package transport

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	"cairn/transport/transportpb"
)

// chunkServer answers ChunkService.
type chunkServer struct {
	transportpb.UnimplementedChunkServiceServer
	store     ChunkStore
	verifying verifySlots
}

// PutChunk stores a chunk that comes in pieces.
func (s *chunkServer) PutChunk(stream grpc.ClientStreamingServer[transportpb.ChunkData, transportpb.PutChunkResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return toStatus(fmt.Errorf("chunk without its header: %w", err))
	}
	header, err := chunkHeaderFromPB(first.GetEncoded())
	if err != nil {
		return toStatus(err)
	}
	chunk, err := receivePieces(stream, newAssembly(header))
	if err != nil {
		return toStatus(err)
	}
	if err := s.store.Write(stream.Context(), header.ref, chunk); err != nil {
		return toStatus(err)
	}
	return stream.SendAndClose(&transportpb.PutChunkResponse{})
}

// GetChunk sends a chunk in pieces. A chunk never changes, so they are sent without a copy.
func (s *chunkServer) GetChunk(request *transportpb.GetChunkRequest, stream grpc.ServerStreamingServer[transportpb.ChunkData]) error {
	ref, err := chunkRefFromPB(request.GetRef())
	if err != nil {
		return toStatus(err)
	}
	chunk, err := s.store.Get(stream.Context(), ref)
	if err != nil {
		return toStatus(err)
	}
	header := chunkHeader{ref: ref, encoding: chunk.Encoding, size: int64(len(chunk.Data))}
	if err := header.check(); err != nil {
		return toStatus(err)
	}
	if err := stream.Send(header.toPB()); err != nil {
		return err
	}
	return pieces(chunk.Data, func(piece []byte) error { return stream.SendMsg(&outgoing{data: piece, shared: true}) })
}

// HasChunk says whether a chunk is there.
func (s *chunkServer) HasChunk(ctx context.Context, request *transportpb.HasChunkRequest) (*transportpb.HasChunkResponse, error) {
	ref, err := chunkRefFromPB(request.GetRef())
	if err != nil {
		return nil, toStatus(err)
	}
	has, err := s.store.Has(ctx, ref)
	if err != nil {
		return nil, toStatus(err)
	}
	return &transportpb.HasChunkResponse{Has: has}, nil
}
