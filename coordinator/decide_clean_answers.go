package coordinator

import (
	"time"

	"cairn/checkpoint"
)

// OnChunksMarked records that a node has the mark of the present sweep. One that comes when the others have gone on
// is too late.
func (v *View) OnChunksMarked(id checkpoint.NodeID, m checkpoint.ChunksMarked) {
	c := &v.cleaning
	if n := c.nodes[id]; n != nil && c.phase == SweepMarking && m.Sweep == c.number {
		n.marked, n.asked = true, false
	}
}

// OnChunksDeleted records what a node has deleted of the message that it was sent last.
func (v *View) OnChunksDeleted(id checkpoint.NodeID, m checkpoint.ChunksDeleted, now time.Time) {
	c := &v.cleaning
	n := c.nodes[id]
	deleting := c.phase == SweepDeletingState || c.phase == SweepDeletingManifests
	if n == nil || !deleting || m.Sweep != c.number || !n.asked {
		return
	}
	n.asked, n.since, n.err = false, now, m.Error
	c.figures.Deleted += m.Deleted
	c.figures.Refused += m.Refused
	n.done += chunksPerDelete
}

// sweepSent records what a node is to answer.
func (v *View) sweepSent(id checkpoint.NodeID) {
	if n := v.cleaning.nodes[id]; n != nil {
		n.asked = true
	}
}

// sweepReported draws the conclusion from a node's report: an answer that has not come will not come any more. The
// mark can be sent again. What became of a deletion is unknown, and a second answer to it could be taken for one to
// the next.
func (v *View) sweepReported(id checkpoint.NodeID) {
	c := &v.cleaning
	n := c.nodes[id]
	if n == nil || !n.asked {
		return
	}
	n.asked = false
	if c.phase != SweepMarking {
		n.err = "the session broke while it was deleting"
	}
}

// OnConfirming records that ConfirmLeadership has begun, so that Decide does not ask for it again.
func (v *View) OnConfirming() { v.cleaning.asked = true }

// OnConfirmed records how ConfirmLeadership ended: from here on chunks may be deleted.
func (v *View) OnConfirmed(sweep uint64, err error, now time.Time) {
	c := &v.cleaning
	if c.phase != SweepConfirming || c.number != sweep {
		return
	}
	if err != nil {
		v.endSweep("confirming the leadership: "+err.Error(), now)
		return
	}
	c.phase, c.asked = SweepDeletingState, false
	c.listChunks()
	for _, d := range c.plan.Covered {
		if s := v.jobs[d.Job]; s != nil {
			s.cleaning++
		}
	}
}

// OnImportBegun records that the manifest of a savepoint has been stored which nothing names before its import is
// registered: sweeps wait for it. It returns a number for OnImportEnded.
func (v *View) OnImportBegun() uint64 {
	v.cleaning.lastImport++
	v.cleaning.imports[v.cleaning.lastImport] = false
	return v.cleaning.lastImport
}

// OnImportEnded records that the import was registered, or will not be.
func (v *View) OnImportEnded(n uint64) { delete(v.cleaning.imports, n) }
