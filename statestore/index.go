package statestore

import (
	"bytes"
	"maps"
	"slices"
	"sync"

	"cairn/checkpoint"
)

// place says where the copy of a chunk is: in a file of its own, or in a pack.
type place struct {
	pack     uint64 // number of the pack, 0 for a file of its own
	offset   uint32 // in the pack
	size     uint32 // of the content in bytes
	stored   uint32 // of the encoded content in bytes
	encoding Encoding
}

func (p place) ref(id checkpoint.ChunkID) checkpoint.ChunkRef {
	return checkpoint.ChunkRef{ID: id, Size: int64(p.size)}
}

// packInfo is what is known of a pack.
type packInfo struct {
	bytes         int64 // of the file
	entries, live int   // of the chunks in it, and of those that are still to be found there
	damaged       bool  // its directory is not what it should be, though the chunks can be read
}

// dirty says that the pack is to be written anew, or removed.
func (p packInfo) dirty() bool { return p.live < p.entries || p.damaged }

// index knows the place of every chunk of a store: those that are durable, and no others. A chunk costs 80 to 140 bytes, as
// its tables are full or have just grown. It is safe for concurrent use. The place of a chunk changes under its lock, except
// that a pack that is written anew moves chunks from pack to pack.
type index struct {
	mu     sync.Mutex
	shards [numShards]map[checkpoint.ChunkID]place
	packs  map[uint64]packInfo
	dirty  map[uint64]struct{} // packs that are to be written anew
	chunks int64
	bytes  int64 // of the chunks' content
	stored int64 // of the files
}

func newIndex() *index {
	return &index{packs: make(map[uint64]packInfo), dirty: make(map[uint64]struct{})}
}

func (x *index) lookup(id checkpoint.ChunkID) (place, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	at, found := x.shards[id[0]][id]
	return at, found
}

// setLoose notes that a chunk is in a file of its own.
func (x *index) setLoose(id checkpoint.ChunkID, at place) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.setLocked(id, at)
	x.stored += int64(at.stored)
}

// remove forgets a chunk.
func (x *index) remove(id checkpoint.ChunkID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if at, found := x.shards[id[0]][id]; found {
		delete(x.shards[id[0]], id)
		x.releaseLocked(at)
	}
}

// setLocked enters a chunk at its place, which counts in its pack already.
func (x *index) setLocked(id checkpoint.ChunkID, at place) {
	shard := &x.shards[id[0]]
	if *shard == nil {
		*shard = make(map[checkpoint.ChunkID]place)
	}
	if old, found := (*shard)[id]; found {
		x.releaseLocked(old)
	}
	(*shard)[id] = at
	x.chunks++
	x.bytes += int64(at.size)
}

// releaseLocked takes a chunk out of all counts.
func (x *index) releaseLocked(at place) {
	x.chunks--
	x.bytes -= int64(at.size)
	if at.pack == 0 {
		x.stored -= int64(at.stored)
		return
	}
	p := x.packs[at.pack]
	p.live--
	x.putPackLocked(at.pack, p)
}

func (x *index) putPackLocked(number uint64, p packInfo) {
	x.packs[number] = p
	if p.dirty() {
		x.dirty[number] = struct{}{}
	}
}

// addPack notes a new pack with the chunks in it, all at once: a pack that is written anew keeps only what the index
// says is in it.
func (x *index) addPack(number uint64, p packInfo, entries []packEntry) {
	x.mu.Lock()
	defer x.mu.Unlock()
	p.live = len(entries)
	x.stored += p.bytes
	x.putPackLocked(number, p)
	for _, e := range entries {
		x.setLocked(e.id, e.at)
	}
}

// movePack notes a pack to which chunks were copied. One that is no longer where it was copied from stays as it is, and
// the copy is dead.
func (x *index) movePack(number uint64, p packInfo, entries []packEntry, from []place) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stored += p.bytes
	p.entries = len(entries)
	for i, e := range entries {
		if x.shards[e.id[0]][e.id] == from[i] {
			p.live++
		}
	}
	x.putPackLocked(number, p)
	for i, e := range entries {
		if x.shards[e.id[0]][e.id] == from[i] {
			x.setLocked(e.id, e.at)
		}
	}
}

// dropPack forgets a pack whose file is gone.
func (x *index) dropPack(number uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.stored -= x.packs[number].bytes
	delete(x.packs, number)
	delete(x.dirty, number)
}

// damage notes that a pack is to be written anew.
func (x *index) damage(number uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if p, found := x.packs[number]; found {
		p.damaged = true
		x.putPackLocked(number, p)
	}
}

func (x *index) packInfo(number uint64) (packInfo, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	p, found := x.packs[number]
	return p, found
}

// dirtyPacks returns the packs that are to be written anew, in ascending order.
func (x *index) dirtyPacks() []uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return slices.Sorted(maps.Keys(x.dirty))
}

// packsBehind returns the packs with numbers above the given one, in ascending order.
func (x *index) packsBehind(number uint64) []uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	var behind []uint64
	for n := range x.packs {
		if n > number {
			behind = append(behind, n)
		}
	}
	slices.Sort(behind)
	return behind
}

// inPack returns the chunks in a pack, in the order in which they lie there. It looks at every chunk of the store.
func (x *index) inPack(number uint64) []packEntry {
	x.mu.Lock()
	defer x.mu.Unlock()
	var entries []packEntry
	for n := range x.shards {
		for id, at := range x.shards[n] {
			if at.pack == number {
				entries = append(entries, packEntry{id: id, at: at})
			}
		}
	}
	slices.SortFunc(entries, func(a, b packEntry) int { return int(a.at.offset) - int(b.at.offset) })
	return entries
}

// looseBehind returns the chunks of a shard that have files of their own and IDs behind the given one, in ascending order.
func (x *index) looseBehind(shard byte, id checkpoint.ChunkID) []packEntry {
	x.mu.Lock()
	var loose []packEntry
	for other, at := range x.shards[shard] {
		if at.pack == 0 && bytes.Compare(other[:], id[:]) > 0 {
			loose = append(loose, packEntry{id: other, at: at})
		}
	}
	x.mu.Unlock()
	slices.SortFunc(loose, func(a, b packEntry) int { return bytes.Compare(a.id[:], b.id[:]) })
	return loose
}

// refs returns the chunks of a shard in ascending order of their IDs.
func (x *index) refs(shard byte) []checkpoint.ChunkRef {
	x.mu.Lock()
	refs := make([]checkpoint.ChunkRef, 0, len(x.shards[shard]))
	for id, at := range x.shards[shard] {
		refs = append(refs, at.ref(id))
	}
	x.mu.Unlock()
	slices.SortFunc(refs, compareIDs)
	return refs
}
