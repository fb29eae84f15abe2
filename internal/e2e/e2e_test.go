// Package e2e tests Cairn as its users meet it: real processes, driven by the command line.
package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"cairn/api"
	"cairn/internal/localcluster"
)

// bin is the directory of the binaries under test, built once by TestMain.
var bin string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "cairn-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		bin = dir
		build := exec.Command("go", "build", "-o", dir, "cairn/cmd/coord", "cairn/cmd/node")
		build.Stdout, build.Stderr = os.Stdout, os.Stderr
		if err := build.Run(); err != nil {
			fmt.Fprintln(os.Stderr, "building the binaries:", err)
			return 1
		}
		return m.Run()
	}())
}

// limit bounds every wait. It is far above what anything here takes, also on a loaded machine.
const limit = 2 * time.Minute

// prepared returns a cluster that is not started yet, and stops it at the end of the test.
func prepared(t *testing.T) *localcluster.Cluster {
	t.Helper()
	dir := t.TempDir()
	c, err := localcluster.New(bin, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.StopAll()
		if t.Failed() {
			for _, p := range c.All() {
				log, _ := os.ReadFile(p.Log)
				t.Logf("log of %s:\n%s", p.Name, tail(string(log), 60))
			}
		}
	})
	return c
}

func tail(s string, lines int) string {
	all := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

func start(t *testing.T, processes ...*localcluster.Process) {
	t.Helper()
	for _, p := range processes {
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
	}
}

func await[T any](t *testing.T, what string, ask func(context.Context) (T, error), done func(T) bool) T {
	t.Helper()
	v, err := localcluster.Await(t.Context(), what, limit, ask, done)
	if err != nil {
		t.Fatalf("%v; last: %+v", err, v)
	}
	return v
}

func job(c *localcluster.Cluster, name string) func(context.Context) (api.JobDetail, error) {
	return func(ctx context.Context) (api.JobDetail, error) { return c.Job(ctx, name) }
}

func coord(t *testing.T, c *localcluster.Cluster, args ...string) string {
	t.Helper()
	out, err := c.Coord(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var word = regexp.MustCompile(`[A-Za-z0-9_]+`)

// expectedLines counts the words of the .go files below dir and returns how often each line of the job's output
// has to be there, and how many lines the input has.
func expectedLines(t *testing.T, dir string) (map[string]int, int) {
	t.Helper()
	counts, lines := make(map[string]int), 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" {
			return err
		}
		data, err := os.ReadFile(path)
		lines += strings.Count(string(data), "\n")
		for _, w := range word.FindAllString(string(data), -1) {
			counts[w]++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	expected := make(map[string]int)
	for w, n := range counts {
		for p := 1; p < n; p *= 2 {
			expected[fmt.Sprintf("%s\t%d", w, p)] = 1
		}
		expected[fmt.Sprintf("%s\t%d", w, n)] = 1
	}
	return expected, lines
}

// committedLines counts the lines of the committed files in dir, and fails on files that are neither committed
// nor taken back.
func committedLines(t *testing.T, dir string) map[string]int {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	lines := make(map[string]int)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".pending") || strings.HasSuffix(e.Name(), ".inprogress") {
			t.Errorf("left over: %s", e.Name())
		}
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			lines[s.Text()]++
		}
		f.Close()
	}
	return lines
}

func compare(t *testing.T, got, want map[string]int) {
	t.Helper()
	shown := 0
	for line, n := range want {
		if got[line] != n && shown < 10 {
			t.Errorf("line %q: %d times, want %d", line, got[line], n)
			shown++
		}
	}
	for line, n := range got {
		if want[line] == 0 && shown < 10 {
			t.Errorf("line %q: %d times, want none", line, n)
			shown++
		}
	}
}

// source returns a folder of Go's own source.
func source(t *testing.T, folder string) string {
	t.Helper()
	src, err := localcluster.GoSource()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(src, folder)
}

