package main

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/api"
)

func TestStatusExitCode(t *testing.T) {
	leaderless := func() api.Status {
		return api.Status{Problems: []string{"no leader: waiting for 1 more coordinator"}}
	}
	for _, c := range []struct {
		name, args string
		status     func() api.Status
		code       int
		stdout     string // a part
		stderr     string // the whole
	}{
		{"not healthy, with a leader", "status", exampleStatus, 0, "Healthy    no\n", ""},
		{"no leader", "status", leaderless, 2, "Problems   no leader: waiting for 1 more coordinator\n", "Error: the cluster has no leader\n"},
		{"no leader, JSON", "status --json", leaderless, 2, `"voters": [],`, "Error: the cluster has no leader\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench()
			b.service.status = func(context.Context) (api.Status, error) { return c.status(), nil }
			r := b.run(t, strings.Fields(c.args)...)
			if r.code != c.code || r.stderr != c.stderr || !strings.Contains(r.stdout, c.stdout) {
				t.Errorf("%+v, want exit code %d, %q in the output and %q on stderr", r, c.code, c.stdout, c.stderr)
			}
		})
	}
}

func TestStatusOfAnEmptyCluster(t *testing.T) {
	b := newBench()
	b.service.status = func(context.Context) (api.Status, error) {
		return api.Status{Leader: api.Leader{ID: "c1", Term: 1}, Healthy: true}, nil
	}
	r := b.run(t, "status")
	want := "Leader     c1, term 1\nHealthy    yes\nTolerates  failure of 0 more coordinators\n\n" +
		"No coordinator votes yet.\n\nNo node is known.\n\nNo job was submitted.\n"
	if r != (result{0, want, ""}) {
		t.Errorf("%+v, want %q", r, want)
	}
	if r := b.run(t, "status", "--json"); strings.Contains(r.stdout, "null") {
		t.Errorf("null in %s", r.stdout)
	}
}

func TestStaleStatus(t *testing.T) {
	b := newBench()
	b.service.status = func(context.Context) (api.Status, error) {
		return api.Status{Stale: true, Leader: api.Leader{ID: "c1", Address: "10.0.0.1:7480", Term: 3}, Jobs: exampleStatus().Jobs[:1]}, nil
	}
	r := b.run(t, "status", "--stale")
	want := "Stale      yes: this is what one coordinator knows by itself, and may be old\nLeader     c1 at 10.0.0.1:7480, term 3\nHealthy    unknown\n\n" +
		"No coordinator votes yet.\n\nThe nodes are known to the leader alone.\n\nJOB "
	if r.code != 0 || !strings.HasPrefix(r.stdout, want) {
		t.Errorf("%+v, want %q", r, want)
	}
}

// watch runs "coord status --watch" for 2.5 s, in which the second of three answers is an error.
func watch(t *testing.T, b *bench, args ...string) (r result, calls int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b.interrupt = make(chan struct{}) // of this bubble
		b.service.status = func(context.Context) (api.Status, error) {
			if calls++; calls == 2 {
				return api.Status{}, api.Errorf(api.Unavailable, "nobody answers")
			}
			return exampleStatus(), nil
		}
		timer := time.AfterFunc(2500*time.Millisecond, func() { close(b.interrupt) })
		defer timer.Stop()
		r = b.run(t, append([]string{"status", "--watch"}, args...)...)
	})
	return r, calls
}

func TestWatchAppendsWhereThereIsNoTerminal(t *testing.T) {
	r, calls := watch(t, newBench())
	if r.code != 0 || r.stderr != "" || calls != 3 {
		t.Fatalf("exit code %d, stderr %q, %d calls; want 0, none and 3", r.code, r.stderr, calls)
	}
	once := newBench().run(t, "status").stdout
	heading := "Every 1s: coord status, at 2026-11-21 08:30:00\n\n"
	if want := heading + once + "\n" + heading + "Error: nobody answers\n\n" + heading + once + "\n"; r.stdout != want {
		t.Errorf("got:\n%s\nwant:\n%s", r.stdout, want)
	}
}

func TestWatchClearsTheTerminal(t *testing.T) {
	b := newBench()
	b.terminal = true
	r, _ := watch(t, b)
	if n := strings.Count(r.stdout, clearScreen+"Every 1s"); n != 3 {
		t.Errorf("the screen was cleared %d times before a heading, want 3, in:\n%q", n, r.stdout)
	}
}

func TestWatchAsJSONIsAStreamOfDocuments(t *testing.T) {
	b := newBench()
	b.terminal = true // JSON is for programs all the same
	r, _ := watch(t, b, "--json")
	once := newBench().run(t, "status", "--json").stdout
	if r != (result{0, once + once, "Error: nobody answers\n"}) {
		t.Errorf("%+v", r)
	}
}

func TestWatchEndsWhenNobodyReadsIt(t *testing.T) {
	b := newBench()
	b.out = failingWriter{}
	r, calls := watch(t, b)
	if r.code != 1 || calls != 1 {
		t.Errorf("exit code %d after %d calls, want 1 after the first", r.code, calls)
	}
}

func TestWatchBoundsEachCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		b.service.status = func(ctx context.Context) (api.Status, error) { <-ctx.Done(); return api.Status{}, ctx.Err() }
		timer := time.AfterFunc(9*time.Second, func() { close(b.interrupt) })
		defer timer.Stop()
		r := b.run(t, "status", "--watch", "--timeout", "4s")
		if n := strings.Count(r.stdout, "Error: no answer from 127.0.0.1:7480 within --timeout 4s"); r.code != 0 || n != 2 {
			t.Errorf("exit code %d and %d timeouts in 9 s, want 0 and 2:\n%s", r.code, n, r.stdout)
		}
	})
}
