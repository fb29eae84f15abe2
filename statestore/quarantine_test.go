package statestore

import (
	"path/filepath"
	"syscall"
	"testing"
)

// spoil damages the stored copy of a chunk.
func spoil(t *testing.T, fsys *crashFS, path string) {
	t.Helper()
	node, err := fsys.lookupLocked(path)
	if err != nil {
		t.Fatal(err)
	}
	node.data = append([]byte{node.data[0] ^ 1}, node.data[1:]...)
}

// The quarantine is bounded, in files and in bytes, across restarts: the oldest goes first.
func TestQuarantineIsBounded(t *testing.T) {
	for _, tc := range []struct {
		name string
		opts LocalOptions
		want int // of ten files of 1000 bytes
	}{
		{"bytes", LocalOptions{QuarantineBytes: 3500}, 3},
		{"files", LocalOptions{QuarantineFiles: 4}, 4},
		{"one is too much", LocalOptions{QuarantineBytes: 999}, 0},
		{"default", LocalOptions{}, 10},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fsys := newCrashFS()
			s, err := openLocal(fsys, crashDir, tc.opts)
			if err != nil {
				t.Fatal(err)
			}
			var paths []string
			for i := range uint64(10) {
				data := noise(i, 1000)
				ref, err := s.Put(t.Context(), data)
				if err != nil {
					t.Fatal(err)
				}
				spoil(t, fsys, s.chunk(ref.ID))
				if err := s.Verify(t.Context(), ref); err == nil {
					t.Fatal("a damaged chunk was verified")
				}
				paths = append(paths, s.quarantined(ref.ID))
				if i != 5 {
					continue
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if s, err = openLocal(fsys, crashDir, tc.opts); err != nil {
					t.Fatal(err)
				}
			}
			for i, path := range paths {
				_, err := fsys.Size(path)
				if kept := i >= len(paths)-tc.want; kept != (err == nil) {
					t.Errorf("file %d: %v, kept should be %v", i, err, kept)
				}
			}
			stats, err := s.Stats()
			if err != nil || stats.Quarantined != int64(tc.want) || stats.QuarantinedBytes != int64(tc.want)*1000 {
				t.Errorf("%+v, %v", stats, err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// A bad copy that comes again replaces the one in quarantine, also where it was in a pack.
func TestQuarantineOfTheSameChunk(t *testing.T) {
	fsys := newCrashFS()
	s := mustOpenCrashFS(t, fsys)
	chunks := [][]byte{noise(1, 100), noise(2, 100)}
	ref := RefOf(chunks[0])
	for range 3 {
		if err := putTogether(s, chunks...); err != nil {
			t.Fatal(err)
		}
		at, _ := s.index.lookup(ref.ID)
		node, err := fsys.lookupLocked(s.pack(at.pack))
		if err != nil {
			t.Fatal(err)
		}
		node.data = append([]byte{}, node.data...)
		node.data[at.offset] ^= 1
		if err := s.Verify(t.Context(), ref); err == nil {
			t.Fatal("a damaged chunk was verified")
		}
		if size, err := fsys.Size(filepath.Join(s.quarantine(), ref.ID.String())); size != 100 || err != nil {
			t.Fatalf("%d bytes, %v", size, err)
		}
	}
	if stats, err := s.Stats(); err != nil || stats.Quarantined != 1 || stats.QuarantinedBytes != 100 {
		t.Errorf("%+v, %v", stats, err)
	}
	if err := fsys.Remove(s.quarantined(ref.ID)); err != nil { // as a person would who has looked at it
		t.Fatal(err)
	}
	if stats, err := s.Stats(); err != nil || stats.Quarantined != 0 || stats.QuarantinedBytes != 0 {
		t.Errorf("after its removal: %+v, %v", stats, err)
	}
	wantChunks(t, s, chunks[1:])
}

// On a full disk a bad copy in a pack cannot be put aside: nothing of it stays, and it does not count all the same.
func TestQuarantineOnAFullDisk(t *testing.T) {
	for _, op := range []string{"create", "write", "sync", "rename"} {
		fsys := newCrashFS()
		s := mustOpenCrashFS(t, fsys)
		chunks := [][]byte{noise(1, 100), noise(2, 100)}
		ref := RefOf(chunks[0])
		if err := putTogether(s, chunks...); err != nil {
			t.Fatal(err)
		}
		at, _ := s.index.lookup(ref.ID)
		node, err := fsys.lookupLocked(s.pack(at.pack))
		if err != nil {
			t.Fatal(err)
		}
		node.data = append([]byte{}, node.data...)
		node.data[at.offset] ^= 1
		fsys.fault = func(o, _ string) error {
			if o == op {
				return syscall.ENOSPC
			}
			return nil
		}
		if err := s.Verify(t.Context(), ref); err == nil {
			t.Fatal("a damaged chunk was verified")
		}
		wantEmptyDir(t, fsys, s.quarantine())
		wantEmptyDir(t, fsys, s.temp())
		if has, err := s.Has(t.Context(), ref); has || err != nil {
			t.Errorf("%s: %v, %v", op, has, err)
		}
	}
}
