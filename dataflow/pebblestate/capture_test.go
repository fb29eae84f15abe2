package pebblestate

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"cairn/dataflow/rowstore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// heldFS is a file system on which no file can be created while it is held.
type heldFS struct {
	vfs.FS
	hold atomic.Pointer[chan struct{}]
	held atomic.Int64 // calls that wait
}

func (fs *heldFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if hold := fs.hold.Load(); hold != nil {
		fs.held.Add(1)
		<-*hold
		fs.held.Add(-1)
	}
	return fs.FS.Create(name, category)
}

func openStore(t *testing.T, fs vfs.FS, parts ...rowstore.Part) *store {
	t.Helper()
	return openStoreWith(t, fs, firstMemTableSize, parts...)
}

func openStoreWith(t *testing.T, fs vfs.FS, memTableSize int, parts ...rowstore.Part) *store {
	t.Helper()
	b, err := New(Options{BlockCacheSize: 1 << 20, MemTableSize: memTableSize, Logger: slog.New(slog.DiscardHandler), FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	s, err := b.Open(t.TempDir(), parts, func(err error) { t.Errorf("the store has failed: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	return s.(*store)
}

// tellFull is called by the writer before it writes so many bytes, and tells when it has to wait for a capture's links.
func tellFull(s *store, size int, full chan<- struct{}) {
	if s.window == nil || s.room >= size+overhead {
		return
	}
	select {
	case full <- struct{}{}:
	default:
	}
}

// awaitStand returns when the writer waits for the links, or has ended. One that is not held back, as it should be, may come
// to a stand somewhere in Pebble: patience is for that one.
func awaitStand(full <-chan struct{}, done chan error) {
	const patience = 20 * time.Second
	select {
	case <-full:
	case err := <-done:
		done <- err
	case <-time.After(patience):
	}
}

// TestWriterWaitsForTheLinks: until the files of a capture are there, no more is written than a write buffer takes, for
// a full one would be flushed and get into them.
func TestWriterWaitsForTheLinks(t *testing.T) {
	fs := &heldFS{FS: vfs.Default}
	s := openStore(t, fs)
	row := func(i int) []byte { return fmt.Appendf([]byte{0, 1}, "row %06d", i) }
	value := make([]byte, 1000)
	if err := s.Put(row(0), value); err != nil {
		t.Fatal(err)
	}
	hold := make(chan struct{})
	fs.hold.Store(&hold)
	c, err := s.Capture()
	if err != nil {
		t.Fatal(err)
	}
	closed := c.(*capture).window.closed
	var within atomic.Int64 // bytes written while the window was open
	done, full := make(chan error, 1), make(chan struct{}, 1)
	const rows = 1000
	go func() {
		for i := 1; i <= rows; i++ {
			tellFull(s, len(row(i))+len(value), full)
			if err := s.Put(row(i), value); err != nil {
				done <- err
				return
			}
			select {
			case <-closed:
			default:
				within.Add(int64(len(value)))
			}
		}
		done <- nil
	}()
	awaitStand(full, done)
	fs.hold.Store(nil)
	close(hold)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := within.Load(); n == 0 || n > firstMemTableSize/2 {
		t.Errorf("%d bytes were written before the files were there, want some and at most %d", n, firstMemTableSize/2)
	}
	dir, files, err := c.Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	restored := openStore(t, vfs.Default, rowstore.Part{Dir: dir, Files: files, All: true})
	if n := count(t, restored); n != 1 {
		t.Errorf("%d rows in the capture, want 1", n)
	}
	if n := count(t, s); n != rows+1 {
		t.Errorf("%d rows in the store, want %d", n, rows+1)
	}
	closeAll(t, c, c, restored, s)
}

func count(t *testing.T, s rowstore.Store) (n int) {
	t.Helper()
	scan, err := s.Scan(firstRow, lastRow)
	if err != nil {
		t.Fatal(err)
	}
	for scan.Next() {
		n++
	}
	if err := scan.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}

func closeAll(t *testing.T, all ...interface{ Close() error }) {
	t.Helper()
	for _, c := range all {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestSnapshotStays: what is written behind a snapshot is not in it, and closing it twice does no harm.
func TestSnapshotStays(t *testing.T) {
	s := openStore(t, vfs.Default)
	for i := range 10 {
		if err := s.Put([]byte{0, byte(i)}, []byte("a")); err != nil {
			t.Fatal(err)
		}
	}
	snap, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if err := s.Append([]byte{0, byte(i)}, []byte("b")); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete([]byte{0, 0}); err != nil {
		t.Fatal(err)
	}
	scan, err := snap.Scan([]byte{0, 2}, []byte{0, 15})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; scan.Next(); n++ {
		if string(scan.Value()) != "a" {
			t.Errorf("row %v is %q", scan.Row(), scan.Value())
		}
	}
	if n != 8 {
		t.Errorf("%d rows, want 8", n)
	}
	if v, found, err := s.Get([]byte("x"), []byte{0, 3}); string(v) != "xab" || !found || err != nil {
		t.Errorf("%q, %v, %v", v, found, err)
	}
	if v, found, err := s.Get(nil, []byte{0, 0}); found || err != nil {
		t.Errorf("%q, %v, %v", v, found, err)
	}
	closeAll(t, scan, snap, snap, s)
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]Options{
		"no logger":          {},
		"small write buffer": {MemTableSize: 1000, Logger: slog.Default()},
		"negative cache":     {BlockCacheSize: -1, Logger: slog.Default()},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestLargestWriteOfAnOpenWindow: no write that need not wait for the links makes Pebble flush. It flushes one by itself
// that is about half as large as a write buffer.
func TestLargestWriteOfAnOpenWindow(t *testing.T) {
	s := openStore(t, vfs.Default)
	defer closeAll(t, s)
	before := s.db.Metrics()
	row := []byte("row")
	value := make([]byte, windowRoom(s.buffer)-overhead-len(row))
	s.window, s.room = &window{}, windowRoom(s.buffer)
	if err := s.Put(row, value); err != nil { // waits for ever if it has to wait
		t.Fatal(err)
	}
	s.window = nil
	after := s.db.Metrics()
	if after.MemTable.Count != before.MemTable.Count || after.Flush.Count != before.Flush.Count {
		t.Errorf("%d bytes were flushed: %d write buffers and %d flushes became %d and %d", len(value),
			before.MemTable.Count, before.Flush.Count, after.MemTable.Count, after.Flush.Count)
	}
}

// TestCaptureBehindAFlush: a flush that is under way when a capture begins holds up the capture's own, which takes along
// whatever is full by then. That must not be anything written since, also while the write buffers are smaller than they
// may become.
func TestCaptureBehindAFlush(t *testing.T) {
	fs := &heldFS{FS: vfs.Default}
	s := openStoreWith(t, fs, 16*firstMemTableSize)
	row := func(i int) []byte { return fmt.Appendf([]byte{0, 1}, "row %06d", i) }
	value := make([]byte, 1000)
	put := func(from, to int) error {
		for i := from; i < to; i++ {
			if err := s.Put(row(i), value); err != nil {
				return err
			}
		}
		return nil
	}
	if err := put(0, 1); err != nil {
		t.Fatal(err)
	}
	hold := make(chan struct{})
	fs.hold.Store(&hold)
	if _, err := s.db.AsyncFlush(); err != nil {
		t.Fatal(err)
	}
	for fs.held.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := put(1, 2); err != nil {
		t.Fatal(err)
	}
	c, err := s.Capture()
	if err != nil {
		t.Fatal(err)
	}
	const rows = 1000
	done, full := make(chan error, 1), make(chan struct{}, 1)
	go func() {
		for i := 2; i < rows; i++ {
			tellFull(s, len(row(i))+len(value), full)
			if err := put(i, i+1); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	awaitStand(full, done)
	fs.hold.Store(nil)
	close(hold)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	dir, files, err := c.Files(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	restored := openStore(t, vfs.Default, rowstore.Part{Dir: dir, Files: files, All: true})
	if n := count(t, restored); n != 2 {
		t.Errorf("%d rows in the capture, want 2", n)
	}
	if n := count(t, s); n != rows {
		t.Errorf("%d rows in the store, want %d", n, rows)
	}
	closeAll(t, c, restored, s)
}

// TestWindowGrowsWithTheWriteBuffers: what may be written during a capture becomes more, as the write buffers do.
func TestWindowGrowsWithTheWriteBuffers(t *testing.T) {
	s := openStoreWith(t, vfs.Default, 4*firstMemTableSize)
	defer closeAll(t, s)
	for i := range 4096 {
		if err := s.Put(fmt.Appendf([]byte{0, 1}, "row %06d", i), make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	if s.measure(); s.buffer != 4*firstMemTableSize {
		t.Errorf("the write buffers are taken for %d bytes, want %d", s.buffer, 4*firstMemTableSize)
	}
}
