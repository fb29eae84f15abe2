package file

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// listed is a file of a watched directory.
type listed struct {
	path string // relative to the directory
	stamp
}

// stamp tells whether a file has changed between two listings.
type stamp struct {
	size     int64
	modified int64 // in nanoseconds
}

// lister lists a watched directory again and again, in a goroutine of its own: a large directory takes long, and
// checkpoints must not wait for it.
type lister struct {
	ready chan struct{} // capacity 1; there is something new
	done  chan struct{} // closed by stop
	ended sync.WaitGroup
	once  sync.Once

	mu      sync.Mutex
	listing []listed
	found   bool // listing has not been fetched
	err     error
}

// startLister lists the files that are the subtask's own, at once and then every interval, until stop.
func startLister(root, suffix string, owned func(path string) bool, interval time.Duration) *lister {
	l := &lister{ready: make(chan struct{}, 1), done: make(chan struct{})}
	l.ended.Go(func() {
		for {
			listing, err := listWatched(root, suffix, owned)
			l.publish(listing, err)
			select {
			case <-l.done:
				return
			case <-time.After(interval): // behind the end of a listing, which may take long itself
			}
		}
	})
	return l
}

// publish replaces a listing that nobody has fetched.
func (l *lister) publish(listing []listed, err error) {
	l.mu.Lock()
	l.listing, l.found, l.err = listing, err == nil, err
	l.mu.Unlock()
	select {
	case l.ready <- struct{}{}:
	default:
	}
}

// latest returns the latest listing, once.
func (l *lister) latest() (listing []listed, found bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	listing, found, err = l.listing, l.found, l.err
	l.listing, l.found = nil, false
	return listing, found, err
}

// stop ends the goroutine and waits for it.
func (l *lister) stop() {
	l.once.Do(func() { close(l.done) })
	l.ended.Wait()
}

// listWatched lists the regular files below root that are owned and ready to be read as far as their names tell: those
// that end in suffix, without those that are hidden or being written ("." and "_" in front, as elsewhere; what this
// package's sink has not committed). What vanishes meanwhile is left out.
func listWatched(root, suffix string, owned func(path string) bool) ([]listed, error) {
	var all []listed
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && path != root:
			return nil
		case err != nil || path == root:
			return err
		case unready(entry.Name()) && entry.IsDir():
			return fs.SkipDir
		case unready(entry.Name()) || !entry.Type().IsRegular() || !strings.HasSuffix(entry.Name(), suffix):
			return nil
		}
		relative, err := filepath.Rel(root, path)
		if err != nil || !owned(relative) {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			all = append(all, listed{path: relative, stamp: stamp{size: info.Size(), modified: info.ModTime().UnixNano()}})
		}
		return err
	})
	return all, err
}

func unready(name string) bool {
	return name[0] == '.' || name[0] == '_' || strings.HasSuffix(name, inProgressSuffix) || strings.HasSuffix(name, pendingSuffix)
}
