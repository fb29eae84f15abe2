package statestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"cairn/checkpoint"
)

// rewriter gives back what dead chunks take up in packs: a pack in which nothing is left alive is removed, and of others
// the living are copied to a new pack, several to one where they fit. The new pack is durable and in the index before an
// old one goes. Only one goroutine rewrites at a time. It takes chunks' locks: who holds one must not wait for it.
type rewriter struct {
	mu       sync.Mutex
	unsynced bool // the removal of a pack may not be durable
}

// rewritePacks rewrites all packs with dead chunks. When it returns nil, all that was dead when it was called is gone
// durably. It goes on behind a pack that it cannot rewrite.
func (l *Local) rewritePacks(ctx context.Context) error {
	l.rewriter.mu.Lock()
	defer l.rewriter.mu.Unlock()
	var failures []error
	r := &rewrite{local: l}
	defer r.giveBack()
	for _, number := range l.index.dirtyPacks() {
		if ctx.Err() != nil {
			failures = append(failures, ctx.Err())
			break
		}
		if err := r.takeOver(ctx, number); err != nil {
			failures = append(failures, l.failed("write anew "+l.pack(number), err))
		}
	}
	if err := r.flush(); err != nil {
		failures = append(failures, l.failed("write a pack anew", err))
	}
	if l.rewriter.unsynced {
		if err := l.fs.SyncDir(l.packs()); err != nil {
			failures = append(failures, l.failed("sync "+l.packs(), err))
		} else {
			l.rewriter.unsynced = false
		}
	}
	return errors.Join(failures...)
}

// rewrite collects the living of several packs.
type rewrite struct {
	local *Local
	pack  *packWriter // nil while it is empty
	from  []place     // of its chunks, where they were
	old   []uint64    // packs of which all that lives is in it
}

func (r *rewrite) giveBack() {
	if r.pack != nil {
		r.pack.giveBack()
	}
}

// takeOver copies what lives in a pack.
func (r *rewrite) takeOver(ctx context.Context, number uint64) error {
	info, _ := r.local.index.packInfo(number)
	if info.live > 0 {
		if err := r.copy(ctx, number, info); err != nil {
			return err
		}
	}
	r.old = append(r.old, number)
	return nil
}

func (r *rewrite) copy(ctx context.Context, number uint64, info packInfo) error {
	l := r.local
	size := min(info.bytes, int64(maxPackFile))
	scratch := borrow(int(size))
	defer scratch.giveBack()
	n, err := l.fs.ReadAt(l.pack(number), scratch.bytes[:size], 0)
	if err != nil && !isMediumError(err) && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file := scratch.bytes[:n]
	entries, err := decodePack(file, number)
	if err != nil {
		entries = l.index.inPack(number)
	}
	for _, e := range entries {
		if at, found := l.index.lookup(e.id); !found || at != e.at {
			continue // dead
		}
		stored, good := storedIn(file, e)
		if !good {
			// The one lock of a chunk that is taken here: see rewriter.
			if bad, err := l.examine(ctx, e.id); err != nil || !bad {
				return fmt.Errorf("chunk %s cannot be read: %w", e.id, errors.Join(err, errNotNow))
			}
			continue
		}
		if r.pack != nil && !r.pack.fits(e.at.stored) {
			if err := r.flush(); err != nil {
				return err
			}
		}
		r.add(e, stored)
	}
	return nil
}

// errNotNow says that a chunk was not read, though nothing says that it is bad.
var errNotNow = errors.New("it is neither good nor known to be bad")

// storedIn returns what is stored of a chunk in a pack's file, and whether it is good.
func storedIn(file []byte, e packEntry) (Encoded, bool) {
	from, to := int64(e.at.offset), int64(e.at.offset)+int64(e.at.stored)
	if to > int64(len(file)) {
		return Encoded{}, false
	}
	stored := Encoded{Encoding: e.at.encoding, Data: file[from:to]}
	return stored, stored.verify(e.at.ref(e.id)) == nil
}

func (r *rewrite) add(e packEntry, stored Encoded) {
	if r.pack == nil {
		r.pack = newPackWriter()
	}
	r.pack.add(checkpoint.ChunkRef{ID: e.id, Size: int64(e.at.size)}, stored)
	r.from = append(r.from, e.at)
}

// flush writes the new pack, and removes the old ones in which nothing lives any more.
func (r *rewrite) flush() error {
	l := r.local
	if r.pack != nil {
		number, info, entries, err := l.writePack(r.pack)
		r.pack.giveBack()
		from := r.from
		r.pack, r.from = nil, nil
		if err != nil {
			r.old = nil
			return err
		}
		l.index.movePack(number, info, entries, from)
	}
	var failures []error
	for _, number := range r.old {
		if info, found := l.index.packInfo(number); !found || info.live > 0 {
			continue
		}
		l.rewriter.unsynced = true
		if err := l.fs.Remove(l.pack(number)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			failures = append(failures, err)
			continue
		}
		l.index.dropPack(number)
	}
	r.old = nil
	return errors.Join(failures...)
}

// dropPackFile removes the file of a pack that could not be made durable, and that nobody knows.
func (l *Local) dropPackFile(path string) {
	if err := l.fs.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.log.Warn("a pack is of no use, and stays until the store is opened again", "path", path, "error", err)
	}
}
