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

// WriteManifest stores the manifest of a checkpoint that all subtasks have acknowledged, and beside it the breakdown
// by subtask where that is too large for the log. It runs beside the loop and ends with View.OnManifestWritten. Without
// its breakdown a checkpoint is as good as with it: failing to store that fails nothing.
type WriteManifest struct {
	Manifest checkpoint.Manifest
	Detail   checkpoint.Detail
}

// WriteDetail stores the breakdown of a checkpoint that is about to be aborted for the given reason. It runs beside the
// loop and ends, within a short time, with View.OnDetailWritten.
type WriteDetail struct {
	Job        checkpoint.JobID
	Checkpoint checkpoint.ID
	Reason     checkpoint.Reason
	Message    string
	Detail     checkpoint.Detail
}

// Refuse answers a user's request for a checkpoint that cannot begin, or for another parallelism that the job cannot
// have; then Reason is 0.
type Refuse struct {
	Job     checkpoint.JobID
	Request uint64
	Reason  checkpoint.Reason
	Message string
}

// LoadManifest reads the manifest that a job's next deployment restores from. It runs beside the loop and
// ends with View.OnManifestLoaded; with a StateMissingError when it was read and not all that it names is there.
type LoadManifest struct {
	Job        checkpoint.JobID
	Checkpoint checkpoint.ID
	// Own says that the job itself has taken the checkpoint. The manifest of what it was submitted from names another
	// job, and not always the one that had it last: a job may have claimed it before.
	Own      bool
	Manifest checkpoint.ChunkRef
	// Have is the manifest when it is at hand already, so that it need not be read.
	Have *checkpoint.Manifest
	// Check asks whether everything that the manifest names can be had, and whether Suspects can be read: a task could
	// not.
	Check    bool
	Suspects []checkpoint.ChunkRef
	// Older says that the job would have to give up newer checkpoints to go back to this one.
	Older bool
}

func (Propose) action()       {}
func (Send) action()          {}
func (WriteManifest) action() {}
func (WriteDetail) action()   {}
func (LoadManifest) action()  {}
func (Refuse) action()        {}

func (a Propose) String() string {
	return fmt.Sprintf("propose %T%s", a.Command, commandText(a.Command))
}
func (a Send) String() string { return fmt.Sprintf("send %s %s", a.Node, a.Message) }
func (a WriteManifest) String() string {
	return fmt.Sprintf("write manifest of checkpoint %d", a.Manifest.ID)
}
func (a WriteDetail) String() string {
	return fmt.Sprintf("write the breakdown of checkpoint %d, which fails: %s: %s", a.Checkpoint, a.Reason, a.Message)
}
func (a Refuse) String() string {
	return fmt.Sprintf("refuse request %d: %s", a.Request, fate{reason: a.Reason, message: a.Message})
}
func (a LoadManifest) String() string {
	if a.Check {
		return fmt.Sprintf("check that the state of checkpoint %d is there", a.Checkpoint)
	}
	return fmt.Sprintf("load manifest of checkpoint %d", a.Checkpoint)
}

func commandText(c fsm.Command) string {
	switch c := c.(type) {
	case fsm.BeginCheckpoint:
		text := fmt.Sprintf(" attempt %d %s", c.Attempt, c.Kind)
		if c.Stop != checkpoint.StopNone {
			text += " and " + c.Stop.String()
		}
		if c.Aligned {
			text += " aligned"
		}
		return text
	case fsm.CompleteCheckpoint:
		return fmt.Sprintf(" %d", c.Checkpoint)
	case fsm.AbortCheckpoint:
		return fmt.Sprintf(" %d %s: %s", c.Checkpoint, c.Reason, c.Message)
	case fsm.StartAttempt:
		return fmt.Sprintf(" %d from checkpoint %d", c.Attempt, c.RestoreFrom)
	case fsm.FailAttempt:
		return fmt.Sprintf(" %d: %s", c.Attempt, c.Cause)
	case fsm.RescaleJob:
		return fmt.Sprintf(" %d at checkpoint %d", c.Attempt, c.Checkpoint)
	case fsm.MoveJob:
		return fmt.Sprintf(" %d at checkpoint %d: %s", c.Attempt, c.Checkpoint, c.Cause)
	case fsm.EndJob:
		return fmt.Sprintf(" %s %s", c.Status, c.Failure)
	case fsm.GiveUpCheckpoint:
		return fmt.Sprintf(" %d: %s", c.Checkpoint, c.Cause)
	}
	return ""
}
