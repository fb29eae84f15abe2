package statestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync/atomic"

	"cairn/checkpoint"
)

// Putter is where an exported savepoint is stored. It is used from several goroutines at once.
type Putter interface {
	// Put stores data, durably, and returns its reference.
	Put(ctx context.Context, data []byte) (checkpoint.ChunkRef, error)
	// Placed reports whether the chunk need not be put, because it is where Put would put it. Then it stays there.
	Placed(ctx context.Context, ref checkpoint.ChunkRef) (bool, error)
}

// ErrNotExported says that a directory is not what Export wrote: it is something else, or incomplete, or damaged, or
// more was put into it.
var ErrNotExported = errors.New("not a whole exported savepoint")

// Exported is a directory that Export wrote and whose every byte has been verified. It is safe for concurrent use.
type Exported struct {
	fs       fileSystem
	dir      exportDir
	jobName  string
	ref      checkpoint.ChunkRef // of the manifest
	data     []byte              // of the manifest
	manifest checkpoint.Manifest
	chunks   []checkpoint.ChunkRef
}

// OpenExported verifies what Export wrote into dir, by size and hash, and nothing beside it is allowed. An error about the
// content wraps ErrNotExported and names the file. progress may be nil.
func OpenExported(ctx context.Context, dir string, progress Progress) (*Exported, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("import from %s: %w", dir, err)
	}
	i := &Exported{fs: osFS{}, dir: exportDir{abs}}
	if err := i.verify(ctx, progress); err != nil {
		return nil, i.failed(err)
	}
	return i, nil
}

func (i *Exported) failed(err error) error { return fmt.Errorf("import from %s: %w", i.dir.path, err) }

// Manifest returns the manifest, and Ref its chunk. JobName is what its job was called, empty when it is not known.
func (i *Exported) Manifest() checkpoint.Manifest { return i.manifest }
func (i *Exported) Ref() checkpoint.ChunkRef      { return i.ref }
func (i *Exported) JobName() string               { return i.jobName }

// Size returns the number of chunks, the manifest not counted, and their bytes.
func (i *Exported) Size() (chunks int, bytes int64) { return len(i.chunks), bytesOf(i.chunks) }

// StoreManifest stores the manifest.
func (i *Exported) StoreManifest(ctx context.Context, into Putter) error {
	if err := put(ctx, into, i.ref, i.data); err != nil {
		return i.failed(fmt.Errorf("manifest: %w", err))
	}
	return nil
}

// StoreChunks stores all chunks but those that are there already, several at a time, and returns how many it has stored.
// Each is verified again on its way. After an error it may be called again, and goes on. progress may be nil.
func (i *Exported) StoreChunks(ctx context.Context, into Putter, progress Progress) (stored int, err error) {
	var sent atomic.Int64
	err = eachChunk(ctx, i.chunks, newMeter(progress, bytesOf(i.chunks)), func(ctx context.Context, ref checkpoint.ChunkRef) error {
		placed, err := into.Placed(ctx, ref)
		if err != nil || placed {
			return err
		}
		data, err := i.read(i.dir.chunk(ref.ID), ref)
		if err != nil {
			return err
		}
		sent.Add(1)
		return put(ctx, into, ref, data)
	})
	if err != nil {
		return int(sent.Load()), i.failed(err)
	}
	return int(sent.Load()), nil
}

func (i *Exported) verify(ctx context.Context, progress Progress) error {
	if err := i.readManifest(); err != nil {
		return err
	}
	if err := i.checkNames(); err != nil {
		return err
	}
	return eachChunk(ctx, i.chunks, newMeter(progress, bytesOf(i.chunks)), func(_ context.Context, ref checkpoint.ChunkRef) error {
		_, err := i.read(i.dir.chunk(ref.ID), ref)
		return err
	})
}

// put stores a chunk, and makes sure that the store agrees on its name.
func put(ctx context.Context, into Putter, ref checkpoint.ChunkRef, data []byte) error {
	stored, err := into.Put(ctx, data)
	if err != nil {
		return fmt.Errorf("chunk %s: %w", ref.ID, err)
	}
	if stored != ref {
		return fmt.Errorf("chunk %s: the store calls it %s, of %d bytes", ref.ID, stored.ID, stored.Size)
	}
	return nil
}

// readManifest reads the index and the manifest, and makes sure that they say the same.
func (i *Exported) readManifest() error {
	text, err := i.readFile(i.dir.index(), MaxChunkSize)
	if err != nil {
		return err
	}
	index, err := decodeIndex(text)
	if err == nil {
		i.ref, err = index.manifestRef()
	}
	if err != nil {
		return i.damaged(i.dir.index(), err)
	}
	if i.data, err = i.read(i.dir.manifest(), i.ref); err != nil {
		return err
	}
	if i.manifest, err = checkpoint.DecodeManifest(i.data); err != nil {
		return i.damaged(i.dir.manifest(), err)
	}
	if i.chunks, err = chunksOf(i.manifest); err != nil {
		return i.damaged(i.dir.manifest(), err)
	}
	if want := indexOf(i.manifest, i.ref, i.chunks); !index.equal(want) {
		return i.damaged(i.dir.index(), errors.New("it does not say what the manifest says"))
	}
	i.jobName = index.JobName
	return nil
}

// checkNames makes sure that the chunks are there, and nothing beside them, before the first of them is read.
func (i *Exported) checkNames() error {
	entries, err := i.fs.ReadDir(i.dir.chunks())
	if errors.Is(err, fs.ErrNotExist) {
		return i.damaged(i.dir.chunks(), errors.New("it is missing"))
	}
	if err != nil {
		return err
	}
	missing := make(map[string]bool, len(i.chunks))
	for _, c := range i.chunks {
		missing[c.ID.String()] = true
	}
	for _, e := range entries {
		path := filepath.Join(i.dir.chunks(), e.name)
		if !missing[e.name] {
			return i.damaged(path, errors.New("the manifest does not name it"))
		}
		if !e.regular {
			return i.damaged(path, errors.New("it is not a regular file"))
		}
		delete(missing, e.name)
	}
	for _, c := range i.chunks {
		if missing[c.ID.String()] {
			return i.damaged(i.dir.chunk(c.ID), errors.New("it is missing"))
		}
	}
	return nil
}

// read returns the content of a file, which must be what ref names.
func (i *Exported) read(path string, ref checkpoint.ChunkRef) ([]byte, error) {
	data, err := i.readFile(path, ref.Size)
	if err != nil {
		return nil, err
	}
	if err := verify(ref, data); err != nil {
		return nil, i.damaged(path, err)
	}
	return data, nil
}

// readFile returns the content of a file of at most limit bytes. Links are not followed: a directory from elsewhere
// must not become a way to read other files.
func (i *Exported) readFile(path string, limit int64) ([]byte, error) {
	_, err := i.fs.Size(path)
	var data []byte
	if err == nil {
		data, err = i.fs.ReadFile(path, limit)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, i.damaged(path, errors.New("it is missing"))
	case errors.Is(err, errLonger):
		return nil, i.damaged(path, err)
	}
	return data, err
}

func (i *Exported) damaged(path string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrNotExported, path, err)
}
