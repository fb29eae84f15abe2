package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"cairn/api"
	"cairn/internal/localcluster"
)

func savepoints(c *localcluster.Cluster, job string) func(context.Context) ([]api.Savepoint, error) {
	return func(ctx context.Context) ([]api.Savepoint, error) { return c.Savepoints(ctx, job) }
}

// words starts a cluster with the word count of a folder on it, in no hurry, and waits for two checkpoints.
func words(t *testing.T, c *localcluster.Cluster, output string) (want map[string]int) {
	t.Helper()
	start(t, c.All()...)
	await(t, "three voters and three nodes", c.Status, func(s api.Status) bool {
		return len(s.Voters) == 3 && localcluster.AliveNodes(s) == 3
	})
	input := source(t, "go")
	want, lines := expectedLines(t, input)
	coord(t, c, "job", "submit", "wordcount", "--name", "words", "--param", "input="+input, "--param", "suffix=.go",
		"--param", "output="+output, "--param", fmt.Sprintf("rate=%d", lines/8), "--interval", "200ms")
	await(t, "two checkpoints", job(c, "words"), func(j api.JobDetail) bool { return j.Checkpoints.Completed >= 2 })
	return want
}

// A job is stopped with a savepoint in the middle of its input, while the leader is being killed, and resumed from
// that savepoint under another name: the output of both together is what one undisturbed run would have written.
func TestStopAndResume(t *testing.T) {
	c := prepared(t)
	output := filepath.Join(t.TempDir(), "output")
	want := words(t, c, output)

	coord(t, c, "job", "stop", "words", "--savepoint")
	stopped := await(t, "the job's end", job(c, "words"), localcluster.Ended)
	if stopped.State != "FINISHED" {
		t.Fatalf("the job is %s: %s", stopped.State, stopped.Reason)
	}
	list := await(t, "the savepoint", savepoints(c, "words"), func(s []api.Savepoint) bool { return len(s) == 1 })
	if list[0].Stop != "suspend" {
		t.Errorf("savepoint %+v", list[0])
	}
	k, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Find(k.Leader.ID).Kill(); err != nil {
		t.Fatal(err)
	}

	coord(t, c, "job", "submit", "wordcount", "--name", "again", "--param", "input="+source(t, "go"), "--param", "suffix=.go",
		"--param", "output="+output, "--interval", "200ms",
		"--from-savepoint", fmt.Sprintf("words/%d", list[0].ID), "--restore-mode", "claim")
	end := await(t, "the second job's end", job(c, "again"), localcluster.Ended)
	if end.State != "FINISHED" {
		t.Fatalf("the job is %s: %s", end.State, end.Reason)
	}
	compare(t, committedLines(t, output), want)
	if left, err := c.Savepoints(t.Context(), "words"); err != nil || len(left) != 0 {
		t.Errorf("the claimed savepoint is still the first job's: %+v, %v", left, err)
	}
}

// A savepoint leaves the cluster as a directory and comes back into another one.
func TestSavepointMovesToAnotherCluster(t *testing.T) {
	output, dir := filepath.Join(t.TempDir(), "output"), filepath.Join(t.TempDir(), "savepoint")
	first := prepared(t)
	want := words(t, first, output)
	coord(t, first, "job", "stop", "words", "--savepoint", "--dir", dir)
	await(t, "the job's end", job(first, "words"), localcluster.Ended)
	first.StopAll()

	second := prepared(t)
	start(t, second.All()...)
	await(t, "three nodes", second.Status, func(s api.Status) bool { return localcluster.AliveNodes(s) == 3 })
	coord(t, second, "job", "submit", "wordcount", "--name", "words", "--param", "input="+source(t, "go"), "--param", "suffix=.go",
		"--param", "output="+output, "--interval", "200ms", "--from-savepoint", dir)
	end := await(t, "the job's end", job(second, "words"), localcluster.Ended)
	if end.State != "FINISHED" {
		t.Fatalf("the job is %s: %s", end.State, end.Reason)
	}
	compare(t, committedLines(t, output), want)
}

