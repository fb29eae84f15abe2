package coordinator

import (
	"cmp"
	"slices"
	"time"

	"cairn/checkpoint"
	"cairn/placement"
)

// endangered is a chunk that should have more copies.
type endangered struct {
	chunk  placement.Number
	living int    // copies
	since  uint32 // when it came to be needed
}

// before orders chunks: those with the fewest copies first, then the oldest.
func (e endangered) before(other endangered) int {
	return cmp.Or(cmp.Compare(e.living, other.living), cmp.Compare(e.since, other.since), cmp.Compare(e.chunk, other.chunk))
}

const (
	// maxQueue bounds what is planned from one look at all chunks, and maxUrgent the damaged ones that are remembered.
	maxQueue  = 1 << 13
	maxUrgent = 1 << 16
	// surveyEvery is the least time between two looks at all chunks, and surveyAge after how long one is out of date: by
	// then others may be in greater danger.
	surveyEvery, surveyAge = time.Second, 5 * time.Second
)

// wanting reports whether chunks on these nodes should be copied, and to somewhere they can be.
func (v *storeView) wanting(holders []checkpoint.NodeID, targets []*storeNode, now time.Time) (living int, wanting bool) {
	living, expected := v.copies(holders, now)
	if living == 0 || expected >= v.policy.replicas {
		return living, false
	}
	return living, slices.ContainsFunc(targets, func(n *storeNode) bool { return !slices.Contains(holders, n.ref.ID) })
}

// survey brings up to date what follows from the passing of time, and the queue of what is to be copied.
func (v *storeView) survey(now time.Time) {
	v.judgeFresh(now)
	v.expireOrders(now)
	v.forget(now)
	since := now.Sub(v.surveyed)
	if since < surveyEvery || len(v.queue) > 0 && since < surveyAge {
		return
	}
	targets := v.targets(now)
	v.queue, v.surveyed = nil, now
	v.queueUrgent(targets, now)
	if v.settled(now) {
		v.queueWanting(targets, now)
	}
	slices.SortFunc(v.queue, endangered.before)
	v.queue = slices.Compact(v.queue)
	v.queue = v.queue[:min(len(v.queue), maxQueue)]
}

// queueUrgent queues the chunks of which a copy was found damaged.
func (v *storeView) queueUrgent(targets []*storeNode, now time.Time) {
	for id := range v.urgent {
		n, known := v.index.NumberOf(id)
		c := placement.Chunk{}
		if known {
			c = v.index.Chunk(n)
		}
		if !c.Judged {
			if len(v.names.unread) == 0 && v.met(now) {
				delete(v.urgent, id) // nobody needs it
			}
			continue
		}
		holders := v.index.Holders(id)
		living, wanting := v.wanting(holders, targets, now)
		switch {
		case living >= v.policy.replicas:
			delete(v.urgent, id)
		case wanting && v.mayCopy(id, now):
			v.queue = append(v.queue, endangered{n, living, c.Since})
		}
	}
}

// queueWanting queues the most endangered of all chunks. When there are none, as the counts of the groups say, it does
// not look at the chunks.
func (v *storeView) queueWanting(targets []*storeNode, now time.Time) {
	groups, living, some := make([]bool, v.index.NumGroups()), make([]int, v.index.NumGroups()), false
	for at, g := range v.index.Groups() {
		if g.Needed.Chunks > 0 {
			living[at], groups[at] = v.wanting(g.Nodes, targets, now)
			some = some || groups[at]
		}
	}
	if !some {
		return
	}
	for n := range v.index.JudgedIn(groups) {
		c := v.index.Chunk(n)
		if !v.mayCopy(c.Ref.ID, now) {
			continue
		}
		v.queue = append(v.queue, endangered{n, living[c.Group], c.Since})
		if len(v.queue) >= 2*maxQueue {
			slices.SortFunc(v.queue, endangered.before)
			v.queue = v.queue[:maxQueue]
		}
	}
}
