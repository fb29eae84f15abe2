// Package storetest is the conformance suite of the state store: what a task may rely on, whichever backend
// keeps its chunks. Every backend runs it in its own tests.
package storetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"cairn/checkpoint"
	"cairn/statestore"
)

// Run runs the suite. open returns a new, empty store for each test and closes it with the test's cleanup.
// A store that is a statestore.Inventory, or a statestore.FilePutter, is tested as one too.
func Run(t *testing.T, open func(t *testing.T) statestore.Store) {
	tests := []struct {
		name string
		run  func(*testing.T, statestore.Store)
	}{
		{"round trip", testRoundTrip},
		{"put again", testPutAgain},
		{"write", testWrite},
		{"write refuses what does not match", testWriteMismatch},
		{"missing", testMissing},
		{"wrong reference", testWrongReference},
		{"size limit", testSizeLimit},
		{"buffers are not shared", testBuffers},
		{"concurrent puts of one chunk", testConcurrentSame},
		{"concurrent puts of many chunks", testConcurrentMany},
		{"cancelled context", testCancelled},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t)) })
	}
	if _, ok := open(t).(statestore.Inventory); ok {
		runInventory(t, open)
	}
	if _, ok := open(t).(statestore.FilePutter); ok {
		runFiles(t, open)
	}
}

// Chunk returns size bytes that look random and depend on the seed alone.
func Chunk(seed uint64, size int) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	data := make([]byte, size)
	rand.NewChaCha8(key).Read(data) // never fails
	return data
}

func mustPut(t *testing.T, s statestore.Store, data []byte) checkpoint.ChunkRef {
	t.Helper()
	ref, err := s.Put(t.Context(), data)
	if err != nil {
		t.Fatalf("Put of %d bytes: %v", len(data), err)
	}
	return ref
}

func wantContent(t *testing.T, s statestore.Store, ref checkpoint.ChunkRef, want []byte) {
	t.Helper()
	got, err := s.Get(t.Context(), ref)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("Get returned %d bytes that are not the %d stored", len(got), len(want))
	}
}

func wantHas(t *testing.T, s statestore.Store, ref checkpoint.ChunkRef, want bool) {
	t.Helper()
	got, err := s.Has(t.Context(), ref)
	if err != nil || got != want {
		t.Fatalf("Has = %v, %v; want %v", got, err, want)
	}
}

func wantAbsent(t *testing.T, s statestore.Store, ref checkpoint.ChunkRef) {
	t.Helper()
	if _, err := s.Get(t.Context(), ref); !errors.Is(err, statestore.ErrNotFound) {
		t.Fatalf("Get of an absent chunk: %v, want ErrNotFound", err)
	}
	wantHas(t, s, ref, false)
}

func testRoundTrip(t *testing.T, s statestore.Store) {
	for seed, size := range []int{0, 1, 31, 4096, 1<<20 - 1, 1<<20 + 1} {
		data := Chunk(uint64(seed), size)
		ref := mustPut(t, s, data)
		if want := statestore.RefOf(data); ref != want {
			t.Fatalf("Put returned %v, want %v", ref, want)
		}
		wantContent(t, s, ref, data)
		wantHas(t, s, ref, true)
	}
}

func testPutAgain(t *testing.T, s statestore.Store) {
	data := Chunk(1, 1000)
	first := mustPut(t, s, data)
	if second := mustPut(t, s, data); second != first {
		t.Fatalf("the second Put returned %v, the first %v", second, first)
	}
	wantContent(t, s, first, data)
}

func testWrite(t *testing.T, s statestore.Store) {
	data := Chunk(1, 1000)
	ref := statestore.RefOf(data)
	for range 2 {
		if err := s.Write(t.Context(), ref, data); err != nil {
			t.Fatalf("Write: %v", err)
		}
		wantContent(t, s, ref, data)
	}
	wantHas(t, s, ref, true)
}

