package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"cairn/checkpoint"
	"cairn/transport/transportpb"
)

// chunkMap is a ChunkStore that believes every name.
type chunkMap struct {
	fail error // what Write and Get return, when set

	mu     sync.Mutex
	chunks map[checkpoint.ChunkID]EncodedChunk
}

func newChunkMap() *chunkMap { return &chunkMap{chunks: make(map[checkpoint.ChunkID]EncodedChunk)} }

func (m *chunkMap) Write(_ context.Context, ref checkpoint.ChunkRef, chunk EncodedChunk) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail == nil {
		m.chunks[ref.ID] = chunk
	}
	return m.fail
}

func (m *chunkMap) Get(_ context.Context, ref checkpoint.ChunkRef) (EncodedChunk, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	chunk, found := m.chunks[ref.ID]
	if m.fail == nil && !found {
		return chunk, fmt.Errorf("chunk %s: %w", ref.ID, ErrChunkNotFound)
	}
	return chunk, m.fail
}

func (m *chunkMap) Verify(ctx context.Context, ref checkpoint.ChunkRef) error {
	_, err := m.Get(ctx, ref)
	return err
}

func (m *chunkMap) Has(_ context.Context, ref checkpoint.ChunkRef) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, found := m.chunks[ref.ID]
	return found, m.fail
}

func chunkRef(name byte, size int) checkpoint.ChunkRef {
	return checkpoint.ChunkRef{ID: checkpoint.ChunkID{name}, Size: int64(size)}
}

func TestChunkRoundTrip(t *testing.T) {
	store := newChunkMap()
	peer := dialer(t).Peer(serve(t, ServerOptions{Chunks: store}))
	for i, size := range []int{0, 1, chunkPiece - 1, chunkPiece, chunkPiece + 1, 1<<20 + 1, 5<<20 + 17} {
		data := make([]byte, size)
		for j := range data {
			data[j] = byte(j * (i + 7) >> 3)
		}
		ref := chunkRef(byte(i+1), size)
		if has, err := peer.Has(t.Context(), ref); has || err != nil {
			t.Fatalf("before the put: has %t, %v", has, err)
		}
		sent := bytes.Clone(data)
		if err := peer.Put(t.Context(), ref, EncodedChunk{Data: sent}); err != nil {
			t.Fatal(err)
		}
		clear(sent) // the caller has its memory back
		if has, err := peer.Has(t.Context(), ref); !has || err != nil {
			t.Fatalf("after the put: has %t, %v", has, err)
		}
		got, err := peer.Get(t.Context(), ref)
		if err != nil || got.Encoding != ChunkRaw || !bytes.Equal(got.Data, data) {
			t.Fatalf("chunk of %d bytes came back as %d bytes, %v", size, len(got.Data), err)
		}
	}
}

// What travels compressed arrives as it was sent, in as many bytes.
func TestChunkTravelsCompressed(t *testing.T) {
	store := newChunkMap()
	peer := dialer(t).Peer(serve(t, ServerOptions{Chunks: store}))
	ref, sent := chunkRef(1, 5<<20), EncodedChunk{Encoding: ChunkZstd, Data: bytes.Repeat([]byte("frame"), 300_000)}
	if err := peer.Put(t.Context(), ref, sent); err != nil {
		t.Fatal(err)
	}
	got, err := peer.Get(t.Context(), ref)
	if err != nil || got.Encoding != sent.Encoding || !bytes.Equal(got.Data, sent.Data) || !bytes.Equal(store.chunks[ref.ID].Data, sent.Data) {
		t.Fatalf("%d bytes, encoding %d, %v", len(got.Data), got.Encoding, err)
	}
}

func TestChunkLargest(t *testing.T) {
	peer := dialer(t).Peer(serve(t, ServerOptions{Chunks: newChunkMap()}))
	ref := chunkRef(1, MaxChunkSize)
	if err := peer.Put(t.Context(), ref, EncodedChunk{Data: make([]byte, MaxChunkSize)}); err != nil {
		t.Fatal(err)
	}
	if got, err := peer.Get(t.Context(), ref); err != nil || len(got.Data) != MaxChunkSize {
		t.Fatalf("got %d bytes, %v", len(got.Data), err)
	}
}

