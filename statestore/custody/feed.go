package custody

import (
	"sync"

	"cairn/checkpoint"
	"cairn/statestore"
)

// maxGathered bounds the chunks whose changes are gathered at a time, at some 20 MB.
const maxGathered = 1 << 17

// Feed gathers what changes in a store. Create one with NewFeed.
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
	kind    statestore.ChangeKind // the last
	size    int64
	corrupt bool // the copy failed its check, whatever came after that
}

// NewFeed returns a feed that gathers nothing until somebody is to be told.
func NewFeed() *Feed { return &Feed{limit: maxGathered, ready: make(chan struct{}, 1)} }

// Changed takes in what has happened to a chunk. The store calls it for each chunk in the order in which that changes, when
// the change can be seen in its list.
func (f *Feed) Changed(c statestore.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.mu.listening || f.mu.overflown {
		return
	}
	before, known := f.mu.changes[c.Ref.ID]
	if !known && len(f.mu.changes) >= f.limit {
		f.mu.changes, f.mu.overflown = nil, true
	} else {
		f.mu.changes[c.Ref.ID] = change{
			kind: c.Kind, size: c.Ref.Size, corrupt: before.corrupt || c.Kind == statestore.ChunkCorrupt,
		}
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
	if len(f.mu.changes) == 0 {
		return nil, true // the map stays with the feed
	}
	changes = f.mu.changes
	f.mu.changes = make(map[checkpoint.ChunkID]change)
	return changes, true
}
