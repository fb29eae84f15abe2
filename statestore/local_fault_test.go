package statestore

import (
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
)

// TestFaultsWhileWriting fails each operation of a Put once. The Put must say so and leave neither a chunk
// nor a temporary file, and the next one must succeed.
func TestFaultsWhileWriting(t *testing.T) {
	data := []byte("content")
	ref := RefOf(data)
	for _, op := range []string{"create", "write", "sync", "rename"} {
		t.Run(op, func(t *testing.T) {
			fsys := newCrashFS()
			s := mustOpenCrashFS(t, fsys)
			failing := true
			fsys.fault = func(o, _ string) error {
				if failing && o == op {
					return syscall.EIO
				}
				return nil
			}
			if _, err := s.Put(t.Context(), data); !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), ref.ID.String()) {
				t.Fatalf("Put: %v, want EIO and the chunk", err)
			}
			wantEmptyDir(t, fsys, s.temp())
			if has, err := s.Has(t.Context(), ref); has || err != nil {
				t.Fatalf("Has after a failed Put: %v, %v", has, err)
			}
			failing = false
			if _, err := s.Put(t.Context(), data); err != nil {
				t.Fatal(err)
			}
			wantChunks(t, mustOpenCrashFS(t, fsys.afterPowerLoss(1)), [][]byte{data})
		})
	}
}

func TestFullDisk(t *testing.T) {
	for _, full := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT} {
		for _, op := range []string{"create", "write", "sync", "syncdir"} {
			fsys := newCrashFS()
			s, err := openLocal(fsys, crashDir, LocalOptions{Node: "n2"})
			if err != nil {
				t.Fatal(err)
			}
			fsys.fault = func(o, _ string) error {
				if o == op {
					return full
				}
				return nil
			}
			_, err = s.Put(t.Context(), []byte("content"))
			if !errors.Is(err, full) {
				t.Fatalf("%s: %v, want %v", op, err, full)
			}
			if want := "no space on node n2 (" + crashDir + ")"; !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %q does not say %q", op, err, want)
			}
			wantEmptyDir(t, fsys, s.temp())
		}
	}
}

// TestUnreadableFileStays: a file that cannot be read at the moment, for lack of file descriptors say, is
// not known to be damaged.
func TestUnreadableFileStays(t *testing.T) {
	data := []byte("content")
	fsys := newCrashFS()
	s := mustOpenCrashFS(t, fsys)
	ref, err := s.Put(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	failing := true
	fsys.fault = func(op, _ string) error {
		if failing && op == "read" {
			return syscall.EMFILE
		}
		return nil
	}
	_, err = s.Get(t.Context(), ref)
	if !errors.Is(err, syscall.EMFILE) || errors.Is(err, ErrCorrupt) || errors.Is(err, ErrNotFound) {
		t.Fatalf("Get: %v", err)
	}
	if _, err := s.Put(t.Context(), data); err != nil {
		t.Fatalf("Put over an unreadable file: %v", err)
	}
	failing = false
	wantChunks(t, s, [][]byte{data})
	wantEmptyDir(t, fsys, s.quarantine())
}

// TestStuckQuarantine: a damaged chunk that cannot be moved away does not count all the same.
func TestStuckQuarantine(t *testing.T) {
	fsys := newCrashFS()
	s := mustOpenCrashFS(t, fsys)
	ref, err := s.Put(t.Context(), []byte("content"))
	if err != nil {
		t.Fatal(err)
	}
	node, err := fsys.lookupLocked(s.chunk(ref.ID))
	if err != nil {
		t.Fatal(err)
	}
	node.data = []byte("c0ntent")
	fsys.fault = func(op, path string) error {
		if op == "rename" && filepath.Dir(path) == s.quarantine() {
			return syscall.EROFS
		}
		return nil
	}
	for _, want := range []error{ErrCorrupt, ErrNotFound} {
		if _, err := s.Get(t.Context(), ref); !errors.Is(err, want) {
			t.Fatalf("Get: %v, want %v", err, want)
		}
	}
	if has, err := s.Has(t.Context(), ref); has || err != nil {
		t.Fatalf("Has: %v, %v: others count on this copy", has, err)
	}
}

// A damaged file may be too large to be read at all.
func TestHugeFileIsQuarantined(t *testing.T) {
	fsys := newCrashFS()
	s := mustOpenCrashFS(t, fsys)
	ref, err := s.Put(t.Context(), []byte("content"))
	if err != nil {
		t.Fatal(err)
	}
	node, err := fsys.lookupLocked(s.chunk(ref.ID))
	if err != nil {
		t.Fatal(err)
	}
	node.data = make([]byte, MaxChunkSize+1)
	for _, want := range []error{ErrCorrupt, ErrNotFound} {
		if _, err := s.Get(t.Context(), ref); !errors.Is(err, want) {
			t.Fatalf("Get: %v, want %v", err, want)
		}
	}
}

// The lock on the directory must not be given back while somebody still writes to it.
func TestCloseWaitsForPuts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := newCrashFS()
		s := mustOpenCrashFS(t, fsys)
		goOn := make(chan struct{}) // closed by the test
		fsys.fault = func(op, _ string) error {
			if op == "write" {
				<-goOn
			}
			return nil
		}
		var calls sync.WaitGroup
		var closed atomic.Bool
		calls.Go(func() {
			if _, err := s.Put(t.Context(), []byte("content")); err != nil {
				t.Errorf("Put: %v", err)
			}
		})
		synctest.Wait()
		calls.Go(func() {
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			closed.Store(true)
		})
		synctest.Wait()
		if closed.Load() {
			t.Error("Close returned during a Put")
		}
		close(goOn)
		calls.Wait()
	})
}

func TestOpenFails(t *testing.T) {
	for _, op := range []string{"mkdir", "lock", "syncdir", "readdir"} {
		fsys := newCrashFS()
		failing := true
		fsys.fault = func(o, path string) error {
			if failing && o == op && strings.HasPrefix(path, crashDir) {
				return syscall.EIO
			}
			return nil
		}
		if _, err := openLocal(fsys, crashDir, LocalOptions{}); !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), crashDir) {
			t.Fatalf("%s: %v, want EIO and the directory", op, err)
		}
		failing = false
		mustOpenCrashFS(t, fsys) // the lock was given back
	}
}

// A directory above the store that this process has just created must be durable too.
func TestNewParentCannotBeSynced(t *testing.T) {
	fsys := newCrashFS()
	fsys.fault = func(op, path string) error {
		if op == "syncdir" && path == "/data" {
			return syscall.EIO
		}
		return nil
	}
	if _, err := openLocal(fsys, crashDir, LocalOptions{}); !errors.Is(err, syscall.EIO) {
		t.Fatalf("open: %v, want EIO", err)
	}
}

// TestUnreadableParents: directories above the store may belong to others.
func TestUnreadableParents(t *testing.T) {
	fsys := newCrashFS()
	mustOpenCrashFS(t, fsys)
	again := fsys.afterKill()
	again.fault = func(op, path string) error {
		if op == "syncdir" && !strings.HasPrefix(path, crashDir) {
			return syscall.EACCES
		}
		return nil
	}
	mustOpenCrashFS(t, again)
}
