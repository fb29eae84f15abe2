package main

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/api"
)

func TestSubmitSendsWhatWasTyped(t *testing.T) {
	for _, c := range []struct {
		args string
		want api.SubmitJobRequest
	}{
		{"wc", api.SubmitJobRequest{Program: "wc", Params: map[string]string{}, Config: map[string]string{}}},
		{
			"--name n wc --param input=/a,/b --param expr=x=y --param empty= --set checkpointing.retain=5",
			api.SubmitJobRequest{
				Program: "wc", Name: "n", Params: map[string]string{"input": "/a,/b", "expr": "x=y", "empty": ""},
				Config: map[string]string{"checkpointing.retain": "5"},
			},
		},
		{
			"wc --interval 500ms --set restart.exponential_delay.max_attempts=1",
			api.SubmitJobRequest{
				Program: "wc", Params: map[string]string{},
				Config: map[string]string{"checkpointing.interval": "500ms", "restart.exponential_delay.max_attempts": "1"},
			},
		},
		{
			"wc --parallelism 4 --parallelism count=6",
			api.SubmitJobRequest{
				Program: "wc", Params: map[string]string{}, Config: map[string]string{},
				Parallelism: api.Parallelism{All: 4, Operators: map[string]int{"count": 6}},
			},
		},
		{
			"wc --interval 0s", // manual checkpoints only: not the same as leaving it out
			api.SubmitJobRequest{
				Program: "wc", Params: map[string]string{}, Config: map[string]string{"checkpointing.interval": "0s"},
			},
		},
	} {
		b := newBench()
		r := b.run(t, append([]string{"job", "submit"}, strings.Fields(c.args)...)...)
		if r.code != 0 || len(b.service.submitted) != 1 {
			t.Errorf("%s: %+v, %d jobs submitted", c.args, r, len(b.service.submitted))
			continue
		}
		got := b.service.submitted[0]
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: sent %+v, want %+v", c.args, got, c.want)
		}
	}
}

func TestSubmitWithAFile(t *testing.T) {
	path := writeJobFile(t, `
name: from-file
program: wc
params: {input: /file, output: /out}
checkpointing: {interval: 10s, retain: 5}
restart.strategy: none
`)
	b := newBench()
	r := b.run(t, "job", "submit", "--config", path, "--param", "input=/flag", "--interval", "2s", "--set", "checkpointing.mode=at_least_once")
	if r.code != 0 || len(b.service.submitted) != 1 {
		t.Fatalf("%+v", r)
	}
	want := api.SubmitJobRequest{
		Program: "wc", Name: "from-file", Params: map[string]string{"input": "/flag", "output": "/out"},
		Config: map[string]string{
			"checkpointing.interval": "2s", "checkpointing.retain": "5", "restart.strategy": "none", "checkpointing.mode": "at_least_once",
		},
	}
	if got := b.service.submitted[0]; !reflect.DeepEqual(got, want) {
		t.Errorf("sent %+v, want %+v", got, want)
	}
	r = b.run(t, "job", "submit", "other", "--config", path, "--name", "n")
	if got := b.service.submitted[1]; r.code != 0 || got.Program != "other" || got.Name != "n" {
		t.Errorf("the command line does not win: %+v, sent %+v", r, got)
	}
}

func TestSubmitFromASource(t *testing.T) {
	for args, want := range map[string]api.Source{
		"--from-savepoint wc/7":                                       {Job: "wc", Checkpoint: 7, Kind: "savepoint"},
		"--from-savepoint=team/wc/7":                                  {Job: "team/wc", Checkpoint: 7, Kind: "savepoint"},
		"--from-checkpoint " + exampleJobID + "/18446744073709551615": {Job: exampleJobID, Checkpoint: 18446744073709551615, Kind: "checkpoint"},
		"--from-savepoint wc/7 --restore-mode claim":                  {Job: "wc", Checkpoint: 7, Kind: "savepoint", Claim: true},
		"--from-checkpoint wc/7 --restore-mode no_claim --allow-non-restored-state": {
			Job: "wc", Checkpoint: 7, Kind: "checkpoint", AllowNonRestoredState: true,
		},
	} {
		b := newBench()
		r := b.run(t, append([]string{"job", "submit", "wc"}, strings.Fields(args)...)...)
		if r.code != 0 || len(b.service.submitted) != 1 || b.service.submitted[0].Source == nil || *b.service.submitted[0].Source != want {
			t.Errorf("%s: %+v, sent %+v; want %+v", args, r, b.service.submitted, want)
		}
	}
}

