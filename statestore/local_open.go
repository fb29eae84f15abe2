package statestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"cairn/checkpoint"
)

// open brings the directory into the state that the rest relies on, and the index to what is in it.
func (l *Local) open(existed string) error {
	if err := l.prepare(existed); err != nil {
		return err
	}
	for n := range numShards {
		if err := l.scanShard(byte(n)); err != nil {
			return err
		}
	}
	if err := l.scanPacks(); err != nil {
		return err
	}
	if err := l.scanQuarantine(); err != nil {
		return err
	}
	l.loadScrub()
	if err := l.rewritePacks(context.Background()); err != nil {
		l.log.Warn("packs with chunks that are gone stay until something else is deleted", "path", l.packs(), "error", err)
	}
	return nil
}

// prepare brings the directory into the state that the rest relies on: all shards exist, and every entry
// that is there is durable. The latter is not a given: an earlier process may have been killed between a
// rename and the sync that should have followed, and without it a chunk that is found in place would be
// acknowledged and then lost in a power failure.
func (l *Local) prepare(existed string) error {
	for _, dir := range []string{l.chunks(), l.packs(), l.temp(), l.quarantine()} {
		if err := l.mkdir(dir); err != nil {
			return err
		}
	}
	for n := range numShards {
		if err := l.prepareShard(byte(n)); err != nil {
			return err
		}
	}
	for _, dir := range []string{l.chunks(), l.packs()} {
		if err := l.fs.SyncDir(dir); err != nil {
			return err
		}
	}
	if err := l.syncAncestry(existed); err != nil {
		return err
	}
	return l.sweep()
}

// prepareShard creates a shard or, when it is there, makes its entries durable. A new one has none.
func (l *Local) prepareShard(n byte) error {
	err := l.fs.Mkdir(l.shard(n))
	if errors.Is(err, fs.ErrExist) {
		return l.fs.SyncDir(l.shard(n))
	}
	return err
}

// scanShard enters the chunks that have files of their own.
func (l *Local) scanShard(n byte) error {
	entries, err := l.fs.ReadDir(l.shard(n))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if id, at, ok := chunkOf(n, e); ok && l.choose(id, at) {
			l.index.setLoose(id, at)
		}
	}
	return nil
}

// scanPacks enters the chunks that are in packs.
func (l *Local) scanPacks() error {
	files, err := l.fs.ReadDir(l.packs())
	if err != nil {
		return err
	}
	for _, f := range files {
		number, ok := packOf(f)
		if !ok {
			continue
		}
		l.lastPack.Store(max(l.lastPack.Load(), number))
		if err := l.scanPack(number, f.size); err != nil {
			return err
		}
	}
	return nil
}

// readPackHeader returns the chunks that the directory of a pack names.
func (l *Local) readPackHeader(number uint64) ([]packEntry, error) {
	scratch := borrow(maxPackHeader)
	defer scratch.giveBack()
	const first = 4 << 10 // enough for most
	n, err := l.fs.ReadAt(l.pack(number), scratch.bytes[:first], 0)
	if err != nil {
		return nil, err
	}
	length, err := packLength(scratch.bytes[:n])
	if err == nil && length > n && n == first {
		more, readErr := l.fs.ReadAt(l.pack(number), scratch.bytes[first:length], first)
		n, err = n+more, readErr
	}
	if err != nil {
		return nil, err
	}
	return decodePack(scratch.bytes[:n], number)
}

// scanPack enters the chunks of one pack. Without its directory the pack is put aside whole. Where the file is cut short
// the chunks behind the cut are lost, and no others.
func (l *Local) scanPack(number uint64, size int64) error {
	all, err := l.readPackHeader(number)
	switch {
	case errors.Is(err, errPackDamaged), isMediumError(err):
		l.quarantinePack(number, size, err)
		return nil
	case err != nil:
		return fmt.Errorf("%s: %w", l.pack(number), err)
	}
	end := packEnd(all)
	var here []packEntry
	lost := 0
	for _, e := range all {
		switch {
		case int64(e.at.offset)+int64(e.at.stored) > size:
			lost++
		case l.choose(e.id, e.at):
			here = append(here, e)
		}
	}
	if size != end {
		l.log.Error("a pack is not as long as it should be", "path", l.pack(number), "bytes", size, "want", end, "chunks_lost", lost)
	}
	l.index.addPack(number, packInfo{bytes: size, entries: len(all), damaged: size != end}, here)
	return nil
}

// choose decides whether the copy of a chunk that was found is to be entered. A crash may leave two, where a pack was
// written anew or where a copy that could not be read was replaced: a good one of them stays, and the other goes.
// One that cannot be read for the moment gives way to a good one only.
func (l *Local) choose(id checkpoint.ChunkID, at place) bool {
	old, twice := l.index.lookup(id)
	if !twice {
		return true
	}
	worse, chosen := at, false
	if l.checkAt(id, old) != nil && l.checkAt(id, at) == nil {
		worse, chosen = old, true
	}
	l.log.Info("of two copies of a chunk one is dropped", "chunk", id, "path", l.pathOf(id, worse))
	l.dropFile(id, worse)
	return chosen
}

// mkdir creates a directory unless it is there.
func (l *Local) mkdir(path string) error {
	if err := l.fs.Mkdir(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// syncAncestry makes the path to the store durable. Above the directories that this process created it does
// what it can: those may belong to others, and not be readable.
func (l *Local) syncAncestry(existed string) error {
	ours := true
	for path := l.dir; ; path = filepath.Dir(path) {
		if err := l.fs.SyncDir(path); err != nil && ours {
			return err
		} else if err != nil {
			l.log.Debug("a parent of the state store could not be synced", "path", path, "error", err)
		}
		if path == existed {
			ours = false
		}
		if path == filepath.Dir(path) {
			return nil
		}
	}
}

// sweep removes what earlier processes were writing when they ended.
func (l *Local) sweep() error {
	entries, err := l.fs.ReadDir(l.temp())
	if err != nil {
		return err
	}
	swept := 0
	for _, e := range entries {
		if !isTemp(e) {
			continue
		}
		if err := l.fs.Remove(filepath.Join(l.temp(), e.name)); err != nil {
			return err
		}
		swept++
	}
	if swept > 0 {
		l.log.Info("removed unfinished chunks", "path", l.temp(), "files", swept)
	}
	return nil
}
