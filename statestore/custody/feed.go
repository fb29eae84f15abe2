package custody

import (
	"sync"

	"cairn/checkpoint"
)

// maxGathered bounds the chunks whose changes are gathered at a time, at some 20 MB.
const maxGathered = 1 << 17

// Feed gathers what changes in a store, which calls its methods in the order in which a chunk changes, each when the
// change can be seen in the store's list. Create one with NewFeed.
type Feed struct {
	limit int           // of the chunks whose changes are gathered
	ready chan struct{} // capacity 1: something has been gathered; never closed

	mu struct {
		sync.Mutex
		listening bool // somebody is to be told
		changes   map[checkpoint.ChunkID]change
		// overflown says that there were too many changes, of which none are known any more.
		overflown bool
	}
}

// change is what has become of a chunk since the last time that changes were taken.
type change struct {
	state   state
	size    int64
	corrupt bool // one of its copies was, whatever came after that
}

// NewFeed returns a feed that gathers nothing until somebody is to be told.
func NewFeed() *Feed { return &Feed{limit: maxGathered, ready: make(chan struct{}, 1)} }

type state uint8

const (
	present state = iota + 1
	removed
	damaged // and therefore not there any more
)

// Added says that a chunk has been stored.
func (f *Feed) Added(ref checkpoint.ChunkRef) { f.note(ref.ID, present, ref.Size) }

// Removed says that a chunk has been deleted.
func (f *Feed) Removed(id checkpoint.ChunkID) { f.note(id, removed, 0) }

// Corrupt says that the copy of a chunk failed its check and is not served any more.
func (f *Feed) Corrupt(id checkpoint.ChunkID) { f.note(id, damaged, 0) }

func (f *Feed) note(id checkpoint.ChunkID, s state, size int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.mu.listening || f.mu.overflown {
		return
	}
	before, known := f.mu.changes[id]
	if !known && len(f.mu.changes) >= f.limit {
		f.mu.changes, f.mu.overflown = nil, true
	} else {
		f.mu.changes[id] = change{state: s, size: size, corrupt: before.corrupt || s == damaged}
	}
	select {
	case f.ready <- struct{}{}:
	default:
	}
}

// listen begins to gather, from nothing.
func (f *Feed) listen() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.listening, f.mu.overflown = true, false
	f.mu.changes = make(map[checkpoint.ChunkID]change)
}

// ignore ends that.
func (f *Feed) ignore() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.listening, f.mu.overflown = false, false
	f.mu.changes = nil
}

// take hands over what was gathered. It reports false when that was too much: then nothing is gathered before listen.
func (f *Feed) take() (changes map[checkpoint.ChunkID]change, complete bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.overflown {
		return nil, false
	}
	changes = f.mu.changes
	if len(changes) > 0 {
		f.mu.changes = make(map[checkpoint.ChunkID]change)
	}
	return changes, true
}
