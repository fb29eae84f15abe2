package dataflow

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"cairn/checkpoint"
	"cairn/dataflow/rowstore"
)

// The content of a handle of files, in checkpoint.PebbleFormat, begins with a magic and a version, too. Behind it:
//
//	first and last key group; number of tables, and for each the length of its name, its name, and its kind; number of
//	files, and for each the length of its name, its name, and its size
//
// Then a new chunk begins, and the content of the files follows: first the small ones, one behind the other, then the
// immutable ones, each in chunks of its own, so that a file which has not changed is the same chunks again.
const (
	filesMagic         = "CRNP"
	filesFormatVersion = 1

	// maxFileChunk is the size of the chunks of an immutable file, the largest that a store takes.
	maxFileChunk = 64 << 20
	// maxFiles bounds the number of files that a handle may claim to have.
	maxFiles = 1 << 20
)

// capturedFiles are the files of an operator's store, which are being made.
type capturedFiles struct {
	groups  checkpoint.KeyGroupRange
	tables  []rowTableInfo
	capture rowstore.Capture
	stored  *storedFiles
	full    bool // every file is to be stored again
}

// storedFiles are the chunks of the immutable files of one store that have been stored for an earlier snapshot. It is
// safe for concurrent use.
type storedFiles struct {
	mu    sync.Mutex
	files map[string][]checkpoint.ChunkRef // by name
}

func newStoredFiles() *storedFiles {
	return &storedFiles{files: make(map[string][]checkpoint.ChunkRef)}
}

func (s *storedFiles) chunks(name string) []checkpoint.ChunkRef {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.files[name]
}

// replace forgets the files that are not in a newer snapshot.
func (s *storedFiles) replace(files map[string][]checkpoint.ChunkRef) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files = files
}

// writeFiles stores what the snapshot has of files. Those that an earlier one has stored are not read: the store is
// asked to keep their chunks for this one, too (I5), and they are stored again where it cannot.
func (w *chunkWriter) writeFiles(c capturedFiles) error {
	dir, files, err := c.capture.Files(w.ctx)
	if err != nil {
		return err
	}
	slices.SortStableFunc(files, func(a, b rowstore.File) int { // the small ones first
		switch {
		case a.Immutable == b.Immutable:
			return 0
		case a.Immutable:
			return 1
		}
		return -1
	})
	if err := errors.Join(w.write(appendFilesIndex(nil, c, files)), w.cut()); err != nil {
		return err
	}
	kept := w.keepFiles(c, files)
	chunks := make(map[string]chunkSpan)
	for _, f := range files {
		path := filepath.Join(dir, f.Name)
		if !f.Immutable {
			if err := w.writeSmallFile(path, f); err != nil {
				return err
			}
			continue
		}
		if err := w.cut(); err != nil {
			return err
		}
		from := len(w.refs)
		if refs, is := kept[f.Name]; is {
			w.refs = append(w.refs, refs...)
		} else if err := w.storeFile(path, f); err != nil {
			return err
		}
		chunks[f.Name] = chunkSpan{from, len(w.refs)}
	}
	if err := w.flush(); err != nil {
		return err
	}
	stored := make(map[string][]checkpoint.ChunkRef, len(chunks))
	for name, span := range chunks {
		stored[name] = slices.Clone(w.refs[span.from:span.to])
	}
	c.stored.replace(stored)
	return w.ctx.Err()
}

// chunkSpan is where a file's chunks begin and end among those of the handle.
type chunkSpan struct{ from, to int }

// keepers is how many files the store is asked to keep at a time: it may have to ask peers, or a server, for each.
const keepers = 16

// keepFiles asks the store to keep the files that an earlier snapshot has stored. It returns the chunks of those that it
// keeps.
func (w *chunkWriter) keepFiles(c capturedFiles, files []rowstore.File) map[string][]checkpoint.ChunkRef {
	keeper, is := w.store.(ChunkKeeper)
	if !is || c.full {
		return nil
	}
	var mu sync.Mutex
	kept := make(map[string][]checkpoint.ChunkRef)
	var asking errgroup.Group
	asking.SetLimit(keepers)
	for _, f := range files {
		refs := c.stored.chunks(f.Name)
		if !f.Immutable || len(refs) == 0 {
			continue
		}
		asking.Go(func() error {
			if keepAll(w.ctx, keeper, refs) {
				mu.Lock()
				defer mu.Unlock()
				kept[f.Name] = refs
			}
			return nil
		})
	}
	_ = asking.Wait() // nothing fails there: what is not kept is stored again
	return kept
}

// keepAll asks the store to keep chunks. It returns false when it cannot.
func keepAll(ctx context.Context, keeper ChunkKeeper, refs []checkpoint.ChunkRef) bool {
	for _, ref := range refs {
		if held, err := keeper.Keep(ctx, ref); err != nil || !held {
			return false
		}
	}
	return true
}

func (w *chunkWriter) writeSmallFile(path string, f rowstore.File) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if int64(len(b)) != f.Size {
		return fmt.Errorf("file %s has %d bytes, want %d", path, len(b), f.Size)
	}
	return w.write(b)
}

// storeFile begins to store an immutable file in chunks of its own. One that is a single chunk the store may take over.
func (w *chunkWriter) storeFile(path string, f rowstore.File) error {
	if taker, is := w.store.(FileTaker); is && f.Size <= maxFileChunk {
		return w.begin(nil, func() (checkpoint.ChunkRef, error) {
			ref, err := taker.PutFile(w.ctx, path)
			if err == nil && ref.Size != f.Size {
				err = fmt.Errorf("file %s has %d bytes, want %d", path, ref.Size, f.Size)
			}
			return ref, err
		})
	}
	in, err := os.Open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	for left := f.Size; left > 0; {
		b := w.memory(int(min(left, maxFileChunk)))
		if _, err := io.ReadFull(in, b); err != nil {
			return fmt.Errorf("file %s: %w", path, err)
		}
		if err := w.put(b); err != nil {
			return err
		}
		left -= int64(len(b))
	}
	return nil
}

func appendFilesIndex(b []byte, c capturedFiles, files []rowstore.File) []byte {
	b = append(append(b, filesMagic...), filesFormatVersion)
	b = binary.AppendUvarint(binary.AppendUvarint(b, uint64(c.groups.First)), uint64(c.groups.Last))
	b = binary.AppendUvarint(b, uint64(len(c.tables)))
	for _, t := range c.tables {
		b = append(binary.AppendUvarint(b, uint64(len(t.name))), t.name...)
		b = append(b, byte(t.kind))
	}
	b = binary.AppendUvarint(b, uint64(len(files)))
	for _, f := range files {
		b = append(binary.AppendUvarint(b, uint64(len(f.Name))), f.Name...)
		immutable := byte(0)
		if f.Immutable {
			immutable = 1
		}
		b = binary.AppendUvarint(append(b, immutable), uint64(f.Size))
	}
	return b
}

// ChunkKeeper is a ChunkStore that can be asked to keep what it has.
type ChunkKeeper interface {
	// Keep reports whether the chunk is durable already on as many replicas as the store's policy says. Then it is kept
	// as if it had just been put.
	Keep(ctx context.Context, ref checkpoint.ChunkRef) (held bool, err error)
}
