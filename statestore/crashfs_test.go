package statestore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// errCrashed is what every operation returns once the simulated machine is down.
var errCrashed = errors.New("simulated crash")

// crashFS is a file system in memory that knows what a disk would hold after a power failure: file content
// as of the file's last Sync, directory entries as of the directory's last SyncDir, and of everything newer
// a part that a seed decides.
type crashFS struct {
	// fault, when set, is asked before each operation and may fail or delay it. It is called without mu held.
	fault func(op, path string) error

	mu      sync.Mutex
	root    *crashNode
	crashAt int      // the changing operation, counted from 1, at which the machine goes down; 0 means never
	changes []string // the paths of the changing operations so far
	crashed bool
	locked  map[string]bool
}

// crashNode is a file or a directory.
type crashNode struct {
	isDir           bool
	data, synced    []byte                // of a file: as the process sees it, and on disk
	written         int64                 // the step at which it was written to
	entries, onDisk map[string]*crashNode // of a directory: likewise
	dirty           map[string]bool       // names in which a SyncDir would bring onDisk up to date
}

var _ fileSystem = (*crashFS)(nil)

func newCrashFS() *crashFS { return &crashFS{root: newCrashDir(), locked: make(map[string]bool)} }

func newCrashDir() *crashNode {
	return &crashNode{
		isDir: true, entries: make(map[string]*crashNode), onDisk: make(map[string]*crashNode),
		dirty: make(map[string]bool),
	}
}

// afterKill returns the file system as the next process finds it when only the process died.
func (c *crashFS) afterKill() *crashFS {
	return &crashFS{root: c.root, locked: make(map[string]bool)}
}

// afterPowerLoss returns the file system as the next process finds it when the machine died.
func (c *crashFS) afterPowerLoss(seed uint64) *crashFS {
	rng := rand.New(rand.NewPCG(seed, 1))
	return &crashFS{root: c.root.survivor(rng, make(map[*crashNode]*crashNode)), locked: make(map[string]bool)}
}

// survivor returns what is left of n after a power failure. A node that two directories name stays one node.
func (n *crashNode) survivor(rng *rand.Rand, known map[*crashNode]*crashNode) *crashNode {
	if s, ok := known[n]; ok {
		return s
	}
	if !n.isDir {
		content := n.survivingContent(rng)
		s := &crashNode{data: content, synced: content, written: n.written}
		known[n] = s
		return s
	}
	s := newCrashDir()
	known[n] = s
	names := slices.Compact(slices.Sorted(func(yield func(string) bool) {
		for _, m := range []map[string]*crashNode{n.entries, n.onDisk} {
			for name := range m {
				if !yield(name) {
					return
				}
			}
		}
	}))
	for _, name := range names {
		entry := n.onDisk[name]
		if newer := n.entries[name]; newer != entry && rng.IntN(2) == 0 {
			entry = newer
		}
		if entry != nil {
			s.entries[name] = entry.survivor(rng, known)
		}
	}
	s.onDisk = maps.Clone(s.entries)
	return s
}

func (n *crashNode) survivingContent(rng *rand.Rand) []byte {
	if bytes.Equal(n.data, n.synced) {
		return n.synced
	}
	switch rng.IntN(4) {
	case 0:
		return n.data
	case 1:
		return n.data[:rng.IntN(len(n.data)+1)]
	case 2:
		return make([]byte, len(n.data)) // the size made it to disk, the blocks did not
	}
	return n.synced
}

