package file

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"cairn/dataflow"
)

// watched is the queue of one subtask of a source that watches its input.
//
// A file belongs to the subtask that its path's hash names under the parallelism of the moment, so subtasks need not talk
// to each other. The state of all of them together is one list of files, each on it once: those that are being read or
// about to be, with their offsets, and those that have been read. Restored, every subtask sees the whole list (union
// state) and takes its own from it, whoever had them before.
type watched struct {
	lister *lister
	// seen are the files of the last listing that are neither waiting nor read: they are taken when the next listing shows
	// them unchanged.
	seen    map[string]stamp
	waiting []split
	taken   map[string]bool // waiting or being read
	done    *finishedFiles
}

var _ fileQueue = (*watched)(nil)

// owner returns which subtask reads a file, given by its path relative to the input.
func owner(path string, parallelism int) int {
	h := fnv.New64a()
	_, _ = h.Write([]byte(filepath.ToSlash(path))) // never fails
	return int(h.Sum64() % uint64(parallelism))
}

func (s *Source[T]) watch(root string, ctx dataflow.SourceContext) (*watched, error) {
	info, err := os.Stat(s.input)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, dataflow.Permanent(errors.New("only a directory can be watched"))
	}
	owned := func(path string) bool { return owner(path, ctx.Parallelism) == ctx.Subtask.Index }
	w := newWatched()
	if err := w.restore(ctx.Entries, owned); err != nil {
		return nil, dataflow.Permanent(fmt.Errorf("restored state: %w", err))
	}
	ctx.Logger.Info("input watched", "input", s.input, "interval", s.options.watch, "restored", ctx.Restored,
		"waiting", len(w.waiting), "finished", w.done.count())
	w.lister = startLister(root, s.options.suffix, owned, s.options.watch)
	return w, nil
}

func newWatched() *watched {
	return &watched{seen: make(map[string]stamp), taken: make(map[string]bool), done: newFinishedFiles()}
}

// restore takes what is the subtask's own from the state of all subtasks.
func (w *watched) restore(entries [][]byte, owned func(path string) bool) error {
	for _, entry := range entries {
		form, _, err := formOf(entry)
		if err != nil {
			return err
		}
		if form == formFinished {
			paths, err := decodeFinished(entry)
			if err != nil {
				return err
			}
			for _, path := range paths {
				if owned(path) {
					w.done.add(path)
				}
			}
			continue
		}
		s, err := decodeSplit(entry, formWatched)
		if err != nil {
			return err
		}
		if owned(s.path) {
			w.take(s)
		}
	}
	return nil
}

func (w *watched) take(s split) {
	w.waiting = append(w.waiting, s)
	w.taken[s.path] = true
	delete(w.seen, s.path)
}

// observe compares a listing of the subtask's files with the one before: those that have not changed since are taken,
// the oldest first, and what has been read and is long gone is forgotten. An empty file is not taken: it has been made
// to be filled.
func (w *watched) observe(listing []listed) {
	before := w.seen
	w.seen = make(map[string]stamp)
	var ripe []listed
	for _, f := range listing {
		switch {
		case w.taken[f.path] || w.done.has(f.path):
		case f.size > 0 && before[f.path] == f.stamp:
			ripe = append(ripe, f)
		default:
			w.seen[f.path] = f.stamp
		}
	}
	slices.SortFunc(ripe, func(a, b listed) int {
		return cmp.Or(cmp.Compare(a.modified, b.modified), strings.Compare(a.path, b.path))
	})
	for _, f := range ripe {
		w.take(wholeFile(f.path, f.size))
	}
	w.done.observe(listing)
}

func (w *watched) next() (split, bool, error) {
	listing, found, err := w.lister.latest()
	if err != nil {
		return split{}, false, err
	}
	if found {
		w.observe(listing)
	}
	if len(w.waiting) == 0 {
		return split{}, false, nil
	}
	s := w.waiting[0]
	w.waiting = w.waiting[1:]
	return s, true, nil
}

func (w *watched) finished(s split) {
	delete(w.taken, s.path)
	w.done.add(s.path)
}

func (w *watched) appendEntries(entries [][]byte) [][]byte {
	for _, s := range w.waiting {
		entries = append(entries, s.appendTo(nil, formWatched))
	}
	return w.done.appendEntries(entries)
}

func (w *watched) form() byte { return formWatched }

func (w *watched) exhausted() dataflow.ReadStatus { return dataflow.IdleOn(w.lister.ready) }

func (w *watched) close() { w.lister.stop() }
