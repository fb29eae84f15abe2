package main

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/api"
)

func TestAddressesToDial(t *testing.T) {
	for _, c := range []struct {
		name, env string
		args      []string
		want      []string
	}{
		{"default", "", nil, []string{"127.0.0.1:7480"}},
		{"flag", "", []string{"--addr", "a:1"}, []string{"a:1"}},
		{"flag before the command", "", []string{"--addr=a:1", "members"}, []string{"a:1"}},
		{"repeated and separated", "", []string{"--addr", "a:1,b:2,", "--addr", " c:3"}, []string{"a:1", "b:2", "c:3"}},
		{"environment", "a:1, b:2", nil, []string{"a:1", "b:2"}},
		{"flag wins over the environment", "a:1", []string{"--addr", "b:2"}, []string{"b:2"}},
		{"IPv6", "", []string{"--addr", "[::1]:7480"}, []string{"[::1]:7480"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("CAIRN_ADDR", c.env)
			args := c.args
			if !slices.Contains(args, "members") {
				args = append([]string{"members"}, args...)
			}
			b := newBench()
			if r := b.run(t, args...); r.code != 0 || !slices.Equal(b.dialed, c.want) {
				t.Errorf("exit code %d, %s; dialed %q, want %q", r.code, r.stderr, b.dialed, c.want)
			}
		})
	}
}

