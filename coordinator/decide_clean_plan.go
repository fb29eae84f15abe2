package coordinator

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// SweepInput is what a sweep is planned from: the state of the jobs at one moment, in which every checkpoint that
// began before the marks has its outcome. It is not changed afterwards.
type SweepInput struct {
	Sweep    uint64
	Live     []checkpoint.ChunkRef // manifests that must stay, with all that they name
	Named    []checkpoint.ChunkID  // chunks that must stay beside those
	Discards []Discarded
	Garbage  []checkpoint.ChunkID
	// Incomplete are those of Live that may not be readable yet, because they are being imported. Then nobody can say what
	// of a full sweep is orphaned.
	Incomplete []checkpoint.ChunkRef
	// Held and Extra, by node, are what a full sweep takes on, of which what only Members hold counts; see GCInput. Shared
	// is what was in shared stores, of which every node has to delete its own part.
	Held     []checkpoint.ChunkID
	Extra    map[checkpoint.NodeID][]checkpoint.ChunkID
	Replicas int
	Shared   []checkpoint.ChunkID
	Members  []checkpoint.NodeID
	// Known says which chunks a manifest names, where that need not be read.
	Known map[checkpoint.ChunkID][]checkpoint.ChunkID
}

// SweepPlan is what a sweep deletes.
type SweepPlan struct {
	Sweep uint64
	GCPlan
	Covered []Discarded // of which nothing is left when all that is deleted
	// Unreadable are discards whose manifest could not be read; ReadError says why the last of them could not.
	Unreadable []Discarded
	ReadError  error
	// Loaded says which chunks the manifests name that were read.
	Loaded map[checkpoint.ChunkID][]checkpoint.ChunkID
	// HeldUp says why nothing of what a full sweep takes on beside discards and garbage is deleted, nil otherwise.
	HeldUp error
	// Err says why there is no plan: a manifest that must stay could not be read, and so nothing may be deleted.
	Err error
}

// UnreadableError says that a manifest could not be read without which nobody can say what may be deleted.
type UnreadableError struct {
	Manifest checkpoint.ChunkID
	Cause    error
}

// Error names the manifest.
func (e *UnreadableError) Error() string {
	return fmt.Sprintf("reading manifest %s: %v", e.Manifest, e.Cause)
}

// Unwrap returns the cause.
func (e *UnreadableError) Unwrap() error { return e.Cause }

// Locate finds out which of some chunks each node holds by now; see GCInput.
type Locate func(ids []checkpoint.ChunkID) (map[checkpoint.NodeID][]checkpoint.ChunkID, error)

// Plan works out what to delete. load returns the chunks that a manifest names; locate is asked in full sweeps only.
func (in SweepInput) Plan(load func(checkpoint.ChunkRef) ([]checkpoint.ChunkID, error), locate Locate) SweepPlan {
	p := SweepPlan{Sweep: in.Sweep, Loaded: make(map[checkpoint.ChunkID][]checkpoint.ChunkID)}
	read := func(manifest checkpoint.ChunkRef) ([]checkpoint.ChunkID, error) {
		if chunks, known := in.Known[manifest.ID]; known {
			return chunks, nil
		}
		chunks, err := load(manifest)
		if err != nil {
			return nil, err
		}
		p.Loaded[manifest.ID] = sorted([][]checkpoint.ChunkID{chunks}) // which PlanGC is quicker with
		return p.Loaded[manifest.ID], nil
	}
	gc := GCInput{Named: [][]checkpoint.ChunkID{in.Named}, Discarded: [][]checkpoint.ChunkID{in.Garbage}}
	for _, manifest := range in.Live {
		chunks, err := read(manifest)
		if err != nil && slices.Contains(in.Incomplete, manifest) {
			p.HeldUp = &UnreadableError{manifest.ID, err}
		} else if err != nil {
			p.Err = &UnreadableError{manifest.ID, err}
			return p
		}
		gc.Named = append(gc.Named, []checkpoint.ChunkID{manifest.ID}, chunks)
	}
	for _, d := range in.Discards {
		chunks, err := read(d.Manifest)
		if err != nil {
			p.Unreadable, p.ReadError = append(p.Unreadable, d), err
			gc.Named = append(gc.Named, []checkpoint.ChunkID{d.Manifest.ID}) // as long as it is listed
			continue
		}
		p.Covered = append(p.Covered, d)
		gc.Manifests = append(gc.Manifests, d.Manifest.ID)
		gc.Discarded = append(gc.Discarded, chunks)
	}
	p.addHeld(in, &gc, locate)
	p.GCPlan = PlanGC(gc)
	return p
}

// addHeld adds what a full sweep takes on. When it cannot be told where a chunk is by now, nothing is added.
func (p *SweepPlan) addHeld(in SweepInput, gc *GCInput, locate Locate) {
	if p.HeldUp != nil {
		return
	}
	gc.Shared, gc.Held, gc.Extra, gc.Replicas, gc.Members = in.Shared, in.Held, in.Extra, in.Replicas, in.Members
	gc.Locate = func(ids []checkpoint.ChunkID) map[checkpoint.NodeID][]checkpoint.ChunkID {
		where, err := locate(ids)
		if err != nil {
			p.HeldUp = fmt.Errorf("asking where chunks are: %w", err)
			return nil
		}
		return where
	}
}

