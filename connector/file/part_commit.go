package file

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"cairn/dataflow"
)

// commitParts gives pending parts their final names, durably. Doing it again changes nothing, also when the first
// time ended half way.
func commitParts(dir string, parts ...part) error {
	for _, p := range parts {
		if err := commitPart(dir, p); err != nil {
			return err
		}
	}
	return syncDirs(dir, parts)
}

// errNeither says that a part is there neither as pending nor under its final name.
var errNeither = errors.New("neither it nor its pending file is there")

// commitPart gives a pending part its final name. When neither file is there the error is errNeither; see recoverParts.
// What the directory has twice no attempt can mend: that error is Permanent.
func commitPart(dir string, p part) error {
	final := p.in(dir)
	pending := final + pendingSuffix
	hasFinal, errFinal := exists(final)
	hasPending, errPending := exists(pending)
	if err := errors.Join(errFinal, errPending); err != nil {
		return err
	}
	switch {
	case hasFinal && hasPending:
		return dataflow.Permanent(fmt.Errorf("committing %s: a file of that name is there already, and is not overwritten", final))
	case hasPending:
		err := os.Rename(pending, final)
		if errors.Is(err, fs.ErrNotExist) {
			return committedByAnother(final)
		}
		return err
	case !hasFinal:
		return committedByAnother(final)
	}
	return nil
}

// committedByAnother reports whether a part whose pending file is not there has its final name: the task of an
// earlier attempt, told of the same completion, may have renamed it between two looks of ours.
func committedByAnother(final string) error {
	hasFinal, err := exists(final)
	if err == nil && !hasFinal {
		err = fmt.Errorf("committing %s: %w", final, errNeither)
	}
	return err
}

// recoverParts commits the parts of a restored transaction. A part that is gone is reported, and passed over: the usual
// reason is that it was committed before the failure and that somebody has moved it on, or that the job continues
// another's savepoint in a directory of its own. Output that was deleted looks the same; no later attempt could bring it
// back either.
func recoverParts(dir string, log *slog.Logger, parts ...part) error {
	for _, p := range parts {
		err := commitPart(dir, p)
		if errors.Is(err, errNeither) {
			log.Warn("a file of the restored checkpoint is gone: it counts as published and moved elsewhere", "file", p.in(dir))
			continue
		}
		if err != nil {
			return err
		}
	}
	return syncDirs(dir, parts)
}

// abortPart removes what there is of an uncommitted part.
func abortPart(dir string, p part) error {
	name := p.in(dir)
	return errors.Join(removeIfExists(name+inProgressSuffix), removeIfExists(name+pendingSuffix))
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func removeIfExists(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// syncDirs makes the names of parts durable, each directory once.
func syncDirs(dir string, parts []part) error {
	synced := make(map[string]bool)
	for _, p := range parts {
		d := filepath.Dir(p.in(dir))
		if synced[d] {
			continue
		}
		if err := syncDir(d); err != nil {
			return err
		}
		synced[d] = true
	}
	return nil
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeDir creates a directory and those above it, durably. Several subtasks may do so at once.
func makeDir(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case err == nil && !info.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	case err == nil || !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(dir)
	if err := makeDir(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}
