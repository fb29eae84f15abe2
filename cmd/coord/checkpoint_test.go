package main

import (
	"context"
	"strings"
	"testing"

	"cairn/api"
)

func TestTriggerReportsTheOutcome(t *testing.T) {
	for _, c := range []struct {
		name    string
		outcome api.Checkpoint
		code    int
		stderr  string
	}{
		{"completed", exampleCheckpoints()[1], 0, ""},
		{
			"failed", exampleCheckpoints()[2], 1,
			"Error: checkpoint 40 of job wordcount failed: checkpoint_expired: count[0] on n2; has not acknowledged\n",
		},
		{"without outcome", exampleCheckpoints()[0], 1, "Error: checkpoint 42 of job wordcount is in_progress\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench()
			b.service.trigger = func(context.Context) (api.Checkpoint, error) { return c.outcome, nil }
			r := b.run(t, "checkpoint", "trigger", "wordcount")
			if r.code != c.code || r.stderr != c.stderr || (r.stdout != "") != (c.code == 0) {
				t.Errorf("%+v, want exit code %d and %q", r, c.code, c.stderr)
			}
			// JSON describes the checkpoint whatever became of it; the exit code tells.
			r = b.run(t, "checkpoint", "trigger", "wordcount", "--json")
			if r.code != c.code || r.stderr != c.stderr || !strings.Contains(r.stdout, `"status": "`+c.outcome.Status+`"`) {
				t.Errorf("JSON: %+v, want exit code %d and %q", r, c.code, c.stderr)
			}
		})
	}
}

func TestShowCheckpointWantsANumber(t *testing.T) {
	for _, id := range []string{"0", "x", "1.5", "18446744073709551616"} {
		r := newBench().run(t, "checkpoint", "show", "wordcount", id)
		if r.code != 2 || !strings.HasPrefix(r.stderr, `Error: checkpoint ID "`+id+`": must be a positive whole number`) {
			t.Errorf("ID %s: %+v", id, r)
		}
	}
	r := newBench().run(t, "checkpoint", "show", "wordcount", "7")
	if r != (result{1, "", "Error: job wordcount has no checkpoint 7\n"}) {
		t.Errorf("unknown ID: %+v", r)
	}
}

func TestTransferLeadershipNamesItsTarget(t *testing.T) {
	for args, want := range map[string]string{"": "", " --to c2": "c2"} {
		b := newBench()
		r := b.run(t, strings.Fields("operator raft transfer-leadership"+args)...)
		if r.code != 0 || b.service.target == nil || *b.service.target != want {
			t.Errorf("%q: %+v, target %v, want %q", args, r, b.service.target, want)
		}
	}
}
