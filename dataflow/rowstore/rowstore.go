// Package rowstore says what package dataflow needs of a backend that keeps keyed state on disk: ordered rows of bytes,
// of which snapshots are made as files. It is a package of its own so that backends need not know of dataflow.
package rowstore

import "context"

// Backend opens stores. Its methods are safe for concurrent use.
type Backend interface {
	// Open returns a store in a directory that is there and empty, with the rows of the given parts. It may take over
	// the parts' files; their directories lie in the same file system. fail is called when the store has become unusable
	// by itself, its disk being full for example: once at most, by any goroutine, with what has happened. It returns at
	// once and does not call the store. From then on everything that the store is asked for fails with the same cause.
	Open(dir string, parts []Part, fail func(cause error)) (Store, error)
}

// Part is the files of a capture, and what is to be restored from them.
type Part struct {
	Dir   string
	Files []File
	// Rows from From up to but not including To are restored. All says that there are no others.
	From, To []byte
	All      bool
}

// Size returns the bytes of the part's files.
func (p Part) Size() (n int64) {
	for _, f := range p.Files {
		n += f.Size
	}
	return n
}

// Store is the rows of one operator's subtask. It belongs to the task's goroutine, save for what Snapshot and Capture
// return. No row is empty, and none begins with a byte above 127.
type Store interface {
	// Get appends the value of a row to dst.
	Get(dst, row []byte) (value []byte, found bool, err error)
	Put(row, value []byte) error
	// Append puts value behind what the row has.
	Append(row, value []byte) error
	Delete(row []byte) error
	// Scan goes through the rows from from up to but not including to, in order, as they are now.
	Scan(from, to []byte) (Scan, error)
	// Snapshot returns the rows as they are now, at next to no cost.
	Snapshot() (Snapshot, error)
	// Capture begins to make files of the rows as they are now. It is the short synchronous part.
	Capture() (Capture, error)
	// Close ends the store, also one that has failed. All that it has returned has been closed before.
	Close() error
}

// Scan is a pass over rows. It belongs to one goroutine.
type Scan interface {
	// Next goes to the next row, at first to the first, and reports whether there is one.
	Next() bool
	// Row and Value are valid until Next is called.
	Row() []byte
	Value() []byte
	// Close ends the scan. It returns the error that has ended it early.
	Close() error
}

// Snapshot is rows as they were. It belongs to one goroutine.
type Snapshot interface {
	Scan(from, to []byte) (Scan, error)
	// Close lets the rows go. Closing again changes nothing.
	Close() error
}

// Capture is a capture whose files are being made. It belongs to one goroutine.
type Capture interface {
	// Files returns the files when they are there, or the reason that they are not.
	Files(ctx context.Context) (dir string, files []File, err error)
	// Close removes the files. It waits until nothing is made any more. Closing again changes nothing.
	Close() error
}

// File is a file of a capture.
type File struct {
	Name string // within the directory; no path
	Size int64
	// Immutable says that no file of the same store has the name and another content, also when a store goes on with the
	// files of the whole capture. Only such files may be large.
	Immutable bool
}
