package checkpoint

import "fmt"

// Reason says why a checkpoint failed. The names are those of Flink's CheckpointFailureReason, in lower
// case; the numbers are persisted and never reused.
type Reason uint8

const (
	// ReasonDeclined: a subtask could not take its snapshot.
	ReasonDeclined Reason = 1
	// ReasonExpired: not all subtasks acknowledged within the timeout.
	ReasonExpired Reason = 2
	// ReasonSubsumed: a newer checkpoint completed first.
	ReasonSubsumed Reason = 3
	// ReasonTaskFailure: a subtask failed, so that its attempt ended.
	ReasonTaskFailure Reason = 4
	// ReasonTaskFinished: a subtask finished before the barrier reached it.
	ReasonTaskFinished Reason = 5
	// ReasonFinalizeFailure: the manifest could not be written.
	ReasonFinalizeFailure Reason = 6
	// ReasonCoordinatorShutdown: the job was cancelled or ended while the checkpoint was pending.
	ReasonCoordinatorShutdown Reason = 7
)

// String returns the reason's name.
func (r Reason) String() string {
	switch r {
	case ReasonDeclined:
		return "checkpoint_declined"
	case ReasonExpired:
		return "checkpoint_expired"
	case ReasonSubsumed:
		return "checkpoint_subsumed"
	case ReasonTaskFailure:
		return "task_failure"
	case ReasonTaskFinished:
		return "checkpoint_declined_task_closing"
	case ReasonFinalizeFailure:
		return "finalize_checkpoint_failure"
	case ReasonCoordinatorShutdown:
		return "checkpoint_coordinator_shutdown"
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

// Counts reports whether the failure counts against Config.TolerableFailures, by Flink's rule
// (CheckpointFailureManager): what the job's own snapshotting did wrong counts, what ended the checkpoint
// from outside does not.
func (r Reason) Counts() bool {
	switch r {
	case ReasonDeclined, ReasonExpired, ReasonFinalizeFailure:
		return true
	}
	return false
}
