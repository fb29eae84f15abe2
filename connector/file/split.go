package file

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
)

// split is one input file, or a range of one, and how far it has been read. It is the unit in which the input is
// spread over the subtasks of a source. A record belongs to the range in which it begins.
type split struct {
	path string // relative to the input's root, with the separators of the machine
	size int64  // of the file when the input was listed; what is appended later is not read
	// offset is where the next record begins, or anything up to where blank lines before it do. It is not above size,
	// and may be above end: the last record of a range may end in the next one.
	offset int64
	end    int64 // records that begin here or later are not read; not above size
	// cut says that offset may lie within a record, which is then of the range before: nothing has been read yet.
	cut bool
}

// wholeFile returns the split of a file that has not been read.
func wholeFile(path string, size int64) split { return split{path: path, size: size, end: size} }

// remaining returns the bytes that have not been read.
func (s split) remaining() int64 { return max(0, s.end-s.offset) }

// ranges cuts a file that has not been read into ranges of at most most bytes; 0 means one range.
func (s split) ranges(most int64) []split {
	if most <= 0 || s.size <= most {
		return []split{s}
	}
	var all []split
	for offset := int64(0); offset < s.size; offset += most {
		r := s
		r.offset, r.end, r.cut = offset, s.size, offset > 0
		if s.size-offset > most {
			r.end = offset + most
		}
		all = append(all, r)
	}
	return all
}

// Entries of the state begin with a zero byte and their form. The forms without it, of the first builds, began with a
// size, which was never zero.
const (
	formSplit    = 1 // a split of a source that lists its input once
	formWatched  = 2 // a file of a source that watches a directory, which is not read to its end
	formFinished = 3 // files of such a source that are
)

func appendForm(dst []byte, form byte) []byte { return append(dst, 0, form) }

// formOf returns the form of an entry and what follows.
func formOf(entry []byte) (form byte, rest []byte, err error) {
	switch {
	case len(entry) < 2:
		return 0, nil, fmt.Errorf("file split of %d bytes: its form cannot be read", len(entry))
	case entry[0] != 0:
		return 0, nil, errors.New("file split of an older build: it cannot be read")
	}
	return entry[1], entry[2:], nil
}

// appendTo appends the form that is kept in list state.
func (s split) appendTo(dst []byte, form byte) []byte {
	cut := uint64(0)
	if s.cut {
		cut = 1
	}
	dst = appendForm(dst, form)
	for _, n := range []uint64{uint64(s.size), uint64(s.offset), uint64(s.end), cut} {
		dst = binary.AppendUvarint(dst, n)
	}
	return append(dst, filepath.ToSlash(s.path)...)
}

// decodeSplit reads the form that appendTo writes. A path that leaves the input's root is refused: an
// entry must not become a way to read other files.
func decodeSplit(entry []byte, want byte) (split, error) {
	form, rest, err := formOf(entry)
	if err != nil {
		return split{}, err
	}
	if form != want {
		return split{}, fmt.Errorf("file split of form %d, want %d: a source that watches its input does not go on from "+
			"one that does not, nor the other way round", form, want)
	}
	var numbers [4]int64
	for i := range numbers {
		n, length := binary.Uvarint(rest)
		if length <= 0 {
			return split{}, fmt.Errorf("file split of %d bytes: it is cut short", len(entry))
		}
		numbers[i], rest = int64(n), rest[length:]
	}
	s := split{path: filepath.FromSlash(string(rest)), size: numbers[0], offset: numbers[1], end: numbers[2], cut: numbers[3] != 0}
	switch {
	case !filepath.IsLocal(s.path):
		return split{}, fmt.Errorf("file split %q: the path is not below the input", s.path)
	case s.offset < 0 || s.offset > s.size || s.end < 0 || s.end > s.size || numbers[3]&^1 != 0 || s.cut && s.offset == 0:
		return split{}, fmt.Errorf("file split %q: offset %d, end %d and cut %d of size %d", s.path, s.offset, s.end, numbers[3], s.size)
	}
	return s, nil
}