func TestSubmitFromADirectory(t *testing.T) {
	for mode, claim := range map[string]bool{"claim": true, "no_claim": false} {
		b := newBench()
		r := b.run(t, "job", "submit", "wc", "--from-savepoint", "./backup", "--restore-mode", mode)
		if r.code != 0 || len(b.service.submitted) != 1 {
			t.Fatalf("%+v", r)
		}
		want := api.Source{Job: exampleImport().Job, Checkpoint: 9, Kind: "savepoint", Claim: claim}
		if got := b.service.submitted[0].Source; got == nil || *got != want {
			t.Errorf("sent %+v, want %+v", got, want)
		}
		if want := []string{"./backup"}; !slices.Equal(b.directories.opened, want) || len(b.service.finished) != 1 {
			t.Errorf("opened %q, want %q; finished %q", b.directories.opened, want, b.service.finished)
		}
		stays := "The savepoint stays until you give it up: coord savepoint dispose " + exampleImport().Job + "/9\n"
		if strings.Contains(r.stdout, stays) == claim || !strings.HasPrefix(r.stdout, "Imported savepoint 9 of job orders: ") {
			t.Errorf("%s: %s", mode, r.stdout)
		}
	}
	b := newBench()
	b.service.err = nil
	b.service.finish = errors.New("chunk aa11 is nowhere")
	if r := b.run(t, "job", "submit", "wc", "--from-savepoint", "./backup"); r.code != 1 || len(b.service.submitted) != 0 ||
		!strings.HasPrefix(r.stderr, "Error: chunk aa11 is nowhere; the import of savepoint ") {
		t.Errorf("%+v, sent %+v", r, b.service.submitted)
	}

	b = newBench()
	b.directories.err = errors.New("backup: chunk aa11 is damaged")
	if r := b.run(t, "job", "submit", "wc", "--from-savepoint", "./backup"); r.code != 1 || len(b.service.submitted) != 0 ||
		r.stderr != "Error: backup: chunk aa11 is damaged; nothing was imported\n" {
		t.Errorf("%+v, sent %+v", r, b.service.submitted)
	}
}

func TestSetSendsWhatWasTyped(t *testing.T) {
	b := newBench()
	r := b.run(t, strings.Fields("job set wordcount checkpointing.min_pause=1s --interval 0s checkpointing.timeout=1m --retain 7 --fallback --tolerable-failures -1")...)
	want := map[string]string{
		"checkpointing.min_pause": "1s", "checkpointing.interval": "0s", "checkpointing.timeout": "1m",
		"checkpointing.retain": "7", "restore.fallback": "true", "checkpointing.tolerable_failures": "-1", // the cluster says what is wrong with it
	}
	if r.code != 0 || len(b.service.set) != 1 || !reflect.DeepEqual(b.service.set[0], want) {
		t.Errorf("%+v, sent %v", r, b.service.set)
	}
}

func TestSubmitRefusesTwoIntervals(t *testing.T) {
	b := newBench()
	r := b.run(t, "job", "submit", "wc", "--interval", "1s", "--set", "checkpointing.interval=2s")
	if r.code != 2 || !strings.Contains(r.stderr, "give one of them") || len(b.service.submitted) != 0 {
		t.Errorf("%+v, submitted %v", r, b.service.submitted)
	}
}

func TestSubmitSaysWhatTheJobWaitsFor(t *testing.T) {
	b := newBench()
	b.service.job.Job = withState(b.service.job.Job, "CREATED", 0)
	b.service.job.Reason = "needs 14 slots, 12 free"
	if r := b.run(t, "job", "submit", "wc"); !strings.Contains(r.stdout, ": CREATED, needs 14 slots, 12 free.\n") {
		t.Errorf("%+v", r)
	}
}

