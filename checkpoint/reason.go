package checkpoint

import "fmt"

// Reason says why a checkpoint failed, or could not begin. The names are those of Flink's CheckpointFailureReason, in
// lower case; the numbers are persisted and never reused.
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
	// ReasonTaskClosing: a subtask finished before the barrier reached it.
	ReasonTaskClosing Reason = 5
	// ReasonFinalizeFailure: the manifest could not be written.
	ReasonFinalizeFailure Reason = 6
	// ReasonCoordinatorShutdown: the job was cancelled or ended while the checkpoint was pending.
	ReasonCoordinatorShutdown Reason = 7
	// ReasonAsyncException: a subtask captured its state and failed to store it.
	ReasonAsyncException Reason = 8
	// ReasonDeclinedSubsumed: a subtask met a newer barrier during its alignment.
	ReasonDeclinedSubsumed Reason = 9
	// ReasonTaskNotReady: the trigger reached a subtask that had not started yet.
	ReasonTaskNotReady Reason = 10
	// ReasonCancellationBarrier: a subtask upstream had given the checkpoint up.
	ReasonCancellationBarrier Reason = 11
	// ReasonIOException: the coordinator could not reach the state store.
	ReasonIOException Reason = 12

	// The rest say why a checkpoint did not begin. It has no ID then.

	// ReasonNotAllTasksRunning: a subtask is not running (yet).
	ReasonNotAllTasksRunning Reason = 32
	// ReasonTooManyRequests: the queue of requests is full of more urgent ones.
	ReasonTooManyRequests Reason = 33
	// ReasonMinimumTime: a periodic checkpoint within the minimum pause.
	ReasonMinimumTime Reason = 34
	// ReasonSchedulerShutdown: a periodic checkpoint after periodic checkpointing was switched off.
	ReasonSchedulerShutdown Reason = 35
	// ReasonTriggerFailure: the beginning could not be committed.
	ReasonTriggerFailure Reason = 36
)

var reasonNames = map[Reason]string{
	ReasonDeclined:            "checkpoint_declined",
	ReasonExpired:             "checkpoint_expired",
	ReasonSubsumed:            "checkpoint_subsumed",
	ReasonTaskFailure:         "task_failure",
	ReasonTaskClosing:         "checkpoint_declined_task_closing",
	ReasonFinalizeFailure:     "finalize_checkpoint_failure",
	ReasonCoordinatorShutdown: "checkpoint_coordinator_shutdown",
	ReasonAsyncException:      "checkpoint_async_exception",
	ReasonDeclinedSubsumed:    "checkpoint_declined_subsumed",
	ReasonTaskNotReady:        "checkpoint_declined_task_not_ready",
	ReasonCancellationBarrier: "checkpoint_declined_on_cancellation_barrier",
	ReasonIOException:         "io_exception",
	ReasonNotAllTasksRunning:  "not_all_required_tasks_running",
	ReasonTooManyRequests:     "too_many_checkpoint_requests",
	ReasonMinimumTime:         "minimum_time_between_checkpoints",
	ReasonSchedulerShutdown:   "periodic_scheduler_shutdown",
	ReasonTriggerFailure:      "trigger_checkpoint_failure",
}

// String returns the reason's name.
func (r Reason) String() string {
	if name, known := reasonNames[r]; known {
		return name
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

// Counts reports whether the failure counts against Config.TolerableFailures, by the rule of Flink's
// CheckpointFailureManager: what the job's own snapshotting did wrong counts, what ended the checkpoint from outside
// does not.
func (r Reason) Counts() bool {
	switch r {
	case ReasonDeclined, ReasonExpired, ReasonFinalizeFailure, ReasonAsyncException, ReasonIOException:
		return true
	}
	return false
}

// PreFlight reports whether the reason is one for which a checkpoint does not begin at all.
func (r Reason) PreFlight() bool { return r >= ReasonNotAllTasksRunning && r <= ReasonTriggerFailure }
