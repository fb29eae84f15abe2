package e2e

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"cairn/api"
	"cairn/internal/localcluster"
)

// A job goes on from its savepoint with fewer readers and counters and more writers: every key's count and every file's
// position arrives, once. What does not fit is refused by name, and changes nothing.
func TestR1_ResumedWithAnotherParallelism(t *testing.T) {
	c := prepared(t)
	output := filepath.Join(t.TempDir(), "output")
	want := words(t, c, output)
	coord(t, c, "job", "stop", "words", "--savepoint")
	await(t, "the job's end", job(c, "words"), localcluster.Ended)
	list := await(t, "the savepoint", savepoints(c, "words"), func(s []api.Savepoint) bool { return len(s) == 1 })
	again := func(parallelism string) []string {
		return []string{"job", "submit", "wordcount", "--name", "again", "--param", "input=" + source(t, "go"), "--param", "suffix=.go",
			"--param", "output=" + output, "--interval", "200ms", "--param", "parallelism=" + parallelism, "--param", "sinks=3",
			"--from-savepoint", fmt.Sprintf("words/%d", list[0].ID)}
	}

	_, err := c.Coord(t.Context(), again("100")...) // with 256 key groups instead of 128
	if err == nil || !strings.Contains(err.Error(), "operator count has max parallelism 256") || !strings.Contains(err.Error(), "128") {
		t.Errorf("R5: another number of key groups: %v", err)
	}
	if j, err := c.Job(t.Context(), "again"); err == nil {
		t.Errorf("the refused job is there: %+v", j)
	}

	coord(t, c, again("2")...)
	end := await(t, "the second job's end", job(c, "again"), localcluster.Ended)
	if end.State != "FINISHED" || len(end.Subtasks) == 0 {
		t.Fatalf("the job is %s: %s", end.State, end.Reason)
	}
	compare(t, committedLines(t, output), want)
	if got, err := c.Savepoints(t.Context(), "words"); err != nil || len(got) != 1 {
		t.Errorf("the savepoint, which was not claimed: %+v, %v", got, err)
	}
}
