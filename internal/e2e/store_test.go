package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cairn/api"
	"cairn/internal/localcluster"
	"cairn/internal/s3server"
)

// A job whose state is in a directory that all nodes share: a node is killed for good, another goes on from what it has
// stored there, and the output is exact. At the end nothing is left of what the dead one had stored.
func TestSharedDirectory(t *testing.T) {
	dir := t.TempDir()
	c := prepared(t)
	c.UseStore("file://" + dir)
	dead := runOverSharedStore(t, c)

	left, err := filesIn(dir)
	if err != nil || !slices.ContainsFunc(slices.Collect(maps.Keys(left)), func(name string) bool {
		return strings.HasPrefix(name, "chunks/") && strings.Contains(name, "."+dead+"-")
	}) {
		t.Errorf("the dead node has left nothing: %v, %v", left, err)
	}
	// What it had stored is deleted for it when another process of that node shows that it has ended.
	start(t, c.Find(dead))
	files := func(context.Context) (map[string]int64, error) { return filesIn(dir) }
	await(t, "nothing of the job to be left", files, func(files map[string]int64) bool {
		for name := range files {
			if !strings.HasPrefix(name, "owners/") {
				return false
			}
		}
		return true
	})
}

// The same over a bucket of a real S3 server, with TLS.
func TestS3Store(t *testing.T) {
	server := s3server.Start(t, true)
	c := prepared(t)
	c.UseStore(server.URL("cluster"), server.Environment()...)
	runOverSharedStore(t, c)
}

// runOverSharedStore runs a job under which a node dies, whose name it returns.
func runOverSharedStore(t *testing.T, c *localcluster.Cluster) (dead string) {
	t.Helper()
	start(t, c.All()...)
	await(t, "three voters and three nodes", c.Status, func(s api.Status) bool {
		return len(s.Voters) == 3 && localcluster.AliveNodes(s) == 3
	})
	input, output := source(t, "go"), filepath.Join(t.TempDir(), "output")
	want, lines := expectedLines(t, input)
	coord(t, c, "job", "submit", "wordcount", "--name", "words", "--param", "input="+input, "--param", "suffix=.go", "--param", "output="+output,
		"--param", fmt.Sprintf("rate=%d", lines/8), "--set", "checkpointing.interval=200ms")
	await(t, "two checkpoints", job(c, "words"), func(j api.JobDetail) bool { return j.Checkpoints.Completed >= 2 })
	if s, err := c.Status(t.Context()); err != nil || !s.Healthy {
		t.Errorf("status with a shared store: %+v, %v", s, err)
	}
	before, err := c.Job(t.Context(), "words")
	if err != nil {
		t.Fatal(err)
	}
	dead = before.Subtasks[0].Node
	if err := c.Find(dead).Kill(); err != nil {
		t.Fatal(err)
	}
	after := await(t, "the next attempt", job(c, "words"), func(j api.JobDetail) bool { return j.Attempt == 2 })
	if after.RestoredFrom < 2 {
		t.Errorf("attempt 2 was restored from checkpoint %d", after.RestoredFrom)
	}
	end := await(t, "the job's end", job(c, "words"), localcluster.Ended)
	if end.State != "FINISHED" {
		t.Fatalf("the job is %s: %s", end.State, end.Reason)
	}
	compare(t, committedLines(t, output), want)
	return dead
}

// filesIn returns the files below a directory and their sizes, those left out that are deleted meanwhile.
func filesIn(dir string) (map[string]int64, error) {
	files := make(map[string]int64)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				files[strings.TrimPrefix(path, dir+"/")] = info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	return files, err
}
