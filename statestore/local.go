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
	// OnChange, when set, is told of everything that happens to a chunk from the opening on, before the call that
	// caused it returns. For each chunk the order is the true one, which holds of different chunks only by chance. It must be
	// quick and safe for concurrent use, and must not call the store.
	OnChange func(Change)
	// QuarantineBytes and QuarantineFiles bound what is kept of damaged copies; the oldest go first. 0 means the default.
	QuarantineBytes int64
	QuarantineFiles int
}

const (
	// DefaultQuarantineBytes and DefaultQuarantineFiles are what is kept of damaged copies unless LocalOptions say otherwise.
	DefaultQuarantineBytes = 256 << 20
	DefaultQuarantineFiles = 1000
)

func (o LocalOptions) withDefaults() LocalOptions {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.OnChange == nil {
		o.OnChange = func(Change) {}
	}
	if o.QuarantineBytes <= 0 {
		o.QuarantineBytes = DefaultQuarantineBytes
	}
	if o.QuarantineFiles <= 0 {
		o.QuarantineFiles = DefaultQuarantineFiles
	}
	return o
}

// Local keeps chunks in one directory, which it holds exclusively until Close: in files of their own, or many small
// ones that are stored at the same time in a file together. What is where it knows from memory.
//
// A file gets its final name only after its content is on disk, and a chunk is acknowledged only after that name
// is: a crash at any point leaves each chunk whole or absent, and no acknowledged one absent.
type Local struct {
	layout

	fs       fileSystem
	node     checkpoint.NodeID
	log      *slog.Logger
	onChange func(Change)
	lock     io.Closer

	locks     chunkLocks
	index     *index
	packer    packer
	rewriter  rewriter
	kept      quarantined
	scrubbing scrubbing
	lastTemp  atomic.Uint64
	lastPack  atomic.Uint64
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
// process are removed; files that are not the store's own stay untouched. Of the chunks it reads the names only.
func OpenLocal(dir string, opts LocalOptions) (*Local, error) {
	return openLocal(osFS{}, dir, opts)
}

func openLocal(fsys fileSystem, dir string, opts LocalOptions) (*Local, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("state store %s: %w", dir, err)
	}
	opts = opts.withDefaults()
	l := &Local{
		layout: layout{dir: abs}, fs: fsys, node: opts.Node, log: opts.Logger, onChange: opts.OnChange, index: newIndex(),
		kept: quarantined{maxBytes: opts.QuarantineBytes, maxFiles: opts.QuarantineFiles},
	}
	existed, err := l.makeDir(abs)
	if err != nil {
		return nil, l.failed("create the directory", err)
	}
	if l.lock, err = fsys.Lock(l.layout.lock()); err != nil {
		return nil, fmt.Errorf("state store %s: %w", abs, err)
	}
	if err := l.open(existed); err != nil {
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
