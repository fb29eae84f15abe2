package dataflow

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"cairn/checkpoint"
	"cairn/dataflow/rowstore"
)

// filesIndex is what a handle of files begins with.
type filesIndex struct {
	groups checkpoint.KeyGroupRange
	tables map[string]tableKind
	files  []rowstore.File
}

// filesIndex reads the beginning of the content.
func (r *stateReader) filesIndex() (x filesIndex, err error) {
	if x.groups.First, err = r.group(); err != nil {
		return x, err
	}
	if x.groups.Last, err = r.group(); err != nil {
		return x, err
	}
	n, err := r.number()
	if err != nil {
		return x, err
	}
	x.tables = make(map[string]tableKind)
	for range n {
		name, err := r.sized()
		if err != nil {
			return x, err
		}
		if x.tables[string(name)], err = r.tableKind(); err != nil {
			return x, err
		}
	}
	if n, err = r.number(); err != nil {
		return x, err
	}
	for range min(n, maxFiles) {
		f, err := r.stateFile()
		if err != nil {
			return x, err
		}
		x.files = append(x.files, f)
	}
	return x, nil
}

func (r *stateReader) stateFile() (f rowstore.File, err error) {
	name, err := r.sized()
	if err != nil {
		return f, err
	}
	f.Name = string(name)
	if f.Name != filepath.Base(f.Name) || f.Name == "." || f.Name == ".." || f.Name == string(filepath.Separator) {
		return f, fmt.Errorf("%w: a file is named %q", errState, f.Name)
	}
	immutable, err := r.in.ReadByte()
	if err != nil {
		return f, fmt.Errorf("%w: %w", errState, err)
	}
	f.Immutable = immutable == 1
	size, err := r.number()
	f.Size = int64(size)
	return f, err
}

// fetch writes the files behind the index to a directory.
func (r *stateReader) fetch(x filesIndex, dir string) error {
	for _, f := range x.files {
		if err := r.fetchFile(filepath.Join(dir, f.Name), f.Size); err != nil {
			return fmt.Errorf("file %s: %w", f.Name, err)
		}
	}
	if !r.atEnd() {
		return fmt.Errorf("%w: bytes behind %d files", errState, len(x.files))
	}
	return nil
}

// fetchFile needs no fsync: the directory is worth nothing when the process has ended.
func (r *stateReader) fetchFile(path string, size int64) (err error) {
	out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	_, err = io.CopyN(out, r.in, size)
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: the content ends early", errState)
	}
	return err
}

// fileChunks returns the chunks of each immutable file, given all chunks of the content.
func (x filesIndex) fileChunks(all []checkpoint.ChunkRef) map[string][]checkpoint.ChunkRef {
	chunks := make(map[string][]checkpoint.ChunkRef)
	for _, f := range slices.Backward(x.files) {
		var of []checkpoint.ChunkRef
		for left := f.Size; f.Immutable && left > 0 && len(all) > 0; {
			last := all[len(all)-1]
			of, all, left = append(of, last), all[:len(all)-1], left-last.Size
		}
		if f.Immutable {
			slices.Reverse(of)
			chunks[f.Name] = of
		}
	}
	return chunks
}
