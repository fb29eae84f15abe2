package statestore

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"

	"cairn/checkpoint"
)

// quarantined is what lies in the quarantine. It is bounded: the oldest goes first.
type quarantined struct {
	maxBytes int64
	maxFiles int

	mu    sync.Mutex
	files []*quarantinedFile // the oldest first
	bytes int64
}

type quarantinedFile struct {
	path string
	size int64
}

// add notes a file that is in the quarantine now, and returns those that have to go for it.
func (q *quarantined) add(path string, size int64) (excess []*quarantinedFile) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.files = slices.DeleteFunc(q.files, func(f *quarantinedFile) bool {
		if f.path == path { // it was replaced
			q.bytes -= f.size
		}
		return f.path == path
	})
	q.files = append(q.files, &quarantinedFile{path: path, size: size})
	q.bytes += size
	n := 0
	for ; n < len(q.files) && (q.bytes > q.maxBytes || len(q.files)-n > q.maxFiles); n++ {
		q.bytes -= q.files[n].size
	}
	excess = slices.Clone(q.files[:n])
	q.files = slices.Delete(q.files, 0, n)
	return excess
}

func (q *quarantined) list() []*quarantinedFile {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.files)
}

// forget takes out files that are there no more.
func (q *quarantined) forget(gone []*quarantinedFile) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.files = slices.DeleteFunc(q.files, func(f *quarantinedFile) bool {
		is := slices.Contains(gone, f)
		if is {
			q.bytes -= f.size
		}
		return is
	})
}

func (q *quarantined) count() (files int, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.files), q.bytes
}

// countQuarantined counts what lies in the quarantine. It looks there, because people who have seen enough of a damaged
// copy remove it.
func (l *Local) countQuarantined() (files int, bytes int64, err error) {
	known := l.kept.list()
	if len(known) == 0 {
		return 0, 0, nil
	}
	entries, err := l.fs.ReadDir(l.quarantine())
	if err != nil {
		return 0, 0, err
	}
	there := make(map[string]bool, len(entries))
	for _, e := range entries {
		there[filepath.Join(l.quarantine(), e.name)] = true
	}
	l.kept.forget(slices.DeleteFunc(known, func(f *quarantinedFile) bool { return there[f.path] }))
	files, bytes = l.kept.count()
	return files, bytes, nil
}

// scanQuarantine takes stock of what earlier processes put into the quarantine, in the order in which it was written.
func (l *Local) scanQuarantine() error {
	entries, err := l.fs.ReadDir(l.quarantine())
	if err != nil {
		return err
	}
	slices.SortStableFunc(entries, func(a, b dirEntry) int { return cmp.Compare(a.written, b.written) })
	for _, e := range entries {
		if isQuarantined(e) {
			l.noteQuarantined(filepath.Join(l.quarantine(), e.name), e.size)
		}
	}
	return nil
}

// noteQuarantined counts a file that is in the quarantine, and removes what is too much by then.
func (l *Local) noteQuarantined(path string, size int64) {
	for _, f := range l.kept.add(path, size) {
		if err := l.fs.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.log.Warn("the quarantine is full, and its oldest file cannot be removed", "path", f.path, "error", err)
			continue
		}
		l.log.Warn("the quarantine is full: its oldest file was removed", "path", f.path, "bytes", f.size)
	}
}

// examine looks at a chunk that failed its check, with nobody writing to it, and puts it into quarantine if it is bad,
// which it reports. It may be good: when the reference was wrong and not the copy, or when somebody has replaced the
// copy since. One that cannot be read for the moment proves nothing and stays.
func (l *Local) examine(ctx context.Context, id checkpoint.ChunkID) (bad bool, err error) {
	if err := l.locks.lock(ctx, id); err != nil {
		return false, err
	}
	defer l.locks.unlock(id)
	at, found := l.index.lookup(id)
	for found {
		err := l.checkAt(id, at)
		was := at
		if at, found = l.index.lookup(id); found && at != was {
			continue // its pack was written anew meanwhile
		}
		switch {
		case !found || err == nil:
			return false, nil
		case errors.Is(err, fs.ErrNotExist):
			l.log.Error("the file of a chunk has vanished", "chunk", id, "path", l.pathOf(id, at))
			l.forgetLocked(id, at)
			return true, nil
		case errors.Is(err, ErrCorrupt), errors.Is(err, ErrTooLarge), isMediumError(err):
			l.quarantineLocked(id, at, err)
			return true, nil
		}
		l.log.Warn("a chunk cannot be read at the moment", "chunk", id, "path", l.pathOf(id, at), "error", err)
		return false, nil
	}
	return false, nil
}

// quarantineLocked puts a damaged copy out of the way, where a person can look at it; an earlier one of the same chunk is
// replaced. From now on it is not there any more, also where it cannot be moved. The caller holds the chunk's lock.
func (l *Local) quarantineLocked(id checkpoint.ChunkID, at place, cause error) {
	to, size := l.quarantined(id), int64(at.stored)
	var err error
	if at.pack == 0 {
		if grown, sizeErr := l.fs.Size(l.pathOf(id, at)); sizeErr == nil {
			size = grown
		}
		err = l.fs.Rename(l.pathOf(id, at), to)
	} else {
		size, err = l.copyOut(id, at, to)
	}
	if err != nil {
		l.log.Error("a damaged chunk could not be moved to quarantine", "chunk", id, "path", l.pathOf(id, at), "cause", cause, "error", err)
	} else {
		l.log.Warn("a damaged chunk was moved to quarantine", "chunk", id, "path", to, "cause", cause)
		l.noteQuarantined(to, size)
	}
	l.forgetLocked(id, at)
}

// copyOut writes what is left of a chunk in a pack to a file of its own.
func (l *Local) copyOut(id checkpoint.ChunkID, at place, to string) (int64, error) {
	scratch := borrow(int(at.stored))
	defer scratch.giveBack()
	data := scratch.bytes[:at.stored]
	n, err := l.fs.ReadAt(l.pack(at.pack), data, int64(at.offset))
	if err != nil {
		return 0, err
	}
	return int64(n), l.newFile(to, data[:n])
}

// forgetLocked notes that a copy is gone that should be there. The caller holds the chunk's lock.
func (l *Local) forgetLocked(id checkpoint.ChunkID, at place) {
	l.index.remove(id)
	l.onChange(Change{Kind: ChunkCorrupt, Ref: at.ref(id)})
}

// quarantinePack puts a pack aside whose directory cannot be read, so that nobody knows what is in it.
func (l *Local) quarantinePack(number uint64, size int64, cause error) {
	to := filepath.Join(l.quarantine(), packName(number))
	if err := l.fs.Rename(l.pack(number), to); err != nil {
		l.log.Error("a damaged pack could not be moved to quarantine", "path", l.pack(number), "cause", cause, "error", err)
		return
	}
	l.log.Error("a damaged pack was moved to quarantine; its chunks are missing", "path", to, "bytes", size, "cause", cause)
	l.noteQuarantined(to, size)
}