// do runs one operation. A changing one counts as a step at which the machine may go down.
func (c *crashFS) do(op, path string, changes bool, run func() error) error {
	if c.fault != nil {
		if err := c.fault(op, path); err != nil {
			return &fs.PathError{Op: op, Path: path, Err: err}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if changes && !c.crashed {
		c.changes = append(c.changes, path)
		c.crashed = len(c.changes) == c.crashAt
	}
	if c.crashed {
		return &fs.PathError{Op: op, Path: path, Err: errCrashed}
	}
	if err := run(); err != nil {
		return &fs.PathError{Op: op, Path: path, Err: err}
	}
	return nil
}

// lookupLocked returns the node at path, or fs.ErrNotExist.
func (c *crashFS) lookupLocked(path string) (*crashNode, error) {
	n := c.root
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if name == "" {
			continue
		}
		if !n.isDir {
			return nil, errors.New("not a directory")
		}
		if n = n.entries[name]; n == nil {
			return nil, fs.ErrNotExist
		}
	}
	return n, nil
}

// linkLocked enters a node into the directory of path, or removes the entry when the node is nil.
func (c *crashFS) linkLocked(path string, n *crashNode) error {
	dir, err := c.lookupLocked(filepath.Dir(path))
	if err != nil {
		return err
	}
	name := filepath.Base(path)
	dir.dirty[name] = true
	if n == nil {
		delete(dir.entries, name)
	} else {
		dir.entries[name] = n
	}
	return nil
}

func (c *crashFS) addLocked(path string, n *crashNode) error {
	if _, err := c.lookupLocked(path); err == nil {
		return fs.ErrExist
	}
	return c.linkLocked(path, n)
}

func (c *crashFS) Mkdir(path string) error {
	return c.do("mkdir", path, true, func() error { return c.addLocked(path, newCrashDir()) })
}

func (c *crashFS) Create(path string) (file, error) {
	n := &crashNode{}
	if err := c.do("create", path, true, func() error { return c.addLocked(path, n) }); err != nil {
		return nil, err
	}
	return &crashFile{fs: c, path: path, node: n}, nil
}

func (c *crashFS) ReadFile(path string, limit int64) (data []byte, err error) {
	err = c.do("read", path, false, func() error {
		n, err := c.lookupLocked(path)
		if err != nil {
			return err
		}
		if int64(len(n.data)) > limit {
			return fmt.Errorf("%w: %d bytes", errLonger, len(n.data))
		}
		data = append([]byte{}, n.data...)
		return nil
	})
	return data, err
}

func (c *crashFS) ReadAt(path string, p []byte, offset int64) (n int, err error) {
	err = c.do("read", path, false, func() error {
		node, err := c.lookupLocked(path)
		if err == nil {
			n = copy(p, node.data[min(offset, int64(len(node.data))):])
		}
		return err
	})
	return n, err
}

func (c *crashFS) Space(path string) (free, total int64, err error) {
	err = c.do("statfs", path, false, func() error { return nil })
	return 1 << 30, 1 << 40, err
}

func (c *crashFS) Size(path string) (size int64, err error) {
	err = c.do("stat", path, false, func() error {
		n, err := c.lookupLocked(path)
		if err == nil {
			size = int64(len(n.data))
		}
		return err
	})
	return size, err
}

func (c *crashFS) ReadDirPrefix(path, prefix string) ([]dirEntry, error) {
	all, err := c.ReadDir(path)
	return slices.DeleteFunc(all, func(e dirEntry) bool { return !strings.HasPrefix(e.name, prefix) }), err
}

func (c *crashFS) ReadDir(path string) (all []dirEntry, err error) {
	err = c.do("readdir", path, false, func() error {
		dir, err := c.lookupLocked(path)
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(dir.entries)) {
			n := dir.entries[name]
			all = append(all, dirEntry{name: name, regular: !n.isDir, size: int64(len(n.data)), written: n.written})
		}
		return nil
	})
	return all, err
}

func (c *crashFS) Rename(from, to string) error {
	return c.do("rename", to, true, func() error {
		n, err := c.lookupLocked(from)
		if err != nil {
			return err
		}
		if err := c.linkLocked(to, n); err != nil {
			return err
		}
		return c.linkLocked(from, nil)
	})
}

func (c *crashFS) Link(from, to string) error {
	return c.do("link", to, true, func() error {
		n, err := c.lookupLocked(from)
		if err != nil {
			return err
		}
		return c.addLocked(to, n)
	})
}

func (c *crashFS) Sync(path string) error {
	return c.do("sync", path, true, func() error {
		n, err := c.lookupLocked(path)
		if err == nil {
			n.synced = n.data
		}
		return err
	})
}

func (c *crashFS) Remove(path string) error {
	return c.do("remove", path, true, func() error {
		if _, err := c.lookupLocked(path); err != nil {
			return err
		}
		return c.linkLocked(path, nil)
	})
}

func (c *crashFS) SyncDir(path string) error {
	return c.do("syncdir", path, true, func() error {
		dir, err := c.lookupLocked(path)
		if err != nil {
			return err
		}
		for name := range dir.dirty {
			if n := dir.entries[name]; n != nil {
				dir.onDisk[name] = n
			} else {
				delete(dir.onDisk, name)
			}
		}
		clear(dir.dirty)
		return nil
	})
}

func (c *crashFS) Lock(path string) (io.Closer, error) {
	err := c.do("lock", path, false, func() error {
		if c.locked[path] {
			return ErrInUse
		}
		c.locked[path] = true
		return nil
	})
	return crashLock{fs: c, path: path}, err
}

type crashLock struct {
	fs   *crashFS
	path string
}

func (l crashLock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	delete(l.fs.locked, l.path)
	return nil
}

type crashFile struct {
	fs   *crashFS
	path string
	node *crashNode
}

func (f *crashFile) Write(p []byte) (int, error) {
	err := f.fs.do("write", f.path, true, func() error {
		f.node.data = append(bytes.Clone(f.node.data), p...)
		f.node.written = int64(len(f.fs.changes))
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (f *crashFile) Sync() error {
	return f.fs.do("sync", f.path, true, func() error {
		f.node.synced = f.node.data
		return nil
	})
}

func (f *crashFile) Close() error { return nil }
