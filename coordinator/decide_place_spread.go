package coordinator

import "cairn/checkpoint"

// quotas are how many of some slots each node gets when they are spread evenly: when one after the other goes to the
// node with the most free slots.
type quotas struct {
	sure map[checkpoint.NodeID]int
	// Of the nodes that the last round finds equal, any get one more, as many as there are spare slots.
	equal map[checkpoint.NodeID]bool
	spare int
}

// evenly returns the quotas of n slots on nodes with so many left.
func evenly(n int, left map[checkpoint.NodeID]int) quotas {
	q := quotas{sure: make(map[checkpoint.NodeID]int, len(left)), equal: make(map[checkpoint.NodeID]bool)}
	level := 0 // what the fullest rounds leave free everywhere
	for _, free := range left {
		level = max(level, free)
	}
	for level > 0 {
		round := 0
		for _, free := range left {
			if free >= level {
				round++
			}
		}
		if round > n {
			break
		}
		n -= round
		level--
	}
	for id, free := range left {
		q.sure[id] = max(0, free-level)
		if level > 0 && free >= level {
			q.equal[id] = true
		}
	}
	q.spare = n
	return q
}

// take reports whether the node may have one more slot, and counts it.
func (q *quotas) take(id checkpoint.NodeID) bool {
	switch {
	case q.sure[id] > 0:
		q.sure[id]--
	case q.spare > 0 && q.equal[id]:
		q.spare--
		delete(q.equal, id)
	default:
		return false
	}
	return true
}

// spread places all slots that have no node yet, evenly. Which of them go where is left to their state as far as the
// numbers allow.
func (s *settling) spread(wished []wish) {
	q := evenly(s.homeless, s.left)
	for _, w := range wished {
		if s.slots[w.slot] == "" && q.take(w.node) {
			s.settle(w.slot, w.node)
		}
	}
	for i := range s.slots {
		if s.slots[i] == "" {
			s.settle(i, q.next(s.left))
		}
	}
}

// next takes one slot for the node that has the most left of those that are to have more (ties: the smaller ID), so that
// neighbouring slots come to lie on different nodes.
func (q *quotas) next(left map[checkpoint.NodeID]int) checkpoint.NodeID {
	var best checkpoint.NodeID
	for id, n := range left {
		if q.sure[id] == 0 && (q.spare == 0 || !q.equal[id]) {
			continue
		}
		if best == "" || n > left[best] || n == left[best] && id < best {
			best = id
		}
	}
	q.take(best)
	return best
}
