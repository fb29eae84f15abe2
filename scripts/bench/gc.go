package main

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"slices"
	"time"

	"cairn/checkpoint"
	"cairn/coordinator"
)

// measureGC plans full sweeps of large stores. A chunk costs the same in any of them, save what the caches of the
// processor do for the smaller one.
func measureGC(ctx context.Context, b *bench) error {
	const chunks, fewer = 1_000_000, 250_000
	large, small := newSweep(chunks), newSweep(fewer)
	perChunk, beside, err := alternate(ctx, choose(b, 2, 9), large.plan, small.plan)
	if err != nil {
		return err
	}
	took := make(sample, len(perChunk))
	for i, ns := range perChunk {
		took[i] = ns * chunks / 1e6
	}
	b.add(valueOf("plan of a full sweep, 1,000,000 chunks", took, "ms"))
	b.add(ratioOf("plan of a full sweep, each of 1,000,000 chunks", perChunk, "ns", "each of 250,000", beside).with(ratioAtMost(2)))
	return nil
}

const (
	sweepJobs     = 10
	sweepRetained = 3 // checkpoints of each job
)

// sweep is a store that is swept, and what has to come of it.
type sweep struct {
	in                        coordinator.GCInput
	chunks                    int
	discarded, orphans, extra int
}

// newSweep makes up a store of about so many chunks. There are jobs with incremental checkpoints: three of each are
// retained, which share most of their chunks, and one has been discarded, whose chunks are in use but for a twentieth.
// One chunk of a thousand is an orphan, and one of a hundred is on all three nodes, where two are enough.
func newSweep(chunks int) *sweep {
	s := &sweep{chunks: chunks, in: coordinator.GCInput{
		Held: make([]checkpoint.ChunkID, chunks), Extra: make(map[checkpoint.NodeID][]checkpoint.ChunkID),
		Replicas: 2, Members: storeNodes,
	}}
	for i := range s.in.Held {
		s.in.Held[i] = chunkNamed(i)
	}
	slices.SortFunc(s.in.Held, func(a, b checkpoint.ChunkID) int { return bytes.Compare(a[:], b[:]) })
	for job := range sweepJobs {
		s.addJob(job)
	}
	s.locate()
	return s
}

// addJob gives a job every tenth chunk, except for what is left to nobody.
func (s *sweep) addJob(job int) {
	var retained [sweepRetained][]checkpoint.ChunkID
	var discarded []checkpoint.ChunkID
	for i := job; i < s.chunks; i += sweepJobs {
		id := s.in.Held[i]
		switch part := i / sweepJobs % 20; {
		case i%1000 == 0:
			s.orphans++
		case part == 19: // nothing but the discarded one
			discarded = append(discarded, id)
			s.discarded++
		default:
			for m := range retained {
				if part != m { // each has something that the others do not name
					retained[m] = append(retained[m], id)
				}
			}
			if part >= sweepRetained {
				discarded = append(discarded, id)
			}
		}
	}
	for m, names := range retained {
		manifest := chunkNamed(s.chunks + job*(sweepRetained+1) + m)
		s.in.Named = append(s.in.Named, []checkpoint.ChunkID{manifest}, names)
	}
	s.in.Manifests = append(s.in.Manifests, chunkNamed(s.chunks+job*(sweepRetained+1)+sweepRetained))
	s.in.Discarded = append(s.in.Discarded, discarded)
}

// locate has the index of a leader know where the chunks are that are asked for: orphans, and those on all nodes.
func (s *sweep) locate() {
	var asked []checkpoint.ChunkRef
	for i := 0; i < s.chunks; i += 50 {
		asked = append(asked, checkpoint.ChunkRef{ID: s.in.Held[i], Size: 64 << 10})
	}
	index, _ := locationsOf(asked, 0)
	for i := 1; i < len(asked); i += 2 { // these are retained
		third := storeNodes[i%len(storeNodes)]
		index.Add(third, asked[i])
		s.in.Extra[third] = append(s.in.Extra[third], asked[i].ID)
		s.extra++
	}
	s.in.Locate = func(ids []checkpoint.ChunkID) map[checkpoint.NodeID][]checkpoint.ChunkID {
		held := make(map[checkpoint.NodeID][]checkpoint.ChunkID)
		for _, id := range ids {
			for _, node := range index.Holders(id) {
				held[node] = append(held[node], id)
			}
		}
		return held
	}
}

// plan measures one plan.
func (s *sweep) plan(context.Context) (nsPerChunk float64, err error) {
	runtime.GC() // what the last plan has left
	start := time.Now()
	p := coordinator.PlanGC(s.in)
	took := time.Since(start)
	if len(p.Chunks) != s.discarded || p.Orphans != s.orphans || p.Trimmed != s.extra || len(p.Manifests) != sweepJobs {
		return 0, fmt.Errorf("%d chunks, %d orphans, %d copies and %d manifests are to go, not %d, %d, %d and %d",
			len(p.Chunks), p.Orphans, p.Trimmed, len(p.Manifests), s.discarded, s.orphans, s.extra, sweepJobs)
	}
	return float64(took.Nanoseconds()) / float64(s.chunks), nil
}