func TestWrongCommandLinesReachNobody(t *testing.T) {
	for args, want := range map[string]string{
		"statuss":                             `unknown command "statuss" for "coord"; known: checkpoint, job, members, node, operator, program, savepoint, status, store, version; did you mean "status"?`,
		"job foo":                             `unknown command "foo" for "coord job"; known: cancel, list, metrics, rescale, set, show, stop, submit`,
		"checkpoint lst wc":                   `unknown command "lst" for "coord checkpoint"; known: list, show, stats, trigger, verify; did you mean "list"?`,
		"operator transfer":                   `unknown command "transfer" for "coord operator"; known: raft, snapshot`,
		"operator raft x":                     `unknown command "x" for "coord operator raft"; known: list-peers, remove-peer, transfer-leadership`,
		"status --watchh":                     `unknown flag "--watchh" for "coord status"; known: --addr, --help, --json, --stale, --timeout, --watch; did you mean "--watch"?`,
		"status now":                          `"coord status" takes no arguments, got "now"`,
		"job show":                            `"coord job show" needs JOB, got 0 of 1 arguments`,
		"job list wc":                         `"coord job list" takes no arguments, got "wc"`,
		"checkpoint show wc":                  `checkpoint "wc": want JOB/ID, for example wordcount/7; "coord checkpoint list" shows them`,
		"checkpoint show":                     `"coord checkpoint show" needs JOB[/ID] [ID], got 0 of 1 arguments`,
		"members --timeout 0s":                `--timeout 0s: must be positive`,
		"members --timeout 5":                 `--timeout "5": want a duration, for example 500ms or 10s`,
		"members --addr c1":                   `--addr "c1": must be host:port, for example 127.0.0.1:7480`,
		"job submit p --param x":              `--param "x": want KEY=VALUE`,
		"job submit p --param =x":             `--param "=x": want KEY=VALUE`,
		"job submit p --set a=1 --set a=2":    `--set "a=2": a is given twice`,
		"job submit p --from-savepoint wc":    `--from-savepoint "wc": want JOB/ID, for example wordcount/7, or a directory such as ./wc`,
		"job submit p --from-savepoint wc/x":  `--from-savepoint "wc/x": want JOB/ID with a positive whole number as ID, for example wc/7, or a directory such as ./wc/x`,
		"job submit p --from-checkpoint wc/0": `--from-checkpoint "wc/0": want JOB/ID with a positive whole number as ID, for example wc/7`,
		"job submit p --from-savepoint wc/1 --from-checkpoint wc/2": `--from-savepoint and --from-checkpoint: a job starts from one of them`,
		"job submit p --from-savepoint wc/1 --restore-mode legacy":  `--restore-mode "legacy": allowed are claim and no_claim`,
		"job submit p --restore-mode claim":                         `--restore-mode belongs to --from-savepoint or --from-checkpoint, which are missing`,
		"job submit p --allow-non-restored-state":                   `--allow-non-restored-state belongs to --from-savepoint or --from-checkpoint, which are missing`,
		"job set wc":          `nothing to change: name at least one KEY=VALUE`,
		"job set wc interval": `"interval": want KEY=VALUE`,
		"job set wc a=1 a=2":  `"a=2": a is given twice`,
		"job set wc checkpointing.retain=3 --retain 4":     `--retain and checkpointing.retain are the same: give one of them`,
		"job set wc --retain many":                         `--retain "many": want a whole number`,
		"job stop wc --savepoint=false":                    `--savepoint=false: a job is stopped with a savepoint; to end it without one use "coord job cancel"`,
		"job stop wc --dir testdata":                       `--dir testdata: it is not empty (it holds checkpoint_list.json): name a new or an empty directory`,
		"savepoint create wc --dir main.go":                `--dir main.go: open main.go: not a directory`,
		"savepoint list a b":                               `"coord savepoint list" takes only [JOB], got also "b"`,
		"savepoint dispose wc":                             `savepoint "wc": want JOB/ID, for example wordcount/7; "coord savepoint list" shows them`,
		"savepoint dispose wc/x":                           `savepoint "wc/x": want JOB/ID with a positive whole number as ID, for example wc/7; "coord savepoint list" shows them`,
		"savepoint dispose wc x":                           `savepoint ID "x": must be a positive whole number; "coord savepoint list" shows them`,
		"job rescale wc --parallelism 2 --wait --no-wait":  `--wait and --no-wait: give one of them`,
		"job rescale wc":                                   `--parallelism is missing: give a positive NUMBER of subtasks`,
		"job rescale wc --parallelism -1":                  `--parallelism -1: give a positive NUMBER of subtasks`,
		"job submit p --parallelism 0":                     `--parallelism "0": want N or OPERATOR=N, with a positive whole number`,
		"job submit p --parallelism a=x":                   `--parallelism "a=x": want N or OPERATOR=N, with a positive whole number`,
		"job submit p --parallelism 2 --parallelism 3":     `--parallelism "3": the parallelism of all operators is given twice`,
		"job submit p --parallelism a=2 --parallelism a=3": `--parallelism "a=3": operator a is given twice`,
		"node drain":                             `"coord node drain" needs ID, got 0 of 1 arguments`,
		"node drain n1 --wait --no-wait":         `--wait and --no-wait: give one of them`,
		"job submit p --interval often":          `--interval "often": want a duration, for example 500ms or 10s`,
		"job submit --name n --param input=/tmp": "name the PROGRAM to run, as an argument or in the file of --config",
	} {
		b := newBench()
		r := b.run(t, strings.Fields(args)...)
		if first, _, _ := strings.Cut(r.stderr, "\n"); r.code != 2 || first != "Error: "+want || r.stdout != "" {
			t.Errorf("%s: exit code %d and %q, want 2 and %q", args, r.code, r.stderr, want)
		}
		if b.dialed != nil {
			t.Errorf("%s: dialed %q", args, b.dialed)
		}
	}
}

func TestErrorsOfTheClusterArePrintedOnce(t *testing.T) {
	for _, args := range []string{
		"members", "job list", "job show wordcount", "job submit wordcount", "job cancel wordcount", "job cancel wordcount --wait",
		"checkpoint list wordcount", "checkpoint show wordcount 41", "checkpoint trigger wordcount", "operator raft list-peers",
		"operator raft transfer-leadership", "checkpoint stats wordcount", "savepoint create wordcount", "savepoint list",
		"savepoint list wordcount", "savepoint dispose wordcount 43", "job stop wordcount", "job set wordcount checkpointing.retain=7",
	} {
		b := newBench()
		b.service.err = api.Errorf(api.Unavailable, "waiting for 1 more coordinator")
		r := b.run(t, strings.Fields(args+" --json")...)
		if r != (result{1, "", "Error: waiting for 1 more coordinator\n"}) {
			t.Errorf("%s: %+v", args, r)
		}
		if b.closed != 1 {
			t.Errorf("%s: the client was closed %d times, want once", args, b.closed)
		}
	}
	r := newBench().run(t, "job", "show", "nope")
	if r != (result{1, "", `Error: unknown job "nope"; known are wordcount` + "\n"}) {
		t.Errorf("unknown job: %+v", r)
	}
}

