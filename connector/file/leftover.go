package file

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// leftover is what an output directory holds of one part.
type leftover struct {
	part      part
	committed bool // it has its final name
}

// leftovers lists the parts in an output directory and its buckets, ordered by name. Files with other names are left
// out, and so are directories that can be no buckets or cannot be looked into: the sink has written nothing there.
func leftovers(dir string) ([]leftover, error) {
	root, err := filepath.EvalSymlinks(dir) // WalkDir does not enter a root that is a link
	if err != nil {
		return nil, err
	}
	var found []leftover
	err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case path == root:
			return err
		case errors.Is(err, fs.ErrNotExist): // another subtask has renamed it
			return nil
		case errors.Is(err, fs.ErrPermission), err == nil && entry.IsDir() && checkBucket(entry.Name()) != nil:
			return fs.SkipDir
		case err != nil || entry.IsDir():
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		file := filepath.ToSlash(relative)
		name := strings.TrimSuffix(strings.TrimSuffix(file, inProgressSuffix), pendingSuffix)
		if p, err := parsePart(name); err == nil {
			found = append(found, leftover{part: p, committed: name == file})
		}
		return nil
	})
	return found, err
}

// sweep removes the uncommitted parts of earlier attempts of a subtask that keep does not hold. No
// checkpoint that completed names them, and none ever will: their records are written again. Those of another job
// stay, even of one that this job goes on from: their handles may have been dealt to any subtask, and the other job
// may be running.
func sweep(dir string, found []leftover, own part, keep map[part]bool) error {
	var errs []error
	for _, l := range found {
		if !l.committed && l.part.job == own.job && l.part.subtask == own.subtask && l.part.attempt < own.attempt && !keep[l.part] {
			errs = append(errs, abortPart(dir, l.part))
		}
	}
	return errors.Join(errs...)
}

// checkUnused returns an error when the directory holds committed output: a job that starts afresh would
// mix its own with it.
func checkUnused(dir string, found []leftover) error {
	for _, l := range found {
		if l.committed {
			return fmt.Errorf("output directory %s holds %s of an earlier job: empty it, or name another",
				dir, l.part)
		}
	}
	return nil
}
