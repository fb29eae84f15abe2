package coordinator

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/placement"
)

// copies counts, of the nodes that hold a chunk, those that live, and those that live or may come back with it.
func (v *storeView) copies(holders []checkpoint.NodeID, now time.Time) (living, expected int) {
	for _, id := range holders {
		n := v.nodes[id]
		switch {
		case n == nil || n.shared != "":
		case n.lives():
			living++
			expected++
		case now.Sub(n.gone) < v.policy.repair.Delay:
			expected++
		}
	}
	return living, expected
}

// settled reports whether what is not known to be somewhere is not there: every node has had the time to open a session
// and to come back, and has told all that it holds, or is late with that.
func (v *storeView) settled(now time.Time) bool {
	return v.met(now) && now.Sub(v.began) >= v.policy.repair.Delay && v.toldEnough(now)
}

// complete reports whether the figures of the status can be relied on.
func (v *storeView) complete(now time.Time) bool {
	return v.met(now) && len(v.names.unread) == 0 && v.allTold()
}

// status says how the store is. It costs what there are groups, not chunks.
func (v *storeView) status(now time.Time) api.StoreStatus {
	s := api.StoreStatus{
		Backend: cmp.Or(v.sharedStore(), "nodes"), Replicas: v.policy.replicas, Complete: v.complete(now), Nodes: []api.StoreNode{},
	}
	var few, lost placement.Count
	fewOn := make(map[checkpoint.NodeID]int64)
	for _, g := range v.index.Groups() {
		living, _ := v.copies(g.Nodes, now)
		if s.Backend != "nodes" || living >= v.policy.replicas {
			continue
		}
		few.Add(g.Needed)
		if living == 0 {
			lost.Add(g.Needed)
		}
		for _, id := range g.Nodes {
			fewOn[id] += g.Needed.Chunks
		}
	}
	named := v.index.Needed()
	s.Chunks, s.Bytes = named.Chunks, named.Bytes
	s.UnderReplicated, s.Lost = api.ChunkCount(few), api.ChunkCount(lost)
	repairing := make(map[checkpoint.NodeID]int64)
	for _, o := range v.orders {
		for _, ref := range o.pending {
			s.Repairing.Chunks++
			s.Repairing.Bytes += ref.Size
		}
		repairing[o.node.ID] += int64(len(o.pending))
	}
	for _, n := range v.order {
		status := n.status()
		status.UnderReplicated, status.Repairing = fewOn[n.ref.ID], repairing[n.ref.ID]
		s.Nodes = append(s.Nodes, status)
	}
	return s
}

func (n *storeNode) status() api.StoreNode {
	s := api.StoreNode{
		ID: string(n.ref.ID), Zone: n.zone, State: n.state.String(), Path: n.report.Path, Complete: n.complete || n.shared != "",
		Chunks: n.report.Chunks, Bytes: n.report.Bytes, StoredBytes: n.report.StoredBytes,
		FreeBytes: n.report.FreeBytes, TotalBytes: n.report.TotalBytes, Corrupt: n.report.Quarantined,
		ScrubbedAt: int64(n.report.Scrub.CompletedAt), ScrubCorrupt: n.report.Scrub.Corrupt,
	}
	if scrub := n.report.Scrub; scrub.StartedAt > 0 && scrub.Total > 0 {
		s.ScrubShare = min(1, float64(scrub.Done)/float64(scrub.Total))
	}
	return s
}

// problems says what is wrong with the store, for people. It says nothing of what it cannot know: before every node has
// told what it holds, under this leader for the first time, chunks would seem to be missing that are not.
func (v *storeView) problems(now time.Time) []string {
	var said []string
	v.wasTold = v.wasTold || v.met(now) && v.toldEnough(now) && !v.names.mayBeRead()
	s := v.status(now)
	if few := copiesProblem(s); v.wasTold && few != "" {
		said = append(said, few)
	}
	for _, n := range s.Nodes {
		if bad := damagedProblem(n); bad != "" {
			said = append(said, bad)
		}
	}
	for _, n := range v.order {
		if n.isLate(now) {
			said = append(said, fmt.Sprintf("node %s has not told for %s what it holds: repairs and full sweeps go on without it", n.ref.ID, now.Sub(n.awaited).Round(time.Minute)))
		}
	}
	if apart := v.storesApart(); apart != "" {
		said = append(said, apart)
	}
	return said
}

// storesApart says which living nodes use which store, empty when all use the same kind: with different ones, a task that
// moves does not find its state.
func (v *storeView) storesApart() string {
	var stores []string
	users := make(map[string][]string)
	for _, n := range v.order {
		if !n.lives() {
			continue
		}
		store := cmp.Or(n.shared, "nodes")
		if users[store] == nil {
			stores = append(stores, store)
		}
		users[store] = append(users[store], string(n.ref.ID))
	}
	if len(stores) < 2 {
		return ""
	}
	for i, store := range stores {
		stores[i] = fmt.Sprintf("%s (%s)", store, strings.Join(users[store], ", "))
	}
	return "the nodes keep state in different stores, and must all have the same --store: " + strings.Join(stores, "; ")
}
