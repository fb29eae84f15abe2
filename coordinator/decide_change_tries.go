package coordinator

import (
	"fmt"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// turnRetry is the least time between two tries to take the checkpoint at which a job leaves a drained node. It doubles
// with every further one that fails, up to turnRetryMost: such a checkpoint stands in the way of the others while it is pending.
const (
	turnRetry     = 5 * time.Second
	turnRetryMost = 5 * time.Minute
)

// turnTries are the aligned checkpoints that this leader has begun in the attempt, so that it may end at one.
type turnTries struct {
	last     checkpoint.ID // 0 for none
	begunAt  time.Time     // when it began
	failures int           // in a row
	failure  string        // of the last one: which it was, why it failed, and what can be done; empty for none
}

// failed takes in that a checkpoint was aborted.
func (t *turnTries) failed(c fsm.AbortCheckpoint) {
	if c.Checkpoint != t.last {
		return
	}
	t.failures++
	t.failure = fmt.Sprintf("checkpoint %d, which was taken for that, failed: %s", c.Checkpoint, turnFailure(c.Reason, c.Message))
}

// pause is how long after the last try began the next may.
func (t *turnTries) pause() time.Duration {
	pause := turnRetry
	for range t.failures - 1 {
		if pause *= 2; pause >= turnRetryMost {
			return turnRetryMost
		}
	}
	return pause
}

// turnFailure says why a checkpoint failed at which the attempt was to end. Where its barriers were stuck behind records,
// which the job's own checkpoints may overtake and this one must not, it says so and what helps.
func turnFailure(reason checkpoint.Reason, message string) string {
	text := reason.String()
	if message != "" {
		text += ": " + message
	}
	if reason == checkpoint.ReasonExpired {
		text += ". It is aligned, so its barriers wait behind the records in flight: under backpressure that takes long. " +
			`"coord job metrics" shows which subtask is slow; relieve it, or raise checkpointing.timeout with "coord job set"`
	}
	return text
}
