package main

import (
	"context"
	"slices"
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

func TestShowPendingCheckpoint(t *testing.T) {
	for suffix, args := range map[string]string{".txt": "", ".json": " --json"} {
		b := newBench()
		b.service.checkpoint = pendingDetail()
		r := b.run(t, strings.Fields("checkpoint show wordcount 42"+args)...)
		if r.code != 0 {
			t.Errorf("%+v", r)
		}
		golden(t, "checkpoint_show_pending"+suffix, r.stdout)
	}
}

func TestShowCheckpointOfManySubtasks(t *testing.T) {
	b := newBench()
	b.service.checkpoint = manySubtasks()
	lines := strings.Split(b.run(t, "checkpoint", "show", "wordcount", "41").stdout, "\n")
	first := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "SUBTASK") }) + 1
	shown := lines[first : slices.Index(lines[first:], "")+first]
	if len(shown) != 20 || !strings.HasPrefix(shown[0], "count[7] ") || !strings.HasPrefix(shown[1], "count[49] ") || !strings.HasPrefix(shown[19], "count[31] ") {
		t.Errorf("want the missing one and then the slowest 19, got:\n%s", strings.Join(shown, "\n"))
	}
	if rest := lines[first+len(shown):]; !slices.Equal(rest, []string{"", "30 faster subtasks are not shown; --all shows them.", ""}) {
		t.Errorf("behind them: %q", rest)
	}
	all := b.run(t, "checkpoint", "show", "wordcount", "41", "--all").stdout
	if n := strings.Count(all, "\ncount["); n != 50 || strings.Contains(all, "--all") {
		t.Errorf("--all shows %d subtasks", n)
	}
}

func TestShowCheckpointSaysWhatIsMissing(t *testing.T) {
	b := newBench()
	b.service.checkpoint.Tasks, b.service.checkpoint.Subtasks, b.service.checkpoint.Slowest = nil, nil, nil
	b.service.checkpoint.DetailMissing = "Nothing was recorded of its subtasks: it ended together with its attempt."
	if r := b.run(t, "checkpoint", "show", "wordcount", "41"); !strings.HasSuffix(r.stdout, "\n\n"+b.service.checkpoint.DetailMissing+"\n") {
		t.Errorf("%+v", r)
	}
}

func TestStatisticsOfAJobWithoutCheckpoints(t *testing.T) {
	b := newBench()
	b.service.statistics = api.CheckpointStatistics{}
	want := "Triggered    0\nCompleted    0\nFailed       0\nIn progress  0\nRestored     0\n\nNo checkpoint has ended yet.\n"
	if r := b.run(t, "checkpoint", "stats", "wordcount"); r != (result{0, want, ""}) {
		t.Errorf("%+v", r)
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
