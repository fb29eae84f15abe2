package file

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
)

// finishedFiles remembers which files of a watched directory have been read. What it keeps is as large as the
// directory's listing, not as its history: a file that has gone is forgotten.
//
// The names are kept in blocks, which become entries of the state. A full block is encoded once and not at every
// checkpoint.
type finishedFiles struct {
	files    map[string]*finishedFile
	blocks   []*finishedBlock // the last one is being filled
	listings int              // seen so far
}

type finishedFile struct {
	block *finishedBlock
	shown int // the last listing that showed it
}

type finishedBlock struct {
	paths   map[string]bool
	encoded []byte // nil when paths have changed since
}

// blockFiles is how many names make a full block.
const blockFiles = 512

// missesToForget is how many listings in a row must not show a file for it to be forgotten: a network's file
// system may show one node an older directory than another.
const missesToForget = 3

func newFinishedFiles() *finishedFiles { return &finishedFiles{files: make(map[string]*finishedFile)} }

func (f *finishedFiles) count() int { return len(f.files) }

func (f *finishedFiles) has(path string) bool { return f.files[path] != nil }

func (f *finishedFiles) add(path string) {
	if f.has(path) {
		return
	}
	if len(f.blocks) == 0 || len(f.blocks[len(f.blocks)-1].paths) >= blockFiles {
		f.blocks = append(f.blocks, &finishedBlock{paths: make(map[string]bool)})
	}
	b := f.blocks[len(f.blocks)-1]
	b.paths[path], b.encoded = true, nil
	f.files[path] = &finishedFile{block: b, shown: f.listings}
}

// observe forgets the files that have gone.
func (f *finishedFiles) observe(listing []listed) {
	f.listings++
	for _, l := range listing {
		if file := f.files[l.path]; file != nil {
			file.shown = f.listings
		}
	}
	for path, file := range f.files {
		if f.listings-file.shown >= missesToForget {
			delete(file.block.paths, path)
			file.block.encoded = nil
			delete(f.files, path)
		}
	}
	f.blocks = slices.DeleteFunc(f.blocks, func(b *finishedBlock) bool { return len(b.paths) == 0 })
}

// appendEntries appends one entry for each block. They are not changed afterwards.
func (f *finishedFiles) appendEntries(entries [][]byte) [][]byte {
	for _, b := range f.blocks {
		if b.encoded == nil {
			b.encoded = encodeFinished(b.paths)
		}
		entries = append(entries, b.encoded)
	}
	return entries
}

// encodeFinished writes names in order, each without what it has in common with the one before.
func encodeFinished(paths map[string]bool) []byte {
	sorted := make([]string, 0, len(paths))
	for path := range paths {
		sorted = append(sorted, filepath.ToSlash(path))
	}
	slices.Sort(sorted)
	dst := appendForm(nil, formFinished)
	before := ""
	for _, path := range sorted {
		shared := 0
		for shared < min(len(before), len(path)) && before[shared] == path[shared] {
			shared++
		}
		dst = binary.AppendUvarint(dst, uint64(shared))
		dst = binary.AppendUvarint(dst, uint64(len(path)-shared))
		dst = append(dst, path[shared:]...)
		before = path
	}
	return dst
}

var errFinished = errors.New("list of files that have been read: it cannot be read")

// decodeFinished reads the form that encodeFinished writes.
func decodeFinished(entry []byte) ([]string, error) {
	form, rest, err := formOf(entry)
	if err != nil || form != formFinished {
		return nil, errors.Join(errFinished, err)
	}
	var paths []string
	before := ""
	for len(rest) > 0 {
		shared, n := binary.Uvarint(rest)
		if n <= 0 || shared > uint64(len(before)) {
			return nil, errFinished
		}
		rest = rest[n:]
		own, n := binary.Uvarint(rest)
		if n <= 0 || own > uint64(len(rest)-n) {
			return nil, errFinished
		}
		before = before[:shared] + string(rest[n:n+int(own)])
		rest = rest[n+int(own):]
		if path := filepath.FromSlash(before); filepath.IsLocal(path) {
			paths = append(paths, path)
			continue
		}
		return nil, fmt.Errorf("%w: the path %q is not below the input", errFinished, before)
	}
	return paths, nil
}
