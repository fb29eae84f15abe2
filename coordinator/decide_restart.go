package coordinator

import (
	"cairn/checkpoint"
	"cairn/fsm"
)

// nextRestart is the exponential-delay strategy: each failure in a row multiplies the delay, a long
// enough run without one resets it. It reports false when no restart is left.
func nextRestart(j *fsm.Job, at checkpoint.Timestamp) (fsm.Restart, bool) {
	c, r := j.Config, j.Restart
	if c.Restart.MaxAttempts > 0 && r.Count >= c.Restart.MaxAttempts {
		return fsm.Restart{}, false
	}
	ranFor := int64(at - j.AttemptStartedAt)
	delay := c.Restart.InitialBackoff.Milliseconds()
	if r.Delay > 0 && ranFor < c.Restart.ResetBackoffThreshold.Milliseconds() {
		delay = min(int64(float64(r.Delay)*c.Restart.BackoffMultiplier), c.Restart.MaxBackoff.Milliseconds())
	}
	return fsm.Restart{
		Count: r.Count + 1, Delay: delay, NextAt: at + checkpoint.Timestamp(delay), LastFailureAt: at,
	}, true
}
