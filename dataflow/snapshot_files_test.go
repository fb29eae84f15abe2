package dataflow

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"cairn/checkpoint"
	"cairn/dataflow/rowstore"
)

// madeFiles is a capture whose files are there.
type madeFiles struct {
	dir   string
	files []rowstore.File
}

func (c madeFiles) Files(context.Context) (string, []rowstore.File, error) {
	return c.dir, c.files, nil
}
func (c madeFiles) Close() error { return nil }

// someFiles makes files in a directory: two small ones, and immutable ones of the given sizes.
func someFiles(t testing.TB, sizes ...int) madeFiles {
	t.Helper()
	c := madeFiles{dir: t.TempDir()}
	add := func(name string, content []byte, immutable bool) {
		if err := os.WriteFile(filepath.Join(c.dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
		c.files = append(c.files, rowstore.File{Name: name, Size: int64(len(content)), Immutable: immutable})
	}
	for i, size := range sizes {
		add(string(rune('a'+i))+".sst", bytes.Repeat([]byte{byte(i + 1)}, size), true)
	}
	add("MANIFEST", []byte("manifest"), false)
	add("MARKER", nil, false)
	return c
}

func filesOf(c madeFiles) capturedFiles {
	return capturedFiles{
		groups: checkpoint.KeyGroupRange{First: 3, Last: 300}, capture: c, stored: newStoredFiles(),
		tables: []rowTableInfo{{name: "count", kind: tableOfValues}, {name: "late", kind: tableOfMaps | tableExpires}},
	}
}

// TestFilesComeBack writes files to a store and fetches them; each immutable one has chunks of its own.
func TestFilesComeBack(t *testing.T) {
	made, store := someFiles(t, 5000, 1, 0, 20_000), newMemoryStore()
	c := filesOf(made)
	w := &chunkWriter{ctx: t.Context(), store: store}
	if err := errors.Join(w.writeFiles(c), w.flush()); err != nil {
		t.Fatal(err)
	}
	if len(w.refs) != 5 { // the index, the small files, and three that are not empty
		t.Errorf("%d chunks", len(w.refs))
	}
	h := checkpoint.Handle{Chunks: w.refs}
	r, err := newStateReader(&chunkReader{ctx: t.Context(), store: store, refs: h.Chunks}, h.Size(), filesMagic, filesFormatVersion)
	if err != nil {
		t.Fatal(err)
	}
	x, err := r.filesIndex()
	if err != nil {
		t.Fatal(err)
	}
	if x.groups != c.groups || len(x.tables) != 2 || x.tables["late"] != tableOfMaps|tableExpires {
		t.Errorf("%+v", x)
	}
	dir := t.TempDir()
	if err := r.fetch(x, dir); err != nil {
		t.Fatal(err)
	}
	for _, f := range made.files {
		want, _ := os.ReadFile(filepath.Join(made.dir, f.Name))
		if got, err := os.ReadFile(filepath.Join(dir, f.Name)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v; want %d", f.Name, len(got), err, len(want))
		}
	}
	for name, refs := range x.fileChunks(h.Chunks) {
		if !slices.Equal(refs, c.stored.chunks(name)) {
			t.Errorf("%s has the chunks %v, want %v", name, refs, c.stored.chunks(name))
		}
	}
}

// TestFilesFormatIsStable holds the persisted form.
func TestFilesFormatIsStable(t *testing.T) {
	const golden = "CRNP\x01" + "\x03\xac\x02" + "\x02" + "\x05count\x01" + "\x04late\x83" + "\x03" +
		"\x05a.sst\x01\x02" + "\x08MANIFEST\x00\x08" + "\x06MARKER\x00\x00"
	c := someFiles(t, 2)
	if b := appendFilesIndex(nil, filesOf(c), c.files); string(b) != golden {
		t.Errorf("written as %q, want %q", b, golden)
	}
}

// FuzzFilesIndex feeds arbitrary content to the restore of files: it writes nowhere but in its directory, and no more
// than there is.
func FuzzFilesIndex(f *testing.F) {
	c := someFiles(f, 2)
	index := appendFilesIndex(nil, filesOf(c), c.files)
	f.Add(append(index, "manifest\x01\x01"...))
	f.Add(bytes.ReplaceAll(index, []byte("MARKER"), []byte("../ARK")))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := newStateReader(chunksOf(t, b, 7), int64(len(b)), filesMagic, filesFormatVersion)
		if err != nil {
			return
		}
		x, err := r.filesIndex()
		if err != nil {
			if !errors.Is(err, errState) {
				t.Error(err)
			}
			return
		}
		dir := filepath.Join(t.TempDir(), "files")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		_ = r.fetch(x, dir) // the file system has errors of its own
		if around, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(around) != 1 {
			t.Errorf("%d files beside the directory, %v", len(around), err)
		}
	})
}