// NamedChunks returns the chunks that a manifest names. A chunk that it names twice may be there twice.
func NamedChunks(m checkpoint.Manifest) []checkpoint.ChunkID {
	var ids []checkpoint.ChunkID
	for _, s := range m.Subtasks {
		ids = appendChunks(ids, s)
	}
	return ids
}

func appendChunks(ids []checkpoint.ChunkID, s checkpoint.SubtaskState) []checkpoint.ChunkID {
	for _, h := range s.Handles {
		for _, c := range h.Chunks {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// OnSweepPlanning records that PlanSweep has begun and returns what the plan is made from.
func (v *View) OnSweepPlanning(now time.Time) SweepInput {
	c := &v.cleaning
	c.asked = true
	in := SweepInput{
		Sweep: c.number, Discards: v.stillDiscardable(c.taken), Garbage: slices.Clip(c.garbage),
		Named: v.namedBesideManifests(), Known: make(map[checkpoint.ChunkID][]checkpoint.ChunkID),
	}
	live := fsm.LiveOf(v.Jobs, v.Imports)
	in.Live, in.Incomplete = live.Manifests, live.Incomplete
	in.Held, in.Extra, in.Replicas, in.Shared = c.held.own.Chunks, c.held.own.Extra, c.held.own.Replicas, c.held.shared
	in.Named = append(in.Named, v.otherDiscards(in.Discards)...)
	for _, id := range c.sortedNodes() {
		if n := c.nodes[id]; n.marked && v.takesPart(id, n, now) && v.stateOf(v.nodes[id], now) == nodeAlive {
			in.Members = append(in.Members, id)
		}
	}
	for _, detail := range live.Details {
		in.Named = append(in.Named, detail.ID)
	}
	for _, manifest := range in.Live {
		if chunks, known := c.named[manifest.ID]; known {
			in.Known[manifest.ID] = chunks
		}
	}
	for _, d := range in.Discards {
		if chunks, known := c.named[d.Manifest.ID]; known {
			in.Known[d.Manifest.ID] = chunks
		}
	}
	return in
}

// stillDiscardable returns those discards that are still listed and on which no job depends.
func (v *View) stillDiscardable(taken []Discarded) []Discarded {
	free := make(map[discardKey]bool)
	v.eachDiscardable(func(j *fsm.Job, discards []fsm.Discard) {
		for _, d := range discards {
			free[discardKey{j.ID, d.ID}] = true
		}
	})
	return slices.DeleteFunc(slices.Clone(taken), func(d Discarded) bool { return !free[d.key()] })
}

// otherDiscards returns the manifests of listed discards that a sweep does not take on: a full one comes upon what they
// name all the same, but without its manifest a discard could not be told from one that is unreadable.
func (v *View) otherDiscards(taken []Discarded) []checkpoint.ChunkID {
	is := make(map[discardKey]bool, len(taken))
	for _, d := range taken {
		is[d.key()] = true
	}
	var manifests []checkpoint.ChunkID
	for _, j := range v.Jobs {
		for _, d := range j.Discards {
			if !is[discardKey{j.ID, d.ID}] {
				manifests = append(manifests, d.Manifest.ID)
			}
		}
	}
	return manifests
}

// namedBesideManifests returns the chunks that are in use without a committed manifest that names them:
// what has been acknowledged of pending checkpoints, and the states that finished subtasks contribute to every later
// one.
func (v *View) namedBesideManifests() []checkpoint.ChunkID {
	var ids []checkpoint.ChunkID
	for _, j := range v.Jobs {
		if j.Status.Terminal() {
			continue // its subtasks have finished for good: no later checkpoint names their states
		}
		s := v.jobs[j.ID]
		for i := range s.subtasks {
			ids = appendChunks(ids, s.subtasks[i].final)
		}
		for _, p := range s.pending {
			ids = p.appendStored(ids)
		}
	}
	return ids
}

// appendStored adds the chunks that are known to have been stored for a pending checkpoint.
func (p *pendingView) appendStored(ids []checkpoint.ChunkID) []checkpoint.ChunkID {
	for ordinal := range p.parts {
		if ack := p.parts[ordinal].ack; ack != nil {
			ids = appendChunks(ids, ack.State)
		}
	}
	stored := []checkpoint.ChunkID{p.finished.manifest.ID, p.finished.detail.Chunk.ID}
	if p.failing != nil {
		stored = append(stored, p.failing.detail.Chunk.ID)
	}
	for _, id := range stored {
		if !id.IsZero() {
			ids = append(ids, id)
		}
	}
	return ids
}

// OnSweepPlanned takes in a plan. Without one the sweep ends, and deletes nothing.
func (v *View) OnSweepPlanned(p SweepPlan, now time.Time) {
	c := &v.cleaning
	maps.Copy(c.named, p.Loaded)
	if c.phase != SweepPlanning || p.Sweep != c.number {
		return
	}
	c.heldUp = v.heldUpBy(p.Err)
	if p.Err != nil {
		v.endSweep(c.heldUp, now)
		return
	}
	if c.takesFull {
		c.full.heldUp = v.heldUpBy(p.HeldUp)
	}
	for _, d := range p.Unreadable {
		if v.giveUp(d.key(), now) {
			p.Covered = append(p.Covered, d)
		}
	}
	c.plan, c.asked, c.phase = p, false, SweepConfirming
	c.figures.Orphans, c.figures.Trimmed = p.Orphans, p.Trimmed
	if len(p.Chunks) == 0 && len(p.Manifests) == 0 && len(p.Copies) == 0 {
		v.finishDeleting(now)
	}
}
