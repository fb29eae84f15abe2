package pebblestate

import (
	"errors"
	"io"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// storeFS is the file system of one store. It notes the first failure as the store's fault, and differs from the one
// below in what Pebble is told:
//
//   - Files are never synced. Nothing in a store is needed when its process has ended, so that no flush and no capture
//     need wait for the disk. What a checkpoint has of a file is synced with the checkpoint.
//   - A table that cannot be written or read fails what Pebble is doing, which it will try again; from then on each
//     attempt fails, and slowly, so that trying again until the store is closed costs nothing.
//   - A manifest, or another small file, that cannot be written is as good as written. Pebble would end the process over
//     it, or go on with half a change applied; and nobody reads it, as no capture is made of a store with a fault.
//   - The files of a capture fail like any others, and no more than the capture fails with them.
type storeFS struct {
	vfs.FS
	dir   string // of the store; captures are elsewhere
	fault *fault
}

// retryPause is how long what is bound to fail takes.
const retryPause = 10 * time.Millisecond

func (fs *storeFS) Unwrap() vfs.FS { return fs.FS }

// role is what a file is to its store.
type role uint8

const (
	capturedFile role = iota // or anything else outside the store's directory
	tableFile
	smallFile
)

func (fs *storeFS) role(path string) role {
	switch {
	case filepath.Dir(path) != fs.dir:
		return capturedFile
	case filepath.Ext(path) == ".sst":
		return tableFile
	}
	return smallFile
}

func (fs *storeFS) Create(path string, category vfs.DiskWriteCategory) (vfs.File, error) {
	r := fs.role(path)
	if err := fs.refuse(r); err != nil {
		return nil, err
	}
	return fs.opened(r)(fs.FS.Create(path, category))
}

func (fs *storeFS) OpenReadWrite(path string, category vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return fs.opened(fs.role(path))(fs.FS.OpenReadWrite(path, category, opts...))
}

func (fs *storeFS) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	return fs.opened(fs.role(to))(fs.FS.ReuseForWrite(from, to, category))
}

func (fs *storeFS) Open(path string, opts ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.FS.Open(path, opts...)
	if err != nil {
		return nil, err // Pebble may only be looking
	}
	return &storeFile{File: f, fs: fs, role: fs.role(path)}, nil
}

func (fs *storeFS) OpenDir(path string) (vfs.File, error) {
	f, err := fs.FS.OpenDir(path)
	if err != nil {
		return nil, err
	}
	return &storeFile{File: f, fs: fs, role: fs.role(path)}, nil
}

// Rename may be of a file that only Pebble believes in.
func (fs *storeFS) Rename(from, to string) error {
	return fs.judge(fs.role(to), fs.FS.Rename(from, to))
}

// refuse fails what is done to tables once there is a fault.
func (fs *storeFS) refuse(r role) error {
	err := fs.fault.err()
	if err != nil && r == tableFile {
		time.Sleep(retryPause)
		return err
	}
	return nil
}

// opened makes a file to be written one of the store.
func (fs *storeFS) opened(r role) func(vfs.File, error) (vfs.File, error) {
	return func(f vfs.File, err error) (vfs.File, error) {
		if err = fs.judge(r, err); err != nil {
			return nil, err
		}
		if f == nil { // only we know that there is no such file
			if f, err = vfs.NewMem().Create("nowhere", vfs.WriteCategoryUnspecified); err != nil {
				return nil, err
			}
		}
		return &storeFile{File: f, fs: fs, role: r}, nil
	}
}

// judge notes a failure and returns what Pebble is told of it.
func (fs *storeFS) judge(r role, err error) error {
	if err == nil || r == capturedFile {
		return err
	}
	err = fs.fault.note(err)
	if r == smallFile {
		return nil
	}
	return err
}

// storeFile is a file of a store.
type storeFile struct {
	vfs.File
	fs   *storeFS
	role role
}

func (*storeFile) Sync() error                { return nil }
func (*storeFile) SyncData() error            { return nil }
func (*storeFile) SyncTo(int64) (bool, error) { return false, nil }

func (f *storeFile) Write(p []byte) (int, error) {
	if err := f.fs.refuse(f.role); err != nil {
		return 0, err
	}
	return f.judgeWrite(p)(f.File.Write(p))
}

func (f *storeFile) WriteAt(p []byte, at int64) (int, error) {
	if err := f.fs.refuse(f.role); err != nil {
		return 0, err
	}
	return f.judgeWrite(p)(f.File.WriteAt(p, at))
}

// judgeWrite returns what Pebble is told of writing p.
func (f *storeFile) judgeWrite(p []byte) func(int, error) (int, error) {
	return func(n int, err error) (int, error) {
		if err == nil {
			return n, nil
		}
		if err = f.fs.judge(f.role, err); err == nil {
			return len(p), nil
		}
		return n, err
	}
}

func (f *storeFile) Preallocate(at, size int64) error {
	return f.fs.judge(f.role, f.File.Preallocate(at, size))
}

func (f *storeFile) Close() error { return f.fs.judge(f.role, f.File.Close()) }

func (f *storeFile) Read(p []byte) (int, error) {
	n, err := f.File.Read(p)
	return n, f.judgeRead(err)
}

func (f *storeFile) ReadAt(p []byte, at int64) (int, error) {
	if err := f.fs.refuse(f.role); err != nil {
		return 0, err
	}
	n, err := f.File.ReadAt(p, at)
	return n, f.judgeRead(err)
}

// judgeRead notes a failure to read. Nobody is told that it succeeded.
func (f *storeFile) judgeRead(err error) error {
	if err != nil && !errors.Is(err, io.EOF) && f.role != capturedFile {
		return f.fs.fault.note(err)
	}
	return err
}