func TestChunkErrorsKeepTheirMeaning(t *testing.T) {
	for _, tc := range []struct {
		fail   error
		wantIs []error
	}{
		{fmt.Errorf("chunk c: %w", ErrChunkNotFound), []error{ErrChunkNotFound}},
		{fmt.Errorf("chunk c: %w", ErrChunkCorrupt), []error{ErrChunkCorrupt}},
		{fmt.Errorf("chunk c: %w", ErrChunkTooLarge), []error{ErrChunkTooLarge}},
		{&os.PathError{Op: "write", Path: "/data/n2/chunks/ab", Err: syscall.ENOSPC}, []error{ErrNoSpace, syscall.ENOSPC}},
		{errors.New("disk on fire"), nil},
	} {
		store := newChunkMap()
		store.fail = tc.fail
		peer := dialer(t).Peer(serve(t, ServerOptions{Chunks: store}))
		putErr := peer.Put(t.Context(), chunkRef(1, 3<<20), EncodedChunk{Data: make([]byte, 3<<20)})
		_, getErr := peer.Get(t.Context(), chunkRef(1, 1))
		_, hasErr := peer.Has(t.Context(), chunkRef(1, 1))
		for _, err := range []error{putErr, getErr, hasErr} {
			if err == nil || !strings.Contains(err.Error(), tc.fail.Error()) || strings.Contains(err.Error(), "rpc error") {
				t.Errorf("got %v, want it to say %q", err, tc.fail)
			}
			for _, sentinel := range tc.wantIs {
				wantError(t, err, sentinel)
			}
			if tc.wantIs == nil && (errors.Is(err, ErrChunkNotFound) || errors.Is(err, ErrNoSpace)) {
				t.Errorf("%v stands for a sentinel that it is not", err)
			}
		}
	}
}

func TestChunkRefusedBeforeItIsSent(t *testing.T) {
	peer := dialer(t).Peer(deadAddress(t))
	for _, tc := range []struct {
		name     string
		ref      checkpoint.ChunkRef
		encoding ChunkEncoding
		data     []byte
		want     error
	}{
		{"too large", chunkRef(1, MaxChunkSize+1), ChunkRaw, nil, ErrChunkTooLarge},
		{"no name", checkpoint.ChunkRef{Size: 1}, ChunkRaw, []byte("x"), ErrMalformed},
		{"negative", chunkRef(1, -1), ChunkRaw, nil, ErrMalformed},
		{"not the size", chunkRef(1, 2), ChunkRaw, []byte("x"), ErrChunkCorrupt},
		{"compressed and no smaller", chunkRef(1, 1), ChunkZstd, []byte("x"), ErrChunkCorrupt},
		{"compressed to nothing", chunkRef(1, 1), ChunkZstd, nil, ErrChunkCorrupt},
		{"unknown encoding", chunkRef(1, 1), 7, []byte("x"), ErrMalformed},
		{"nobody there", chunkRef(1, 1), ChunkRaw, []byte("x"), ErrUnreachable},
	} {
		wantError(t, peer.Put(t.Context(), tc.ref, EncodedChunk{Encoding: tc.encoding, Data: tc.data}), tc.want)
		if tc.want == ErrChunkCorrupt || tc.encoding > ChunkZstd {
			continue // the reference is fine
		}
		_, err := peer.Get(t.Context(), tc.ref)
		wantError(t, err, tc.want)
		_, err = peer.Has(t.Context(), tc.ref)
		wantError(t, err, tc.want)
	}
}