func TestStaleReads(t *testing.T) {
	for _, args := range []string{
		"status", "job list", "job show wordcount", "checkpoint list wordcount", "checkpoint show wordcount 41",
		"checkpoint stats wordcount", "savepoint list",
	} {
		for flag, want := range map[string]bool{"": false, " --stale": true} {
			b := newBench()
			if r := b.run(t, strings.Fields(args+flag)...); r.code != 0 || b.service.stale != want {
				t.Errorf("%s%s: %+v; asked for what may be old: %t", args, flag, r, b.service.stale)
			}
		}
	}
}

func TestTimeout(t *testing.T) {
	for _, c := range []struct {
		args string
		want time.Duration
	}{
		{"status", 5 * time.Second},
		{"status --timeout 90s", 90 * time.Second},
		{"checkpoint trigger wordcount", 11 * time.Minute},
		{"checkpoint trigger wordcount --timeout 1s", time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench()
			b.service.status = func(ctx context.Context) (api.Status, error) { <-ctx.Done(); return api.Status{}, ctx.Err() }
			b.service.trigger = func(ctx context.Context) (api.Checkpoint, error) { <-ctx.Done(); return api.Checkpoint{}, ctx.Err() }
			start := time.Now()
			r := b.run(t, strings.Fields(c.args)...)
			want := "Error: no answer from 127.0.0.1:7480 within --timeout " + c.want.String() + "\n"
			if took := time.Since(start); r != (result{1, "", want}) || took != c.want {
				t.Errorf("%s: %+v after %s, want %q after %s", c.args, r, took, want, c.want)
			}
		})
	}
}

// Who has waited in vain for a checkpoint is told where it can be seen.
func TestTimeoutOfACheckpointNamesItsList(t *testing.T) {
	for _, args := range []string{"checkpoint trigger wordcount", "savepoint create wordcount"} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench()
			unanswered := func(ctx context.Context) error {
				<-ctx.Done()
				return api.Errorf(api.Unavailable, "c1 did not answer in time")
			}
			b.service.trigger = func(ctx context.Context) (api.Checkpoint, error) { return api.Checkpoint{}, unanswered(ctx) }
			b.service.savepoint = func(ctx context.Context, _ api.Stop) (api.Savepoint, error) { return api.Savepoint{}, unanswered(ctx) }
			want := "Error: c1 did not answer in time; if it was begun it goes on, as \"coord checkpoint list wordcount\" shows\n"
			if r := b.run(t, strings.Fields(args+" --timeout 1s")...); r != (result{1, "", want}) {
				t.Errorf("%s: %+v, want %q", args, r, want)
			}
		})
	}
}

func TestTheClustersReasonForATimeoutIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.service.status = func(ctx context.Context) (api.Status, error) {
			<-ctx.Done()
			return api.Status{}, api.Errorf(api.Unavailable, "no coordinator answers at a:1: no answer")
		}
		if r := b.run(t, "status"); r != (result{1, "", "Error: no coordinator answers at a:1: no answer\n"}) {
			t.Errorf("%+v", r)
		}
	})
}

func TestInterrupt(t *testing.T) {
	b := newBench()
	b.service.trigger = func(ctx context.Context) (api.Checkpoint, error) {
		close(b.interrupt)
		<-ctx.Done()
		return api.Checkpoint{}, ctx.Err()
	}
	if r := b.run(t, "checkpoint", "trigger", "wordcount"); r != (result{1, "", "Error: interrupted\n"}) {
		t.Errorf("%+v", r)
	}
}

func TestVersion(t *testing.T) {
	for _, args := range []string{"version", "--version", "version --json"} {
		b := newBench()
		r := b.run(t, strings.Fields(args)...)
		if r.code != 0 || !strings.Contains(r.stdout, "dev") || b.dialed != nil {
			t.Errorf("%s: %+v, dialed %q", args, r, b.dialed)
		}
	}
}

func TestDialClusterNamesWhatItCannotReach(t *testing.T) {
	service, closer, err := dialCluster([]string{"127.0.0.1:1"}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := service.Status(t.Context()); api.CodeOf(err) != api.Unavailable || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("status of nobody: %v", err)
	}
	if err := closer.Close(); err != nil {
		t.Error(err)
	}
}
