package fsm

import "cairn/checkpoint"

// Live is what the replicated state names in the state store and a sweep must spare (I5). Each chunk appears once,
// in the order of the jobs.
type Live struct {
	// Manifests are alive with every chunk that they name: of retained checkpoints, savepoints, sources that a job
	// still needs, discarded checkpoints that somebody depends on, and imported savepoints.
	Manifests []checkpoint.ChunkRef
	// Details are alive by themselves: the breakdowns of the checkpoints in the histories.
	Details []checkpoint.ChunkRef
	// Incomplete are those of Manifests of which not all may be stored yet, because they are being imported.
	Incomplete []checkpoint.ChunkRef
}

// LiveOf returns what the jobs and the imported savepoints name. What they have discarded and nobody depends on is not part of it; nor are
// checkpoints that are pending, whose chunks the state does not know.
func LiveOf(jobs []*Job, imports []Import) Live {
	var manifests, details, incomplete refs
	holds := HoldsOf(jobs)
	for _, j := range jobs {
		for _, c := range j.Completed {
			manifests.add(c.Manifest)
		}
		for _, c := range j.Savepoints {
			manifests.add(c.Manifest)
		}
		if j.NeedsSource() {
			manifests.add(j.Source.Manifest)
		}
		for _, d := range j.Discards {
			if !holds.mayDiscard(j, d) {
				manifests.add(d.Manifest)
			}
		}
		for _, o := range j.History {
			details.add(o.Detail.Chunk)
		}
	}
	for _, i := range imports {
		manifests.add(i.Manifest)
		if !i.Complete() {
			incomplete.add(i.Manifest)
		}
	}
	return Live{Manifests: manifests.list, Details: details.list, Incomplete: incomplete.list}
}

// Live returns what LiveOf does for all jobs.
func (s *State) Live() Live { return LiveOf(s.SortedJobs(), s.Imports) }

// refs is a list of chunks without repetitions.
type refs struct {
	list []checkpoint.ChunkRef
	seen map[checkpoint.ChunkID]bool
}

// add appends a chunk, unless it is zero or in the list already.
func (r *refs) add(c checkpoint.ChunkRef) {
	if c.ID.IsZero() || r.seen[c.ID] {
		return
	}
	if r.seen == nil {
		r.seen = make(map[checkpoint.ChunkID]bool)
	}
	r.seen[c.ID] = true
	r.list = append(r.list, c)
}
