package dataflow

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
)

// The chunks of a handle are in the order of the content, in whichever order they come to be stored; a few are stored
// at a time, while the next is made.
func TestChunksAreStoredSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var puts atomic.Int64
		store := newMemoryStore()
		store.delay = func() time.Duration { return time.Duration(10-puts.Add(1)) * time.Second } // the first one takes longest
		w := &chunkWriter{ctx: t.Context(), store: &busyStore{ChunkStore: store}}
		var want []byte
		start := time.Now()
		for i := range 5 {
			b := bytes.Repeat([]byte{byte(i + 1)}, maxChunkSize)
			want = append(want, b...)
			if err := w.write(b); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if err := w.flush(); err != nil {
			t.Fatal(err)
		}
		if took, inTurn := time.Since(start), (9+8+7+6+5)*time.Second; took >= inTurn*2/3 {
			t.Errorf("it took %s, one after the other %s", took, inTurn)
		}
		if most := w.store.(*busyStore).most; most != maxPuts {
			t.Errorf("%d chunks were being stored at a time, want %d", most, maxPuts)
		}
		var got []byte
		for _, ref := range w.refs {
			b, err := store.Get(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, b...)
		}
		if !bytes.Equal(got, want) {
			t.Error("the chunks are not in the order of the content")
		}
	})
}

// A chunk that cannot be stored ends the writing, and no chunk is being stored any more when that has come to light.
func TestAChunkThatCannotBeStored(t *testing.T) {
	store, broken := newMemoryStore(), errors.New("disk full")
	store.fail = broken
	counting := &busyStore{ChunkStore: store}
	w := &chunkWriter{ctx: t.Context(), store: counting}
	var err error
	for i := 0; err == nil && i < 100; i++ {
		err = w.write(bytes.Repeat([]byte{byte(i)}, maxChunkSize))
	}
	if !errors.Is(err, broken) || !errors.Is(w.flush(), broken) {
		t.Errorf("writing: %v, want %v", err, broken)
	}
	if len(w.refs) > 2*maxPuts {
		t.Errorf("%d chunks were begun after the first had failed", len(w.refs))
	}
	if counting.now != 0 {
		t.Errorf("%d chunks are still being stored", counting.now)
	}
}

// busyStore counts the calls of Put that are under way.
type busyStore struct {
	ChunkStore
	mu        sync.Mutex
	now, most int
}

func (s *busyStore) Put(ctx context.Context, data []byte) (checkpoint.ChunkRef, error) {
	s.add(1)
	defer s.add(-1)
	return s.ChunkStore.Put(ctx, data)
}

func (s *busyStore) add(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now += n
	s.most = max(s.most, s.now)
}
