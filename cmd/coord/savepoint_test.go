package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/api"
)

func TestSavepointFailure(t *testing.T) {
	b := newBench()
	b.service.savepoint = func(context.Context, api.Stop) (api.Savepoint, error) {
		return api.Savepoint{}, api.Errorf(api.Conflict, "job wordcount was not stopped: savepoint 43 failed: checkpoint_declined: count[0] on node n2 in sync: disk full")
	}
	r := b.run(t, "job", "stop", "wordcount", "--json")
	if r != (result{1, "", "Error: job wordcount was not stopped: savepoint 43 failed: checkpoint_declined: count[0] on node n2 in sync: disk full\n"}) {
		t.Errorf("%+v", r)
	}
}

func TestSavepointIsCopied(t *testing.T) {
	dir := t.TempDir() // empty is fine
	b := newBench()
	r := b.run(t, "savepoint", "create", "wordcount", "--dir", dir)
	// Only living nodes are asked.
	if want := []string{"10.0.0.1:7490 aa11 2100 wordcount " + dir}; r.code != 0 || !slices.Equal(b.directories.saved, want) {
		t.Errorf("%+v, saved %q, want %q", r, b.directories.saved, want)
	}
	if !strings.HasSuffix(r.stdout, "--from-savepoint "+dir+"\n") {
		t.Errorf("stdout %q", r.stdout)
	}

	b.directories.err = errors.New("no space left")
	r = b.run(t, "savepoint", "create", "wordcount", "--dir", dir)
	if r.code != 1 || r.stderr != "Error: savepoint 43 of job wordcount completed, but was not copied to "+dir+": no space left\n" {
		t.Errorf("%+v", r)
	}
}

func TestDisposeAsksOnATerminal(t *testing.T) {
	const question = "Delete savepoint 43 of job wordcount and its state? [y/N] "
	for _, c := range []struct {
		name        string
		interactive bool
		typed       string
		args        []string
		asked, done bool
	}{
		{"yes", true, "y\n", nil, true, true},
		{"in full", true, " Yes\n", nil, true, true},
		{"no", true, "n\n", nil, true, false},
		{"just enter", true, "\n", nil, true, false},
		{"no answer", true, "", nil, true, false},
		{"told not to ask", true, "", []string{"--yes"}, false, true},
		{"in a script", false, "", nil, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench()
			b.interactive, b.typed = c.interactive, c.typed
			r := b.run(t, append([]string{"savepoint", "dispose", "wordcount", "43"}, c.args...)...)
			if asked := strings.HasPrefix(r.stderr, question); asked != c.asked {
				t.Errorf("asked: %t; %+v", asked, r)
			}
			if done := slices.Equal(b.service.disposed, []string{"wordcount/43"}); done != c.done || (r.code == 0) != c.done {
				t.Errorf("disposed of %q; %+v", b.service.disposed, r)
			}
		})
	}
}

// While a person waits for a savepoint, a line on the terminal says what it waits for.
func TestProgress(t *testing.T) {
	for _, interactive := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench()
			b.interrupt = make(chan struct{}) // of this bubble
			b.interactive = interactive
			b.service.checkpoints[0].Kind = "savepoint"
			b.service.checkpoint = pendingDetail()
			b.service.savepoint = func(context.Context, api.Stop) (api.Savepoint, error) {
				time.Sleep(1200 * time.Millisecond) // virtual time: two lines of progress
				return exampleSavepoints()[0], nil
			}
			r := b.run(t, "savepoint", "create", "wordcount")
			line := clearLine + "savepoint 42: 3/14 subtasks after 400ms, waiting for count[1] on n3: 395ms in alignment"
			want := ""
			if interactive {
				want = line + line + clearLine
			}
			if r.code != 0 || r.stderr != want {
				t.Errorf("interactive %t: exit code %d, stderr %q, want %q", interactive, r.code, r.stderr, want)
			}
		})
	}
}
