package pebblestate

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"

	"cairn/dataflow/rowstore"
)

// A capture has to have what was written before it, and nothing that is written later, and must not keep the task
// waiting while the disk works. So the task only puts the full write buffer aside: another goroutine waits until it is
// flushed, and makes hard links of the files (Pebble's Checkpoint), which are all that the state then consists of. What
// the task writes meanwhile is in a new write buffer, and not in the files, as long as that one is not flushed, too.
// Pebble does so when it is full. While the window is open, the task therefore writes less than half a buffer, and waits
// for the links then.

// window is the time between a capture and the moment at which its files are there.
type window struct {
	closed chan struct{} // closed by the goroutine that makes the links
	dir    string
	err    error // valid when closed
}

// overhead is the most that an entry takes in a write buffer beside its row and its value.
const overhead = 256

// largeMargin is more than Pebble takes off half a write buffer for what an empty one holds, and adds to an entry.
const largeMargin = 4 << 10

// measure looks how large the write buffers have become, if it can be told: when there is but one. The next ones are no
// smaller. It returns what Pebble has measured.
func (s *store) measure() *pebble.Metrics {
	m := s.db.Metrics()
	if m.MemTable.Count == 1 {
		s.buffer = int(m.MemTable.Size)
	}
	return m
}

// windowRoom is how much may be written while a window is open, given the size of a write buffer. A single entry of about
// half a buffer would be too much: Pebble flushes that by itself, and at once.
func windowRoom(size int) int { return size/2 - largeMargin }

// reserve waits, if it has to, until the store may be written to.
func (s *store) reserve(row, value []byte) error {
	if err := s.fault.err(); err != nil {
		return err
	}
	size := len(row) + len(value) + overhead
	if s.window != nil {
		if s.room -= size; s.room < 0 {
			s.await()
		}
	}
	return s.pace(size)
}

// await waits for the window to close.
func (s *store) await() {
	if s.window != nil {
		<-s.window.closed
		s.window = nil
	}
}

// Capture implements rowstore.Store.
func (s *store) Capture() (rowstore.Capture, error) {
	s.await() // the buffer of an earlier capture must not be flushed before its links are there
	s.measure()
	if err := s.fault.err(); err != nil {
		return nil, err
	}
	flushed, err := s.db.AsyncFlush()
	if err != nil {
		return nil, fmt.Errorf("flushing rows: %w", s.fault.or(err))
	}
	s.number++
	w := &window{closed: make(chan struct{}), dir: fmt.Sprintf("%s-capture-%d", s.dir, s.number)}
	s.window, s.room = w, windowRoom(s.buffer)
	go func() { // Close of the store and of the capture wait for it
		defer close(w.closed)
		w.err = s.link(flushed, w.dir)
	}()
	return &capture{w}, nil
}

// link makes the links when what was written before the capture has been flushed. That there is no fault behind it says
// that all that they lead to was written before one.
func (s *store) link(flushed <-chan struct{}, dir string) (err error) {
	defer s.fault.recover(&err)
	select {
	case <-flushed:
	case <-s.fault.broken:
		return s.fault.err()
	}
	if err := s.db.Checkpoint(dir); err != nil {
		return fmt.Errorf("linking the files of rows: %w", s.fault.or(err))
	}
	return s.fault.err()
}

// capture is a capture under way.
type capture struct{ window *window }

// Files implements rowstore.Capture.
func (c *capture) Files(ctx context.Context) (string, []rowstore.File, error) {
	select {
	case <-c.window.closed:
	case <-ctx.Done():
		return "", nil, ctx.Err()
	}
	if c.window.err != nil {
		return "", nil, c.window.err
	}
	entries, err := os.ReadDir(c.window.dir)
	if err != nil {
		return "", nil, err
	}
	files := make([]rowstore.File, 0, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return "", nil, err
		}
		files = append(files, rowstore.File{
			Name: e.Name(), Size: info.Size(), Immutable: filepath.Ext(e.Name()) == ".sst",
		})
	}
	return c.window.dir, files, nil
}

// Close implements rowstore.Capture.
func (c *capture) Close() error {
	<-c.window.closed
	return os.RemoveAll(c.window.dir)
}
