package checkpoint

// How one operator's state is spread over another number of subtasks. The parts of a list state come in the order
// of the old subtasks; each is a handle of the same operator, name and kind, or of a kind that is given whole.

// partition returns what subtask index of parallelism receives of a list: its share of the entries, a contiguous
// one, no more than one entry larger than any other's. A share without entries is still a handle, of an empty list,
// so that the subtask knows that it goes on from a checkpoint.
func partition(parts []Handle, index, parallelism int) []Handle {
	total := 0
	for _, h := range parts {
		total += h.Entries
	}
	first, end := shareOf(total, index, parallelism)
	var share []Handle
	at := 0 // the position of a part's first entry in the whole list
	for _, h := range parts {
		from, to := max(first, at), min(end, at+h.Entries)
		if from < to {
			share = append(share, h.take(EntryRange{First: from - at, Count: to - from}))
		}
		at += h.Entries
	}
	if len(share) == 0 {
		share = append(share, parts[0].empty())
	}
	return share
}

// shareOf returns the part [first, end) of total entries that falls to subtask index.
func shareOf(total, index, parallelism int) (first, end int) {
	t, i, p := int64(total), int64(index), int64(parallelism)
	return int(t * i / p), int(t * (i + 1) / p)
}

// take returns the handle of some of h's entries.
func (h Handle) take(r EntryRange) Handle {
	if r != (EntryRange{First: 0, Count: h.Entries}) {
		h.Take = r
	}
	return h
}

// empty returns a handle of a list without entries, of h's operator and name.
func (h Handle) empty() Handle {
	return Handle{Operator: h.Operator, Name: h.Name, Kind: h.Kind}
}

// broadcast returns the copy that subtask index receives. The subtasks take different ones, so that not all of them
// read the same chunks.
func broadcast(copies []Handle, index int) Handle { return copies[index%len(copies)] }

// intersecting returns the parts of keyed state that hold key groups of the range, narrowed to them.
func intersecting(parts []Handle, groups KeyGroupRange) []Handle {
	var share []Handle
	for _, h := range parts {
		if h.KeyGroups.Overlaps(groups) {
			h.KeyGroups = h.KeyGroups.Intersect(groups)
			share = append(share, h)
		}
	}
	return share
}
