package dataflow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/zeebo/blake3"

	"cairn/checkpoint"
)

// secondStore gives each chunk a second after it was asked for, like a peer, and says how much it was asked for at once.
type secondStore struct {
	*memoryStore
	broken checkpoint.ChunkID // cannot be had

	now, most int // chunks
	bytes     int64
	mostBytes int64
	given     int
	givenUp   int
	mu        sync.Mutex // guards the counts
}

func (s *secondStore) Get(ctx context.Context, ref checkpoint.ChunkRef) ([]byte, error) {
	s.count(1, ref.Size)
	defer s.count(-1, -ref.Size)
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		s.givenUp++
		return nil, ctx.Err()
	}
	if ref.ID == s.broken {
		return nil, errBroken
	}
	return s.memoryStore.Get(ctx, ref)
}

func (s *secondStore) count(n int, size int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now, s.bytes = s.now+n, s.bytes+size
	s.most, s.mostBytes = max(s.most, s.now), max(s.mostBytes, s.bytes)
	if n < 0 {
		s.given++
	}
}

var errBroken = errors.New("no good copy")

// slowContent is n chunks, each of which says it has size bytes, and their content.
func slowContent(t *testing.T, n int, size int64) (*chunkReader, *secondStore, []byte) {
	t.Helper()
	freshBudget(t)
	store := &secondStore{memoryStore: newMemoryStore()}
	r := &chunkReader{ctx: t.Context(), store: store}
	var all []byte
	for i := range n {
		data := fmt.Appendf(nil, "chunk %d;", i)
		ref := checkpoint.ChunkRef{ID: blake3.Sum256(data), Size: size}
		store.chunks[ref.ID] = data
		r.refs, all = append(r.refs, ref), append(all, data...)
	}
	return r, store, all
}

// Chunks come in order although several are fetched at a time, and no more of them than the bounds say.
func TestReadAhead(t *testing.T) {
	for _, test := range []struct {
		name   string
		chunks int
		size   int64
		most   int // chunks at a time
		takes  time.Duration
	}{
		{"one", 1, 1 << 20, 1, time.Second},
		{"three", 3, 1 << 20, 2, 2 * time.Second},
		{"many", 41, 1 << 20, 4, 12 * time.Second},
		{"large", 9, 16 << 20, 2, 0},
		{"larger than the bound", 3, 64 << 20, 1, 3 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, store, want := slowContent(t, test.chunks, test.size)
				start := time.Now()
				got, err := io.ReadAll(r)
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("read %q, %v; want %q", got, err, want)
				}
				if store.most != test.most || store.mostBytes > max(maxBytesAhead, test.size) {
					t.Errorf("%d chunks of %d bytes at a time, want %d chunks", store.most, store.mostBytes, test.most)
				}
				if took := time.Since(start); test.takes != 0 && took != test.takes {
					t.Errorf("it took %s, want %s", took, test.takes)
				}
				wantBudgetBack(t)
			})
		})
	}
}

func wantBudgetBack(t *testing.T) {
	t.Helper()
	if aheadOfAll.left != maxAheadOfAll {
		t.Errorf("%d bytes of the common bound were not given back", maxAheadOfAll-aheadOfAll.left)
	}
}

// freshBudget gives the test a common bound of its own.
func freshBudget(t *testing.T) {
	t.Helper()
	before := aheadOfAll.left
	aheadOfAll.left = maxAheadOfAll
	t.Cleanup(func() { aheadOfAll.left = before })
}

// What cannot be had is an error where it would be read, not before: what lies in front of it is there.
func TestReadAheadFailsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, store, want := slowContent(t, 10, 1<<20)
		store.broken = r.refs[5].ID
		got, err := io.ReadAll(r)
		if !errors.Is(err, errBroken) || !bytes.Equal(got, want[:5*len("chunk 0;")]) {
			t.Errorf("read %q, %v", got, err)
		}
		if _, err := r.Read(make([]byte, 1)); !errors.Is(err, errBroken) {
			t.Errorf("behind the error: %v", err)
		}
		r.close()
		wantBudgetBack(t)
	})
}

// Who stops reading leaves nothing behind: close waits until nobody is at a chunk.
func TestReadAheadIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, store, _ := slowContent(t, 20, 1<<20)
		if _, err := io.ReadFull(r, make([]byte, 40)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if store.now == 0 {
			t.Fatal("nothing is under way")
		}
		r.close()
		if store.now != 0 || store.givenUp == 0 {
			t.Errorf("%d chunks are under way behind close, %d were given up", store.now, store.givenUp)
		}
		wantBudgetBack(t)
	})
}

// Chunks that are passed over are given up, and nothing is fetched ahead before something is read again.
func TestSkippingEndsReadAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = int64(len("chunk 0;"))
		r, store, _ := slowContent(t, 10, size)
		defer r.close()
		if _, err := io.ReadFull(r, make([]byte, 3*size)); err != nil {
			t.Fatal(err)
		}
		if err := r.skip(int(5 * size)); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, size)
		if _, err := io.ReadFull(r, got); err != nil || string(got) != "chunk 8;" {
			t.Fatalf("read %q, %v", got, err)
		}
		if n := store.given - store.givenUp; n != 4 {
			t.Errorf("%d chunks were fetched, want 4", n)
		}
	})
}

// When all together have fetched as much ahead as may be, each still gets on, one chunk at a time.
func TestReadAheadOfManyIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, store, want := slowContent(t, 5, 1)
		aheadOfAll.take(maxAheadOfAll)
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("read %q, %v", got, err)
		}
		if store.most != 1 {
			t.Errorf("%d chunks at a time", store.most)
		}
	})
}

// lackedChunk is what the state store says of a chunk that cannot be had.
type lackedChunk struct{ ref checkpoint.ChunkRef }

func (e lackedChunk) Error() string                    { return "no good copy of the chunk" }
func (e lackedChunk) Unavailable() checkpoint.ChunkRef { return e.ref }

// A failure for want of a chunk names the chunk, so that the leader need not believe that another attempt would do.
func TestFailureNamesTheChunk(t *testing.T) {
	ref := checkpoint.ChunkRef{ID: checkpoint.ChunkID{7}, Size: 9}
	if f := FailureOf(fmt.Errorf("restoring: %w", lackedChunk{ref})); f.Unavailable != ref || f.Permanent {
		t.Errorf("%+v", f)
	}
	if f := FailureOf(errBroken); f.Unavailable != (checkpoint.ChunkRef{}) {
		t.Errorf("%+v", f)
	}
}