func testWriteMismatch(t *testing.T, s statestore.Store) {
	data := Chunk(1, 1000)
	good := statestore.RefOf(data)
	flipped := bytes.Clone(data)
	flipped[500] ^= 1
	for name, write := range map[string]struct {
		ref  checkpoint.ChunkRef
		data []byte
	}{
		"other content": {good, flipped},
		"too short":     {good, data[:999]},
		"too long":      {good, append(bytes.Clone(data), 0)},
		"empty":         {good, nil},
		"wrong size":    {checkpoint.ChunkRef{ID: good.ID, Size: 999}, data},
		"negative size": {checkpoint.ChunkRef{ID: good.ID, Size: -1}, data},
		"zero name":     {checkpoint.ChunkRef{Size: good.Size}, data},
	} {
		if err := s.Write(t.Context(), write.ref, write.data); !errors.Is(err, statestore.ErrCorrupt) {
			t.Errorf("%s: Write returned %v, want ErrCorrupt", name, err)
		}
	}
	wantAbsent(t, s, good)
	wantAbsent(t, s, checkpoint.ChunkRef{Size: good.Size})
}

func testMissing(t *testing.T, s statestore.Store) {
	mustPut(t, s, Chunk(1, 10))
	wantAbsent(t, s, statestore.RefOf(Chunk(2, 10)))
	wantAbsent(t, s, checkpoint.ChunkRef{})
}

func testWrongReference(t *testing.T, s statestore.Store) {
	data := Chunk(1, 1000)
	ref := mustPut(t, s, data)
	for _, size := range []int64{-1, 0, 999, 1001} {
		wrong := checkpoint.ChunkRef{ID: ref.ID, Size: size}
		if _, err := s.Get(t.Context(), wrong); !errors.Is(err, statestore.ErrCorrupt) {
			t.Errorf("Get with size %d: %v, want ErrCorrupt", size, err)
		}
		wantHas(t, s, wrong, false)
	}
	wantContent(t, s, ref, data) // the chunk itself was never at fault, and must not suffer
	wantHas(t, s, ref, true)
}

func testSizeLimit(t *testing.T, s statestore.Store) {
	data := make([]byte, statestore.MaxChunkSize+1)
	if _, err := s.Put(t.Context(), data); !errors.Is(err, statestore.ErrTooLarge) {
		t.Errorf("Put of %d bytes: %v, want ErrTooLarge", len(data), err)
	}
	ref := checkpoint.ChunkRef{ID: checkpoint.ChunkID{1}, Size: int64(len(data))}
	if err := s.Write(t.Context(), ref, data); !errors.Is(err, statestore.ErrTooLarge) {
		t.Errorf("Write of %d bytes: %v, want ErrTooLarge", len(data), err)
	}
	if _, err := s.Get(t.Context(), ref); !errors.Is(err, statestore.ErrTooLarge) {
		t.Errorf("Get of %d bytes: %v, want ErrTooLarge", len(data), err)
	}
	largest := data[:statestore.MaxChunkSize]
	wantContent(t, s, mustPut(t, s, largest), largest)
}

func testBuffers(t *testing.T, s statestore.Store) {
	data := Chunk(1, 1000)
	want := bytes.Clone(data)
	ref := mustPut(t, s, data)
	clear(data) // the caller uses its buffer again
	got, err := s.Get(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	clear(got) // and does what it likes with what it got
	wantContent(t, s, ref, want)
}

func testConcurrentSame(t *testing.T, s statestore.Store) {
	data := Chunk(1, 100_000)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			ref, err := s.Put(t.Context(), data)
			if err != nil {
				t.Errorf("Put: %v", err)
				return
			}
			if got, err := s.Get(t.Context(), ref); err != nil || !bytes.Equal(got, data) {
				t.Errorf("Get right after Put: %d bytes, %v", len(got), err)
			}
		})
	}
	all.Wait()
}

func testConcurrentMany(t *testing.T, s statestore.Store) {
	const writers, each = 4, 8
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				if _, err := s.Put(t.Context(), Chunk(uint64(w*each+i), 500)); err != nil {
					t.Errorf("Put: %v", err)
				}
			}
		})
	}
	all.Wait()
	for seed := range uint64(writers * each) {
		data := Chunk(seed, 500)
		wantContent(t, s, statestore.RefOf(data), data)
	}
}

func testCancelled(t *testing.T, s statestore.Store) {
	data := Chunk(1, 100)
	ref := mustPut(t, s, data)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, putErr := s.Put(ctx, Chunk(2, 100))
	_, getErr := s.Get(ctx, ref)
	_, hasErr := s.Has(ctx, ref)
	for call, err := range map[string]error{
		"Put": putErr, "Get": getErr, "Has": hasErr, "Write": s.Write(ctx, ref, data),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a cancelled context: %v", call, err)
		}
	}
	wantContent(t, s, ref, data)
}
