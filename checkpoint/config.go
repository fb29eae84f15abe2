package checkpoint

import (
	"fmt"
	"time"
)

// Config is a job's policy, given at submission. Mutable lists what may change afterwards.
type Config struct {
	Interval          time.Duration // between periodic triggers; 0 means manual checkpoints only
	MinPause          time.Duration // from the last completion to the next periodic trigger
	Timeout           time.Duration // from the commit of the beginning to the abort of a checkpoint that has not completed
	MaxConcurrent     int           // pending checkpoints at a time
	TolerableFailures int           // consecutive failed checkpoints before the job is restarted
	Mode              Mode
	Alignment         Alignment
	AlignmentTimeout  time.Duration // with AlignmentAdaptive: from aligned to unaligned
	Retain            int           // completed checkpoints kept
	RetainOnCancel    bool          // keep the checkpoints of a cancelled job
	// AfterTasksFinish lets checkpoints go on when some subtasks have finished. Without it, subtasks finish
	// without waiting for a final checkpoint, and none begins after the first has.
	AfterTasksFinish bool
	Backend          StateBackend
	// RestoreFallback lets the job go back to an older checkpoint when the newest one cannot be read any more. Sinks have
	// published what that one covered: records may be published twice.
	RestoreFallback bool
	Restart         RestartConfig
}

// Bounds of what a user may ask for. The upper ones keep the replicated state bounded.
const (
	minInterval      = 10 * time.Millisecond
	maxMaxConcurrent = 1000
	maxRetain        = 1000
)

// DefaultConfig returns the policy of a job that sets nothing.
func DefaultConfig() Config {
	return Config{
		Interval:          10 * time.Second,
		Timeout:           10 * time.Minute,
		MaxConcurrent:     1,
		TolerableFailures: 3,
		Mode:              ExactlyOnce,
		Alignment:         AlignmentAdaptive,
		AlignmentTimeout:  10 * time.Second,
		Retain:            3,
		AfterTasksFinish:  true,
		Restart:           DefaultRestartConfig(),
	}
}

// Validate returns an error that names the first key with a value that is not allowed, the value, and what is
// allowed.
func (c Config) Validate() error {
	switch {
	case c.Interval < 0 || c.Interval > 0 && c.Interval < minInterval:
		return fmt.Errorf("checkpointing.interval %s: must be 0 (manual only) or at least %s", c.Interval, minInterval)
	case c.MinPause < 0:
		return fmt.Errorf("checkpointing.min_pause %s: must not be negative", c.MinPause)
	case c.Interval > 0 && c.Interval < c.MinPause:
		return fmt.Errorf("checkpointing.interval %s: must not be below checkpointing.min_pause %s; raise the one or lower the other",
			c.Interval, c.MinPause)
	case c.Timeout < minInterval:
		return fmt.Errorf("checkpointing.timeout %s: must be at least %s", c.Timeout, minInterval)
	case c.MaxConcurrent < 1 || c.MaxConcurrent > maxMaxConcurrent:
		return fmt.Errorf("checkpointing.max_concurrent %d: must be between 1 and %d", c.MaxConcurrent, maxMaxConcurrent)
	case c.TolerableFailures < 0:
		return fmt.Errorf("checkpointing.tolerable_failures %d: must not be negative", c.TolerableFailures)
	case c.Mode != ExactlyOnce && c.Mode != AtLeastOnce:
		return fmt.Errorf("checkpointing.mode %d: allowed are exactly_once and at_least_once", c.Mode)
	case c.Alignment < AlignmentAligned || c.Alignment > AlignmentAdaptive:
		return fmt.Errorf("checkpointing.alignment %d: allowed are aligned, unaligned and adaptive", c.Alignment)
	case c.Alignment == AlignmentUnaligned && c.Mode == AtLeastOnce:
		return fmt.Errorf("checkpointing.alignment unaligned: needs checkpointing.mode exactly_once, is %s", c.Mode)
	case c.AlignmentTimeout < 0:
		return fmt.Errorf("checkpointing.alignment_timeout %s: must not be negative", c.AlignmentTimeout)
	case c.Retain < 1 || c.Retain > maxRetain:
		return fmt.Errorf("checkpointing.retain %d: must be between 1 and %d", c.Retain, maxRetain)
	case c.Backend > BackendPebble:
		return fmt.Errorf("state.backend %d: allowed are memory and pebble", c.Backend)
	}
	return c.Restart.Validate()
}

// Mutable reports whether the configuration of a submitted job may change from c to next, and names the first key
// that may not and the value that it has to keep.
func (c Config) Mutable(next Config) error {
	from, to := c.Values(), next.Values()
	for _, k := range configKeys {
		if from[k.name] != to[k.name] && !k.mutable {
			return fmt.Errorf("%s is fixed at submission: it is %s, and %s was asked for; submit the job again from a savepoint to change it",
				k.name, from[k.name], to[k.name])
		}
	}
	return nil
}
