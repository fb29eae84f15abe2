package statestore

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cairn/checkpoint"
)

// A list looks at the names in a folder that it can be about, and at no others.
func TestNamesThatAListLooksAt(t *testing.T) {
	for _, tc := range []struct{ folder, prefix, want string }{
		{".", "owners/", "owners"},
		{".", "own", "own"},
		{"chunks", "chunks/", ""},
		{"chunks", "chunks/ab/abcd.", "ab"},
		{"chunks/ab", "chunks/ab/abcd.", "abcd."},
		{"chunks/ab", "chunks/", ""},
		{"chunks/ab/deeper", "chunks/ab/d", ""},
	} {
		if got := nameIn(tc.folder, tc.prefix); got != tc.want {
			t.Errorf("%q in %q: %q, want %q", tc.prefix, tc.folder, got, tc.want)
		}
	}
}

const sharedDir = "/mnt/shared"

// mountedCrashFS returns a file system with an empty shared directory, which is durable.
func mountedCrashFS(t *testing.T) *crashFS {
	t.Helper()
	fsys := newCrashFS()
	for _, dir := range []string{"/mnt", sharedDir} {
		if err := fsys.Mkdir(dir); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"/", "/mnt"} {
		if err := fsys.SyncDir(dir); err != nil {
			t.Fatal(err)
		}
	}
	fsys.changes = nil
	return fsys
}

func joinDirectory(t *testing.T, fsys *crashFS, incarnation checkpoint.Incarnation) (*Shared, error) {
	t.Helper()
	d, err := openDirectory(fsys, sharedDir, nil)
	if err != nil {
		return nil, err
	}
	return OpenShared(t.Context(), d, SharedOptions{Node: checkpoint.NodeRef{ID: "n1", Incarnation: incarnation}})
}

// sharedScript uses a shared directory over two process lives. It returns the chunks that it was told are durable, and
// those that it was told are deleted.
func sharedScript(t *testing.T, fsys *crashFS) (acked [][]byte, deleted []checkpoint.ChunkRef, err error) {
	for life, puts := range [][]int{{0, 1, 0, 2}, {3, 4, 1}} {
		s, err := joinDirectory(t, fsys, checkpoint.Incarnation(life+1))
		if err != nil {
			return acked, deleted, err
		}
		for _, i := range puts {
			if _, err := s.Put(t.Context(), crashChunks[i]); err != nil {
				return acked, deleted, err
			}
			acked = append(acked, crashChunks[i])
		}
		doomed, err := s.Put(t.Context(), fmt.Appendf(nil, "deleted in life %d", life))
		if err != nil {
			return acked, deleted, err
		}
		if _, _, err := s.Delete(t.Context(), []checkpoint.ChunkID{doomed.ID}, keepNone); err != nil {
			return acked, deleted, err
		}
		deleted = append(deleted, doomed)
	}
	return acked, deleted, nil
}

// A power failure of the server at any step loses no chunk that was acknowledged, and brings none back that was deleted.
func TestSharedDirectorySurvivesPowerLoss(t *testing.T) {
	whole := mountedCrashFS(t)
	if acked, deleted, err := sharedScript(t, whole); err != nil || len(acked) != 7 || len(deleted) != 2 {
		t.Fatalf("without a crash: %d chunks, %d deleted, %v", len(acked), len(deleted), err)
	}
	for step := 1; step <= len(whole.changes)+1; step++ {
		fsys := mountedCrashFS(t)
		fsys.crashAt = step
		acked, deleted, err := sharedScript(t, fsys)
		if (err == nil) != (step > len(whole.changes)) {
			t.Fatalf("crash at step %d: %v", step, err)
		}
		for seed := range uint64(4) {
			checkSharedDirectory(t, fmt.Sprintf("power loss at step %d, seed %d", step, seed), fsys.afterPowerLoss(seed), acked, deleted)
		}
		checkSharedDirectory(t, fmt.Sprintf("kill at step %d", step), fsys.afterKill(), acked, deleted)
	}
}