func TestPairs(t *testing.T) {
	kv := pairs{}
	for _, value := range []string{"a=1", "b=x,y=z"} {
		if err := kv.Set(value); err != nil {
			t.Errorf("%s: %v", value, err)
		}
	}
	if want := (pairs{"a": "1", "b": "x,y=z"}); !reflect.DeepEqual(kv, want) {
		t.Errorf("%v; want %v", kv, want)
	}
	for bad, want := range map[string]string{"a": "want KEY=VALUE", "=x": "want KEY=VALUE", "a=2": "a is given twice"} {
		if err := kv.Set(bad); err == nil || err.Error() != want {
			t.Errorf("%s: error %v, want %q", bad, err, want)
		}
	}
}

// cancel runs "coord job cancel wordcount --wait" while the job is seen in the given states, a question apart. An
// empty state is a cluster without leader.
func cancel(t *testing.T, b *bench, states []string, args ...string) (r result, took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b.interrupt = make(chan struct{}) // of this bubble
		b.service.showJob = func(_ context.Context, ref string) (api.JobDetail, error) {
			if ref != exampleJobID {
				t.Errorf("asked for job %q, want its ID", ref)
			}
			state := states[0]
			if len(states) > 1 {
				states = states[1:]
			}
			if state == "" {
				return api.JobDetail{}, api.Errorf(api.Unavailable, "no leader")
			}
			ended := int64(0)
			if state != "CANCELLING" {
				ended = ago(0)
			}
			return api.JobDetail{Job: withState(exampleJob().Job, state, ended)}, nil
		}
		start := time.Now()
		r = b.run(t, append([]string{"job", "cancel", "wordcount", "--wait"}, args...)...)
		took = time.Since(start)
	})
	return r, took
}

func TestCancelWaits(t *testing.T) {
	const name = "Job wordcount with ID " + exampleJobID
	for _, c := range []struct {
		name   string
		states []string
		args   []string
		want   result
		took   time.Duration
	}{
		{
			"until it has ended, over a change of leader", []string{"CANCELLING", "", "CANCELLING", "CANCELED"}, nil,
			result{0, name + " is CANCELED.\n", ""}, 4 * waitInterval,
		},
		{
			"but it had failed first", []string{"CANCELLING", "FAILED"}, nil,
			result{1, name + " is FAILED.\n", "Error: job wordcount was FAILED before it could be cancelled\n"}, 2 * waitInterval,
		},
		{
			"no longer than it was told", []string{"CANCELLING"}, []string{"--timeout", "1100ms"},
			result{1, "", "Error: job wordcount has not ended in time; it was CANCELLING when last seen\n"}, 1100 * time.Millisecond,
		},
		{
			"ten minutes by default", []string{""}, nil,
			result{1, "", "Error: job wordcount has not ended in time; it was CANCELLING when last seen\n"}, patientTimeout,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench()
			r, took := cancel(t, b, c.states, c.args...)
			if r != c.want || took != c.took {
				t.Errorf("%+v after %s, want %+v after %s", r, took, c.want, c.took)
			}
			if len(b.service.canceled) != 1 || b.service.canceled[0] != "wordcount" {
				t.Errorf("cancelled %q", b.service.canceled)
			}
		})
	}
}

func TestCancelGivesUpOnOtherErrors(t *testing.T) {
	b := newBench()
	b.service.showJob = func(context.Context, string) (api.JobDetail, error) {
		return api.JobDetail{}, api.Errorf(api.NotFound, "no such job")
	}
	r := b.run(t, "job", "cancel", "wordcount", "--wait")
	if r != (result{1, "", "Error: wait for the end of job wordcount: no such job\n"}) {
		t.Errorf("%+v", r)
	}
}

func TestCancelAsksAgainWhenACoordinatorHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		asked := 0
		b.service.showJob = func(ctx context.Context, _ string) (api.JobDetail, error) {
			if asked++; asked == 1 {
				<-ctx.Done()
				return api.JobDetail{}, api.Errorf(api.Unavailable, "no answer")
			}
			return api.JobDetail{Job: withState(exampleJob().Job, "CANCELED", ago(0))}, nil
		}
		start := time.Now()
		r := b.run(t, "job", "cancel", "wordcount", "--wait")
		if took := time.Since(start); r.code != 0 || asked != 2 || took > defaultTimeout+2*waitInterval {
			t.Errorf("%+v after %d questions and %s", r, asked, took)
		}
	})
}
