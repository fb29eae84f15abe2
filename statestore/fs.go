package statestore

import (
	"errors"
	"io"
)

// errLonger says that a file holds more bytes than the reader was prepared to take.
var errLonger = errors.New("file is longer than expected")

// fileSystem is what Local needs of a file system. The real one is osFS; tests use one that forgets, at a
// simulated power failure, what was not synced. Errors of missing and existing files wrap fs.ErrNotExist
// and fs.ErrExist. Implementations are safe for concurrent use.
type fileSystem interface {
	// Mkdir creates a directory. Its entry is durable after SyncDir of the parent.
	Mkdir(path string) error
	// Create creates a file that must not exist yet.
	Create(path string) (file, error)
	// ReadFile returns the content of a file, or errLonger when that is more than limit bytes.
	ReadFile(path string, limit int64) ([]byte, error)
	// ReadAt fills p with the content of a file from offset on, and returns how many bytes there were: fewer than len(p)
	// mean that the file ends there.
	ReadAt(path string, p []byte, offset int64) (int, error)
	// Size returns the size of a regular file in bytes.
	Size(path string) (int64, error)
	// ReadDir returns the entries of a directory, ordered by name.
	ReadDir(path string) ([]dirEntry, error)
	// ReadDirPrefix is ReadDir of the entries whose names begin with prefix. At the others it does not look.
	ReadDirPrefix(path, prefix string) ([]dirEntry, error)
	// Rename moves a file, replacing the target. It is durable after SyncDir of the target's directory.
	Rename(from, to string) error
	// Link gives a file another name, which must not exist yet. It is durable after SyncDir of the name's directory.
	Link(from, to string) error
	// Sync makes the content of a file durable that somebody else has written, and has closed.
	Sync(path string) error
	Remove(path string) error
	// SyncDir makes the entries of a directory durable.
	SyncDir(path string) error
	// Space returns how many bytes of the disk under path are free for this process, and how many there are.
	Space(path string) (free, total int64, err error)
	// Lock takes the exclusive lock of the file at path, creating it if need be, and leaves the process's ID
	// in it. It returns an error that wraps ErrInUse when somebody has the lock. The lock ends with Close, or
	// with the process.
	Lock(path string) (io.Closer, error)
}

// file is a file being written.
type file interface {
	io.WriteCloser
	// Sync makes the content durable. After an error the content is unknown and must be written anew.
	Sync() error
}

// dirEntry is one entry of a directory.
type dirEntry struct {
	name    string
	regular bool  // a plain file: no directory, link or device
	size    int64 // in bytes, of a plain file
	written int64 // when the file was last written to, in nanoseconds since 1970
}

// writeFile creates a file with the given content, durable. A file that failed to sync is never synced
// again: the kernel may have dropped the pages that it could not write, and would report success.
func writeFile(fsys fileSystem, path string, data ...[]byte) error {
	f, err := fsys.Create(path)
	if err != nil {
		return err
	}
	for _, part := range data {
		if err == nil {
			_, err = f.Write(part)
		}
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
