package statestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"cairn/checkpoint"
)

// Getter is where Export reads chunks from. It is used from several goroutines at once.
type Getter interface {
	// Get returns the content of a chunk.
	Get(ctx context.Context, ref checkpoint.ChunkRef) ([]byte, error)
}

// Progress is told how many of the bytes have been dealt with, never from two goroutines at once.
type Progress func(done, total int64)

// An export or an import has at most so many chunks in memory, of at most so many bytes together.
const (
	transfers     = 8
	transferBytes = 2 * MaxChunkSize
)

// Export writes a checkpoint or savepoint, whose manifest is the given chunk, as a directory that needs nothing else
// to be restored from, in this cluster or another. jobName is what its job is called, and may be empty. dir must not
// exist, or be empty. It appears under its name only
// when all of it is durable: what a crash leaves of an unfinished export is called dir.partial-…, and may be removed.
// progress may be nil.
func Export(ctx context.Context, from Getter, manifest checkpoint.ChunkRef, jobName, dir string, progress Progress) (checkpoint.Manifest, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return checkpoint.Manifest{}, fmt.Errorf("export to %s: %w", dir, err)
	}
	if target, err := filepath.EvalSymlinks(abs); err == nil {
		abs = target // else the link would be replaced
	}
	m, err := export(ctx, osFS{}, from, manifest, jobName, abs, progress)
	if err != nil {
		return checkpoint.Manifest{}, fmt.Errorf("export to %s: %w", abs, err)
	}
	return m, nil
}

func export(ctx context.Context, fsys fileSystem, from Getter, ref checkpoint.ChunkRef, jobName, dir string, progress Progress) (checkpoint.Manifest, error) {
	existed, err := checkTarget(fsys, dir)
	if err != nil {
		return checkpoint.Manifest{}, err
	}
	data, err := getVerified(ctx, from, ref)
	if err != nil {
		return checkpoint.Manifest{}, fmt.Errorf("manifest: %w", err)
	}
	m, err := checkpoint.DecodeManifest(data)
	if err != nil {
		return checkpoint.Manifest{}, fmt.Errorf("manifest: %w", err)
	}
	chunks, err := chunksOf(m)
	if err != nil {
		return checkpoint.Manifest{}, err
	}
	e := &exporter{fs: fsys, from: from, jobName: jobName, dir: exportDir{fmt.Sprintf("%s.partial-%08x", dir, rand.Uint32())}, progress: progress}
	if err = e.write(ctx, m, ref, data, chunks); err == nil {
		err = e.install(dir, existed)
	}
	if err != nil {
		return checkpoint.Manifest{}, errors.Join(err, e.giveUp(chunks))
	}
	return m, nil
}

// checkTarget reports whether dir exists, and returns an error unless it is empty then.
func checkTarget(fsys fileSystem, dir string) (existed bool, err error) {
	entries, err := fsys.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	case len(entries) > 0:
		return false, fmt.Errorf("the directory is not empty, it holds %s: name another, or empty it", entries[0].name)
	}
	return true, nil
}

func getVerified(ctx context.Context, from Getter, ref checkpoint.ChunkRef) ([]byte, error) {
	data, err := from.Get(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("chunk %s: %w", ref.ID, err)
	}
	return data, verify(ref, data)
}

// exporter writes one directory.
type exporter struct {
	fs       fileSystem
	from     Getter
	jobName  string
	dir      exportDir // under its temporary name
	progress Progress
}

// write fills the directory. Everything in it is durable when it returns without error.
func (e *exporter) write(ctx context.Context, m checkpoint.Manifest, ref checkpoint.ChunkRef, manifest []byte, chunks []checkpoint.ChunkRef) error {
	for _, dir := range []string{e.dir.path, e.dir.chunks()} {
		if err := e.fs.Mkdir(dir); err != nil {
			return err
		}
	}
	err := eachChunk(ctx, chunks, newMeter(e.progress, bytesOf(chunks)), func(ctx context.Context, ref checkpoint.ChunkRef) error {
		data, err := getVerified(ctx, e.from, ref)
		if err != nil {
			return err
		}
		return writeFile(e.fs, e.dir.chunk(ref.ID), data)
	})
	if err != nil {
		return err
	}
	index, err := indexOf(m, ref, chunks).signed(e.jobName).encode()
	if err != nil {
		return err
	}
	if err := e.fs.SyncDir(e.dir.chunks()); err != nil {
		return err
	}
	if err := errors.Join(writeFile(e.fs, e.dir.manifest(), manifest), writeFile(e.fs, e.dir.index(), index)); err != nil {
		return err
	}
	return e.fs.SyncDir(e.dir.path)
}

// install gives the directory its name. An empty one that bears it is removed first.
func (e *exporter) install(dir string, existed bool) error {
	if existed {
		if err := e.fs.Remove(dir); err != nil {
			return err
		}
	}
	if err := e.fs.Rename(e.dir.path, dir); err != nil {
		return err
	}
	return e.fs.SyncDir(filepath.Dir(dir))
}

// giveUp removes what there is of an export that failed.
func (e *exporter) giveUp(chunks []checkpoint.ChunkRef) error {
	var paths []string
	for _, c := range chunks {
		paths = append(paths, e.dir.chunk(c.ID))
	}
	var errs []error
	for _, path := range append(paths, e.dir.chunks(), e.dir.manifest(), e.dir.index(), e.dir.path) {
		if err := e.fs.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// meter adds up what several goroutines have done.
type meter struct {
	mu       sync.Mutex // held while progress runs
	done     int64
	total    int64
	progress Progress
}

func newMeter(progress Progress, total int64) *meter {
	if progress == nil {
		progress = func(int64, int64) {}
	}
	return &meter{total: total, progress: progress}
}

func (m *meter) add(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done += n
	m.progress(m.done, m.total)
}

// eachChunk calls do for every chunk, a few at a time, until one fails.
func eachChunk(ctx context.Context, chunks []checkpoint.ChunkRef, m *meter, do func(context.Context, checkpoint.ChunkRef) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(transfers)
	memory := semaphore.NewWeighted(transferBytes)
	for _, ref := range chunks {
		group.Go(func() error {
			if err := memory.Acquire(ctx, ref.Size); err != nil {
				return err
			}
			defer memory.Release(ref.Size)
			if err := do(ctx, ref); err != nil {
				return err
			}
			m.add(ref.Size)
			return nil
		})
	}
	return group.Wait()
}
