package main

import (
	"context"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"cairn/api"
)

func TestRescaleSendsWhatWasTyped(t *testing.T) {
	for args, want := range map[string]api.Parallelism{
		"--parallelism 5":                                   {All: 5},
		"--parallelism 5 --operator count":                  {Operators: map[string]int{"count": 5}},
		"--operator count --operator write --parallelism 2": {Operators: map[string]int{"count": 2, "write": 2}},
	} {
		b := newBench()
		r := b.run(t, append([]string{"job", "rescale", "wordcount"}, strings.Fields(args)...)...)
		if r.code != 0 || !reflect.DeepEqual(b.service.rescaledTo, []api.Parallelism{want}) {
			t.Errorf("%s: exit code %d, sent %+v, want %+v", args, r.code, b.service.rescaledTo, want)
		}
	}
}

// It returns when every subtask runs, and says what keeps the job from that.
func TestRescaleWaitsUntilTheJobRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		stages := []api.JobDetail{
			{Job: api.Job{JobSummary: api.JobSummary{State: "RESTARTING"}, Reason: "needs 5 slots, 4 free"}},
			{Job: api.Job{JobSummary: api.JobSummary{State: "RESTARTING"}, Reason: "needs 5 slots, 4 free"}},
			{Job: api.Job{JobSummary: api.JobSummary{State: "RUNNING"}}},
			{Job: api.Job{JobSummary: api.JobSummary{State: "RUNNING", Attempt: 3}}, Subtasks: []api.Subtask{{Node: "n1", Status: "RUNNING"}, {Node: "n1", Status: "SCHEDULED"}}},
			{Job: api.Job{JobSummary: api.JobSummary{State: "RUNNING", Attempt: 3}}, Subtasks: []api.Subtask{{Node: "n1", Status: "RUNNING"}, {Node: "n1", Status: "FINISHED"}}},
		}
		asked := 0
		b.service.showJob = func(_ context.Context, ref string) (api.JobDetail, error) {
			if asked++; asked == 2 {
				return api.JobDetail{}, api.Errorf(api.Unavailable, "no leader") // it changes meanwhile
			}
			if ref != exampleJobID {
				return api.JobDetail{}, api.Errorf(api.NotFound, "asked for %s", ref)
			}
			job := stages[0]
			job.ID, job.Name = exampleJobID, "wordcount"
			if len(stages) > 1 {
				stages = stages[1:]
			}
			return job, nil
		}
		r := b.run(t, "job", "rescale", "wordcount", "--parallelism", "5")
		if r.code != 0 || r.stderr != "wordcount: RESTARTING, needs 5 slots, 4 free\n" ||
			!strings.HasSuffix(r.stdout, "\nJob wordcount runs: attempt 3, 2 subtasks on 1 node.\n") {
			t.Errorf("%+v", r)
		}
		if len(stages) != 1 || asked != 6 {
			t.Errorf("asked %d times", asked)
		}
	})
}

func TestRescaledJobThatDoesNotComeToRun(t *testing.T) {
	for name, c := range map[string]struct {
		job  api.JobDetail
		want string
	}{
		"in time": {
			api.JobDetail{Job: api.Job{JobSummary: api.JobSummary{State: "RUNNING", Attempt: 3}}, Subtasks: []api.Subtask{{Status: "RUNNING"}, {Status: "INITIALIZING"}}},
			"Error: job wordcount does not run yet on all subtasks: 1 of 2 subtasks of attempt 3 running\n",
		},
		"at all": {
			api.JobDetail{Job: api.Job{JobSummary: api.JobSummary{State: "FAILED"}, EndedAt: 1, Reason: "read[0] on node n1: boom"}},
			"Error: job wordcount is FAILED, read[0] on node n1: boom\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench()
				b.service.showJob = func(context.Context, string) (api.JobDetail, error) {
					c.job.ID, c.job.Name = exampleJobID, "wordcount"
					return c.job, nil
				}
				if r := b.run(t, "job", "rescale", "wordcount", "--parallelism", "5", "--timeout", "3s"); r.code != 1 || !strings.HasSuffix(r.stderr, c.want) {
					t.Errorf("%+v, want %s", r, c.want)
				}
			})
		})
	}
}

func TestSubmitWaitsWhenItIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.service.runs(b.service.job)
		r := b.run(t, "job", "submit", "wordcount", "--wait")
		if r.code != 0 || !strings.Contains(r.stdout, "\nJob wordcount runs: attempt 3, 2 subtasks on 2 nodes.\n") {
			t.Errorf("%+v", r)
		}
	})
}

func TestUnknownProgram(t *testing.T) {
	want := "Error: no node has a program \"wordcont\"; they have letters, wordcount; did you mean wordcount?\n"
	if r := newBench().run(t, "program", "show", "wordcont"); r != (result{1, "", want}) {
		t.Errorf("%+v", r)
	}
}

// Which subtask was the culprit can be seen in the listing.
func TestShowTellsCulpritsFromFollowers(t *testing.T) {
	b := newBench()
	b.service.job.Subtasks = []api.Subtask{
		{ID: "source[0]", Node: "n1", Status: "FAILED", Failure: "channel broke\nat once", Secondary: true},
		{ID: "count[0]", Node: "n2", Status: "FAILED", Failure: "panic: boom\ngoroutine 1"},
		{ID: "count[1]", Node: "n2", Status: "CANCELED"},
	}
	want := `SUBTASK    NODE  STATUS    FAILURE
source[0]  n1    FAILED    follows from another one: channel broke
count[0]   n2    FAILED    panic: boom
count[1]   n2    CANCELED
`
	if r := b.run(t, "job", "show", "wordcount"); !strings.HasSuffix(r.stdout, want) {
		t.Errorf("%s", r.stdout)
	}
}

func TestRescaleSaysThatNothingWasChanged(t *testing.T) {
	b := newBench()
	b.service.rescaled.Checkpoint = 0
	if r := b.run(t, "job", "rescale", "wordcount", "--parallelism", "4"); r.code != 0 || !strings.HasPrefix(r.stdout, "Nothing was changed") {
		t.Errorf("%+v", r)
	}
}

// draining answers with a node that has one subtask fewer each time it is asked for.
func draining(b *bench, subtasks int, leaving ...string) {
	node := api.Node{ID: "n2", Slots: 4, Status: "draining", Drained: true, Subtasks: subtasks, Leaving: leaving}
	b.service.nodes = []api.Node{node}
	b.service.listNodes = func(context.Context) ([]api.Node, error) {
		if node.Subtasks == 2 {
			node.Subtasks--
			return nil, api.Errorf(api.Unavailable, "no leader") // it changes meanwhile
		}
		node.Subtasks--
		if node.Subtasks == 0 {
			node.Leaving = nil
		}
		return []api.Node{node}, nil
	}
}

func TestDrainWaitsUntilTheNodeIsEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		draining(b, 3, "job words leaves with its next checkpoint")
		r := b.run(t, "node", "drain", "n2")
		if r.code != 0 || r.stdout != "Node n2 is drained: no subtask is left on it.\n" || r.stderr != "job words leaves with its next checkpoint\n" {
			t.Errorf("%+v", r)
		}
	})
}

func TestDrainShowsItsProgressToAPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.interactive = true
		draining(b, 2, "job words needs 2 slots")
		r := b.run(t, "node", "drain", "n2")
		if !strings.Contains(r.stderr, clearLine+"n2: 2 subtasks left: job words needs 2 slots") || !strings.HasSuffix(r.stderr, clearLine) {
			t.Errorf("%+v", r)
		}
	})
}

func TestDrainThatDoesNotEndSaysWhatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.service.nodes = []api.Node{{ID: "n2", Drained: true, Subtasks: 3, Leaving: []string{"job words needs 2 slots"}}}
		r := b.run(t, "node", "drain", "n2", "--timeout", "3s")
		if r.code != 1 || !strings.Contains(r.stderr, "Error: node n2 stays drained, but has 3 subtasks left: job words needs 2 slots\n") {
			t.Errorf("%+v", r)
		}
	})
}

func TestDrainOfAnUnknownNode(t *testing.T) {
	b := newBench()
	if r := b.run(t, "node", "drain", "n7"); r.code != 1 || r.stderr != "Error: no node is named \"n7\"\n" {
		t.Errorf("%+v", r)
	}
}
