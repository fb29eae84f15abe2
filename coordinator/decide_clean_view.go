package coordinator

import (
	"slices"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

const (
	// maxSweepDiscards bounds what one sweep reads and deletes.
	maxSweepDiscards = 4096
	// maxSweepTries is how often a discard is tried that cannot be deleted everywhere, before what is left of it is
	// left to lie.
	maxSweepTries = 6
)

// cleaning is how far the leader has come with deleting what nothing names any more. All of it is soft state: a new
// leader starts its first sweep from the replicated discard lists.
type cleaning struct {
	// number of the present or the last sweep. The term is in its upper half, so that numbers grow across leaders
	// and a node tells the sweeps of two of them apart.
	number uint64
	phase  SweepPhase
	nextAt time.Time // no sweep begins before
	heldUp string    // why no sweep could be planned lately, empty when one was

	nodes   map[checkpoint.NodeID]*sweepNode // of the present sweep; from SweepWaiting on only those that have the mark
	taken   []Discarded                      // what the present sweep takes on, fixed when it begins
	waitFor []pendingKey
	imports map[uint64]bool // under way; true for those that the present sweep waits for
	asked   bool            // SweepPlanning and SweepConfirming: it is under way
	plan    SweepPlan
	full    fullSweeps
	// takesFull says that the present sweep is a full one, which takes on what the nodes held, and what it has done so far.
	takesFull bool
	held      fullHoldings
	figures   FullSweepFigures
	// live and gone are the processes that use a shared store, and those for whom the first of live deletes there.
	live, gone []checkpoint.NodeRef
	finished   map[discardKey]bool // SweepFinishing: what comes off the lists

	garbage []checkpoint.ChunkID // of the present sweep, or of one that could not be carried out
	// garbageTries counts the sweeps that could not delete all of what they took of garbage.
	garbageTries int
	// named caches which chunks a manifest names, by the manifest's own chunk.
	named      map[checkpoint.ChunkID][]checkpoint.ChunkID
	lastImport uint64
	failed     map[discardKey]failedDiscard
}

// sweepNode is a node that takes part in a sweep.
type sweepNode struct {
	incarnation checkpoint.Incarnation
	marked      bool
	asked       bool                 // a message is unanswered
	since       time.Time            // when that message became due
	list        []checkpoint.ChunkID // that it deletes in this phase
	done        int                  // chunks of the list that it has answered for
	err         string               // why it stopped taking part
}

type pendingKey struct {
	job        checkpoint.JobID
	checkpoint checkpoint.ID
}

func newCleaning(term checkpoint.Term, since time.Time, t Timing) cleaning {
	return cleaning{
		number: uint64(term) << 32, nextAt: since.Add(t.SweepPause),
		named: make(map[checkpoint.ChunkID][]checkpoint.ChunkID), failed: make(map[discardKey]failedDiscard),
		imports: make(map[uint64]bool), full: fullSweeps{dueAt: since.Add(t.FullSweepSoon)},
	}
}

// sweepNumber returns a sweep's number within its term.
func sweepNumber(sweep uint64) uint32 { return uint32(sweep) }

// sweepers returns the nodes that can be told to delete.
func (v *View) sweepers(now time.Time) []*nodeView {
	return slices.DeleteFunc(v.sortedNodes(), func(n *nodeView) bool { return !n.reported || v.stateOf(n, now) != nodeAlive })
}

// takesPart reports whether a node of the sweep still has to be waited for. One that is lost, was replaced by another
// process, does not answer or has failed does not.
func (v *View) takesPart(id checkpoint.NodeID, n *sweepNode, now time.Time) bool {
	node := v.nodes[id]
	if n.err != "" || node == nil || node.ref.Incarnation != n.incarnation || v.overdue(n, now) {
		return false
	}
	state := v.stateOf(node, now)
	return state != nodeLost && state != nodeLeft
}

func (v *View) overdue(n *sweepNode, now time.Time) bool {
	return n.asked && now.Sub(n.since) > v.Timing.SweepAnswer
}

func (v *View) stillPending(p pendingKey) bool {
	j := v.byID[p.job]
	return j != nil && isPending(j, p.checkpoint)
}

// OnSweepAdvanced moves the sweep to another phase.
func (v *View) OnSweepAdvanced(a AdvanceSweep, now time.Time) {
	c := &v.cleaning
	if c.phase == SweepMarking && a.Cause != "" {
		c.heldUp = a.Cause
	}
	c.phase, c.number, c.asked = a.To, a.Sweep, false
	for id, n := range c.nodes {
		if v.overdue(n, now) {
			n.err = "no answer within " + v.Timing.SweepAnswer.String()
		}
		if a.To == SweepWaiting && !n.marked {
			delete(c.nodes, id) // the mark may reach it too late to protect anything: it must not delete
		}
		n.done, n.asked, n.since = 0, false, now
	}
	switch a.To {
	case SweepMarking:
		// What it takes on is fixed before the first mark. A chunk that is put behind the mark is spared; whoever put
		// it answers for it, and his discard or garbage must then be the next sweep's, or nobody would delete it.
		c.taken, c.garbage = v.discardable(now, maxSweepDiscards), v.takeGarbage()
		v.takeHeld(now)
		v.takeOwners(now)
		c.nodes = make(map[checkpoint.NodeID]*sweepNode)
		for _, n := range v.sweepers(now) {
			c.nodes[n.ref.ID] = &sweepNode{incarnation: n.ref.Incarnation, since: now}
		}
	case SweepWaiting:
		v.notePending()
	case SweepDeletingManifests:
		if c.failures() != "" {
			v.finishDeleting(now) // without the manifests the rest could not be tried again
		}
		c.listManifests()
	case SweepFinishing:
		v.finishDeleting(now)
	case SweepIdle:
		v.endSweep(a.Cause, now)
	}
}

// notePending remembers the checkpoints that began before the marks were complete: they may have stored chunks that
// no node has noted.
func (v *View) notePending() {
	v.cleaning.waitFor = nil
	for _, j := range v.Jobs {
		for _, p := range j.Pending {
			v.cleaning.waitFor = append(v.cleaning.waitFor, pendingKey{j.ID, p.ID})
		}
	}
	for n := range v.cleaning.imports {
		v.cleaning.imports[n] = true
	}
}

// waits reports whether something has no outcome yet that may have stored chunks before the marks.
func (v *View) waits() bool {
	for _, before := range v.cleaning.imports {
		if before {
			return true
		}
	}
	return slices.ContainsFunc(v.cleaning.waitFor, v.stillPending)
}

// listChunks gives each node its list of what goes first.
func (c *cleaning) listChunks() {
	for id, n := range c.nodes {
		n.list = c.plan.Chunks
		if own := c.plan.Copies[id]; len(own) > 0 {
			n.list = slices.Concat(own, c.plan.Chunks)
		}
	}
}

// listManifests gives each node the list of what goes last.
func (c *cleaning) listManifests() {
	for _, n := range c.nodes {
		n.list = c.plan.Manifests
	}
}

// finishDeleting decides which discards come off the lists: all of the plan, or, when a node has failed, those that
// have been tried often enough.
func (v *View) finishDeleting(now time.Time) {
	c := &v.cleaning
	c.phase, c.finished = SweepFinishing, make(map[discardKey]bool)
	incomplete := c.failures() != ""
	for _, d := range c.plan.Covered {
		if !incomplete || v.giveUp(d.key(), now) {
			c.finished[d.key()] = true
		}
	}
	if c.garbageTries++; !incomplete || c.garbageTries >= maxSweepTries {
		c.garbage, c.garbageTries = nil, 0
	}
}

// endSweep leaves nothing behind but what the next sweep can use.
func (v *View) endSweep(cause string, now time.Time) {
	c := &v.cleaning
	pause := v.Timing.SweepPause
	if cause != "" {
		pause = v.Timing.SweepRetry
	}
	c.phase, c.asked, c.nextAt = SweepIdle, false, now.Add(pause)
	v.endFull(cause == "" && c.plan.HeldUp == nil, now)
	c.nodes, c.taken, c.waitFor, c.plan, c.finished = nil, nil, nil, SweepPlan{}, nil
	for _, s := range v.jobs {
		s.cleaning = 0
	}
	wanted := make(map[checkpoint.ChunkID]bool)
	for _, ref := range fsm.LiveOf(v.Jobs, v.Imports).Manifests {
		wanted[ref.ID] = true
	}
	for _, s := range v.jobs {
		for _, p := range s.pending {
			wanted[p.finished.manifest.ID] = true
		}
	}
	for id := range c.named {
		if !wanted[id] {
			delete(c.named, id)
		}
	}
	listed := make(map[discardKey]bool)
	for _, j := range v.Jobs {
		for _, d := range j.Discards {
			listed[discardKey{j.ID, d.ID}] = true
		}
	}
	for k := range c.failed {
		if !listed[k] {
			delete(c.failed, k)
		}
	}
}
