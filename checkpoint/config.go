package checkpoint

import (
	"fmt"
	"time"
)

// Config is a job's checkpointing policy, given at submission.
type Config struct {
	Interval           time.Duration // between periodic triggers; 0 means manual checkpoints only
	MinPause           time.Duration // from the last completion to the next periodic trigger
	Timeout            time.Duration // from the trigger to the abort of a checkpoint that has not completed
	MaxConcurrent      int           // pending checkpoints at a time
	TolerableFailures  int           // consecutive failed checkpoints before the job is restarted
	Mode               Mode
	Retain             int  // completed checkpoints kept
	RetainOnCancel     bool // keep the checkpoints of a cancelled job
	RestartInitial     time.Duration
	RestartMax         time.Duration
	RestartMultiplier  float64
	RestartResetAfter  time.Duration // a run this long without failure resets the delay
	RestartMaxAttempts int           // 0 means no bound
}

const maxRestartMultiplier = 1000

// DefaultConfig returns the policy of a job that sets nothing.
func DefaultConfig() Config {
	return Config{
		Interval:          10 * time.Second,
		Timeout:           10 * time.Minute,
		MaxConcurrent:     1,
		TolerableFailures: 3,
		Mode:              ExactlyOnce,
		Retain:            3,
		RestartInitial:    time.Second,
		RestartMax:        time.Minute,
		RestartMultiplier: 1.5,
		RestartResetAfter: 10 * time.Minute,
	}
}

// Validate returns an error that names the first field with a value that is not allowed, and what is.
func (c Config) Validate() error {
	switch {
	case c.Interval < 0:
		return fmt.Errorf("checkpointing.interval %s: must be 0 (manual only) or positive", c.Interval)
	case c.Interval > 0 && c.Interval < 10*time.Millisecond:
		return fmt.Errorf("checkpointing.interval %s: must be 0 or at least 10ms", c.Interval)
	case c.MinPause < 0:
		return fmt.Errorf("checkpointing.min_pause %s: must not be negative", c.MinPause)
	case c.Interval > 0 && c.Interval < c.MinPause:
		return fmt.Errorf("checkpointing.interval %s: must not be below checkpointing.min_pause %s", c.Interval, c.MinPause)
	case c.Timeout < 10*time.Millisecond:
		return fmt.Errorf("checkpointing.timeout %s: must be at least 10ms", c.Timeout)
	case c.MaxConcurrent < 1:
		return fmt.Errorf("checkpointing.max_concurrent %d: must be at least 1", c.MaxConcurrent)
	case c.TolerableFailures < 0:
		return fmt.Errorf("checkpointing.tolerable_failures %d: must not be negative", c.TolerableFailures)
	case c.Mode != ExactlyOnce && c.Mode != AtLeastOnce:
		return fmt.Errorf("checkpointing.mode %d: allowed are exactly_once and at_least_once", c.Mode)
	case c.Retain < 1:
		return fmt.Errorf("checkpointing.retain %d: must be at least 1", c.Retain)
	case c.RestartInitial <= 0 || c.RestartMax < c.RestartInitial:
		return fmt.Errorf("restart.initial_delay %s, restart.max_delay %s: they must be positive and ordered",
			c.RestartInitial, c.RestartMax)
	case !(c.RestartMultiplier >= 1 && c.RestartMultiplier <= maxRestartMultiplier): // NaN is neither
		return fmt.Errorf("restart.multiplier %g: must be between 1 and %d", c.RestartMultiplier, maxRestartMultiplier)
	case c.RestartMaxAttempts < 0:
		return fmt.Errorf("restart.max_attempts %d: must not be negative (0 means no bound)", c.RestartMaxAttempts)
	}
	return nil
}
