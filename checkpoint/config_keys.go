package checkpoint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// configKey is one key of a job's configuration as users write it.
type configKey struct {
	name    string
	allowed string // for the error message
	mutable bool   // may change while the job runs
	get     func(Config) string
	set     func(*Config, string) error
}

var configKeys = []configKey{
	mutable(durationKey("checkpointing.interval", func(c *Config) *time.Duration { return &c.Interval })),
	mutable(durationKey("checkpointing.min_pause", func(c *Config) *time.Duration { return &c.MinPause })),
	mutable(durationKey("checkpointing.timeout", func(c *Config) *time.Duration { return &c.Timeout })),
	intKey("checkpointing.max_concurrent", func(c *Config) *int { return &c.MaxConcurrent }),
	mutable(intKey("checkpointing.tolerable_failures", func(c *Config) *int { return &c.TolerableFailures })),
	wordKey("checkpointing.mode", "exactly_once or at_least_once", func(c *Config) *Mode { return &c.Mode }, ParseMode),
	wordKey("checkpointing.alignment", "aligned, unaligned or adaptive",
		func(c *Config) *Alignment { return &c.Alignment }, ParseAlignment),
	durationKey("checkpointing.alignment_timeout", func(c *Config) *time.Duration { return &c.AlignmentTimeout }),
	mutable(intKey("checkpointing.retain", func(c *Config) *int { return &c.Retain })),
	choiceKey("checkpointing.on_cancel", "delete", "retain", func(c *Config) *bool { return &c.RetainOnCancel }),
	choiceKey("checkpointing.after_tasks_finish", "false", "true", func(c *Config) *bool { return &c.AfterTasksFinish }),
	wordKey("state.backend", "memory or pebble", func(c *Config) *StateBackend { return &c.Backend }, ParseStateBackend),
	mutable(choiceKey("restore.fallback", "false", "true", func(c *Config) *bool { return &c.RestoreFallback })),
	wordKey("restart.strategy", "exponential_delay, fixed_delay, failure_rate or none",
		func(c *Config) *RestartStrategy { return &c.Restart.Strategy }, ParseRestartStrategy),
	durationKey("restart.exponential_delay.initial_backoff", func(c *Config) *time.Duration { return &c.Restart.InitialBackoff }),
	durationKey("restart.exponential_delay.max_backoff", func(c *Config) *time.Duration { return &c.Restart.MaxBackoff }),
	numberKey("restart.exponential_delay.backoff_multiplier", func(c *Config) *float64 { return &c.Restart.BackoffMultiplier }),
	durationKey("restart.exponential_delay.reset_backoff_threshold",
		func(c *Config) *time.Duration { return &c.Restart.ResetBackoffThreshold }),
	numberKey("restart.exponential_delay.jitter_factor", func(c *Config) *float64 { return &c.Restart.JitterFactor }),
	intKey("restart.exponential_delay.max_attempts", func(c *Config) *int { return &c.Restart.MaxAttempts }),
	intKey("restart.fixed_delay.attempts", func(c *Config) *int { return &c.Restart.Attempts }),
	durationKey("restart.delay", func(c *Config) *time.Duration { return &c.Restart.Delay }),
	intKey("restart.failure_rate.max_failures", func(c *Config) *int { return &c.Restart.MaxFailures }),
	durationKey("restart.failure_rate.interval", func(c *Config) *time.Duration { return &c.Restart.FailureInterval }),
}

// mutable marks a key whose value may change while the job runs.
func mutable(k configKey) configKey {
	k.mutable = true
	return k
}

func durationKey(name string, field func(*Config) *time.Duration) configKey {
	return configKey{
		name: name, allowed: "a duration, for example 500ms or 10s",
		get: func(c Config) string { return field(&c).String() },
		set: func(c *Config, s string) (err error) { *field(c), err = time.ParseDuration(s); return err },
	}
}

func intKey(name string, field func(*Config) *int) configKey {
	return configKey{
		name: name, allowed: "a whole number",
		get: func(c Config) string { return strconv.Itoa(*field(&c)) },
		set: func(c *Config, s string) (err error) { *field(c), err = strconv.Atoi(s); return err },
	}
}

func numberKey(name string, field func(*Config) *float64) configKey {
	return configKey{
		name: name, allowed: "a number, for example 1.5",
		get: func(c Config) string { return strconv.FormatFloat(*field(&c), 'g', -1, 64) },
		set: func(c *Config, s string) (err error) { *field(c), err = strconv.ParseFloat(s, 64); return err },
	}
}

// wordKey is a key with a type of its own.
func wordKey[T fmt.Stringer](name, allowed string, field func(*Config) *T, parse func(string) (T, error)) configKey {
	return configKey{
		name: name, allowed: allowed,
		get: func(c Config) string { return (*field(&c)).String() },
		set: func(c *Config, s string) (err error) { *field(c), err = parse(s); return err },
	}
}

// choiceKey is a key with two values: the one that means false and the one that means true.
func choiceKey(name, no, yes string, field func(*Config) *bool) configKey {
	return configKey{
		name: name, allowed: no + " or " + yes,
		get: func(c Config) string {
			if *field(&c) {
				return yes
			}
			return no
		},
		set: func(c *Config, s string) error {
			if s != no && s != yes {
				return strconv.ErrSyntax
			}
			*field(c) = s == yes
			return nil
		},
	}
}

// ParseConfig returns the default configuration changed by the given keys, validated. The error names the
// key, the value given and what is allowed.
func ParseConfig(values map[string]string) (Config, error) { return DefaultConfig().With(values) }

// With returns c changed by the given keys, validated. The error names the key, the value given and what is allowed.
func (c Config) With(values map[string]string) (Config, error) {
	known := make([]string, 0, len(configKeys))
	for _, k := range configKeys {
		known = append(known, k.name)
		value, given := values[k.name]
		if !given {
			continue
		}
		if err := k.set(&c, value); err != nil {
			return Config{}, fmt.Errorf("%s: %q is not allowed: want %s", k.name, value, k.allowed)
		}
	}
	unknown := make([]string, 0)
	for name := range values {
		if !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return Config{}, fmt.Errorf("unknown configuration key %q: known are %s", unknown[0], strings.Join(known, ", "))
	}
	return c, c.Validate()
}

// Values returns every key with its value, as ParseConfig reads them.
func (c Config) Values() map[string]string {
	values := make(map[string]string, len(configKeys))
	for _, k := range configKeys {
		values[k.name] = k.get(c)
	}
	return values
}
