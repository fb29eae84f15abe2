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
	get     func(Config) string
	set     func(*Config, string) error
}

var configKeys = []configKey{
	durationKey("checkpointing.interval", func(c *Config) *time.Duration { return &c.Interval }),
	durationKey("checkpointing.min_pause", func(c *Config) *time.Duration { return &c.MinPause }),
	durationKey("checkpointing.timeout", func(c *Config) *time.Duration { return &c.Timeout }),
	intKey("checkpointing.max_concurrent", func(c *Config) *int { return &c.MaxConcurrent }),
	intKey("checkpointing.tolerable_failures", func(c *Config) *int { return &c.TolerableFailures }),
	{
		name: "checkpointing.mode", allowed: "exactly_once or at_least_once",
		get: func(c Config) string { return c.Mode.String() },
		set: func(c *Config, s string) (err error) { c.Mode, err = ParseMode(s); return err },
	},
	intKey("checkpointing.retain", func(c *Config) *int { return &c.Retain }),
	{
		name: "checkpointing.on_cancel", allowed: "delete or retain",
		get: func(c Config) string { return map[bool]string{false: "delete", true: "retain"}[c.RetainOnCancel] },
		set: func(c *Config, s string) error {
			c.RetainOnCancel = s == "retain"
			if s != "retain" && s != "delete" {
				return strconv.ErrSyntax
			}
			return nil
		},
	},
	durationKey("restart.initial_delay", func(c *Config) *time.Duration { return &c.RestartInitial }),
	durationKey("restart.max_delay", func(c *Config) *time.Duration { return &c.RestartMax }),
	{
		name: "restart.multiplier", allowed: "a number of at least 1, for example 1.5",
		get: func(c Config) string { return strconv.FormatFloat(c.RestartMultiplier, 'g', -1, 64) },
		set: func(c *Config, s string) (err error) {
			c.RestartMultiplier, err = strconv.ParseFloat(s, 64)
			return err
		},
	},
	durationKey("restart.reset_after", func(c *Config) *time.Duration { return &c.RestartResetAfter }),
	intKey("restart.max_attempts", func(c *Config) *int { return &c.RestartMaxAttempts }),
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

// ParseConfig returns the default configuration changed by the given keys, validated. The error names the
// key, the value given and what is allowed.
func ParseConfig(values map[string]string) (Config, error) {
	c := DefaultConfig()
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
