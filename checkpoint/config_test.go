package checkpoint

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// otherValues has a value for every key that differs from the default, all of them valid together.
var otherValues = map[string]string{
	"checkpointing.interval":                            "2m0s",
	"checkpointing.min_pause":                           "1.5s",
	"checkpointing.timeout":                             "30s",
	"checkpointing.max_concurrent":                      "2",
	"checkpointing.tolerable_failures":                  "0",
	"checkpointing.mode":                                "at_least_once",
	"checkpointing.alignment":                           "aligned",
	"checkpointing.alignment_timeout":                   "0s",
	"checkpointing.retain":                              "10",
	"checkpointing.on_cancel":                           "retain",
	"checkpointing.after_tasks_finish":                  "false",
	"restore.fallback":                                  "true",
	"state.backend":                                     "pebble",
	"restart.strategy":                                  "failure_rate",
	"restart.exponential_delay.initial_backoff":         "2s",
	"restart.exponential_delay.max_backoff":             "5m0s",
	"restart.exponential_delay.backoff_multiplier":      "2.25",
	"restart.exponential_delay.reset_backoff_threshold": "1h0m0s",
	"restart.exponential_delay.jitter_factor":           "0",
	"restart.exponential_delay.max_attempts":            "7",
	"restart.fixed_delay.attempts":                      "3",
	"restart.delay":                                     "250ms",
	"restart.failure_rate.max_failures":                 "4",
	"restart.failure_rate.interval":                     "10m0s",
}

func TestConfigKeysRoundTrip(t *testing.T) {
	c, err := ParseConfig(otherValues)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Values(); !maps.Equal(got, otherValues) {
		t.Errorf("got %v, want %v", got, otherValues)
	}
	if again, err := ParseConfig(c.Values()); err != nil || again != c {
		t.Errorf("values do not round-trip: %+v, %v", again, err)
	}
	if c, err := ParseConfig(nil); err != nil || c != DefaultConfig() {
		t.Errorf("no values give %+v, %v: not the defaults", c, err)
	}
	defaults := DefaultConfig().Values()
	for key, value := range otherValues {
		if defaults[key] == value {
			t.Errorf("%s=%s is the default: the test shows nothing of it", key, value)
		}
	}
}

// TestEveryFieldOfAConfigHasAKey: one without could neither be shown nor compared.
func TestEveryFieldOfAConfigHasAKey(t *testing.T) {
	var visit func(path string, v reflect.Value, whole *Config)
	visit = func(path string, v reflect.Value, whole *Config) {
		for i := range v.NumField() {
			field, name := v.Field(i), path+"."+v.Type().Field(i).Name
			before := whole.Values()
			switch field.Kind() {
			case reflect.Struct:
				visit(name, field, whole)
				continue
			case reflect.Bool:
				field.SetBool(!field.Bool())
			case reflect.Float64:
				field.SetFloat(field.Float() + 1)
			case reflect.Uint8:
				field.SetUint(field.Uint() + 1)
			default:
				field.SetInt(field.Int() + 1)
			}
			changed := 0
			for key, value := range whole.Values() {
				if before[key] != value {
					changed++
				}
			}
			if changed != 1 {
				t.Errorf("a change of %s shows in %d keys, want 1", name, changed)
			}
		}
	}
	c := DefaultConfig()
	visit("Config", reflect.ValueOf(&c).Elem(), &c)
}

