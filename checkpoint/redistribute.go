package checkpoint

import "sort"

// keyedParts is an operator's keyed state, by the subtask that took it.
type keyedParts struct {
	maxParallelism int
	bySubtask      [][]Handle
}

// share returns the handles that hold key groups of the range, narrowed to them. Only the subtasks that owned groups
// of it are looked at: a job of thousands of subtasks is spread in linear time.
func (k keyedParts) share(groups KeyGroupRange) []Handle {
	var share []Handle
	first, last := OwnerOf(groups.First, k.maxParallelism, len(k.bySubtask)), OwnerOf(groups.Last, k.maxParallelism, len(k.bySubtask))
	for _, parts := range k.bySubtask[first : last+1] {
		for _, h := range parts {
			if h.KeyGroups.Overlaps(groups) {
				h.KeyGroups = h.KeyGroups.Intersect(groups)
				share = append(share, h)
			}
		}
	}
	return share
}

// listParts is a list that is spread over several handles, one after the other.
type listParts struct {
	handles []Handle
	starts  []int // of each handle's first entry in the whole list
	entries int
}

func joinParts(bySubtask [][]Handle) listParts {
	var l listParts
	for _, parts := range bySubtask {
		for _, h := range parts {
			l.handles, l.starts = append(l.handles, h), append(l.starts, l.entries)
			l.entries += h.Entries
		}
	}
	return l
}

// partition returns the share of subtask index out of parallelism: contiguous, and at most one entry larger than any
// other's. A share without entries is still a handle, of an empty list, so that the subtask knows that it goes on from
// a checkpoint.
func (l listParts) partition(index, parallelism int) []Handle {
	first, end := shareOf(l.entries, index, parallelism)
	var share []Handle
	next := max(0, sort.SearchInts(l.starts, first+1)-1) // the last handle that begins at first or before
	for ; next < len(l.handles) && l.starts[next] < end; next++ {
		h, start := l.handles[next], l.starts[next]
		if from, to := max(first, start), min(end, start+h.Entries); from < to {
			share = append(share, h.taking(EntryRange{First: from - start, Count: to - from}))
		}
	}
	if len(share) == 0 {
		return []Handle{l.handles[0].emptied()}
	}
	return share
}

// shareOf returns the part [first, end) of total entries that falls to subtask index.
func shareOf(total, index, parallelism int) (first, end int) {
	t, i, p := int64(total), int64(index), int64(parallelism)
	return int(t * i / p), int(t * (i + 1) / p)
}

// copyFor returns the copy of broadcast state that subtask index receives. The subtasks take different ones, so that
// not all of them read the same chunks.
func (l listParts) copyFor(index int) Handle { return l.handles[index%len(l.handles)] }

// taking returns the handle of some of h's entries.
func (h Handle) taking(r EntryRange) Handle {
	if r != (EntryRange{First: 0, Count: h.Entries}) {
		h.Take = r
	}
	return h
}

// emptied returns a handle of a list without entries, of h's operator and name.
func (h Handle) emptied() Handle {
	return Handle{Operator: h.Operator, Name: h.Name, Kind: h.Kind}
}
