package statestore

import (
	"path/filepath"
	"slices"
	"testing"
)

// wantAccounts checks that there is nothing on the disk but what is listed, that the counts agree with it, and, unless
// want is nil, that exactly those chunks are listed.
func wantAccounts(t *testing.T, fsys *crashFS, s *Local, want [][]byte) {
	t.Helper()
	wantEmptyDir(t, fsys, s.temp())
	var chunks, content int64
	listed := 0
	for ref, err := range s.List(t.Context()) {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		chunks, content = chunks+1, content+ref.Size
		if slices.ContainsFunc(want, func(data []byte) bool { return RefOf(data) == ref }) {
			listed++
		} else if want != nil {
			t.Errorf("chunk %s is listed", ref.ID)
		}
	}
	if want != nil && listed != len(want) {
		t.Errorf("%d of %d chunks are listed", listed, len(want))
	}
	files, bytes, packed := onDisk(t, fsys, s)
	stats, err := s.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if stats.Chunks != chunks || stats.Bytes != content || stats.StoredBytes != bytes {
		t.Errorf("counted %d chunks, %d bytes, %d stored; listed are %d with %d bytes, and on disk %d", stats.Chunks,
			stats.Bytes, stats.StoredBytes, chunks, content, bytes)
	}
	if files+packed != int(chunks) {
		t.Errorf("%d files of a chunk and %d chunks in packs for the %d that are listed", files, packed, chunks)
	}
	if len(s.locks.held) > 0 || len(s.index.dirtyPacks()) > 0 || s.packer.tail != nil {
		t.Errorf("left over: %d locks, packs %v, batch %v", len(s.locks.held), s.index.dirtyPacks(), s.packer.tail)
	}
}

// onDisk returns what the directory holds: files with a chunk each, the bytes of all files, and chunks in packs.
func onDisk(t *testing.T, fsys *crashFS, s *Local) (files int, bytes int64, packed int) {
	t.Helper()
	for n := range numShards {
		entries, err := fsys.ReadDir(s.shard(byte(n)))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			files, bytes = files+1, bytes+e.size
		}
	}
	packs, err := fsys.ReadDir(s.packs())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range packs {
		file, err := fsys.ReadFile(filepath.Join(s.packs(), e.name), e.size)
		if err != nil {
			t.Fatal(err)
		}
		entries, err := decodePack(file, 1)
		if err != nil {
			t.Fatalf("%s: %v", e.name, err)
		}
		packed, bytes = packed+len(entries), bytes+e.size
	}
	return files, bytes, packed
}
