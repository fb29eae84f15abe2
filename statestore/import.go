package statestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"cairn/checkpoint"
)

// Putter is where Import stores chunks. It is used from several goroutines at once.
type Putter interface {
	// Put stores data, durably, and returns its reference.
	Put(ctx context.Context, data []byte) (checkpoint.ChunkRef, error)
}

// ErrNotExported says that a directory is not what Export wrote: it is something else, or incomplete, or damaged, or
// more was put into it.
var ErrNotExported = errors.New("not a whole exported savepoint")

// Import stores what Export wrote into dir and returns the reference of the manifest, and the manifest. Everything is
// verified, by size and hash, before anything is stored, and again when it is stored, the manifest last. So progress,
// which may be nil, counts each byte twice. An error about the content wraps ErrNotExported and names the file.
func Import(ctx context.Context, dir string, into Putter, progress Progress) (checkpoint.ChunkRef, checkpoint.Manifest, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return checkpoint.ChunkRef{}, checkpoint.Manifest{}, fmt.Errorf("import from %s: %w", dir, err)
	}
	i := &importer{fs: osFS{}, dir: exportDir{abs}}
	if err := i.run(ctx, into, progress); err != nil {
		return checkpoint.ChunkRef{}, checkpoint.Manifest{}, fmt.Errorf("import from %s: %w", abs, err)
	}
	return i.ref, i.manifest, nil
}

// importer reads one directory.
type importer struct {
	fs       fileSystem
	dir      exportDir
	ref      checkpoint.ChunkRef // of the manifest
	data     []byte              // of the manifest
	manifest checkpoint.Manifest
	chunks   []checkpoint.ChunkRef
}

func (i *importer) run(ctx context.Context, into Putter, progress Progress) error {
	if err := i.readManifest(); err != nil {
		return err
	}
	if err := i.checkNames(); err != nil {
		return err
	}
	m := newMeter(progress, 2*bytesOf(i.chunks))
	err := eachChunk(ctx, i.chunks, m, func(_ context.Context, ref checkpoint.ChunkRef) error {
		_, err := i.read(i.dir.chunk(ref.ID), ref)
		return err
	})
	if err != nil {
		return err
	}
	err = eachChunk(ctx, i.chunks, m, func(ctx context.Context, ref checkpoint.ChunkRef) error {
		data, err := i.read(i.dir.chunk(ref.ID), ref)
		if err != nil {
			return err
		}
		return put(ctx, into, ref, data)
	})
	if err != nil {
		return err
	}
	return put(ctx, into, i.ref, i.data)
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
func (i *importer) readManifest() error {
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
	return nil
}

// checkNames makes sure that the chunks are there, and nothing beside them, before the first of them is read.
func (i *importer) checkNames() error {
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
func (i *importer) read(path string, ref checkpoint.ChunkRef) ([]byte, error) {
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
func (i *importer) readFile(path string, limit int64) ([]byte, error) {
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

func (i *importer) damaged(path string, err error) error {
	return fmt.Errorf("%w: %s: %w", ErrNotExported, path, err)
}
