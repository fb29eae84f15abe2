package coordinator

import (
	"fmt"
	"maps"
	"slices"

	"cairn/checkpoint"
	"cairn/fsm"
)

const (
	// maxDiscards bounds a job's discard list, and with it the replicated state: a job with more begins no
	// checkpoint until they have been deleted.
	maxDiscards = 1000
	// forgottenAtOnce is how many discards beyond the bound are given up in one entry of the log.
	forgottenAtOnce = 100
	// chunksPerDelete bounds one DeleteChunks, at 128 KiB.
	chunksPerDelete = 4096
)

// clean moves the present sweep on, or begins one. A sweep deletes, on all nodes that are alive, the chunks of the
// checkpoints on the discard lists and of acknowledgements that no checkpoint came of, and a full one whatever else the
// nodes hold, except what is still named. DESIGN.md has the argument why no chunk is lost that somebody is about to name.
func (d *decision) clean() {
	d.list()
	c := &d.view.cleaning
	switch c.phase {
	case SweepIdle:
		d.forgetDiscards()
		if d.sweepDue() {
			d.do(AdvanceSweep{Sweep: c.number + 1, To: SweepMarking})
		}
	case SweepMarking:
		d.markChunks()
	case SweepWaiting:
		if !d.view.waits() {
			d.advanceSweep(SweepPlanning)
		}
	case SweepPlanning:
		if !c.asked {
			d.do(PlanSweep{Sweep: c.number})
		}
	case SweepConfirming:
		if !c.asked {
			d.do(ConfirmLeadership{Sweep: c.number})
		}
	case SweepDeletingState:
		d.deleteChunks(SweepDeletingManifests)
	case SweepDeletingManifests:
		d.deleteChunks(SweepFinishing)
	case SweepFinishing:
		d.finishSweep()
	}
}

func (d *decision) advanceSweep(to SweepPhase) {
	d.do(AdvanceSweep{Sweep: d.view.cleaning.number, To: to})
}

// sweepDue reports whether there is something to delete, somebody to delete it, and everybody has reported who may
// know of state in use.
func (d *decision) sweepDue() bool {
	c := &d.view.cleaning
	if d.now.Before(c.nextAt) {
		return false
	}
	if c.full.phase != listReady && !d.view.hasGarbage() && len(d.view.discardable(d.now, 1)) == 0 {
		return false
	}
	return d.view.haveReported(d.now) && len(d.view.sweepers(d.now)) > 0
}

// markChunks sends the mark to every node of the sweep and goes on when all that still take part have it. A node
// that does not answer keeps its copies.
func (d *decision) markChunks() {
	c := &d.view.cleaning
	marked, waiting := 0, 0
	for _, id := range c.sortedNodes() {
		n := c.nodes[id]
		switch {
		case n.marked:
			marked++
		case d.view.takesPart(id, n, d.now):
			waiting++
			if d.canAsk(id, n) {
				d.send(id, checkpoint.MarkChunks{Term: d.view.Term, Sweep: c.number, Live: c.live, Gone: c.gone})
			}
		}
	}
	switch {
	case waiting > 0:
	case marked == 0:
		d.do(AdvanceSweep{Sweep: c.number, To: SweepIdle, Cause: "no node took the mark"})
	default:
		d.advanceSweep(SweepWaiting)
	}
}

// canAsk reports whether a node has nothing to answer and obeys this leader.
func (d *decision) canAsk(id checkpoint.NodeID, n *sweepNode) bool {
	v := d.view.nodes[id]
	return !n.asked && v.connected && v.reported
}

// deleteChunks sends each node the list of the phase, one bounded message after the other, and goes on when all that
// still take part have deleted theirs.
func (d *decision) deleteChunks(next SweepPhase) {
	c := &d.view.cleaning
	busy := false
	for _, id := range c.sortedNodes() {
		n := c.nodes[id]
		if n.done >= len(n.list) || !d.view.takesPart(id, n, d.now) {
			continue
		}
		busy = true
		if d.canAsk(id, n) {
			part := n.list[n.done:min(n.done+chunksPerDelete, len(n.list))]
			d.send(id, checkpoint.DeleteChunks{Term: d.view.Term, Sweep: c.number, Chunks: part})
		}
	}
	if !busy {
		d.advanceSweep(next)
	}
}

// finishSweep commits that the chunks are gone, and ends the sweep when no discard of it is listed any more.
func (d *decision) finishSweep() {
	c := &d.view.cleaning
	listed := false
	d.view.eachDiscardable(func(j *fsm.Job, free []fsm.Discard) {
		var ids []checkpoint.ID
		for _, discard := range free {
			if c.finished[discardKey{j.ID, discard.ID}] {
				ids = append(ids, discard.ID)
			}
		}
		if len(ids) > 0 {
			listed = true
			d.do(Propose{fsm.FinishDiscards{Job: j.ID, Checkpoints: ids}})
		}
	})
	if !listed {
		d.do(AdvanceSweep{Sweep: c.number, To: SweepIdle, Cause: c.failures()})
	}
}

// forgetDiscards gives up the oldest discards of a job that has too many of them while sweeps are held up: the
// replicated state stays bounded, and their chunks are left to full sweeps.
func (d *decision) forgetDiscards() {
	if d.view.cleaning.heldUp == "" {
		return
	}
	d.view.eachDiscardable(func(j *fsm.Job, free []fsm.Discard) {
		beyond := len(j.Discards) - maxDiscards
		if beyond <= 0 {
			return
		}
		var ids []checkpoint.ID
		for _, discard := range free[:min(len(free), beyond+forgottenAtOnce)] {
			ids = append(ids, discard.ID)
		}
		d.do(Propose{fsm.FinishDiscards{Job: j.ID, Checkpoints: ids}})
	})
}

// cleaningBehind reports whether the job may begin no checkpoint because the deletion of old ones has to catch up
// (T6): more of them are being deleted than may be pending, or its discard list is full. Neither lasts: nodes that do
// not answer drop out of a sweep, what a sweep waits for has a timeout, and a sweep that cannot be planned makes
// forgetDiscards act.
func (s *jobView) cleaningBehind(j *fsm.Job) bool {
	return s.cleaning > j.Config.MaxConcurrent || len(j.Discards) > maxDiscards
}

// sortedNodes returns the nodes of the sweep in order.
func (c *cleaning) sortedNodes() []checkpoint.NodeID { return slices.Sorted(maps.Keys(c.nodes)) }

// failures says which nodes have not deleted what they should, empty for none.
func (c *cleaning) failures() string {
	text := ""
	for _, id := range c.sortedNodes() {
		if err := c.nodes[id].err; err != "" && text == "" {
			text = fmt.Sprintf("node %s: %s", id, err)
		}
	}
	return text
}