func TestWithChangesOnlyWhatIsGiven(t *testing.T) {
	base, err := ParseConfig(otherValues)
	if err != nil {
		t.Fatal(err)
	}
	got, err := base.With(map[string]string{"checkpointing.retain": "5"})
	want := base
	want.Retain = 5
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

// TestBadConfigurations: the error names the key and the value that was given.
func TestBadConfigurations(t *testing.T) {
	const key = "checkpointing."
	tests := []struct {
		name   string
		values map[string]string
		want   []string
	}{
		{"unknown key", map[string]string{key + "intervall": "1s"}, []string{`"checkpointing.intervall"`, "checkpointing.interval,"}},
		{"several unknown keys", map[string]string{"b": "", "a": "", "c": ""}, []string{`"a"`}},
		{"not a duration", map[string]string{key + "timeout": "soon"}, []string{key + "timeout", `"soon"`, "10s"}},
		{"a duration without unit", map[string]string{key + "interval": "10"}, []string{key + "interval", `"10"`}},
		{"negative interval", map[string]string{key + "interval": "-1s"}, []string{key + "interval", "-1s"}},
		{"tiny interval", map[string]string{key + "interval": "9ms"}, []string{key + "interval", "9ms", "10ms"}},
		{"negative pause", map[string]string{key + "min_pause": "-1s"}, []string{key + "min_pause", "-1s"}},
		{"interval below pause", map[string]string{key + "min_pause": "11s"}, []string{key + "interval", "10s", key + "min_pause", "11s"}},
		{"no timeout", map[string]string{key + "timeout": "0s"}, []string{key + "timeout", "0s", "10ms"}},
		{"none concurrent", map[string]string{key + "max_concurrent": "0"}, []string{key + "max_concurrent", "0", "1"}},
		{"too many concurrent", map[string]string{key + "max_concurrent": "1001"}, []string{key + "max_concurrent", "1001", "1000"}},
		{"not a number", map[string]string{key + "retain": "all"}, []string{key + "retain", `"all"`, "whole number"}},
		{"negative tolerance", map[string]string{key + "tolerable_failures": "-1"}, []string{key + "tolerable_failures", "-1"}},
		{"not a mode", map[string]string{key + "mode": "twice"}, []string{key + "mode", `"twice"`, "exactly_once or at_least_once"}},
		{"not an alignment", map[string]string{key + "alignment": "skewed"}, []string{key + "alignment", `"skewed"`, "adaptive"}},
		{"unaligned at least once", map[string]string{key + "alignment": "unaligned", key + "mode": "at_least_once"}, []string{key + "alignment", "unaligned", "exactly_once"}},
		{"negative alignment timeout", map[string]string{key + "alignment_timeout": "-1ms"}, []string{key + "alignment_timeout", "-1ms"}},
		{"retain none", map[string]string{key + "retain": "0"}, []string{key + "retain", "0"}},
		{"retain too many", map[string]string{key + "retain": "1001"}, []string{key + "retain", "1001", "1000"}},
		{"not a choice", map[string]string{key + "on_cancel": "keep"}, []string{key + "on_cancel", `"keep"`, "delete or retain"}},
		{"not a truth", map[string]string{key + "after_tasks_finish": "yes"}, []string{key + "after_tasks_finish", `"yes"`, "false or true"}},
		{"not a strategy", map[string]string{"restart.strategy": "forever"}, []string{"restart.strategy", `"forever"`, "failure_rate"}},
		{"no first backoff", map[string]string{"restart.exponential_delay.initial_backoff": "0s"}, []string{"initial_backoff", "0s"}},
		{"backoffs out of order", map[string]string{"restart.exponential_delay.max_backoff": "10ms"}, []string{"max_backoff", "10ms", "initial_backoff", "1s"}},
		{"shrinking backoff", map[string]string{"restart.exponential_delay.backoff_multiplier": "0.5"}, []string{"backoff_multiplier", "0.5"}},
		{"multiplier that is no number", map[string]string{"restart.exponential_delay.backoff_multiplier": "NaN"}, []string{"backoff_multiplier", "NaN"}},
		{"endless multiplier", map[string]string{"restart.exponential_delay.backoff_multiplier": "+Inf"}, []string{"backoff_multiplier", "Inf", "1000"}},
		{"negative reset", map[string]string{"restart.exponential_delay.reset_backoff_threshold": "-1s"}, []string{"reset_backoff_threshold", "-1s"}},
		{"jitter above 1", map[string]string{"restart.exponential_delay.jitter_factor": "1.1"}, []string{"jitter_factor", "1.1"}},
		{"jitter that is no number", map[string]string{"restart.exponential_delay.jitter_factor": "NaN"}, []string{"jitter_factor", "NaN"}},
		{"negative attempts of exponential delay", map[string]string{"restart.exponential_delay.max_attempts": "-1"}, []string{"max_attempts", "-1"}},
		{"negative attempts of fixed delay", map[string]string{"restart.fixed_delay.attempts": "-1"}, []string{"fixed_delay.attempts", "-1"}},
		{"negative delay", map[string]string{"restart.delay": "-1s"}, []string{"restart.delay", "-1s"}},
		{"negative failures", map[string]string{"restart.failure_rate.max_failures": "-1"}, []string{"max_failures", "-1"}},
		{"too many failures", map[string]string{"restart.failure_rate.max_failures": "1001"}, []string{"max_failures", "1001", "1000"}},
		{"no window", map[string]string{"restart.failure_rate.interval": "0s"}, []string{"failure_rate.interval", "0s"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseConfig(test.values)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

// TestConfigsThatNoKeyReaches are refused too: configurations also arrive in commands.
func TestConfigsThatNoKeyReaches(t *testing.T) {
	for want, spoil := range map[string]func(*Config){
		"checkpointing.mode 0":      func(c *Config) { c.Mode = 0 },
		"checkpointing.alignment 4": func(c *Config) { c.Alignment = AlignmentAdaptive + 1 },
		"checkpointing.alignment 0": func(c *Config) { c.Alignment = 0 },
		"restart.strategy 0":        func(c *Config) { c.Restart.Strategy = 0 },
		"restart.strategy 5":        func(c *Config) { c.Restart.Strategy = NoRestart + 1 },
	} {
		c := DefaultConfig()
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

// TestWhatMayChangeAtRunTime changes each key in turn.
func TestWhatMayChangeAtRunTime(t *testing.T) {
	mutable := []string{
		"checkpointing.interval", "checkpointing.min_pause", "checkpointing.timeout", "checkpointing.tolerable_failures",
		"checkpointing.retain", "restore.fallback",
	}
	for key, value := range otherValues {
		base := DefaultConfig()
		next, err := base.With(map[string]string{key: value})
		if err != nil {
			t.Fatal(err)
		}
		err = base.Mutable(next)
		if slices.Contains(mutable, key) {
			if err != nil {
				t.Errorf("%s: %v", key, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%s may change", key)
			continue
		}
		for _, want := range []string{key, base.Values()[key], value, "savepoint"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not say %q", err, want)
			}
		}
	}
	if err := DefaultConfig().Mutable(DefaultConfig()); err != nil {
		t.Errorf("no change: %v", err)
	}
}

func TestDefaultConfigIsValid(t *testing.T) {
	c := DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	if c.Interval != 10*time.Second || c.MinPause != 0 || c.Timeout != 10*time.Minute || c.MaxConcurrent != 1 ||
		c.TolerableFailures != 3 || c.Retain != 3 || c.Alignment != AlignmentAdaptive || !c.AfterTasksFinish {
		t.Errorf("defaults %+v", c)
	}
}
