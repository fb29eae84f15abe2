package file

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// leftover is what an output directory holds of one part.
type leftover struct {
	part      part
	committed bool // it has its final name
}

// leftovers lists the parts in an output directory, ordered by file name. Files with other names are left
// out.
func leftovers(dir string) ([]leftover, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found []leftover
	for _, e := range entries {
		name := strings.TrimSuffix(strings.TrimSuffix(e.Name(), inProgressSuffix), pendingSuffix)
		if p, err := parsePart(name); err == nil {
			found = append(found, leftover{part: p, committed: name == e.Name()})
		}
	}
	return found, nil
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
