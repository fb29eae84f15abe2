package coordinator

import (
	"fmt"

	"cairn/checkpoint"
	"cairn/fsm"
)

// Action is something that Decide wants done. Actions are executed in order.
type Action interface {
	fmt.Stringer
	action()
}

// Propose appends a command to the Raft log and waits until it is applied.
type Propose struct{ Command fsm.Command }

// Send sends a message to a node's session. It may be lost with the session; a new session starts with a
// report, from which the need for it is seen again.
type Send struct {
	Node    checkpoint.NodeID
	Message checkpoint.ToNode
}

// WriteManifest stores the manifest of a checkpoint that all subtasks have acknowledged. It runs beside
// the loop and ends with View.OnManifestWritten.
type WriteManifest struct{ Manifest checkpoint.Manifest }

// LoadManifest reads the manifest that a job's next deployment restores from. It runs beside the loop and
// ends with View.OnManifestLoaded.
type LoadManifest struct {
	Job        checkpoint.JobID
	Checkpoint checkpoint.ID
	Manifest   checkpoint.ChunkRef
}

func (Propose) action()       {}
func (Send) action()          {}
func (WriteManifest) action() {}
func (LoadManifest) action()  {}

func (a Propose) String() string {
	return fmt.Sprintf("propose %T%s", a.Command, commandText(a.Command))
}
func (a Send) String() string { return fmt.Sprintf("send %s %s", a.Node, a.Message) }
func (a WriteManifest) String() string {
	return fmt.Sprintf("write manifest of checkpoint %d", a.Manifest.ID)
}
func (a LoadManifest) String() string {
	return fmt.Sprintf("load manifest of checkpoint %d", a.Checkpoint)
}

func commandText(c fsm.Command) string {
	switch c := c.(type) {
	case fsm.BeginCheckpoint:
		return fmt.Sprintf(" attempt %d %s", c.Attempt, c.Kind)
	case fsm.CompleteCheckpoint:
		return fmt.Sprintf(" %d", c.Checkpoint)
	case fsm.AbortCheckpoint:
		return fmt.Sprintf(" %d %s: %s", c.Checkpoint, c.Reason, c.Message)
	case fsm.StartAttempt:
		return fmt.Sprintf(" %d from checkpoint %d", c.Attempt, c.RestoreFrom)
	case fsm.FailAttempt:
		return fmt.Sprintf(" %d: %s", c.Attempt, c.Cause)
	case fsm.EndJob:
		return fmt.Sprintf(" %s %s", c.Status, c.Failure)
	}
	return ""
}
