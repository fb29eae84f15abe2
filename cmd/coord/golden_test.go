package main

import (
	"strings"
	"testing"

	"cairn/api"
)

func TestOutput(t *testing.T) {
	for _, c := range []struct{ golden, args string }{
		{"status", "status"},
		{"members", "members"},
		{"job_list", "job list"},
		{"job_show", "job show wordcount"},
		{"job_metrics", "job metrics wordcount"},
		{"job_submit", "job submit wordcount"},
		{"job_cancel", "job cancel wordcount"},
		{"job_set", "job set wordcount checkpointing.retain=7 --interval 2s"},
		{"job_stop", "job stop wordcount --savepoint"},
		{"job_stop_drain", "job stop wordcount --drain"},
		{"job_rescale", "job rescale wordcount --operator count --parallelism 5"},
		{"job_rescale_no_wait", "job rescale wordcount --operator count --parallelism 5 --no-wait"},
		{"program_list", "program list"},
		{"program_show", "program show wordcount"},
		{"node_list", "node list"},
		{"node_drain", "node drain n2 --no-wait"},
		{"node_drain_done", "node drain n3"},
		{"node_undrain", "node undrain n1"},
		{"checkpoint_list", "checkpoint list wordcount"},
		{"checkpoint_show", "checkpoint show wordcount 41"},
		{"checkpoint_trigger", "checkpoint trigger wordcount"},
		{"checkpoint_stats", "checkpoint stats wordcount"},
		{"savepoint_create", "savepoint create wordcount"},
		{"savepoint_create_dir", "savepoint create wordcount --dir testdata/none"},
		{"savepoint_list", "savepoint list"},
		{"savepoint_list", "savepoint list wordcount"},
		{"checkpoint_show", "checkpoint show wordcount/41"},
		{"savepoint_dispose", "savepoint dispose wordcount 43"},
		{"savepoint_dispose", "savepoint dispose wordcount/43"},
		{"savepoint_export", "savepoint export wordcount 41 testdata/none"},
		{"savepoint_export", "savepoint export wordcount/41 testdata/none"},
		{"savepoint_import", "savepoint import /backup"},
		{"checkpoint_verify", "checkpoint verify wordcount 41"},
		{"checkpoint_verify", "checkpoint verify wordcount/41"},
		{"store_status", "store status"},
		{"raft_list_peers", "operator raft list-peers"},
		{"raft_remove_peer", "operator raft remove-peer c4"},
		{"raft_transfer_leadership", "operator raft transfer-leadership --to c2"},
		{"raft_transfer_leadership", "operator transfer-leadership --to c2"},
	} {
		// The flag stands last, behind the arguments, where people put it.
		for _, form := range []struct{ suffix, flag string }{{".txt", ""}, {".json", " --json"}} {
			t.Run(c.args+form.flag, func(t *testing.T) {
				b := newBench()
				r := b.run(t, strings.Fields(c.args+form.flag)...)
				if r.code != 0 || r.stderr != "" {
					t.Fatalf("exit code %d, stderr %q", r.code, r.stderr)
				}
				if b.closed != 1 {
					t.Errorf("the client was closed %d times, want once", b.closed)
				}
				golden(t, c.golden+form.suffix, r.stdout)
			})
		}
	}
}

func TestTablesFitTheTerminal(t *testing.T) {
	for _, args := range []string{
		"status", "members", "job show wordcount", "job metrics wordcount", "checkpoint show wordcount 41",
		"checkpoint stats wordcount", "savepoint list", "operator raft list-peers", "job rescale wordcount --parallelism 5",
		"store status",
	} {
		for line := range strings.Lines(newBench().run(t, strings.Fields(args)...).stdout) {
			if line = strings.TrimSuffix(line, "\n"); len(line) > 80 || strings.TrimRight(line, " ") != line {
				t.Errorf("%s: line of %d characters: %q", args, len(line), line)
			}
		}
	}
}

func TestOutputOfNothing(t *testing.T) {
	empty := func() *bench {
		b := newBench()
		b.service.nodes, b.service.programs, b.service.members, b.service.jobs, b.service.checkpoints, b.service.peers = nil, nil, nil, nil, nil, nil
		b.service.job = api.JobDetail{Job: b.service.job.Job}
		b.service.metrics.Subtasks = nil
		b.service.savepoints, b.service.checkpoint.Tasks, b.service.checkpoint.Subtasks = nil, nil, nil
		return b
	}
	for args, want := range map[string]string{
		"members":                   "No members.\n",
		"job list":                  "No job was submitted.\n",
		"checkpoint list wordcount": "No checkpoint was triggered.\n",
		"savepoint list":            "There is no savepoint.\n",
		"node list":                 "No node is known.\n",
		"program list":              "No node is alive, so no program can be run.\n",
		"operator raft list-peers":  "No coordinator votes yet.\n",
	} {
		if r := empty().run(t, strings.Fields(args)...); r.code != 0 || r.stdout != want {
			t.Errorf("%s: exit code %d and %q, want %q", args, r.code, r.stdout, want)
		}
		if r := empty().run(t, strings.Fields(args+" --json")...); r.code != 0 || r.stdout != "[]\n" {
			t.Errorf("%s --json: exit code %d and %q, want an empty array", args, r.code, r.stdout)
		}
	}
	for _, args := range []string{"job show wordcount", "checkpoint show wordcount 41"} {
		r := empty().run(t, strings.Fields(args+" --json")...)
		// null is for what is one thing or nothing.
		lists := strings.NewReplacer(`"source": null`, "", `"slowest": null`, "").Replace(r.stdout)
		if r.code != 0 || strings.Contains(lists, "null") {
			t.Errorf("%s --json: exit code %d, want no null in:\n%s", args, r.code, r.stdout)
		}
	}
}

func TestOutputThatGoesNowhereIsAnError(t *testing.T) {
	for _, args := range []string{
		"status", "status --json", "members", "job list", "job show wordcount", "job metrics wordcount", "job submit wordcount", "job cancel wordcount",
		"checkpoint list wordcount", "checkpoint show wordcount 41", "checkpoint trigger wordcount",
		"checkpoint stats wordcount", "savepoint create wordcount", "savepoint list", "savepoint dispose wordcount 43",
		"savepoint export wordcount 41 testdata/none", "savepoint import /backup", "checkpoint verify wordcount 41", "store status",
		"job rescale wordcount --parallelism 5", "node list", "node drain n3", "node undrain n1", "job stop wordcount", "job set wordcount checkpointing.retain=7", "version",
	} {
		b := newBench()
		b.out = failingWriter{}
		if r := b.run(t, strings.Fields(args)...); r.code != 1 || r.stderr != "Error: "+errGone.Error()+"\n" {
			t.Errorf("%s: exit code %d and %q", args, r.code, r.stderr)
		}
	}
}
