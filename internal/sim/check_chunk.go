package sim

import (
	"fmt"
	"slices"

	"cairn/checkpoint"
	"cairn/fsm"
)

// chunkLedger is what the checker knows of chunks: what names them, by the log and by what tasks acknowledged, and
// where they were made durable for that. Copies may move, as what is too much is trimmed; there are never fewer of them
// than were acknowledged, or than there should be.
type chunkLedger struct {
	stored    map[checkpoint.ChunkID][]*host // of manifests: where they were stored
	acked     map[checkpointKey]map[checkpoint.SubtaskID][]placement
	manifests map[checkpoint.ChunkID][]placement // of completed checkpoints: what they name, themselves included
	heardOf   map[checkpoint.ChunkID]bool        // whose last user a leader has heard of
	acks      int
	// inUse caches who names a chunk, as of the log's length and the number of acks.
	inUse map[checkpoint.ChunkID]use
	asOf  [2]int
}

type placement struct {
	chunk checkpoint.ChunkID
	on    []*host
}

// use is who names a chunk, and how many copies of it there must be for that.
type use struct {
	user   string
	copies int
}

// needed returns how many copies there must be.
func (p placement) needed() int { return min(len(p.on), copies) }

func newChunkLedger() chunkLedger {
	return chunkLedger{
		stored:    make(map[checkpoint.ChunkID][]*host),
		acked:     make(map[checkpointKey]map[checkpoint.SubtaskID][]placement),
		manifests: make(map[checkpoint.ChunkID][]placement),
		heardOf:   make(map[checkpoint.ChunkID]bool),
	}
}

// chunksAcked notes what an ack names, and demands that it is where it was stored: that nobody has deleted it
// meanwhile (I5).
func (k *checker) chunksAcked(ack checkpoint.Ack, on []*host) {
	var placements []placement
	for _, id := range chunksOf(ack.State) {
		placements = append(placements, placement{id, on})
	}
	k.demandThere(placements, fmt.Sprintf("the ack of %s for checkpoint %d", ack.State.Subtask, ack.Checkpoint))
	key := checkpointKey{ack.Job, ack.Checkpoint}
	if k.chunks.acked[key] == nil {
		k.chunks.acked[key] = make(map[checkpoint.SubtaskID][]placement)
	}
	k.chunks.acked[key][ack.State.Subtask] = placements
	k.chunks.acks++
}

// storing notes that somebody wants chunks of whom no leader has heard yet.
func (k *checker) storing(chunks []checkpoint.ChunkID) {
	for _, id := range chunks {
		delete(k.chunks.heardOf, id)
	}
}

// told notes that a leader has heard who wants chunks: so somebody can see to it that they are deleted.
func (k *checker) told(ack checkpoint.Ack) {
	for _, id := range chunksOf(ack.State) {
		k.chunks.heardOf[id] = true
	}
}

// demandThere demands that there are as many copies of chunks as were stored.
func (k *checker) demandThere(placements []placement, user string) {
	for _, p := range placements {
		if n := k.numCopies(p.chunk); n < p.needed() {
			k.w.violate(I5, "%d copies are left of chunk %x, which %s names", n, p.chunk[:4], user)
		}
	}
}

// chunksCompleted notes what a completed checkpoint names, and demands that it is there (I5). The state of a subtask
// that had finished before is that of an older checkpoint.
func (k *checker) chunksCompleted(key checkpointKey, manifest checkpoint.ChunkID, m checkpoint.Manifest) {
	placements := []placement{{manifest, k.chunks.stored[manifest]}}
	for _, s := range m.Subtasks {
		placements = append(placements, k.placementsOf(key, s)...)
	}
	k.chunks.manifests[manifest] = placements
	k.demandThere(placements, fmt.Sprintf("checkpoint %d", key.id))
}

// placementsOf returns where the state of a subtask in a checkpoint is.
func (k *checker) placementsOf(key checkpointKey, s checkpoint.SubtaskState) []placement {
	if own, found := k.chunks.acked[key][s.Subtask]; found {
		return own
	}
	chunks := chunksOf(s)
	for other, of := range k.chunks.acked {
		final := of[s.Subtask] // each snapshot has a chunk of its own, so no other one has the same list
		if other.job == key.job && slices.EqualFunc(final, chunks, func(p placement, id checkpoint.ChunkID) bool { return p.chunk == id }) {
			return final
		}
	}
	return nil
}

// chunksThere demands that chunks are on a disk.
func (k *checker) chunksThere(chunks []checkpoint.ChunkID, user string) {
	for _, id := range chunks {
		if !slices.ContainsFunc(k.w.hosts, func(h *host) bool { _, found := h.disk[id]; return found }) {
			k.w.violate(I5, "no machine has chunk %x, which %s names", id[:4], user)
		}
	}
}

// deleting demands that what in use names a chunk that a machine is about to delete keeps copies enough of it elsewhere
// (I5).
func (k *checker) deleting(h *host, id checkpoint.ChunkID) {
	k.w.stats.ChunksDeleted++
	u, found := k.chunksInUse()[id]
	switch {
	case found && k.numCopies(id) > u.copies:
		k.w.stats.CopiesTrimmed++
	case found:
		k.w.violate(I5, "%s deletes chunk %x, which %s names", h.id, id[:4], u.user)
	}
}

// numCopies counts the machines that have a chunk.
func (k *checker) numCopies(id checkpoint.ChunkID) int {
	n := 0
	for _, h := range k.w.hosts {
		if _, found := h.disk[id]; found {
			n++
		}
	}
	return n
}

// chunksInUse returns who names each chunk that is in use: what is retained, owned by a user, restored from, or
// acknowledged for a checkpoint that has no outcome.
func (k *checker) chunksInUse() map[checkpoint.ChunkID]use {
	now := [2]int{len(k.log), k.chunks.acks}
	if k.chunks.inUse != nil && k.chunks.asOf == now {
		return k.chunks.inUse
	}
	k.chunks.inUse, k.chunks.asOf = make(map[checkpoint.ChunkID]use), now
	for _, j := range k.state.SortedJobs() {
		k.chunksOfJob(j)
	}
	return k.chunks.inUse
}

func (k *checker) chunksOfJob(j *fsm.Job) {
	named := func(placements []placement, user string, id checkpoint.ID) {
		for _, p := range placements {
			if u, found := k.chunks.inUse[p.chunk]; !found || u.copies < p.needed() {
				k.chunks.inUse[p.chunk] = use{fmt.Sprintf("%s %d of job %d", user, id, j.ID[0]), p.needed()}
			}
		}
	}
	for _, c := range j.Completed {
		named(k.chunks.manifests[c.Manifest.ID], "retained checkpoint", c.ID)
	}
	for _, c := range j.Savepoints {
		named(k.chunks.manifests[c.Manifest.ID], "savepoint", c.ID)
	}
	if !j.Source.IsZero() && len(j.Completed) == 0 && !j.Status.Terminal() {
		named(k.chunks.manifests[j.Source.Manifest.ID], "the source", j.Source.Checkpoint)
	}
	for _, p := range j.Pending {
		for _, placements := range k.chunks.acked[checkpointKey{j.ID, p.ID}] {
			named(placements, "pending checkpoint", p.ID)
		}
	}
	if latest, _ := j.LatestCompleted(); j.Status == fsm.JobRunning && latest.Attempt != j.Attempt {
		for _, d := range j.Discards {
			if d.ID == j.RestoredFrom {
				named(k.chunks.manifests[d.Manifest.ID], "the attempt that restores", d.ID)
			}
		}
	}
}
