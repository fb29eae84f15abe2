package pebblestate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/dataflow/rowstore"
)

// sickFS is a file system that fails as its test wants.
type sickFS struct {
	vfs.FS
	// sick is asked before each operation: "create", "write", "read", "link".
	sick atomic.Pointer[func(op, path string) error]
}

func newSickFS() *sickFS { return &sickFS{FS: vfs.Default} }

func (s *sickFS) becomes(sick func(op, path string) error) { s.sick.Store(&sick) }
func (s *sickFS) recovers()                                { s.sick.Store(nil) }

func (s *sickFS) ask(op, path string) error {
	if sick := s.sick.Load(); sick != nil {
		if err := (*sick)(op, path); err != nil {
			return &fs.PathError{Op: op, Path: path, Err: err}
		}
	}
	return nil
}

func (s *sickFS) Create(path string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if err := s.ask("create", path); err != nil {
		return nil, err
	}
	f, err := s.FS.Create(path, category)
	return &sickFile{f, s, path}, err
}

func (s *sickFS) Open(path string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := s.FS.Open(path, opts...)
	if err != nil {
		return nil, err
	}
	return &sickFile{f, s, path}, nil
}

func (s *sickFS) Link(from, to string) error {
	if err := s.ask("link", to); err != nil {
		return err
	}
	return s.FS.Link(from, to)
}

type sickFile struct {
	vfs.File
	fs   *sickFS
	path string
}

func (f *sickFile) Write(p []byte) (int, error) {
	if err := f.fs.ask("write", f.path); err != nil {
		return 0, err
	}
	return f.File.Write(p)
}

func (f *sickFile) ReadAt(p []byte, at int64) (int, error) {
	if err := f.fs.ask("read", f.path); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, at)
}

// failing returns what makes an operation on files with that in their name fail.
func failing(op, name string, err error) func(string, string) error {
	return func(o, path string) error {
		if o == op && strings.Contains(filepath.Base(path), name) {
			return err
		}
		return nil
	}
}

// watched is a store that may fail.
type watched struct {
	*store
	fs     *sickFS
	failed chan error // capacity 2: a second one is too many
}

func openWatched(t *testing.T) *watched {
	t.Helper()
	w := &watched{fs: newSickFS(), failed: make(chan error, 2)}
	b, err := New(Options{BlockCacheSize: 1 << 20, MemTableSize: firstMemTableSize, Logger: slog.New(slog.DiscardHandler), FS: w.fs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	s, err := b.Open(t.TempDir(), nil, func(err error) { w.failed <- err })
	if err != nil {
		t.Fatal(err)
	}
	w.store = s.(*store)
	return w
}

// put writes a row of its own for each i.
func (w *watched) put(i int) error {
	return w.Put(fmt.Appendf([]byte{0, 1}, "row %06d", i*7919%100_000), make([]byte, 1000))
}

// within fails the test when f does not end.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatalf("%s hangs", what)
	}
}

// wantBroken checks that the store has told of its failure once, answers nothing but that, and can be closed.
func (w *watched) wantBroken(t *testing.T, cause error) {
	t.Helper()
	var told error
	within(t, "telling of the failure", func() { told = <-w.failed })
	if !errors.Is(told, cause) {
		t.Errorf("the store failed with %v, want %v", told, cause)
	}
	_, _, get := w.Get(nil, []byte("row"))
	_, scan := w.Scan(firstRow, lastRow)
	_, snapshot := w.Snapshot()
	_, capture := w.Capture()
	for what, err := range map[string]error{
		"Get": get, "Put": w.Put([]byte("row"), nil), "Append": w.Append([]byte("row"), nil), "Delete": w.Delete([]byte("row")),
		"Scan": scan, "Snapshot": snapshot, "Capture": capture,
	} {
		if !errors.Is(err, cause) {
			t.Errorf("%s of a store that has failed: %v, want %v", what, err, cause)
		}
	}
	within(t, "closing", func() {
		if err := w.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	if len(w.failed) > 0 {
		t.Errorf("a second failure is told: %v", <-w.failed)
	}
}

// TestDiskFailsUnderAWriter: whatever file the disk does not take, the writer learns of it before it has filled the
// memory, nothing hangs, and the process lives.
func TestDiskFailsUnderAWriter(t *testing.T) {
	for _, test := range []struct {
		name string
		sick func(op, path string) error
		err  error
	}{
		{"full disk, new table", failing("create", ".sst", syscall.ENOSPC), syscall.ENOSPC},
		{"full disk, amid a table", failing("write", ".sst", syscall.ENOSPC), syscall.ENOSPC},
		{"failing disk, manifest", failing("write", "MANIFEST", syscall.EIO), syscall.EIO},
		{"full disk, everything", func(op, _ string) error {
			if op == "read" {
				return nil
			}
			return syscall.ENOSPC
		}, syscall.ENOSPC},
		{"read-only disk", func(op, _ string) error {
			if op == "read" {
				return nil
			}
			return syscall.EROFS
		}, syscall.EROFS},
		{"compaction cannot read", failing("read", ".sst", syscall.EIO), syscall.EIO},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := openWatched(t)
			for i := range 2000 { // enough for some tables
				if err := w.put(i); err != nil {
					t.Fatal(err)
				}
			}
			w.fs.becomes(test.sick)
			var err error
			const most = 200_000 // 200 MB: far more than the buffers, and than the layers that may lie upon each other
			within(t, "writing", func() {
				for i := 0; i < most && err == nil; i++ {
					err = w.put(2000 + i)
				}
			})
			if !errors.Is(err, test.err) {
				t.Errorf("writing: %v, want %v", err, test.err)
			}
			w.wantBroken(t, test.err)
		})
	}
}

