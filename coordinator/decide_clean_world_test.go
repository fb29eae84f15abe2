package coordinator

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// sweepWorld stands in for the nodes' stores, the store of manifests and the log in sweeps. Everything answers at
// once unless it is held or made to fail.
type sweepWorld struct {
	holdMark   map[checkpoint.NodeID]bool
	holdDelete map[checkpoint.NodeID]bool
	deleteErr  map[checkpoint.NodeID]string
	confirmErr error
	holdPlan   bool
	unreadable map[checkpoint.ChunkID]bool // manifests
	plans      []SweepPlan
	// holdings is what the nodes hold when they are asked; where is what they do when a sweep is planned.
	holdings    Holdings
	where       map[checkpoint.NodeID][]checkpoint.ChunkID
	trace       []string                                                // actions of sweeps
	deleted     map[checkpoint.NodeID]map[checkpoint.ChunkID]int        // chunks that a node was told to delete, how often
	afterDelete func(id checkpoint.NodeID, chunks []checkpoint.ChunkID) // called at each deletion
}

func (s *sweepWorld) execute(w *world, a Action) {
	if _, list := a.(ListHoldings); !list || s.holdings.Complete {
		s.trace = append(s.trace, a.String())
	}
	switch a := a.(type) {
	case AdvanceSweep:
		w.view.OnSweepAdvanced(a, w.now)
	case ListHoldings:
		if w.view.OnListing(w.now) {
			w.view.OnHoldings(s.holdings, nil, w.now)
		}
	case ListShared:
		w.view.OnListingShared(a, w.now)
	case PlanSweep:
		in := w.view.OnSweepPlanning(w.now)
		if s.holdPlan {
			return
		}
		p := in.Plan(func(ref checkpoint.ChunkRef) ([]checkpoint.ChunkID, error) {
			m, found := w.manifests[ref.ID]
			if !found || s.unreadable[ref.ID] {
				return nil, fmt.Errorf("chunk %s: not found", ref.ID)
			}
			return NamedChunks(m), nil
		}, s.locate)
		s.plans = append(s.plans, p)
		w.view.OnSweepPlanned(p, w.now)
	case ConfirmLeadership:
		w.view.OnConfirming()
		w.view.OnConfirmed(a.Sweep, s.confirmErr, w.now)
	}
}

// locate is the storekeeper's answer at planning.
func (s *sweepWorld) locate(ids []checkpoint.ChunkID) (map[checkpoint.NodeID][]checkpoint.ChunkID, error) {
	found := make(map[checkpoint.NodeID][]checkpoint.ChunkID)
	for node, holds := range s.where {
		for _, id := range ids {
			if slices.Contains(holds, id) {
				found[node] = append(found[node], id)
			}
		}
	}
	return found, nil
}

// answer answers a message of a sweep as a node does.
func (s *sweepWorld) answer(w *world, a Send) {
	switch m := a.Message.(type) {
	case checkpoint.MarkChunks:
		s.trace = append(s.trace, a.String())
		if !s.holdMark[a.Node] {
			w.view.OnChunksMarked(a.Node, checkpoint.ChunksMarked{Sweep: m.Sweep})
		}
	case checkpoint.DeleteChunks:
		s.trace = append(s.trace, a.String())
		if s.deleted == nil {
			s.deleted = make(map[checkpoint.NodeID]map[checkpoint.ChunkID]int)
		}
		if s.deleted[a.Node] == nil {
			s.deleted[a.Node] = make(map[checkpoint.ChunkID]int)
		}
		for _, id := range m.Chunks {
			s.deleted[a.Node][id]++
		}
		if s.afterDelete != nil {
			s.afterDelete(a.Node, m.Chunks)
		}
		if !s.holdDelete[a.Node] {
			w.view.OnChunksDeleted(a.Node, checkpoint.ChunksDeleted{
				Sweep: m.Sweep, Deleted: len(m.Chunks), Error: s.deleteErr[a.Node],
			}, w.now)
		}
	}
}

// sweep lets the time for a sweep pass, and runs it.
func (w *world) sweep() {
	w.t.Helper()
	w.advance(DefaultTiming().SweepPause)
	w.run()
}

// pass lets time pass in steps in which no node falls silent. It returns what was sent and proposed.
func (w *world) pass(d time.Duration) (sent []Send, commands []fsm.Command) {
	w.t.Helper()
	for left := d; left > 0; left -= time.Second {
		w.advance(min(left, time.Second))
		w.run()
		sent, commands = append(sent, w.sent...), append(commands, w.commands...)
	}
	return sent, commands
}

func (w *world) wantDiscards(ids ...checkpoint.ID) {
	w.t.Helper()
	var got []checkpoint.ID
	for _, d := range w.job().Discards {
		got = append(got, d.ID)
	}
	if !slices.Equal(got, ids) {
		w.t.Fatalf("discards %v, want %v", got, ids)
	}
}

// wantDeleted checks whether a node was told to delete a chunk.
func (w *world) wantDeleted(node checkpoint.NodeID, id checkpoint.ChunkID, want bool) {
	w.t.Helper()
	if got := w.sweeps.deleted[node][id] > 0; got != want {
		w.t.Fatalf("node %s was told to delete chunk %s: %t, want %t", node, id, got, want)
	}
}

func (w *world) phase() SweepPhase { return w.view.cleaning.phase }

func (w *world) wantPhase(want SweepPhase) {
	w.t.Helper()
	if got := w.phase(); got != want {
		w.t.Fatalf("the sweep is %s, want %s; so far %q", got, want, w.sweeps.trace)
	}
}

var errDeposed = errors.New("leadership lost")

// manual is a job that takes checkpoints only when it is asked to, and keeps one.
func manual() checkpoint.Config {
	c := testConfig()
	c.Interval, c.Retain = 0, 1
	return c
}

// begin begins the next checkpoint.
func (w *world) begin() checkpoint.ID {
	w.t.Helper()
	r := w.step(fsm.BeginCheckpoint{
		Job: testJob, Attempt: w.job().Attempt, Kind: checkpoint.KindCheckpoint, Term: w.term, At: w.at(),
	})
	w.view.SetJobs(w.state.SortedJobs())
	w.run()
	return r.Checkpoint
}

// complete begins a checkpoint and acknowledges it, with no time passing.
func (w *world) complete() checkpoint.ID {
	w.t.Helper()
	id := w.begin()
	w.ack(id)
	return id
}

// chunkOf returns the chunk that ackOf names.
func chunkOf(id checkpoint.ID, s checkpoint.SubtaskID) checkpoint.ChunkID {
	return ackOf(1, id, s).State.Handles[0].Chunks[0].ID
}

func manifestOf(id checkpoint.ID) checkpoint.ChunkID { return checkpoint.ChunkID{byte(id), 0xcc} }

// swept returns a world in which two checkpoints have completed and the first waits to be deleted.
func swept(t *testing.T) *world {
	w := running(t, manual())
	w.complete()
	w.complete()
	w.wantDiscards(1)
	w.wantPhase(SweepIdle)
	w.advance(time.Second)
	return w
}