func checkSharedDirectory(t *testing.T, when string, fsys *crashFS, acked [][]byte, deleted []checkpoint.ChunkRef) {
	t.Helper()
	s, err := joinDirectory(t, fsys, 9)
	if err != nil {
		t.Fatalf("%s: open: %v", when, err)
	}
	for _, data := range acked {
		if got, err := s.Get(t.Context(), RefOf(data)); err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%s: an acknowledged chunk of %d bytes: %d bytes, %v", when, len(data), len(got), err)
		}
	}
	for _, ref := range deleted {
		if got, err := s.Get(t.Context(), ref); !errors.Is(err, ErrNotFound) {
			t.Fatalf("%s: a deleted chunk: %d bytes, %v", when, len(got), err)
		}
	}
	for ref, err := range s.List(t.Context()) {
		if err != nil {
			t.Fatalf("%s: List: %v", when, err)
		}
		if _, err := s.Get(t.Context(), ref); err != nil {
			t.Fatalf("%s: what is listed can be read: %v", when, err) // whole, or not there
		}
	}
}

// What cannot be written is not acknowledged, leaves nothing, and is written when it can be again. A full directory gets
// words that an operator can act on.
func TestSharedDirectoryFaults(t *testing.T) {
	for _, op := range []string{"mkdir", "create", "write", "sync", "rename", "syncdir"} {
		for _, cause := range []error{syscall.ENOSPC, syscall.EIO} {
			t.Run(fmt.Sprintf("%s/%v", op, cause), func(t *testing.T) {
				fsys := mountedCrashFS(t)
				s, err := joinDirectory(t, fsys, 1)
				if err != nil {
					t.Fatal(err)
				}
				var failing atomic.Bool // a look at the owner's record may outlast the Put that failed
				failing.Store(true)
				fsys.fault = func(now, path string) error {
					if failing.Load() && now == op && !strings.Contains(path, "/owners") {
						return cause
					}
					return nil
				}
				data := crashChunks[1]
				started := time.Now()
				_, err = s.Put(t.Context(), data)
				if !errors.Is(err, cause) || !strings.Contains(err.Error(), "file://"+sharedDir) {
					t.Fatalf("Put: %v", err)
				}
				if cause == syscall.ENOSPC && (!strings.Contains(err.Error(), "no space in the shared store") || time.Since(started) > uploadPause) {
					t.Errorf("Put after %s: %v", time.Since(started), err)
				}
				if has, err := s.Has(t.Context(), RefOf(data)); has || err != nil {
					t.Errorf("Has: %t, %v", has, err)
				}
				failing.Store(false)
				if entries, err := fsys.ReadDir(sharedDir + "/tmp"); err != nil || len(entries) > 0 {
					t.Errorf("left in tmp: %v, %v", entries, err)
				}
				if _, err := s.Put(t.Context(), data); err != nil {
					t.Fatal(err)
				}
				if got, err := s.Get(t.Context(), RefOf(data)); err != nil || !bytes.Equal(got, data) {
					t.Fatalf("Get: %d bytes, %v", len(got), err)
				}
				// An upload that failed at its last step may be there: a deletion takes it too.
				if _, _, err := s.Delete(t.Context(), []checkpoint.ChunkID{RefOf(data).ID}, keepNone); err != nil {
					t.Fatal(err)
				}
				for ref := range s.List(t.Context()) {
					t.Errorf("left behind: %s", ref.ID)
				}
			})
		}
	}
}

// Unfinished objects of processes that are gone are removed, those of the living are not.
func TestOldUnfinishedObjectsAreRemoved(t *testing.T) {
	entries := []dirEntry{
		{name: "now", regular: true, written: int64(3 * time.Hour)}, {name: "being-written", regular: true, written: int64(3*time.Hour - time.Minute)},
		{name: "old", regular: true, written: int64(time.Hour)}, {name: "folder", written: 1},
	}
	if got := old(entries, "now"); len(got) != 1 || got[0].name != "old" {
		t.Errorf("old are %v", got)
	}
	if got := old(entries, "other"); len(got) != 0 {
		t.Errorf("without the time that it is, %v are old", got)
	}
}
