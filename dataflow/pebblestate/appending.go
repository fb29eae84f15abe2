package pebblestate

import (
	"io"

	"github.com/cockroachdb/pebble/v2"
)

// appending puts what was appended to a row behind each other, as Pebble's default does, whose name it has: one reads what
// the other has written. That one copies everything with each piece, and a long list consists of thousands.
var appending = &pebble.Merger{
	Name: pebble.DefaultMerger.Name,
	Merge: func(_, value []byte) (pebble.ValueMerger, error) {
		return &appended{newer: append([]byte(nil), value...)}, nil
	},
}

// appended is the value of a row as far as its pieces have been met.
type appended struct {
	newer []byte // from the piece that was met first, in order
	older []byte // the pieces before, in the order in which they were met: the youngest first
	sizes []int  // of the pieces in older
}

// MergeNewer implements pebble.ValueMerger.
func (a *appended) MergeNewer(value []byte) error {
	a.newer = append(a.newer, value...)
	return nil
}

// MergeOlder implements pebble.ValueMerger.
func (a *appended) MergeOlder(value []byte) error {
	a.older, a.sizes = append(a.older, value...), append(a.sizes, len(value))
	return nil
}

// Finish implements pebble.ValueMerger.
func (a *appended) Finish(bool) ([]byte, io.Closer, error) {
	if len(a.sizes) == 0 {
		return a.newer, nil, nil
	}
	all := make([]byte, len(a.older)+len(a.newer))
	copy(all[len(a.older):], a.newer)
	at, from := len(a.older), 0
	for _, size := range a.sizes {
		at -= size
		copy(all[at:], a.older[from:from+size])
		from += size
	}
	return all, nil, nil
}
