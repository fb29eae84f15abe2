package coordinator

import (
	"fmt"

	"cairn/checkpoint"
)

// SweepPhase is where a sweep of the nodes' chunks stands.
type SweepPhase uint8

const (
	// SweepIdle: none is under way.
	SweepIdle SweepPhase = iota
	// SweepMarking: the nodes are told to note which chunks they are asked to keep from now on.
	SweepMarking
	// SweepWaiting: checkpoints that may have stored chunks before the marks have no outcome yet.
	SweepWaiting
	// SweepPlanning: the manifests are read and compared.
	SweepPlanning
	// SweepConfirming: an entry of the log proves that nobody else has led since before the marks were complete.
	SweepConfirming
	// SweepDeletingState: the nodes delete everything but the manifests of discarded checkpoints.
	SweepDeletingState
	// SweepDeletingManifests: the nodes delete those too. They are last, because without them a leader that takes
	// over does not know what is left to delete.
	SweepDeletingManifests
	// SweepFinishing: the discards are taken off the replicated lists.
	SweepFinishing
)

// String names the phase in logs and golden files.
func (p SweepPhase) String() string {
	return [...]string{
		"idle", "marking", "waiting", "planning", "confirming", "deleting state", "deleting manifests", "finishing",
	}[p]
}

// AdvanceSweep moves a sweep to its next phase. It is executed by View.OnSweepAdvanced.
type AdvanceSweep struct {
	Sweep uint64
	To    SweepPhase
	Cause string // why the sweep ends without having done all that it should; empty otherwise
}

// ListHoldings asks the storekeeper for all that the nodes hold on disks of their own. It begins with View.OnListing,
// which says whether there is anything to ask, runs beside the loop and ends with View.OnHoldings.
type ListHoldings struct{}

// ListShared asks a node for the list of the shared store that it uses, and no node at all, with Request 0, when none is
// left to ask. It is executed by View.OnListingShared and by sending ListChunks; the pieces come to View.OnInventory.
type ListShared struct {
	Node    checkpoint.NodeRef
	Request uint64
}

// PlanSweep works out which chunks a sweep deletes: View.OnSweepPlanning says from what, SweepInput.Plan does it
// beside the loop, and View.OnSweepPlanned takes in the result.
type PlanSweep struct{ Sweep uint64 }

// ConfirmLeadership commits an entry that says nothing, which only the present leader can. It begins with
// View.OnConfirming, runs beside the loop and ends with View.OnConfirmed.
type ConfirmLeadership struct{ Sweep uint64 }

func (AdvanceSweep) action()      {}
func (ListHoldings) action()      {}
func (ListShared) action()        {}
func (PlanSweep) action()         {}
func (ConfirmLeadership) action() {}

func (a AdvanceSweep) String() string {
	if a.Cause != "" {
		return fmt.Sprintf("sweep %d: %s: %s", sweepNumber(a.Sweep), a.To, a.Cause)
	}
	return fmt.Sprintf("sweep %d: %s", sweepNumber(a.Sweep), a.To)
}
func (ListHoldings) String() string { return "list what the nodes hold" }
func (a ListShared) String() string {
	if a.Request == 0 {
		return "no node lists the shared store"
	}
	return fmt.Sprintf("list the shared store of node %s, request %d", a.Node.ID, a.Request)
}
func (a PlanSweep) String() string { return fmt.Sprintf("plan sweep %d", sweepNumber(a.Sweep)) }
func (a ConfirmLeadership) String() string {
	return fmt.Sprintf("confirm leadership for sweep %d", sweepNumber(a.Sweep))
}
