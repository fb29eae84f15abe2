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
	store ChunkStore
}

// PutChunk stores a chunk that comes in pieces.
func (s *chunkServer) PutChunk(stream grpc.ClientStreamingServer[transportpb.ChunkData, transportpb.PutChunkResponse]) error {
	first, err := stream.Recv()
	if err != nil {
		return toStatus(fmt.Errorf("chunk without its header: %w", err))
	}
	ref, err := chunkRefFromPB(first.GetHeader())
	if err != nil {
		return toStatus(err)
	}
	data, err := receivePieces(stream, newAssembly(ref))
	if err != nil {
		return toStatus(err)
	}
	if err := s.store.Write(stream.Context(), ref, data); err != nil {
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
	data, err := s.store.Get(stream.Context(), ref)
	if err != nil {
		return toStatus(err)
	}
	return pieces(data, func(piece []byte) error { return stream.SendMsg(&outgoing{data: piece, shared: true}) })
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