// TestManifestCannotBeRotated: the small files that a new manifest needs cannot be created.
func TestManifestCannotBeRotated(t *testing.T) {
	for _, name := range []string{"MANIFEST", "marker"} {
		t.Run(name, func(t *testing.T) {
			w := &watched{fs: newSickFS(), failed: make(chan error, 2)}
			b, err := New(Options{BlockCacheSize: 1 << 20, MemTableSize: firstMemTableSize, Logger: slog.New(slog.DiscardHandler), FS: w.fs})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			w.store = newStore(t.TempDir(), firstMemTableSize, func(err error) { w.failed <- err })
			o := b.options(w.dir, w.fault, w.made)
			o.MaxManifestFileSize = 1 // each flush begins another one
			if w.db, err = pebble.Open(w.dir, o); err != nil {
				t.Fatal(err)
			}
			for i := range 10 {
				if err := errors.Join(w.put(i), w.db.Flush()); err != nil {
					t.Fatal(err)
				}
			}
			w.fs.becomes(failing("create", name, syscall.ENOSPC))
			within(t, "writing", func() {
				for i := 0; err == nil; i++ {
					err = w.put(i)
				}
			})
			if !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("writing: %v", err)
			}
			w.wantBroken(t, syscall.ENOSPC)
		})
	}
}

// TestDiskFailsUnderAWaitingWriter: a writer that waits for a flush when the disk becomes full is let go.
func TestDiskFailsUnderAWaitingWriter(t *testing.T) {
	w := openWatched(t)
	goOn, waits := make(chan struct{}), make(chan struct{}, 1)
	w.fs.becomes(func(op, path string) error {
		if op != "create" || filepath.Ext(path) != ".sst" {
			return nil
		}
		select {
		case waits <- struct{}{}:
		default:
		}
		<-goOn
		return syscall.ENOSPC
	})
	var written atomic.Int64
	done := make(chan error, 1)
	go func() {
		for i := 0; ; i++ {
			if err := w.put(i); err != nil {
				done <- err
				return
			}
			written.Add(1)
		}
	}()
	within(t, "flushing", func() { <-waits })
	within(t, "coming to a stand", func() {
		for last := int64(-1); last != written.Load() || last < 500; time.Sleep(20 * time.Millisecond) {
			last = written.Load()
		}
	})
	if n := written.Load(); n > 4*memBuffers*firstMemTableSize/1000 {
		t.Errorf("%d rows of 1000 bytes were written while nothing could be flushed", n)
	}
	close(goOn)
	within(t, "the writer", func() {
		if err := <-done; !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("the writer: %v", err)
		}
	})
	w.wantBroken(t, syscall.ENOSPC)
}

// TestDiskFailsUnderACapture: a capture whose flush fails says why, and at once.
func TestDiskFailsUnderACapture(t *testing.T) {
	w := openWatched(t)
	if err := w.put(1); err != nil {
		t.Fatal(err)
	}
	w.fs.becomes(failing("write", ".sst", syscall.ENOSPC))
	c, err := w.Capture()
	if err != nil {
		t.Fatal(err)
	}
	within(t, "the capture", func() {
		if _, _, err := c.Files(context.Background()); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("its files: %v", err)
		}
		closeAll(t, c)
	})
	w.wantBroken(t, syscall.ENOSPC)
}

