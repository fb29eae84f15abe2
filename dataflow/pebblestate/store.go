package pebblestate

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"cairn/dataflow/rowstore"
)

// store is a Pebble store of one operator's subtask.
type store struct {
	db    *pebble.DB
	dir   string
	fault *fault
	throttle
	// window is open while files of a capture are being made; see capture.
	window *window
	room   int // bytes that may be written before the window has closed
	buffer int // the write buffers have at least this size
	number int // of the last capture
}

var _ rowstore.Store = (*store)(nil)

func newStore(dir string, memTableSize int, fail func(error)) *store {
	return &store{
		dir: dir, fault: newFault(fail), buffer: firstMemTableSize,
		throttle: throttle{buffers: memBuffers * memTableSize, progress: make(chan struct{}, 1)},
	}
}

// firstMemTableSize is the size of Pebble's first write buffer. Behind one that is more than half full comes one twice as
// large, up to MemTableSize; otherwise the next has the same size.
const firstMemTableSize = 256 << 10

// Get implements rowstore.Store.
func (s *store) Get(dst, row []byte) (value []byte, found bool, err error) {
	if err := s.fault.err(); err != nil {
		return dst, false, err
	}
	v, closer, err := s.db.Get(row)
	if err == pebble.ErrNotFound {
		return dst, false, nil
	}
	if err != nil {
		return dst, false, s.fault.or(err)
	}
	return append(dst, v...), true, closer.Close()
}

// Put implements rowstore.Store.
func (s *store) Put(row, value []byte) error {
	if err := s.reserve(row, value); err != nil {
		return err
	}
	return s.db.Set(row, value, pebble.NoSync)
}

// Append implements rowstore.Store.
func (s *store) Append(row, value []byte) error {
	if err := s.reserve(row, value); err != nil {
		return err
	}
	return s.db.Merge(row, value, pebble.NoSync)
}

// Delete implements rowstore.Store.
func (s *store) Delete(row []byte) error {
	if err := s.reserve(row, nil); err != nil {
		return err
	}
	return s.db.Delete(row, pebble.NoSync)
}

// Scan implements rowstore.Store.
func (s *store) Scan(from, to []byte) (rowstore.Scan, error) {
	if err := s.fault.err(); err != nil {
		return nil, err
	}
	return scanOf(s.db, from, to)
}

// Snapshot implements rowstore.Store.
func (s *store) Snapshot() (rowstore.Snapshot, error) {
	if err := s.fault.err(); err != nil {
		return nil, err
	}
	return &snapshot{s.db.NewSnapshot()}, nil
}

// Close implements rowstore.Store.
func (s *store) Close() error {
	if s.window != nil {
		<-s.window.closed
	}
	err := s.db.Close()
	if s.fault.err() != nil {
		return nil // whatever else is wrong follows from that, which has been told
	}
	return err
}

// snapshot is the rows of a store as they were.
type snapshot struct{ of *pebble.Snapshot }

// Scan implements rowstore.Snapshot.
func (s *snapshot) Scan(from, to []byte) (rowstore.Scan, error) { return scanOf(s.of, from, to) }

// Close implements rowstore.Snapshot.
func (s *snapshot) Close() error {
	of := s.of
	s.of = nil
	if of == nil {
		return nil
	}
	return of.Close()
}

func scanOf(r pebble.Reader, from, to []byte) (rowstore.Scan, error) {
	it, err := r.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return nil, fmt.Errorf("scanning rows: %w", err)
	}
	return &scan{it: it}, nil
}

// scan is a pass over rows.
type scan struct {
	it    *pebble.Iterator
	began bool
	err   error
}

// Next implements rowstore.Scan.
func (s *scan) Next() bool {
	if !s.began {
		s.began = true
		return s.it.First()
	}
	return s.it.Next()
}

// Row implements rowstore.Scan.
func (s *scan) Row() []byte { return s.it.Key() }

// Value implements rowstore.Scan.
func (s *scan) Value() []byte {
	v, err := s.it.ValueAndErr()
	if err != nil && s.err == nil {
		s.err = err
	}
	return v
}

// Close implements rowstore.Scan.
func (s *scan) Close() error {
	err := s.it.Close()
	if s.err != nil {
		return s.err
	}
	return err
}
