package checkpoint

import (
	"fmt"
	"time"
)

// RestartStrategy says when a job whose attempt has failed starts another one: Flink's strategies. The numbers are
// persisted.
type RestartStrategy uint8

const (
	// ExponentialDelay waits longer after each failure in a row.
	ExponentialDelay RestartStrategy = 1
	// FixedDelay restarts a fixed number of times, after the same delay each.
	FixedDelay RestartStrategy = 2
	// FailureRate restarts until too many failures fall into one interval.
	FailureRate RestartStrategy = 3
	// NoRestart fails the job at its first failure.
	NoRestart RestartStrategy = 4
)

var restartStrategies = []RestartStrategy{ExponentialDelay, FixedDelay, FailureRate, NoRestart}

// String returns the configuration word for the strategy.
func (s RestartStrategy) String() string {
	switch s {
	case ExponentialDelay:
		return "exponential_delay"
	case FixedDelay:
		return "fixed_delay"
	case FailureRate:
		return "failure_rate"
	case NoRestart:
		return "none"
	}
	return fmt.Sprintf("strategy(%d)", uint8(s))
}

// ParseRestartStrategy reads the form that String writes.
func ParseRestartStrategy(s string) (RestartStrategy, error) {
	for _, strategy := range restartStrategies {
		if strategy.String() == s {
			return strategy, nil
		}
	}
	return 0, fmt.Errorf("restart strategy %q: allowed are exponential_delay, fixed_delay, failure_rate and none", s)
}

// RestartConfig holds the parameters of every strategy; the chosen one reads its own.
type RestartConfig struct {
	Strategy RestartStrategy

	InitialBackoff        time.Duration // exponential_delay: the first delay
	MaxBackoff            time.Duration // exponential_delay: the longest
	BackoffMultiplier     float64       // exponential_delay: from one delay to the next
	ResetBackoffThreshold time.Duration // exponential_delay: an attempt this long without failure resets the delay
	JitterFactor          float64       // exponential_delay: the delay is spread by this share of it, either way
	MaxAttempts           int           // exponential_delay: restarts without a reset before the job fails; 0 means no bound

	Attempts int           // fixed_delay: restarts before the job fails
	Delay    time.Duration // fixed_delay and failure_rate: before each restart

	MaxFailures     int           // failure_rate: failures within FailureInterval that are still followed by a restart
	FailureInterval time.Duration // failure_rate
}

// DefaultRestartConfig returns exponential delay, 1 s to 1 min.
func DefaultRestartConfig() RestartConfig {
	return RestartConfig{
		Strategy:       ExponentialDelay,
		InitialBackoff: time.Second, MaxBackoff: time.Minute, BackoffMultiplier: 1.5,
		ResetBackoffThreshold: 10 * time.Minute, JitterFactor: 0.1,
		Attempts: 1, Delay: time.Second, MaxFailures: 1, FailureInterval: time.Minute,
	}
}

const (
	maxBackoffMultiplier = 1000
	// maxMaxFailures bounds the failure times that the state of a job holds.
	maxMaxFailures = 1000
)

// Validate returns an error that names the first key with a value that is not allowed, the value, and what is
// allowed. Parameters of strategies that are not chosen are checked too: the strategy may be what is mistaken.
func (r RestartConfig) Validate() error {
	switch {
	case r.Strategy < ExponentialDelay || r.Strategy > NoRestart:
		return fmt.Errorf("restart.strategy %d: allowed are exponential_delay, fixed_delay, failure_rate and none", r.Strategy)
	case r.InitialBackoff <= 0:
		return fmt.Errorf("restart.exponential_delay.initial_backoff %s: must be positive", r.InitialBackoff)
	case r.MaxBackoff < r.InitialBackoff:
		return fmt.Errorf("restart.exponential_delay.max_backoff %s: must not be below restart.exponential_delay.initial_backoff %s",
			r.MaxBackoff, r.InitialBackoff)
	case !(r.BackoffMultiplier >= 1 && r.BackoffMultiplier <= maxBackoffMultiplier): // NaN is neither
		return fmt.Errorf("restart.exponential_delay.backoff_multiplier %g: must be between 1 and %d", r.BackoffMultiplier, maxBackoffMultiplier)
	case r.ResetBackoffThreshold < 0:
		return fmt.Errorf("restart.exponential_delay.reset_backoff_threshold %s: must not be negative", r.ResetBackoffThreshold)
	case !(r.JitterFactor >= 0 && r.JitterFactor <= 1):
		return fmt.Errorf("restart.exponential_delay.jitter_factor %g: must be between 0 and 1", r.JitterFactor)
	case r.MaxAttempts < 0:
		return fmt.Errorf("restart.exponential_delay.max_attempts %d: must not be negative (0 means no bound)", r.MaxAttempts)
	case r.Attempts < 0:
		return fmt.Errorf("restart.fixed_delay.attempts %d: must not be negative", r.Attempts)
	case r.Delay < 0:
		return fmt.Errorf("restart.delay %s: must not be negative", r.Delay)
	case r.MaxFailures < 0 || r.MaxFailures > maxMaxFailures:
		return fmt.Errorf("restart.failure_rate.max_failures %d: must be between 0 and %d", r.MaxFailures, maxMaxFailures)
	case r.FailureInterval <= 0:
		return fmt.Errorf("restart.failure_rate.interval %s: must be positive", r.FailureInterval)
	}
	return nil
}