// The promise that the project is about, with real processes: the leader is killed with a checkpoint in flight,
// then a node; the checkpoint completes under the next leader in the same attempt, and the output is exact.
func TestLeaderAndNodeKilled(t *testing.T) {
	c := prepared(t)
	start(t, c.All()...)
	await(t, "three voters and three nodes", c.Status, func(s api.Status) bool {
		return len(s.Voters) == 3 && localcluster.AliveNodes(s) == 3
	})
	input, output := source(t, "go"), filepath.Join(t.TempDir(), "output")
	want, lines := expectedLines(t, input)
	coord(t, c, "job", "submit", "wordcount", "--name", "words", "--param", "input="+input, "--param", "suffix=.go", "--param", "output="+output,
		"--param", fmt.Sprintf("rate=%d", lines/8), "--set", "checkpointing.interval=200ms")
	await(t, "two checkpoints", job(c, "words"), func(j api.JobDetail) bool { return j.Checkpoints.Completed >= 2 })

	k, err := c.KillLeader(t.Context(), "words")
	if err != nil {
		t.Fatal(err)
	}
	if k.Job.Attempt != 1 {
		t.Errorf("attempt %d after the leader was killed", k.Job.Attempt)
	}

	if err := c.Find(k.Job.Subtasks[0].Node).Kill(); err != nil {
		t.Fatal(err)
	}
	after := await(t, "the next attempt", job(c, "words"), func(j api.JobDetail) bool { return j.Attempt == 2 })
	if after.RestoredFrom < k.Checkpoint.ID {
		t.Errorf("attempt 2 was restored from checkpoint %d, but %d had completed", after.RestoredFrom, k.Checkpoint.ID)
	}
	end := await(t, "the job's end", job(c, "words"), localcluster.Ended)
	if end.State != "FINISHED" {
		t.Fatalf("the job is %s: %s", end.State, end.Reason)
	}
	compare(t, committedLines(t, output), want)
}

// A cluster that has shrunk below the number of replicas goes on, with the copies it can make, and says so.
func TestOneNodeLeft(t *testing.T) {
	c := prepared(t)
	start(t, append(c.Coordinators, c.Nodes[:2]...)...)
	await(t, "two nodes", c.Status, func(s api.Status) bool { return localcluster.AliveNodes(s) == 2 })
	coord(t, c, "job", "submit", "wordcount", "--name", "words", "--param", "input="+source(t, "go"), "--param", "suffix=.go",
		"--param", "output="+filepath.Join(t.TempDir(), "output"), "--param", "rate=1000", "--set", "checkpointing.interval=200ms")
	await(t, "a checkpoint", job(c, "words"), func(j api.JobDetail) bool { return j.Checkpoints.Completed >= 1 })
	if err := c.Nodes[0].Kill(); err != nil {
		t.Fatal(err)
	}
	again := await(t, "the next attempt", job(c, "words"), func(j api.JobDetail) bool { return j.Attempt >= 2 && localcluster.Running(j) })
	await(t, "checkpoints on the node that is left", job(c, "words"), func(j api.JobDetail) bool {
		return j.Checkpoints.Completed >= again.Checkpoints.Completed+3
	})
	s, err := c.Status(t.Context())
	if err != nil || s.Healthy || !strings.Contains(strings.Join(s.Problems, "; "), "stored on 1 node instead of 2") {
		t.Errorf("status %+v, %v", s, err)
	}
}

// A whole cluster in one process, on a job of its own.
func TestDev(t *testing.T) {
	input, output := source(t, "strings"), filepath.Join(t.TempDir(), "output")
	want, _ := expectedLines(t, input)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "coord"), "dev", "--bind", "127.0.0.1:0", "--job", "wordcount",
		"--param", "input="+input, "--param", "suffix=.go", "--param", "output="+output).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "FINISHED") {
		t.Fatalf("%v: %s", err, out)
	}
	compare(t, committedLines(t, output), want)
}