// A savepoint is exported, given up, imported again and verified; the job that goes on from it writes what one undisturbed
// run would have written.
func TestSavepointComesBack(t *testing.T) {
	c := prepared(t)
	output, dir := filepath.Join(t.TempDir(), "output"), filepath.Join(t.TempDir(), "savepoint")
	want := words(t, c, output)
	coord(t, c, "job", "stop", "words", "--savepoint")
	await(t, "the job's end", job(c, "words"), localcluster.Ended)
	list := await(t, "the savepoint", savepoints(c, "words"), func(s []api.Savepoint) bool { return len(s) == 1 })
	ref := fmt.Sprintf("words/%d", list[0].ID)

	coord(t, c, "savepoint", "export", ref, dir)
	if out, err := c.Coord(t.Context(), "savepoint", "export", ref, dir); err == nil || !strings.Contains(err.Error(), "it is not empty") {
		t.Errorf("over an earlier export: %s, %v", out, err)
	}
	coord(t, c, "savepoint", "dispose", ref, "--yes")
	if out, err := c.Coord(t.Context(), "checkpoint", "verify", ref); err == nil || !strings.Contains(err.Error(), "disposed of") {
		t.Errorf("verified what was disposed of: %s, %v", out, err)
	}
	for range 2 { // the second time all of it is there
		coord(t, c, "savepoint", "import", dir)
	}
	imported, err := c.Savepoints(t.Context(), "words")
	if err != nil || len(imported) != 1 || !imported[0].Imported || imported[0].Incomplete || imported[0].Manifest != list[0].Manifest {
		t.Fatalf("imported %+v, %v; want %+v", imported, err, list[0])
	}
	if out := coord(t, c, "checkpoint", "verify", ref, "--replicated"); !strings.Contains(out, "all good") {
		t.Errorf("verified: %s", out)
	}

	coord(t, c, "job", "submit", "wordcount", "--name", "again", "--param", "input="+source(t, "go"), "--param", "suffix=.go",
		"--param", "output="+output, "--interval", "200ms", "--from-savepoint", ref, "--restore-mode", "claim")
	if end := await(t, "the second job's end", job(c, "again"), localcluster.Ended); end.State != "FINISHED" {
		t.Fatalf("the job is %s: %s", end.State, end.Reason)
	}
	compare(t, committedLines(t, output), want)
	if left, err := c.Savepoints(t.Context(), ""); err != nil || len(left) != 0 {
		t.Errorf("the claimed savepoint is still there: %+v, %v", left, err)
	}
}

// What a user does with a running job: change its configuration, look at a checkpoint, take a savepoint and dispose
// of it.
func TestRunningJobIsManaged(t *testing.T) {
	c := prepared(t)
	words(t, c, filepath.Join(t.TempDir(), "output"))

	coord(t, c, "job", "set", "words", "checkpointing.interval=100ms", "checkpointing.retain=1")
	j, err := c.Job(t.Context(), "words")
	if err != nil || j.Config["checkpointing.interval"] != "100ms" || j.Config["checkpointing.retain"] != "1" {
		t.Errorf("configuration %v, %v", j.Config, err)
	}
	if out, err := c.Coord(t.Context(), "job", "set", "words", "checkpointing.mode=at_least_once"); err == nil ||
		!strings.Contains(err.Error(), "checkpointing.mode") {
		t.Errorf("a fixed key was changed: %s, %v", out, err)
	}

	out := coord(t, c, "savepoint", "create", "words", "--json")
	var s api.Savepoint
	if err := json.Unmarshal([]byte(out), &s); err != nil || s.ID == 0 {
		t.Fatalf("savepoint create printed %q: %v", out, err)
	}
	await(t, "a later checkpoint", job(c, "words"), func(j api.JobDetail) bool { return j.Checkpoints.LastCompletedID > s.ID })
	if list, err := c.Savepoints(t.Context(), "words"); err != nil || len(list) != 1 || list[0].ID != s.ID {
		t.Errorf("savepoints %+v, %v", list, err)
	}
	shown := coord(t, c, "checkpoint", "show", "words", fmt.Sprint(s.ID))
	if !strings.Contains(shown, "Slowest") && !strings.Contains(shown, "slowest") {
		t.Errorf("checkpoint show does not name the slowest subtask:\n%s", shown)
	}
	coord(t, c, "savepoint", "dispose", "words", fmt.Sprint(s.ID), "--yes")
	await(t, "no savepoint", savepoints(c, "words"), func(s []api.Savepoint) bool { return len(s) == 0 })
}

// What nothing names any more is deleted from the nodes' disks: old checkpoints while the job runs, and all of them
// when it has been cancelled.
func TestChunksAreDeleted(t *testing.T) {
	c := prepared(t)
	words(t, c, filepath.Join(t.TempDir(), "output"))
	coord(t, c, "job", "set", "words", "checkpointing.retain=1")
	await(t, "chunks on the nodes", func(context.Context) (int, error) { return chunks(c) }, func(n int) bool { return n > 0 })
	await(t, "many checkpoints", job(c, "words"), func(j api.JobDetail) bool { return j.Checkpoints.Completed >= 10 })
	// No checkpoint may be in flight: what a task stores for one and does not get to acknowledge is nobody's.
	coord(t, c, "job", "set", "words", "checkpointing.interval=0")
	await(t, "no pending checkpoint", job(c, "words"), func(j api.JobDetail) bool { return j.Checkpoints.InProgress == 0 })
	coord(t, c, "job", "cancel", "words")
	await(t, "the job's end", job(c, "words"), localcluster.Ended)
	await(t, "no chunk on any node", func(context.Context) (int, error) { return chunks(c) }, func(n int) bool { return n == 0 })
}

// chunks counts the chunk files of all nodes.
func chunks(c *localcluster.Cluster) (int, error) {
	n := 0
	for _, node := range c.Nodes {
		err := filepath.WalkDir(filepath.Join(filepath.Dir(node.Log), node.Name, "chunks"), func(_ string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				n++
			}
			return nil // a file that goes while we look is what we want to see
		})
		if err != nil {
			return 0, err
		}
	}
	return n, nil
}