// TestChunkServerTrustsNobody speaks to the service without the client's own checks.
func TestChunkServerTrustsNobody(t *testing.T) {
	store := newChunkMap()
	c, err := dialer(t).conn(serve(t, ServerOptions{Chunks: store}), laneChunks)
	if err != nil {
		t.Fatal(err)
	}
	header := func(ref checkpoint.ChunkRef) *transportpb.ChunkData {
		return chunkHeader{ref: ref, size: ref.Size}.toPB()
	}
	piece := func(s string) *transportpb.ChunkData {
		return &transportpb.ChunkData{Kind: &transportpb.ChunkData_Piece{Piece: []byte(s)}}
	}
	badName := header(chunkRef(1, 1))
	badName.GetEncoded().Ref.Id = []byte("../../etc/passwd")
	compressed := func(size, content int) *transportpb.ChunkData {
		return chunkHeader{ref: chunkRef(1, content), encoding: ChunkZstd, size: int64(size)}.toPB()
	}
	unknown, none := header(chunkRef(1, 3)), header(chunkRef(1, 3))
	unknown.GetEncoded().Encoding, none.GetEncoded().Encoding = 9, 0
	huge := header(chunkRef(1, 4))
	huge.GetEncoded().Size = math.MaxUint64
	for _, tc := range []struct {
		name     string
		messages []*transportpb.ChunkData
		want     error
	}{
		{"more than its size", []*transportpb.ChunkData{header(chunkRef(1, 4)), piece("abc"), piece("de")}, ErrChunkTooLarge},
		{"less than its size", []*transportpb.ChunkData{header(chunkRef(1, 4)), piece("abc")}, ErrChunkCorrupt},
		{"too large", []*transportpb.ChunkData{header(chunkRef(1, MaxChunkSize+1))}, ErrChunkTooLarge},
		{"no header", []*transportpb.ChunkData{piece("abc")}, nil},
		{"two headers", []*transportpb.ChunkData{header(chunkRef(1, 4)), header(chunkRef(1, 4))}, nil},
		{"bad name", []*transportpb.ChunkData{badName}, nil},
		{"nothing", nil, nil},
		{"compressed to more", []*transportpb.ChunkData{compressed(4, 4), piece("abcd")}, ErrChunkCorrupt},
		{"more than its encoded size", []*transportpb.ChunkData{compressed(3, 9), piece("abcd")}, ErrChunkTooLarge},
		{"less than its encoded size", []*transportpb.ChunkData{compressed(3, 9), piece("ab")}, ErrChunkCorrupt},
		{"unknown encoding", []*transportpb.ChunkData{unknown, piece("abc")}, nil},
		{"no encoding", []*transportpb.ChunkData{none, piece("abc")}, nil},
		{"encoded size without bound", []*transportpb.ChunkData{huge, piece("abcd")}, ErrChunkTooLarge},
	} {
		t.Run(tc.name, func(t *testing.T) {
			stream, err := transportpb.NewChunkServiceClient(c).PutChunk(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range tc.messages {
				if stream.Send(m) != nil {
					break // refused already
				}
			}
			_, err = stream.CloseAndRecv()
			if err = fromStatus(err); err == nil {
				t.Fatal("it was taken")
			}
			if tc.want != nil {
				wantError(t, err, tc.want)
			}
		})
	}
	if len(store.chunks) != 0 {
		t.Errorf("%d of them were stored", len(store.chunks))
	}
}

func TestChunkClientTrustsNobody(t *testing.T) {
	store := newChunkMap()
	peer := dialer(t).Peer(serve(t, ServerOptions{Chunks: store}))
	store.chunks[checkpoint.ChunkID{1}] = EncodedChunk{Data: make([]byte, 2<<20)}
	_, err := peer.Get(t.Context(), chunkRef(1, 1<<20))
	wantError(t, err, ErrChunkCorrupt)
	_, err = peer.Get(t.Context(), chunkRef(1, 2<<20+1))
	wantError(t, err, ErrChunkCorrupt)
}

func TestChunkTransferIsBoundedByItsContext(t *testing.T) {
	blocked := blockedStore{newChunkMap(), make(chan struct{})}
	peer := dialer(t).Peer(serve(t, ServerOptions{Chunks: blocked}))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-blocked.reached
		cancel()
	}()
	wantError(t, peer.Put(ctx, chunkRef(1, 1), EncodedChunk{Data: []byte("x")}), context.Canceled)
}

// blockedStore is a ChunkStore whose writes never end by themselves.
type blockedStore struct {
	*chunkMap
	reached chan struct{} // closed by the first write
}

func (s blockedStore) Write(ctx context.Context, _ checkpoint.ChunkRef, _ EncodedChunk) error {
	close(s.reached)
	<-ctx.Done()
	return ctx.Err()
}
