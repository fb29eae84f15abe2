package file

import (
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// scan lists the regular files of an input, ordered by path, and returns the directory that their paths are
// relative to. The input is a directory, searched with everything below it for files whose names end in
// suffix, or a single file, taken whatever its name. Below the input, symbolic links are not followed.
func scan(input, suffix string) (root string, splits []split, err error) {
	info, err := os.Stat(input)
	if err != nil {
		return "", nil, err
	}
	if !info.IsDir() {
		return filepath.Dir(input), []split{wholeFile(filepath.Base(input), info.Size())}, nil
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
	return wholeFile(relative, info.Size()), err
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
// split goes first, each to the subtask with the fewest bytes so far, the lower index where two have the
// same. Empty files are left out. The share is ordered by path and offset.
func assign(all []split, parallelism, index int) []split {
	bySize := slices.DeleteFunc(slices.Clone(all), func(s split) bool { return s.remaining() == 0 })
	slices.SortFunc(bySize, func(a, b split) int {
		return cmp.Or(cmp.Compare(b.remaining(), a.remaining()), byPath(a, b))
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
		load[least] += s.remaining()
		if least == index {
			share = append(share, s)
		}
	}
	slices.SortFunc(share, byPath)
	return share
}

func byPath(a, b split) int {
	return cmp.Or(strings.Compare(a.path, b.path), cmp.Compare(a.offset, b.offset))
}
