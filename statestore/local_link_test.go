package statestore

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"cairn/checkpoint"
)

// linkable is a file beside a store, as the backend of a task leaves one: not synced.
const linkable = crashDir + "-work"

// writeUnsynced leaves a file that a power failure may take.
func writeUnsynced(t *testing.T, fsys *crashFS, path string, data []byte) {
	t.Helper()
	if err := fsys.Mkdir(filepath.Dir(path)); err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
	f, err := fsys.Create(path)
	if err == nil {
		_, err = f.Write(data)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// putLink stores a file of the simulated file system.
func putLink(t *testing.T, s *Local, data []byte, path string) error {
	return s.writeVerified(t.Context(), RefOf(data), content{file: path})
}

// newLinkWorld is a store beside files that can be linked.
func newLinkWorld(t *testing.T) (fsys *crashFS, s *Local) {
	t.Helper()
	fsys = newCrashFS()
	s = mustOpenCrashFS(t, fsys)
	for i, data := range crashChunks {
		writeUnsynced(t, fsys, fmt.Sprintf("%s/%d.sst", linkable, i), data)
	}
	return fsys, s
}

// TestPowerLossBetweenAnyTwoStepsOfALink: what was acknowledged is there whatever step the machine dies at, and nothing
// has a chunk's name that is not whole, although nobody had synced the files before.
func TestPowerLossBetweenAnyTwoStepsOfALink(t *testing.T) {
	linked := 0
	for step := 1; ; step++ {
		fsys, s := newLinkWorld(t)
		fsys.crashAt = len(fsys.changes) + step
		var acked [][]byte
		var err error
		for i := 0; i < len(crashChunks) && err == nil; i++ {
			if err = putLink(t, s, crashChunks[i], fmt.Sprintf("%s/%d.sst", linkable, i)); err == nil {
				acked = append(acked, crashChunks[i])
			}
		}
		for seed := range uint64(6) {
			after := fsys.afterPowerLoss(seed)
			s := mustOpenCrashFS(t, after)
			wantChunks(t, s, acked)
			wantWhole(t, s)
			wantEmptyDir(t, after, s.temp())
			wantEmptyDir(t, after, s.quarantine())
		}
		if err == nil {
			break
		}
		if !errors.Is(err, errCrashed) {
			t.Fatalf("step %d: %v, want a crash", step, err)
		}
		linked = step
	}
	if linked < 3*len(crashChunks) {
		t.Errorf("%d steps for %d files: nothing was linked", linked, len(crashChunks))
	}
}

// TestLinkFaults: where a file cannot be linked, or what was linked cannot be used, it is copied, and nothing is left over.
func TestLinkFaults(t *testing.T) {
	for _, test := range []struct {
		name, op string
		err      error
		syncs    bool // the fault is one after which no file is linked any more
	}{
		{"other device", "link", syscall.EXDEV, false},
		{"no hard links", "link", syscall.EPERM, false},
		{"too many links", "link", syscall.EMLINK, false},
		{"sync of the file", "sync", syscall.EIO, true},
		{"look at the link", "stat", syscall.EIO, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			fsys, s := newLinkWorld(t)
			failed, links := false, 0
			fsys.fault = func(op, path string) error {
				if op == "link" {
					links++
				}
				if op == test.op && !failed {
					failed = true
					return test.err
				}
				return nil
			}
			for i, data := range crashChunks {
				if err := putLink(t, s, data, fmt.Sprintf("%s/%d.sst", linkable, i)); err != nil {
					t.Fatal(err)
				}
			}
			if want := len(crashChunks); !failed || (test.syncs && links != 1) || (!test.syncs && links != want) {
				t.Errorf("failed %v, %d links", failed, links)
			}
			wantEmptyDir(t, fsys, s.temp())
			for seed := range uint64(4) {
				wantChunks(t, mustOpenCrashFS(t, fsys.afterPowerLoss(seed)), crashChunks)
			}
		})
	}
}

// TestLinkOfAnotherSize: a file that is longer or shorter than what was read of it is not linked; nor is it stored.
func TestLinkOfAnotherSize(t *testing.T) {
	for _, data := range [][]byte{[]byte("alphabet"), []byte("alp")} {
		fsys, s := newLinkWorld(t)
		path := linkable + "/changed.sst"
		writeUnsynced(t, fsys, path, data)
		if err := putLink(t, s, crashChunks[0], path); err == nil {
			t.Errorf("%q was stored as %q", data, crashChunks[0])
		}
		wantEmptyDir(t, fsys, s.temp())
		wantWhole(t, s)
	}
}

// TestDirectorySyncFailsBehindALink: a link whose name is not durable does not count.
func TestDirectorySyncFailsBehindALink(t *testing.T) {
	fsys, s := newLinkWorld(t)
	data := crashChunks[0]
	failing := true
	fsys.fault = func(op, path string) error {
		if failing && op == "syncdir" && path == s.shard(RefOf(data).ID[0]) {
			return syscall.EIO
		}
		return nil
	}
	for range 2 {
		if err := putLink(t, s, data, linkable+"/0.sst"); !errors.Is(err, syscall.EIO) {
			t.Fatalf("%v, want %v", err, syscall.EIO)
		}
	}
	failing = false
	if err := putLink(t, s, data, linkable+"/0.sst"); err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(8) {
		wantChunks(t, mustOpenCrashFS(t, fsys.afterPowerLoss(seed)), [][]byte{data})
	}
}

// realLink stores a file by a link on the real file system.
func realLink(t *testing.T) (s *Local, path string, ref checkpoint.ChunkRef) {
	t.Helper()
	dir := t.TempDir()
	s, err := OpenLocal(filepath.Join(dir, "store"), LocalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	path = filepath.Join(dir, "000012.sst")
	if err := os.WriteFile(path, bytes.Repeat([]byte("sorted "), 1000), 0o640); err != nil {
		t.Fatal(err)
	}
	if ref, err = s.PutFile(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	one, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.Stat(s.chunk(ref.ID))
	if err != nil {
		t.Fatal(err)
	}
	if !os.SameFile(one, other) {
		t.Fatal("the file was copied")
	}
	return s, path, ref
}

// TestDeletedLinkLeavesTheFile: a sweep removes the chunk's name only.
func TestDeletedLinkLeavesTheFile(t *testing.T) {
	s, path, ref := realLink(t)
	if deleted, refused, err := s.Delete(t.Context(), []checkpoint.ChunkID{ref.ID}, keepNone); deleted != 1 || refused != 0 || err != nil {
		t.Fatal(deleted, refused, err)
	}
	if data, err := os.ReadFile(path); err != nil || RefOf(data) != ref {
		t.Errorf("the file behind the deletion: %d bytes, %v", len(data), err)
	}
}

// TestChangedLinkIsNoticed: a file that somebody writes to all the same is never served, and a good copy takes its place.
func TestChangedLinkIsNoticed(t *testing.T) {
	s, path, ref := realLink(t)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(good)
	changed[100] ^= 1
	if err := os.WriteFile(path, changed, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), ref); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("Get: %v, want ErrCorrupt", err)
	}
	if has, err := s.Has(t.Context(), ref); has || err != nil {
		t.Errorf("the damaged chunk counts: %v, %v", has, err)
	}
	if _, err := s.Put(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	if data, err := s.Get(t.Context(), ref); err != nil || !bytes.Equal(data, good) {
		t.Errorf("behind a new Put: %d bytes, %v", len(data), err)
	}
	if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, changed) {
		t.Errorf("the new copy was written into the linked file: %v", err)
	}
}
