package statestore_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cairn/checkpoint"
	"cairn/statestore"
	"cairn/statestore/storetest"
)

// chunkPath is where a store in dir keeps a chunk. The layout on disk is a promise to later versions.
func chunkPath(dir string, id checkpoint.ChunkID) string {
	name := id.String()
	return filepath.Join(dir, "chunks", name[:2], name)
}

func mustPut(t *testing.T, s statestore.Store, data []byte) checkpoint.ChunkRef {
	t.Helper()
	ref, err := s.Put(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func TestLayoutOnDisk(t *testing.T) {
	dir := t.TempDir()
	ref := mustPut(t, openLocal(t, dir), []byte("content"))
	got, err := os.ReadFile(chunkPath(dir, ref.ID))
	if err != nil || string(got) != "content" {
		t.Fatalf("the file of the chunk: %q, %v", got, err)
	}
}

func TestReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	s, err := statestore.OpenLocal(dir, statestore.LocalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ref := mustPut(t, s, []byte("content"))
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := openLocal(t, dir).Get(t.Context(), ref); err != nil || string(got) != "content" {
		t.Fatalf("after reopening: %q, %v", got, err)
	}
}

func TestClosed(t *testing.T) {
	s, err := statestore.OpenLocal(t.TempDir(), statestore.LocalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ref := mustPut(t, s, []byte("content"))
	for range s.List(t.Context()) {
		if err := s.Close(); err != nil { // closing inside the loop must not wait for the loop
			t.Fatal(err)
		}
	}
	_, putErr := s.Put(t.Context(), []byte("more"))
	_, getErr := s.Get(t.Context(), ref)
	_, hasErr := s.Has(t.Context(), ref)
	_, _, deleteErr := s.Delete(t.Context(), []checkpoint.ChunkID{ref.ID}, func(checkpoint.ChunkID) bool { return false })
	var listErr error
	for _, err := range s.List(t.Context()) {
		listErr = err
	}
	for call, err := range map[string]error{
		"Put": putErr, "Get": getErr, "Has": hasErr, "List": listErr, "Delete": deleteErr,
	} {
		if !errors.Is(err, statestore.ErrClosed) {
			t.Errorf("%s on a closed store: %v", call, err)
		}
	}
}

func TestSecondOpenIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := openLocal(t, dir)
	second, err := statestore.OpenLocal(dir, statestore.LocalOptions{})
	if !errors.Is(err, statestore.ErrInUse) {
		t.Fatalf("opened twice: %v, %v", second, err)
	}
	for _, want := range []string{dir, fmt.Sprintf("process %d", os.Getpid())} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error %q does not name %q", err, want)
		}
	}
	mustPut(t, s, []byte("the first one is not disturbed"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openLocal(t, dir)
}

func TestOpenErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		_, err := statestore.OpenLocal(dir, statestore.LocalOptions{})
		if err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("OpenLocal(%s): %v, want an error that names it", dir, err)
		}
	}
}

func TestForeignFilesStay(t *testing.T) {
	dir := t.TempDir()
	mustClose(t, dir)
	chunk := statestore.RefOf([]byte("x")).ID.String()
	foreign := []string{
		"notes.txt", "tmp/notes.txt", "tmp/chunk-1.tmp.old", "chunks/notes.txt", "chunks/00/notes.tmp",
		"chunks/00/" + strings.ToUpper(chunk), "chunks/zz/" + chunk, "quarantine/notes.txt",
		"chunks/" + otherShard(chunk) + "/" + chunk,
	}
	for _, name := range foreign {
		writeFile(t, filepath.Join(dir, name), "foreign")
	}
	leftover := filepath.Join(dir, "tmp", "chunk-77.tmp")
	writeFile(t, leftover, "half a chunk")

	s := openLocal(t, dir)
	for ref, err := range s.List(t.Context()) {
		t.Errorf("List has %v, %v", ref, err)
	}
	for _, name := range foreign {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != "foreign" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := os.Stat(leftover); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the leftover %s was not swept: %v", leftover, err)
	}
}

// otherShard returns a shard that the chunk does not belong to.
func otherShard(chunk string) string {
	if chunk[:2] == "11" {
		return "22"
	}
	return "11"
}

func mustClose(t *testing.T, dir string) {
	t.Helper()
	s, err := statestore.OpenLocal(dir, statestore.LocalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// damages are the ways in which the tests spoil a stored file of at least two bytes.
var damages = map[string]func(data []byte) []byte{
	"one bit":   func(data []byte) []byte { data[len(data)/2] ^= 0x10; return data },
	"truncated": func(data []byte) []byte { return data[:len(data)-1] },
	"emptied":   func([]byte) []byte { return nil },
	"longer":    func(data []byte) []byte { return append(data, 0) },
	"zeroed":    func(data []byte) []byte { return make([]byte, len(data)) },
}

func damageFile(t *testing.T, path string, damage func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, damage(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedFileIsQuarantined(t *testing.T) {
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openLocal(t, dir)
			data := storetest.Chunk(1, 5000)
			ref := mustPut(t, s, data)
			damageFile(t, chunkPath(dir, ref.ID), damage)
			damaged, err := os.ReadFile(chunkPath(dir, ref.ID))
			if err != nil {
				t.Fatal(err)
			}

			if _, err := s.Get(t.Context(), ref); !errors.Is(err, statestore.ErrCorrupt) {
				t.Fatalf("Get of a damaged chunk: %v", err)
			}
			if _, err := s.Get(t.Context(), ref); !errors.Is(err, statestore.ErrNotFound) {
				t.Fatalf("Get after the quarantine: %v", err)
			}
			kept, err := os.ReadFile(filepath.Join(dir, "quarantine", ref.ID.String()))
			if err != nil || string(kept) != string(damaged) {
				t.Fatalf("quarantine holds %d bytes, %v", len(kept), err)
			}
			mustPut(t, s, data)
			if got, err := s.Get(t.Context(), ref); err != nil || string(got) != string(data) {
				t.Fatalf("Get of the new copy: %v", err)
			}
		})
	}
}

// A Put that finds a damaged copy must not acknowledge that copy.
func TestPutReplacesDamagedFile(t *testing.T) {
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openLocal(t, dir)
			data := storetest.Chunk(1, 5000)
			ref := mustPut(t, s, data)
			damageFile(t, chunkPath(dir, ref.ID), damage)
			mustPut(t, s, data)
			if got, err := s.Get(t.Context(), ref); err != nil || string(got) != string(data) {
				t.Fatalf("Get after the second Put: %v", err)
			}
		})
	}
}
