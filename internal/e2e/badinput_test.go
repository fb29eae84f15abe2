package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cairn/api"
	"cairn/internal/localcluster"
)

// refuse runs a binary that is to end by itself with an error, and returns what it complained about.
func refuse(t *testing.T, binary string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(bin, binary), args...).CombinedOutput()
	if err == nil {
		t.Fatalf("%s %s succeeded: %s", binary, strings.Join(args, " "), out)
	}
	if ctx.Err() != nil {
		t.Fatalf("%s %s did not end: %s", binary, strings.Join(args, " "), out)
	}
	return string(out)
}

func wantIn(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in: %s", part, text)
		}
	}
}

func TestUnknownFlagsAndCommands(t *testing.T) {
	wantIn(t, refuse(t, "coord", "agent", "--nosuch"), "nosuch")
	wantIn(t, refuse(t, "coord", "nosuch"), "nosuch", "status")
	wantIn(t, refuse(t, "coord", "job", "nosuch"), "nosuch", "submit")
	wantIn(t, refuse(t, "node", "nosuch"), "nosuch", "agent")
	wantIn(t, refuse(t, "node", "agent", "--slots", "0", "--data-dir", t.TempDir()), "--slots")
	wantIn(t, refuse(t, "coord", "agent", "--data-dir", t.TempDir(), "--bind", "here"), "--bind", "host:port")
	wantIn(t, refuse(t, "coord", "agent"), "--data-dir")
}

func TestRaftFilesThatAreNotOursAreRefusedAndKept(t *testing.T) {
	for name, content := range map[string]string{"empty": "", "foreign": strings.Repeat("not a raft log ", 1000)} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "raft.db")
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			wantIn(t, refuse(t, "coord", "agent", "--id", "c1", "--bind", "127.0.0.1:0", "--gossip-bind", "127.0.0.1:0", "--data-dir", dir), file)
			after, err := os.ReadFile(file)
			if err != nil || string(after) != content {
				t.Errorf("the file was changed: %d bytes, %v", len(after), err)
			}
		})
	}
}

// While a replica is missing, everybody who asks learns what the cluster waits for, and nobody hangs.
func TestWaitingForACoordinatorIsSaid(t *testing.T) {
	c := prepared(t)
	start(t, c.Coordinators[0], c.Coordinators[1])
	ask := func(ctx context.Context) (string, error) {
		out, _ := c.Coord(ctx, "status") // without a leader it exits with an error, and says why
		return out, nil
	}
	await(t, "the reason in the status", ask, func(out string) bool {
		return strings.Contains(out, "waiting for 1 more coordinator")
	})
	list := func(ctx context.Context) (string, error) {
		began := time.Now()
		_, err := c.Coord(ctx, "job", "list")
		if err == nil {
			t.Fatal("job list succeeded without a leader")
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("the answer took %s", took)
		}
		return err.Error(), nil
	}
	await(t, "the reason in the error", list, func(text string) bool {
		return strings.Contains(text, "waiting for 1 more coordinator")
	})
}

func TestSecondProcessOnTheSameDirectoryOrPort(t *testing.T) {
	c := prepared(t)
	start(t, c.Coordinators...)
	await(t, "a leader", c.Status, func(s api.Status) bool { return s.Leader.ID != "" })
	dir := filepath.Join(filepath.Dir(c.Coordinators[0].Log), "c1")
	wantIn(t, refuse(t, "coord", "agent", "--id", "c1", "--bind", "127.0.0.1:0", "--gossip-bind", "127.0.0.1:0", "--data-dir", dir),
		dir, "in use")
	wantIn(t, refuse(t, "coord", "agent", "--id", "c9", "--bind", "127.0.0.1:0", "--gossip-bind", "127.0.0.1:0", "--data-dir", dir),
		dir, "belongs to coordinator c1")
	wantIn(t, refuse(t, "coord", "agent", "--id", "c9", "--bind", c.Addrs[0], "--gossip-bind", "127.0.0.1:0", "--data-dir", t.TempDir()),
		c.Addrs[0], "in use")
}

