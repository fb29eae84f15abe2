package statestore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"cairn/checkpoint"
)

// LocalOptions configures a Local. The zero value is fine.
type LocalOptions struct {
	Node   checkpoint.NodeID // named in errors, when set
	Logger *slog.Logger      // nil means no log
}

// Local keeps chunks as files in one directory, which it holds exclusively until Close.
//
// A chunk gets its final name only after its content is on disk, and is acknowledged only after that name
// is: a crash at any point leaves each chunk whole or absent, and no acknowledged one absent.
type Local struct {
	layout

	fs   fileSystem
	node checkpoint.NodeID
	log  *slog.Logger
	lock io.Closer

	locks    chunkLocks
	lastTemp atomic.Uint64
	// synced[n] says that every entry of shard n is durable, but for those being written under their chunk
	// lock. Only then does a file that is found there count as stored.
	synced [numShards]atomic.Bool
	// copies says that files are copied from now on, because one that was linked could not be synced. The kernel may
	// report success the second time, and for any file of that disk.
	copies atomic.Bool

	mu struct {
		sync.Mutex
		closed bool
	}
	// running counts the calls that use the directory. It grows only under mu while closed is false, so that
	// Close can wait for it.
	running sync.WaitGroup
}

var (
	_ Store         = (*Local)(nil)
	_ FilePutter    = (*Local)(nil)
	_ EncodedStore  = (*Local)(nil)
	_ Inventory     = (*Local)(nil)
	_ trustingStore = (*Local)(nil)
)

// OpenLocal opens the store in dir, creating it if need be. It returns an error that wraps ErrInUse, and
// names the directory and the process, when the store is open already. Temporary files of an earlier
// process are removed; files that are not the store's own stay untouched.
func OpenLocal(dir string, opts LocalOptions) (*Local, error) {
	return openLocal(osFS{}, dir, opts)
}

func openLocal(fsys fileSystem, dir string, opts LocalOptions) (*Local, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("state store %s: %w", dir, err)
	}
	l := &Local{layout: layout{dir: abs}, fs: fsys, node: opts.Node, log: opts.Logger}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	existed, err := l.makeDir(abs)
	if err != nil {
		return nil, l.failed("create the directory", err)
	}
	if l.lock, err = fsys.Lock(l.layout.lock()); err != nil {
		return nil, fmt.Errorf("state store %s: %w", abs, err)
	}
	if err := l.prepare(existed); err != nil {
		return nil, errors.Join(l.failed("open", err), l.lock.Close())
	}
	return l, nil
}

// makeDir creates a directory with its missing parents and returns the nearest one that was there before.
func (l *Local) makeDir(path string) (existed string, err error) {
	err = l.fs.Mkdir(path)
	switch parent := filepath.Dir(path); {
	case err == nil:
		return parent, nil
	case errors.Is(err, fs.ErrExist):
		return path, nil
	case errors.Is(err, fs.ErrNotExist) && parent != path:
		if existed, err = l.makeDir(parent); err != nil {
			return "", err
		}
		return existed, l.mkdir(path)
	}
	return "", err
}

// prepare brings the directory into the state that the rest relies on: all shards exist, and every entry
// that is there is durable. The latter is not a given: an earlier process may have been killed between a
// rename and the sync that should have followed, and without it a chunk that is found in place would be
// acknowledged and then lost in a power failure.
func (l *Local) prepare(existed string) error {
	for _, dir := range []string{l.chunks(), l.temp(), l.quarantine()} {
		if err := l.mkdir(dir); err != nil {
			return err
		}
	}
	for n := range numShards {
		if err := l.prepareShard(byte(n)); err != nil {
			return err
		}
	}
	if err := l.fs.SyncDir(l.chunks()); err != nil {
		return err
	}
	if err := l.syncAncestry(existed); err != nil {
		return err
	}
	return l.sweep()
}

// prepareShard creates a shard or, when it is there, makes its entries durable. A new one has none.
func (l *Local) prepareShard(n byte) error {
	err := l.fs.Mkdir(l.shard(n))
	if errors.Is(err, fs.ErrExist) {
		return l.syncShard(n)
	}
	l.synced[n].Store(err == nil)
	return err
}

// mkdir creates a directory unless it is there.
func (l *Local) mkdir(path string) error {
	if err := l.fs.Mkdir(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// syncAncestry makes the path to the store durable. Above the directories that this process created it does
// what it can: those may belong to others, and not be readable.
func (l *Local) syncAncestry(existed string) error {
	ours := true
	for path := l.dir; ; path = filepath.Dir(path) {
		if err := l.fs.SyncDir(path); err != nil && ours {
			return err
		} else if err != nil {
			l.log.Debug("a parent of the state store could not be synced", "path", path, "error", err)
		}
		if path == existed {
			ours = false
		}
		if path == filepath.Dir(path) {
			return nil
		}
	}
}

// sweep removes what earlier processes were writing when they ended.
func (l *Local) sweep() error {
	entries, err := l.fs.ReadDir(l.temp())
	if err != nil {
		return err
	}
	swept := 0
	for _, e := range entries {
		if !isTemp(e) {
			continue
		}
		if err := l.fs.Remove(filepath.Join(l.temp(), e.name)); err != nil {
			return err
		}
		swept++
	}
	if swept > 0 {
		l.log.Info("removed unfinished chunks", "path", l.temp(), "files", swept)
	}
	return nil
}

// Close waits for the calls in progress and gives the directory back. Later calls return ErrClosed. Closing
// twice is fine.
func (l *Local) Close() error {
	l.mu.Lock()
	closed := l.mu.closed
	l.mu.closed = true
	l.mu.Unlock()
	l.running.Wait()
	if closed {
		return nil
	}
	return l.lock.Close()
}

// begin announces a call that uses the directory. The caller calls running.Done after a nil error.
func (l *Local) begin() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.closed {
		return fmt.Errorf("%s: %w", l.dir, ErrClosed)
	}
	l.running.Add(1)
	return nil
}

// failed wraps an error of the file system. A full disk gets words that an operator can act on.
func (l *Local) failed(doing string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("no space%s (%s): %s: %w", l.onNode(), l.dir, doing, err)
	}
	return fmt.Errorf("state store %s%s: %s: %w", l.dir, l.onNode(), doing, err)
}

func (l *Local) onNode() string {
	if l.node == "" {
		return ""
	}
	return " on node " + string(l.node)
}
