// Package pebblestate keeps the keyed state of jobs with state.backend pebble: for each operator's subtask a Pebble
// store in a directory of its own. It is a rowstore.Backend.
//
// Nothing in a store outlives its attempt, so there is no write-ahead log and nothing waits for the disk but captures:
// what counts is in the checkpoints. Memory is bounded whatever the size of the state: one block cache for all stores of
// a Backend (BlockCacheSize), and per store three write buffers (MemTableSize), and one more during a capture.
//
// A disk that is full or fails makes the store unusable, never the process: whoever opened it is told, and all that it is
// asked for returns what has happened. It can still be closed.
//
// A Backend is safe for concurrent use; a store is for one goroutine, as rowstore.Store says.
package pebblestate

import (
	"fmt"
	"log/slog"
	"math"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"cairn/dataflow/rowstore"
)

// Sizes in bytes, where Options names no others.
const (
	DefaultBlockCacheSize = 64 << 20
	DefaultMemTableSize   = 16 << 20
)

const (
	// format is that of all stores. A later one may be chosen when no node runs a build that cannot read it any more.
	format = pebble.FormatTableFormatV6
	// tableSize is the size that Pebble aims at for its files. A file is a chunk, and what changes in it costs all of it.
	tableSize = 8 << 20
	// maxManifestSize keeps the part of a checkpoint small that is never the same.
	maxManifestSize = 1 << 20
	openFiles       = 1000 // of all stores

	// mergeAt is twice the number of flushes that may lie upon each other before Pebble merges them into the larger files
	// below (it doubles their number to compare it). Each checkpoint is a flush, and a merge makes new files of much of the
	// state when the keys that have changed lie far apart: with Pebble's own 4, checkpoints of a large state store seven
	// times what has changed, on average. Lookups pass over a flush that lacks the key by its filter.
	mergeAt = 16
)

// Options are what may be chosen about a Backend.
type Options struct {
	BlockCacheSize int64 // of all stores together; 0 means DefaultBlockCacheSize
	MemTableSize   int   // of a store, at least 256 KiB; 0 means DefaultMemTableSize
	Logger         *slog.Logger
	FS             vfs.FS // nil means that of the operating system
}

// Backend opens stores that share a block cache.
type Backend struct {
	opts  Options
	cache *pebble.Cache
	files *pebble.FileCache
}

var _ rowstore.Backend = (*Backend)(nil)

// New returns a backend. The caller closes it when all stores have been closed.
func New(opts Options) (*Backend, error) {
	if opts.BlockCacheSize == 0 {
		opts.BlockCacheSize = DefaultBlockCacheSize
	}
	if opts.MemTableSize == 0 {
		opts.MemTableSize = DefaultMemTableSize
	}
	if opts.FS == nil {
		opts.FS = vfs.Default
	}
	if opts.BlockCacheSize < 0 || opts.MemTableSize < firstMemTableSize || opts.Logger == nil {
		return nil, fmt.Errorf("pebblestate: block cache of %d bytes, write buffers of %d: must be at least 0 and %d, and Logger must be set",
			opts.BlockCacheSize, opts.MemTableSize, firstMemTableSize)
	}
	return &Backend{opts: opts, cache: pebble.NewCache(opts.BlockCacheSize), files: pebble.NewFileCache(4, openFiles)}, nil
}

// Close releases the memory that the stores have shared.
func (b *Backend) Close() {
	b.files.Unref()
	b.cache.Unref()
}

// options are those of the store in a directory. Pebble never makes a writer wait: nothing but its own success would end
// that. The store does; see throttle.
func (b *Backend) options(dir string, f *fault, progress func()) *pebble.Options {
	o := &pebble.Options{
		Cache: b.cache, FileCache: b.files, FS: &storeFS{FS: b.opts.FS, dir: filepath.Clean(dir), fault: f},
		Logger: logger{b.opts.Logger, f}, EventListener: b.listener(f, progress),
		DisableWAL: true, MemTableSize: uint64(b.opts.MemTableSize), MemTableStopWritesThreshold: math.MaxInt32,
		L0CompactionThreshold: mergeAt, L0StopWritesThreshold: math.MaxInt32,
		FormatMajorVersion: format, Merger: appending, MaxManifestFileSize: maxManifestSize,
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10) // most keys that are looked up may be new
		o.TargetFileSizes[i] = tableSize
	}
	return o
}

// listener notes what Pebble fails to do in the background, and tells when it has done something. Its functions are called
// with Pebble's locks held.
func (b *Backend) listener(f *fault, progress func()) *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) { _ = f.note(err) },
		DataCorruption:  func(info pebble.DataCorruptionInfo) { _ = f.note(fmt.Errorf("%s: %w", info.Path, info.Details)) },
		FlushEnd:        func(pebble.FlushInfo) { progress() },
		CompactionEnd:   func(pebble.CompactionInfo) { progress() },
		LowDiskSpace: func(info pebble.LowDiskSpaceInfo) {
			b.opts.Logger.Warn("the disk under keyed state is filling up", "free_bytes", info.AvailBytes, "bytes", info.TotalBytes)
		},
	}
}

// logger passes on what Pebble says: what it does at debug level, what goes wrong as an error.
type logger struct {
	log   *slog.Logger
	fault *fault
}

func (l logger) Infof(format string, args ...any) {
	l.log.Debug("pebble", "text", fmt.Sprintf(format, args...))
}

func (l logger) Errorf(format string, args ...any) {
	l.log.Error("pebble", "text", fmt.Sprintf(format, args...))
}

// Fatalf is called where Pebble sees no way on, often in goroutines of its own, in which a panic would end the process.
// It returns: the store is not used any more.
func (l logger) Fatalf(format string, args ...any) {
	err := fmt.Errorf("pebble: "+format, args...)
	l.log.Error("pebble", "text", err)
	_ = l.fault.note(err)
}
