package storetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"cairn/checkpoint"
	"cairn/statestore"
)

// filePutter is a store that takes files over.
type filePutter interface {
	statestore.Store
	statestore.FilePutter
}

func runFiles(t *testing.T, open func(t *testing.T) statestore.Store) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, filePutter)
	}{
		{"put file", testPutFile},
		{"put file again", testPutFileAgain},
		{"file that cannot be stored", testPutFileRefused},
		{"concurrent puts of a file and its copy", testConcurrentFile},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open(t).(filePutter)) })
	}
}

// newFile writes a file in a directory of its own.
func newFile(t *testing.T, data []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "000012.sst")
	if err := os.WriteFile(path, data, 0o640); err != nil {
		t.Fatal(err)
	}
	return path
}

func mustPutFile(t *testing.T, s filePutter, path string, want checkpoint.ChunkRef) {
	t.Helper()
	if ref, err := s.PutFile(t.Context(), path); err != nil || ref != want {
		t.Fatalf("PutFile: %v, %v; want %v", ref, err, want)
	}
}

// testPutFile: the chunk is the file's content, and outlives its name.
func testPutFile(t *testing.T, s filePutter) {
	for seed, size := range []int{0, 1, 4096, 1<<20 + 1} {
		data := Chunk(uint64(seed), size)
		ref, path := statestore.RefOf(data), newFile(t, data)
		mustPutFile(t, s, path, ref)
		wantContent(t, s, ref, data)
		if got, err := os.ReadFile(path); err != nil || statestore.RefOf(got) != ref {
			t.Fatalf("the file behind PutFile: %d bytes, %v", len(got), err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		wantContent(t, s, ref, data)
		wantHas(t, s, ref, true)
	}
}

func testPutFileAgain(t *testing.T, s filePutter) {
	data := Chunk(1, 1000)
	ref := mustPut(t, s, data)
	mustPutFile(t, s, newFile(t, data), ref)
	mustPutFile(t, s, newFile(t, data), ref)
	wantContent(t, s, ref, data)
}

func testPutFileRefused(t *testing.T, s filePutter) {
	path := newFile(t, nil)
	if err := os.Truncate(path, statestore.MaxChunkSize+1); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutFile(t.Context(), path); !errors.Is(err, statestore.ErrTooLarge) {
		t.Errorf("a file of %d bytes: %v, want ErrTooLarge", statestore.MaxChunkSize+1, err)
	}
	if _, err := s.PutFile(t.Context(), path+"x"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := s.PutFile(t.Context(), filepath.Dir(path)); err == nil {
		t.Error("a directory was stored")
	}
	data := Chunk(1, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.PutFile(ctx, newFile(t, data)); !errors.Is(err, context.Canceled) {
		t.Errorf("PutFile with a cancelled context: %v", err)
	}
	wantAbsent(t, s, statestore.RefOf(data))
}

func testConcurrentFile(t *testing.T, s filePutter) {
	data := Chunk(1, 100_000)
	ref := statestore.RefOf(data)
	var puts sync.WaitGroup
	for i := range 16 {
		path := newFile(t, data)
		puts.Go(func() {
			var got checkpoint.ChunkRef
			var err error
			if i%2 == 0 {
				got, err = s.PutFile(t.Context(), path)
			} else {
				got, err = s.Put(t.Context(), data)
			}
			if err != nil || got != ref {
				t.Errorf("put %d: %v, %v", i, got, err)
			}
			if read, err := s.Get(t.Context(), ref); err != nil || len(read) != len(data) {
				t.Errorf("get behind put %d: %d bytes, %v", i, len(read), err)
			}
		})
	}
	puts.Wait()
	wantContent(t, s, ref, data)
}
