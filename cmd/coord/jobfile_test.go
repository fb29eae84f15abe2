package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func writeJobFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "job.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestJobFile(t *testing.T) {
	for name, text := range map[string]string{
		"nested": `
name: wc
program: wordcount   # what the nodes run
params:
  input: /a,/b
  rate: 100
  dotted.key: "yes"
checkpointing:
  interval: 500ms
  retain: 5
  after_tasks_finish: false
restart:
  strategy: fixed_delay
  delay: 2s
  fixed_delay:
    attempts: 3
  exponential_delay: {backoff_multiplier: 2.5}
`,
		"dotted": `
name: "wc"
program: 'wordcount'
params: {input: "/a,/b", rate: 100, dotted.key: 'yes'}
checkpointing.interval: 500ms
checkpointing.retain: 5
checkpointing: {after_tasks_finish: false}
restart.strategy: fixed_delay
restart:
  delay: 2s
  fixed_delay.attempts: 3
restart.exponential_delay.backoff_multiplier: 2.5
`,
		"JSON": `{"name": "wc", "program": "wordcount", "params": {"input": "/a,/b", "rate": 100, "dotted.key": "yes"},
 "checkpointing": {"interval": "500ms", "retain": 5, "after_tasks_finish": false},
 "restart": {"strategy": "fixed_delay", "delay": "2s", "fixed_delay": {"attempts": 3}, "exponential_delay": {"backoff_multiplier": 2.5}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			f, err := readJobFile(writeJobFile(t, text))
			if err != nil {
				t.Fatal(err)
			}
			params := map[string]string{"input": "/a,/b", "rate": "100", "dotted.key": "yes"}
			config := map[string]string{
				"checkpointing.interval": "500ms", "checkpointing.retain": "5", "checkpointing.after_tasks_finish": "false",
				"restart.strategy": "fixed_delay", "restart.delay": "2s", "restart.fixed_delay.attempts": "3",
				"restart.exponential_delay.backoff_multiplier": "2.5",
			}
			if f.name != "wc" || f.program != "wordcount" || !reflect.DeepEqual(f.params, params) || !reflect.DeepEqual(f.config, config) {
				t.Errorf("read %q %q %v %v", f.name, f.program, f.params, f.config)
			}
			if err := f.check(f.config); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestJobFileErrors(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"unknown key", "checkpointing:\n  intervall: 10s\n", `:2:3: unknown key "checkpointing.intervall"; did you mean "checkpointing.interval"?`},
		{"unknown dotted key", "checkpointing.retian: 3\n", `:1:1: unknown key "checkpointing.retian"; did you mean "checkpointing.retain"?`},
		{"unknown section", "name: x\ncheckpoint:\n  interval: 10s\n", `:2:1: unknown key "checkpoint"; did you mean "checkpointing"?`},
		{"unknown nested section", "restart:\n  fixed-delay:\n    attempts: 3\n", `:2:3: unknown key "restart.fixed-delay"; did you mean "restart.fixed_delay"?`},
		{"unknown and like nothing", "colour: red\n", `:1:1: unknown key "colour"; known are name, program, params, checkpointing.after_tasks_finish, `},
		{"twice", "checkpointing.retain: 3\ncheckpointing:\n  retain: 3\n", ":3:3: checkpointing.retain is given twice, first in line 1"},
		{"list", "checkpointing:\n  retain: [3]\n", ":2:3: checkpointing.retain: want a single value, not a list"},
		{"no value", "checkpointing:\n  retain:\n", ":2:3: checkpointing.retain: want a single value, not nothing"},
		{"section without keys", "checkpointing: 10s\n", `:1:16: checkpointing: want KEY: VALUE, not "10s"`},
		{"key with keys", "program:\n  name: x\n", ":1:1: program: want a single value, not keys with values"},
		{"param with keys", "params:\n  a: {b: c}\n", ":2:3: params.a: want a single value, not keys with values"},
		{"alias", "params:\n  a: &x 1\n  b: *x\n", ":2:3: params.a: want a single value, not an anchor, alias or tag"},
		{"a list at the top", "- name: x\n", ":1:1: want KEY: VALUE, not a list"},
		{"just a word", "wordcount\n", `:1:1: want KEY: VALUE, not "wordcount"`},
		{"number as a key", "3: x\n", `:1:1: "3" is no key`},
		{"negative", "checkpointing:\n  min_pause: -1s\n", ":2:14: checkpointing.min_pause -1s: must not be negative"},
		{"not a duration", "checkpointing:\n  timeout: ten\n", `:2:12: checkpointing.timeout: "ten" is not allowed: want a duration`},
		{"out of range", "name: x\nrestart.failure_rate.max_failures: 1001\n", ":2:36: restart.failure_rate.max_failures 1001: must be between 0 and 1000"},
		{
			"interval below the pause", "checkpointing:\n  min_pause: 1m\n  retain: 5\n",
			":2:14: checkpointing.interval 10s: must not be below checkpointing.min_pause 1m0s; raise the one or lower the other",
		},
		{"same key twice", "name: x\nname: y\n", ` mapping key "name" already defined at [1:1]`},
		{"not YAML", "name: [x\n", "sequence end token ']' not found"},
		{"two documents", "name: x\n---\nname: y\n", "want one YAML document"},
		{"empty", "", "want one YAML document"},
		{"too large", "# " + strings.Repeat("x", maxJobFile), "it has more than 1 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := writeJobFile(t, c.text)
			f, err := readJobFile(path)
			if err == nil {
				err = f.check(f.config)
			}
			if err == nil || !strings.HasPrefix(err.Error(), path) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got:  %v\nwant: …%s", err, c.want)
			}
		})
	}
	if _, err := readJobFile(filepath.Join(t.TempDir(), "missing.yaml")); err == nil || !strings.Contains(err.Error(), "missing.yaml: no such file") {
		t.Errorf("missing file: %v", err)
	}
}

// A flag that is mistaken is not blamed on the file.
func TestJobFileIsNotToBlameForFlags(t *testing.T) {
	path := writeJobFile(t, "program: wc\ncheckpointing:\n  min_pause: 1s\n")
	r := newBench().run(t, "job", "submit", "--config", path, "--set", "checkpointing.min_pause=-1s")
	if r != (result{1, "", "Error: checkpointing.min_pause -1s: must not be negative\n"}) {
		t.Errorf("%+v", r)
	}
}

func FuzzJobFile(f *testing.F) {
	f.Add("checkpointing: {interval: 10s}\n")
	f.Add("params:\n  a: &x 1\n  b: *x\n")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := readJobFile(writeJobFile(t, text))
		if err != nil {
			return
		}
		for key := range file.config {
			if file.at[key] == nil {
				t.Errorf("%s stands nowhere", key)
			}
		}
	})
}
