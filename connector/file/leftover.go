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
	part       part
	committed  bool // it has its final name
	inProgress bool // it was being written: no transaction that was pre-committed holds it
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
			found = append(found, leftover{part: p, committed: name == file, inProgress: strings.HasSuffix(file, inProgressSuffix)})
		}
		return nil
	})
	return found, err
}

// sweep removes uncommitted parts of earlier attempts of the job: all, or only those that were being written. Every
// subtask sweeps its share of those of all subtasks, for there may have been more of them once. Those of another job
// stay, even of one that this job goes on from: the other job may be running.
//
// A part that is pending may be named by the checkpoint that the attempt was restored from, and its handle may have been
// dealt to any subtask, which commits it when it recovers. So pending ones are swept when all have done that.
func sweep(dir string, found []leftover, own part, parallelism int, all bool) error {
	var errs []error
	for _, l := range found {
		garbage := !l.committed && (all || l.inProgress)
		if garbage && l.part.job == own.job && l.part.subtask%parallelism == own.subtask && l.part.attempt < own.attempt {
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
