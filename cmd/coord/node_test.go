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
