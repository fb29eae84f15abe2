package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"cairn/api"
	"cairn/internal/localcluster"
)

func nodes(c *localcluster.Cluster) func(context.Context) ([]api.Node, error) {
	return func(ctx context.Context) (list []api.Node, err error) {
		out, err := c.Coord(ctx, "node", "list", "--json")
		if err != nil {
			return nil, err
		}
		return list, json.Unmarshal([]byte(out), &list)
	}
}

// A job is rescaled from 2 to 5 to 3 while it runs, and a node is drained under it: its output is what an undisturbed
// run would have written, and nothing counts as a failure. What cannot be is refused, and changes nothing. The leader is
// killed in between: what has been changed stays changed, and the drained node stays drained.
func TestR1_RunningJobIsRescaledAndANodeDrained(t *testing.T) {
	c := prepared(t)
	output := filepath.Join(t.TempDir(), "output")
	start(t, c.All()...)
	await(t, "three voters and three nodes", c.Status, func(s api.Status) bool {
		return len(s.Voters) == 3 && localcluster.AliveNodes(s) == 3
	})
	input := source(t, "go")
	want, lines := expectedLines(t, input)
	coord(t, c, "job", "submit", "wordcount", "--name", "words", "--param", "input="+input, "--param", "suffix=.go", "--param", "output="+output,
		"--param", fmt.Sprintf("rate=%d", lines/20), "--parallelism", "2", "--interval", "200ms", "--set", "checkpointing.alignment=unaligned")
	await(t, "a checkpoint", job(c, "words"), func(j api.JobDetail) bool { return j.Checkpoints.Completed >= 1 })

	for args, problem := range map[string]string{
		"--parallelism 13":                "job words needs 13 slots, but the nodes have 12 for it; the job goes on as it was",
		"--parallelism 129":               "operator count: parallelism 129, must be 1 to its max parallelism 128",
		"--parallelism 3 --operator sort": `job words has no operator "sort"; it has count, read, split, write`,
	} {
		_, err := c.Coord(t.Context(), append([]string{"job", "rescale", "words"}, strings.Fields(args)...)...)
		if err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("rescale %s: %v, want %q", args, err, problem)
		}
	}

	rescaled := func(parallelism int, attempt uint32) api.JobDetail {
		t.Helper()
		coord(t, c, "job", "rescale", "words", "--parallelism", fmt.Sprint(parallelism))
		j := await(t, "the job in its new shape", job(c, "words"), func(j api.JobDetail) bool {
			return j.Attempt == attempt && j.State == "RUNNING" && localcluster.Running(j)
		})
		for _, v := range j.Vertices {
			if v.Parallelism != parallelism || v.MaxParallelism != 128 {
				t.Errorf("vertex %+v, want parallelism %d", v, parallelism)
			}
		}
		return j
	}
	rescaled(5, 2)
	leader, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Find(leader.Leader.ID).Kill(); err != nil {
		t.Fatal(err)
	}
	await(t, "a checkpoint under the next leader", job(c, "words"), func(j api.JobDetail) bool {
		return j.Attempt == 2 && len(j.Vertices) > 0 && j.Vertices[0].Parallelism == 5 && j.Checkpoints.Completed >= 3
	})
	j := rescaled(3, 3)

	node := j.Subtasks[0].Node
	coord(t, c, "node", "drain", node)
	after := await(t, "the job on other nodes", job(c, "words"), func(j api.JobDetail) bool {
		return j.Attempt == 4 && localcluster.Running(j)
	})
	for _, s := range after.Subtasks {
		if s.Node == node {
			t.Errorf("%s is on %s, which is drained", s.ID, node)
		}
	}
	await(t, "the drained node in the list", nodes(c), func(list []api.Node) bool {
		for _, n := range list {
			if n.ID == node && n.Status == "drained" && n.Subtasks == 0 {
				return true
			}
		}
		return false
	})
	if err := c.Find(node).Kill(); err != nil { // nobody needs it any more
		t.Fatal(err)
	}

	end := await(t, "the job's end", job(c, "words"), localcluster.Ended)
	if end.State != "FINISHED" || end.Attempt != 4 || end.Restarts != 0 {
		t.Fatalf("the job is %s in attempt %d after %d failures: %s", end.State, end.Attempt, end.Restarts, end.Reason)
	}
	compare(t, committedLines(t, output), want)
}