func TestJobsThatCannotRun(t *testing.T) {
	c := prepared(t)
	start(t, c.All()...)
	await(t, "three nodes", c.Status, func(s api.Status) bool { return localcluster.AliveNodes(s) == 3 })
	output := "output=" + filepath.Join(t.TempDir(), "out")
	fails := func(args ...string) string {
		t.Helper()
		_, err := c.Coord(t.Context(), args...)
		if err == nil {
			t.Fatalf("coord %s succeeded", strings.Join(args, " "))
		}
		return err.Error()
	}
	wantIn(t, fails("job", "submit", "nosuch"), "nosuch", "wordcount")
	wantIn(t, fails("job", "submit", "wordcount"), "input")
	wantIn(t, fails("job", "submit", "wordcount", "--param", "nosuch=1", "--param", "input=/x", "--param", output), "nosuch")
	wantIn(t, fails("job", "submit", "wordcount", "--set", "nosuch=1"), "nosuch")
	wantIn(t, fails("job", "show", "nosuch"), "nosuch")
	wantIn(t, fails("checkpoint", "show", "nosuch", "1"), "nosuch")

	coord(t, c, "job", "submit", "wordcount", "--name", "lost", "--param", "input=/no/such/path", "--param", output)
	lost := await(t, "the job to fail", job(c, "lost"), localcluster.Ended)
	if lost.State != "FAILED" || lost.Restarts != 0 {
		t.Errorf("the job is %s after %d restarts", lost.State, lost.Restarts)
	}
	wantIn(t, lost.Reason, "/no/such/path")

	coord(t, c, "job", "submit", "wordcount", "--name", "wide", "--param", "input="+source(t, "go"), "--param", output, "--param", "parallelism=14")
	wide := await(t, "the reason", job(c, "wide"), func(j api.JobDetail) bool { return j.Reason != "" })
	wantIn(t, wide.Reason, "needs 14 slots, 12 free")
	wantIn(t, fails("job", "submit", "wordcount", "--name", "wide", "--param", "input=/x", "--param", output), "wide", "CREATED")
	coord(t, c, "job", "cancel", "wide")
	await(t, "the cancellation", job(c, "wide"), func(j api.JobDetail) bool { return j.State == "CANCELED" })
}

// Two agents with the same ID: the one that comes second ends, and says where the first one is.
func TestSecondAgentWithTheSameID(t *testing.T) {
	c := prepared(t)
	start(t, c.All()...)
	await(t, "three nodes", c.Status, func(s api.Status) bool { return localcluster.AliveNodes(s) == 3 && len(s.Voters) == 3 })
	for _, p := range []*localcluster.Process{c.Coordinators[0], c.Nodes[0]} {
		binary := filepath.Base(p.Path())
		dir := t.TempDir()
		out := refuse(t, binary, "agent", "--id", p.Name, "--bind", "127.0.0.1:0", "--gossip-bind", "127.0.0.1:0",
			"--join", c.Gossip[1], "--data-dir", dir)
		wantIn(t, out, "node ID in use", p.Name)
		if strings.Contains(out, "bootstrapped") {
			t.Errorf("it formed a cluster of its own: %s", out)
		}
	}
	s, err := c.Status(t.Context())
	if err != nil || localcluster.AliveNodes(s) != 3 {
		t.Errorf("the first ones are disturbed: %+v, %v", s, err)
	}
}

func TestCoordinatorsThatExpectDifferentNumbers(t *testing.T) {
	c := prepared(t)
	start(t, c.Coordinators[0])
	dir := t.TempDir()
	other := exec.Command(filepath.Join(bin, "coord"), "agent", "--id", "c9", "--bind", "127.0.0.1:0", "--gossip-bind", "127.0.0.1:0",
		"--join", c.Gossip[0], "--data-dir", dir, "--bootstrap-expect", "5")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		other.Process.Kill()
		other.Wait()
	})
	ask := func(ctx context.Context) (string, error) {
		out, _ := c.Coord(ctx, "status") // without a leader it exits with an error, and says why
		return out, nil
	}
	await(t, "the disagreement in the status", ask, func(out string) bool {
		return strings.Contains(out, "disagree on --bootstrap-expect: c1 expects 3, c9 expects 5")
	})
}
