package transport

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cairn/checkpoint"
	pb "cairn/transport/transportpb"
)

const (
	// verifyBatch bounds the chunks of one VerifyChunksRequest.
	verifyBatch = 256
	// verifiers is how many chunks a node reads at a time for all who ask for it together: those who write and restore
	// come first.
	verifiers = 2
)

// verifySlots are held while a chunk is read to be checked.
type verifySlots chan struct{}

func newVerifySlots() verifySlots { return make(verifySlots, verifiers) }

// verify checks the store's own copy of a chunk.
func (s *chunkServer) verify(ctx context.Context, ref checkpoint.ChunkRef) error {
	select {
	case s.verifying <- struct{}{}:
		defer func() { <-s.verifying }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.store.Verify(ctx, ref)
}

// VerifyChunks reads chunks where they are, one after the other, and says what it found.
func (s *chunkServer) VerifyChunks(stream grpc.BidiStreamingServer[pb.VerifyChunksRequest, pb.VerifyChunksResponse]) error {
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if n := len(request.GetRefs()); n > verifyBatch {
			return toStatus(fmt.Errorf("%w: %d chunks to be verified at once, at most %d are allowed", ErrMalformed, n, verifyBatch))
		}
		refs, err := chunkRefsFromPB(request.GetRefs())
		if err != nil {
			return toStatus(err)
		}
		for _, ref := range refs {
			err := s.verify(stream.Context(), ref)
			if stream.Context().Err() != nil {
				return toStatus(stream.Context().Err())
			}
			if err := stream.Send(findingToPB(err)); err != nil {
				return err
			}
		}
	}
}

func findingToPB(err error) *pb.VerifyChunksResponse {
	found := &pb.VerifyChunksResponse{Finding: pb.VerifyChunksResponse_FINDING_ERROR}
	switch {
	case err == nil:
		return &pb.VerifyChunksResponse{Finding: pb.VerifyChunksResponse_FINDING_GOOD}
	case errors.Is(err, ErrChunkNotFound):
		found.Finding = pb.VerifyChunksResponse_FINDING_MISSING
	case errors.Is(err, ErrChunkCorrupt):
		found.Finding = pb.VerifyChunksResponse_FINDING_CORRUPT
	}
	found.Message = errorText(err.Error())
	return found
}

// errorOf returns the error that a finding stands for; nil for a good copy.
func errorOf(found *pb.VerifyChunksResponse) error {
	switch found.GetFinding() {
	case pb.VerifyChunksResponse_FINDING_GOOD:
		return nil
	case pb.VerifyChunksResponse_FINDING_MISSING:
		return &verifyError{found.GetMessage(), ErrChunkNotFound}
	case pb.VerifyChunksResponse_FINDING_CORRUPT:
		return &verifyError{found.GetMessage(), ErrChunkCorrupt}
	}
	return errors.New(found.GetMessage())
}

// verifyError is what a node said of its copy.
type verifyError struct {
	message string
	is      error
}

func (e *verifyError) Error() string { return e.message }
func (e *verifyError) Unwrap() error { return e.is }

// Verify makes the peer read and check its copies of the chunks. found is called with the position of each in refs, in
// order, from one goroutine: err is nil for a good copy, ErrChunkNotFound or ErrChunkCorrupt for one that is not there or
// is damaged, and another one when it could not be read. Verify returns an error when the peer did not get to all of them.
func (p *Peer) Verify(ctx context.Context, refs []checkpoint.ChunkRef, found func(i int, err error)) error {
	for _, ref := range refs {
		if err := checkChunkRef(ref); err != nil {
			return p.failed("verify", ref, err)
		}
	}
	c, err := p.dialer.conn(p.address, laneChunks)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := verifyAt(ctx, pb.NewChunkServiceClient(c), refs, found); err != nil {
		if status.Code(err) == codes.Unimplemented {
			return fmt.Errorf("verify chunks at node %s: its version of Cairn cannot do that", p.address)
		}
		return fmt.Errorf("verify chunks at node %s: %w", p.address, c.meaning(err))
	}
	return nil
}

// verifyAt asks for one batch behind the other: what is under way is bounded, and the peer is never asked for more than
// it has answered.
func verifyAt(ctx context.Context, client pb.ChunkServiceClient, refs []checkpoint.ChunkRef, found func(i int, err error)) error {
	stream, err := client.VerifyChunks(ctx)
	if err != nil {
		return err
	}
	for done := 0; done < len(refs); {
		batch := refs[done:min(done+verifyBatch, len(refs))]
		// After EOF the peer's reason for ending early is received.
		if err := stream.Send(&pb.VerifyChunksRequest{Refs: list(batch, checkpoint.ChunkRefToPB)}); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		for range batch {
			response, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return fmt.Errorf("%w: findings of %d chunks, %d were asked for", ErrMalformed, done, len(refs))
			}
			if err != nil {
				return err
			}
			found(done, errorOf(response))
			done++
		}
	}
	return stream.CloseSend()
}
