package file

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// split is one input file and how far it has been read. It is the unit in which the input is spread over
// the subtasks of a source.
type split struct {
	path   string // relative to the input's root, with the separators of the machine
	size   int64  // when the input was listed; what is appended later is not read
	offset int64  // of the first byte that has not been read, 0 <= offset <= size
}

// remaining returns the bytes that have not been read.
func (s split) remaining() int64 { return s.size - s.offset }

// appendTo appends the form that is kept in list state: size, offset, path.
func (s split) appendTo(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(s.size))
	dst = binary.AppendUvarint(dst, uint64(s.offset))
	return append(dst, filepath.ToSlash(s.path)...)
}

// decodeSplit reads the form that appendTo writes. A path that leaves the input's root is refused: an
// entry must not become a way to read other files.
func decodeSplit(entry []byte) (split, error) {
	size, n := binary.Uvarint(entry)
	if n <= 0 {
		return split{}, fmt.Errorf("file split of %d bytes: its size cannot be read", len(entry))
	}
	offset, m := binary.Uvarint(entry[n:])
	if m <= 0 {
		return split{}, fmt.Errorf("file split of %d bytes: its offset cannot be read", len(entry))
	}
	s := split{path: filepath.FromSlash(string(entry[n+m:])), size: int64(size), offset: int64(offset)}
	switch {
	case !filepath.IsLocal(s.path):
		return split{}, fmt.Errorf("file split %q: the path is not below the input", s.path)
	case s.size < 0 || s.offset < 0 || s.offset > s.size:
		return split{}, fmt.Errorf("file split %q: offset %d of size %d", s.path, offset, size)
	}
	return s, nil
}

// scan lists the regular files of an input, ordered by path, and returns the directory that their paths are
// relative to. The input is a directory, searched with everything below it for files whose names end in
// suffix, or a single file, taken whatever its name. Below the input, symbolic links are not followed.
func scan(input, suffix string) (root string, splits []split, err error) {
	info, err := os.Stat(input)
	if err != nil {
		return "", nil, err
	}
	if !info.IsDir() {
		return filepath.Dir(input), []split{{path: filepath.Base(input), size: info.Size()}}, nil
	}
	root, err = filepath.EvalSymlinks(input) // WalkDir does not enter a root that is a link
	if err != nil {
		return "", nil, err
	}
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || !strings.HasSuffix(entry.Name(), suffix) {
			return err
		}
		s, err := newSplit(root, path, entry)
		splits = append(splits, s)
		return err
	})
	slices.SortFunc(splits, func(a, b split) int { return strings.Compare(a.path, b.path) })
	return root, splits, err
}

func newSplit(root, path string, entry fs.DirEntry) (split, error) {
	info, err := entry.Info()
	if err != nil {
		return split{}, err
	}
	relative, err := filepath.Rel(root, path)
	return split{path: relative, size: info.Size()}, err
}

// rootOf returns the directory that the paths of the input's splits are relative to, as scan does.
func rootOf(input string) (string, error) {
	info, err := os.Stat(input)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return filepath.Dir(input), nil
	}
	return filepath.EvalSymlinks(input)
}

// assign returns the share of subtask index out of parallelism. Every subtask computes the whole
// assignment from the same list and takes its own part, so that they agree without talking: the largest
// file goes first, each to the subtask with the fewest bytes so far, the lower index where two have the
// same. Empty files are left out. The share is ordered by path.
func assign(all []split, parallelism, index int) []split {
	bySize := slices.DeleteFunc(slices.Clone(all), func(s split) bool { return s.remaining() == 0 })
	slices.SortFunc(bySize, func(a, b split) int {
		return cmp.Or(cmp.Compare(b.size, a.size), strings.Compare(a.path, b.path))
	})
	var share []split
	load := make([]int64, parallelism)
	for _, s := range bySize {
		least := 0
		for i := range load {
			if load[i] < load[least] {
				least = i
			}
		}
		load[least] += s.size
		if least == index {
			share = append(share, s)
		}
	}
	slices.SortFunc(share, func(a, b split) int { return strings.Compare(a.path, b.path) })
	return share
}