// TestCaptureCannotBeLinked: a capture that finds no room for its links fails by itself. The store goes on, and the next
// capture has everything.
func TestCaptureCannotBeLinked(t *testing.T) {
	for _, sick := range []func(op, path string) error{
		func(op, path string) error { // also when a file that cannot be linked is copied
			if strings.Contains(path, "-capture-") && filepath.Ext(path) == ".sst" && op != "read" {
				return syscall.ENOSPC
			}
			return nil
		},
		func(op, path string) error {
			if strings.Contains(path, "-capture-") && op != "read" {
				return syscall.ENOSPC
			}
			return nil
		},
	} {
		w := openWatched(t)
		if err := w.put(1); err != nil {
			t.Fatal(err)
		}
		w.fs.becomes(sick)
		c, err := w.Capture()
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Files(t.Context()); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("its files: %v", err)
		}
		closeAll(t, c)
		if _, err := os.Stat(c.(*capture).window.dir); !os.IsNotExist(err) {
			t.Errorf("the directory of the capture is left: %v", err)
		}
		w.fs.recovers()
		if err := w.put(2); err != nil {
			t.Fatal(err)
		}
		next, err := w.Capture()
		if err != nil {
			t.Fatal(err)
		}
		dir, files, err := next.Files(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		restored := openStore(t, vfs.Default, rowstore.Part{Dir: dir, Files: files, All: true})
		if n := count(t, restored); n != 2 {
			t.Errorf("%d rows, want 2", n)
		}
		closeAll(t, restored, next, w)
		if len(w.failed) > 0 {
			t.Errorf("the store has failed: %v", <-w.failed)
		}
	}
}

// TestDiskIsFreeAgain: a store cannot be opened on a full disk, and can when there is room again.
func TestDiskIsFreeAgain(t *testing.T) {
	fs := newSickFS()
	b, err := New(Options{BlockCacheSize: 1 << 20, MemTableSize: firstMemTableSize, Logger: slog.New(slog.DiscardHandler), FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, sick := range []func(op, path string) error{
		failing("create", "MANIFEST", syscall.ENOSPC), failing("write", "MANIFEST", syscall.ENOSPC),
		failing("create", "marker", syscall.ENOSPC), failing("create", "", syscall.ENOSPC), failing("write", "", syscall.ENOSPC),
	} {
		fs.becomes(sick)
		if s, err := b.Open(t.TempDir(), nil, func(error) {}); !errors.Is(err, syscall.ENOSPC) || s != nil {
			t.Errorf("opening a store on a full disk: %v, %v", s, err)
		}
		fs.recovers()
		s, err := b.Open(t.TempDir(), nil, func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Put([]byte("row"), []byte("value")); err != nil {
			t.Error(err)
		}
		closeAll(t, s)
	}
}

// TestNoLogIsWritten: there is nothing in a write-ahead log, so that none can fail.
func TestNoLogIsWritten(t *testing.T) {
	w := openWatched(t)
	for i := range 2000 {
		if err := w.put(i); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(w.dir)
	if err != nil || len(entries) == 0 {
		t.Fatal(len(entries), err)
	}
	for _, e := range entries {
		if info, err := e.Info(); filepath.Ext(e.Name()) == ".log" && (err != nil || info.Size() > 0) {
			t.Errorf("something is in the log %s: %v", e.Name(), err)
		}
	}
	closeAll(t, w)
}

// TestFullDisk fills a real one, of a few megabytes.
func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("a small tmpfs cannot be mounted here, which takes root: %v", err)
	}
	defer func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	}()
	b, err := New(Options{BlockCacheSize: 1 << 20, MemTableSize: firstMemTableSize, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for range 2 { // the second time on the same disk, with room again
		dir := filepath.Join(disk, "rows")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		failed := make(chan error, 1)
		s, err := b.Open(dir, nil, func(err error) { failed <- err })
		if err != nil {
			t.Fatal(err)
		}
		within(t, "writing", func() {
			for i := 0; err == nil; i++ {
				value := make([]byte, 1000)
				for j := range value {
					value[j] = byte(i * j * 31 >> 3) // hard to compress
				}
				err = s.Put(fmt.Appendf([]byte{0, 1}, "row %d", i), value)
			}
		})
		if told := <-failed; !errors.Is(err, syscall.ENOSPC) || !errors.Is(told, syscall.ENOSPC) || !strings.Contains(told.Error(), disk) {
			t.Errorf("writing: %v; told: %v", err, told)
		}
		within(t, "closing", func() { closeAll(t, s) })
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
}
