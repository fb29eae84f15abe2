package generate

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// A lane is every n-th index: lane i of n has the indices i, i+n, i+2n and so on. Lanes are what the source is split
// into, and not ranges, because an index often stands for a time: subtasks then go through the time side by side.
// There are more of them than subtasks, so that they can be dealt out anew under another parallelism. How many there
// are stays what it was at the start of the job: an entry of the state is this number and the lane's next index.

// fewestLanes is what there is at least; it is the smallest max parallelism by default.
const fewestLanes = 128

// laneCount returns how many lanes a source has that starts with a parallelism.
func laneCount(parallelism int) int64 {
	n := int64(fewestLanes)
	for n < int64(parallelism) {
		n *= 2
	}
	return n
}

// ring holds the next index of each lane of one subtask, the smallest first.
type ring struct {
	next  []int64 // the lanes' next indices; the first of them is at head, the others follow in a circle
	head  int
	lanes int64 // of all subtasks together
}

func newRing(next []int64, lanes int64) *ring {
	slices.Sort(next)
	return &ring{next: next, lanes: lanes}
}

func (r *ring) len() int { return len(r.next) }

// take returns the smallest index and moves its lane on. A lane that comes to end is dropped.
//
// As long as the lanes are abreast, the lane that was the first is the last afterwards, and nothing else is done. Lanes
// of different subtasks that were put together by a restore need not be; those behind catch up.
func (r *ring) take(end int64) int64 {
	index := r.next[r.head]
	if index >= end-r.lanes {
		r.drop()
		return index
	}
	following := index + r.lanes
	at := r.head // where the first one was is behind the last one
	if r.head++; r.head == len(r.next) {
		r.head = 0
	}
	for at != r.head {
		before := at - 1
		if before < 0 {
			before = len(r.next) - 1
		}
		if r.next[before] < following {
			break
		}
		r.next[at] = r.next[before]
		at = before
	}
	r.next[at] = following
	return index
}

// drop takes the first lane out.
func (r *ring) drop() {
	r.next = slices.Delete(r.next, r.head, r.head+1)
	if r.head == len(r.next) {
		r.head = 0
	}
}

func (r *ring) encode() [][]byte {
	entries := make([][]byte, 0, len(r.next))
	for i := range r.next {
		next := r.next[(r.head+i)%len(r.next)]
		entries = append(entries, binary.AppendUvarint(binary.AppendUvarint(nil, uint64(r.lanes)), uint64(next)))
	}
	return entries
}

// decodeLanes returns the next indices of restored lanes, and how many lanes there are in all. Indices from end on,
// of a source that was longer, are left out.
func decodeLanes(entries [][]byte, end int64) (next []int64, lanes int64, err error) {
	lanes = fewestLanes
	for i, entry := range entries {
		n, size := binary.Uvarint(entry)
		index, rest := binary.Uvarint(entry[max(size, 0):])
		switch {
		case size <= 0 || rest <= 0 || size+rest != len(entry) || n == 0 || int64(n) <= 0 || int64(index) < 0:
			return nil, 0, fmt.Errorf("lane of a generator: %d bytes that cannot be read", len(entry))
		case i > 0 && int64(n) != lanes:
			return nil, 0, fmt.Errorf("lanes of a generator: one is of %d, another of %d", lanes, n)
		}
		lanes = int64(n)
		if int64(index) < end {
			next = append(next, int64(index))
		}
	}
	return next, lanes, nil
}
