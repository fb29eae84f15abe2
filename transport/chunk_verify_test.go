package transport

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cairn/checkpoint"
	"cairn/transport/transportpb"
)

// verifying is a chunk store whose copies are as their names say.
type verifying struct {
	*chunkMap
	asked, atOnce, most atomic.Int32
	reached             chan struct{} // if not nil, what a verification waits for
}

var errDisk = errors.New("input/output error")

func (v *verifying) Verify(ctx context.Context, ref checkpoint.ChunkRef) error {
	v.asked.Add(1)
	now := v.atOnce.Add(1)
	defer v.atOnce.Add(-1)
	for most := v.most.Load(); now > most && !v.most.CompareAndSwap(most, now); most = v.most.Load() {
	}
	if v.reached != nil {
		select {
		case v.reached <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	switch ref.ID[0] {
	case 1:
		return nil
	case 2:
		return fmt.Errorf("chunk %s: %w", ref.ID, ErrChunkNotFound)
	case 3:
		return fmt.Errorf("chunk %s: %w", ref.ID, ErrChunkCorrupt)
	}
	return errDisk
}

// TestVerify asks for several batches, and for a finding of every kind in each.
func TestVerify(t *testing.T) {
	store := &verifying{chunkMap: newChunkMap()}
	peer := dialer(t).Peer(serve(t, ServerOptions{Chunks: store}))
	var refs []checkpoint.ChunkRef
	for i := range 2*verifyBatch + 17 {
		refs = append(refs, chunkRef(byte(1+i%4), i))
	}
	next := 0
	err := peer.Verify(t.Context(), refs, func(i int, err error) {
		if i != next {
			t.Fatalf("finding %d instead of %d", i, next)
		}
		next++
		switch i % 4 {
		case 0:
			if err != nil {
				t.Errorf("chunk %d is good: %v", i, err)
			}
		case 1:
			wantError(t, err, ErrChunkNotFound)
		case 2:
			wantError(t, err, ErrChunkCorrupt)
		case 3:
			if err == nil || err.Error() != errDisk.Error() || errors.Is(err, ErrChunkNotFound) || errors.Is(err, ErrChunkCorrupt) {
				t.Errorf("chunk %d: %v", i, err)
			}
		}
	})
	if err != nil || next != len(refs) || int(store.asked.Load()) != len(refs) {
		t.Errorf("%d of %d findings, %d read, %v", next, len(refs), store.asked.Load(), err)
	}
	if err := peer.Verify(t.Context(), nil, nil); err != nil {
		t.Errorf("nothing to verify: %v", err)
	}
}

// TestVerifyIsBounded: a node reads a few chunks at a time, whoever asks.
func TestVerifyIsBounded(t *testing.T) {
	store := &verifying{chunkMap: newChunkMap(), reached: make(chan struct{})}
	address := serve(t, ServerOptions{Chunks: store})
	const clients, each = 5, 4
	done := make(chan error, clients)
	for range clients {
		go func() {
			peer := dialer(t).Peer(address)
			refs := make([]checkpoint.ChunkRef, each)
			for i := range refs {
				refs[i] = chunkRef(1, i)
			}
			done <- peer.Verify(t.Context(), refs, func(int, error) {})
		}()
	}
	for range clients * each {
		<-store.reached
	}
	for range clients {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if most := store.most.Load(); most > verifiers {
		t.Errorf("%d chunks were read at once, want at most %d", most, verifiers)
	}
}

func TestVerifyIsBoundedByItsContext(t *testing.T) {
	store := &verifying{chunkMap: newChunkMap(), reached: make(chan struct{})}
	peer := dialer(t).Peer(serve(t, ServerOptions{Chunks: store}))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-store.reached
		cancel()
	}()
	err := peer.Verify(ctx, []checkpoint.ChunkRef{chunkRef(1, 1), chunkRef(1, 2)}, func(int, error) {})
	wantError(t, err, context.Canceled)
}

func TestVerifyRefusesWhatNoChunkCanBe(t *testing.T) {
	address := serve(t, ServerOptions{Chunks: &verifying{chunkMap: newChunkMap()}})
	peer := dialer(t).Peer(address)
	never := func(int, error) { t.Error("something was found") }
	wantError(t, peer.Verify(t.Context(), []checkpoint.ChunkRef{{Size: 1}}, never), ErrMalformed)
	wantError(t, peer.Verify(t.Context(), []checkpoint.ChunkRef{chunkRef(1, MaxChunkSize+1)}, never), ErrChunkTooLarge)
	wantError(t, dialer(t).Peer(deadAddress(t)).Verify(t.Context(), []checkpoint.ChunkRef{chunkRef(1, 1)}, never), ErrUnreachable)

	c, err := dialer(t).conn(address, laneChunks)
	if err != nil {
		t.Fatal(err)
	}
	many := &transportpb.VerifyChunksRequest{}
	for range verifyBatch + 1 {
		many.Refs = append(many.Refs, checkpoint.ChunkRefToPB(chunkRef(1, 1)))
	}
	bad := &transportpb.VerifyChunksRequest{Refs: many.Refs[:1:1]}
	bad.Refs[0].Id = []byte("../../etc/passwd")
	for _, request := range []*transportpb.VerifyChunksRequest{many, bad} {
		stream, err := transportpb.NewChunkServiceClient(c).VerifyChunks(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := stream.Send(request); err != nil {
			t.Fatal(err)
		}
		if _, err = stream.Recv(); status.Code(err) != codes.InvalidArgument {
			t.Errorf("got %v", err)
		}
	}
}
