package wordcount

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"cairn/checkpoint"
	"cairn/dataflow/jobtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// writeInput creates files of text with many words that are frequent, rare and unique.
func writeInput(t *testing.T, dir string) {
	t.Helper()
	for i := range 40 {
		var text strings.Builder
		for j := range 15 * (i%5 + 1) {
			fmt.Fprintf(&text, "func word_%d(a%d, Value int) { return x%d+%d } // unique%d_%d\n", j%17, j%7, i, j, i, j)
		}
		path := filepath.Join(dir, fmt.Sprintf("pkg%d", i%4), fmt.Sprintf("f%d.go", i))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "README"), []byte("not counted"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// naiveCount is the output that the documentation promises, from one pass over the input.
func naiveCount(t *testing.T, dir string) []string {
	t.Helper()
	word := regexp.MustCompile(`[A-Za-z0-9_]+`)
	counts := make(map[string]int)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || filepath.Ext(path) != ".go" {
			return err
		}
		text, err := os.ReadFile(path)
		for _, w := range word.FindAllString(string(text), -1) {
			counts[w]++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for w, total := range counts {
		power := 1
		for ; power <= total; power *= 2 {
			lines = append(lines, fmt.Sprintf("%s\t%d", w, power))
		}
		if power/2 != total {
			lines = append(lines, fmt.Sprintf("%s\t%d", w, total))
		}
	}
	slices.Sort(lines)
	return lines
}

// run runs the job over some files, with what the test does to it, and checks the counts. The rate makes the job last
// for many checkpoints.
func run(t *testing.T, test func(t *testing.T, c *jobtest.Cluster, l *jobtest.Leader, output string)) {
	input, output := t.TempDir(), filepath.Join(t.TempDir(), "out")
	writeInput(t, input)
	jobtest.Run(t, Program(), map[string]string{"input": input, "output": output, "suffix": ".go", "rate": "1500"},
		func(t *testing.T, c *jobtest.Cluster, l *jobtest.Leader) { test(t, c, l, output) })
	jobtest.SameLines(t, jobtest.Output(t, output), naiveCount(t, input))
}

func TestCountsAreExact(t *testing.T) {
	run(t, func(*testing.T, *jobtest.Cluster, *jobtest.Leader, string) {})
}

// I7: a node dies while a checkpoint is in flight, twice.
func TestCountsAreExactAfterNodesDie(t *testing.T) {
	run(t, func(t *testing.T, c *jobtest.Cluster, l *jobtest.Leader, _ string) {
		for i, id := range []checkpoint.NodeID{"n2", "n3"} {
			l.Until("some checkpoints have completed and one is in flight", func() bool {
				return l.Completed.ID >= l.Restored+3 && l.Pending != 0 && len(l.Acks) > 0
			})
			c.Kill(id)
			l.Deploy()
			if l.Restored == 0 || l.Attempt != checkpoint.Attempt(i+2) {
				t.Errorf("attempt %d starts from checkpoint %d", l.Attempt, l.Restored)
			}
		}
	})
}

// I7: the job is stopped with a savepoint and resumed, twice; the output in between is committed, and goes on exactly.
func TestCountsAreExactAfterStops(t *testing.T) {
	run(t, func(t *testing.T, _ *jobtest.Cluster, l *jobtest.Leader, output string) {
		for range 2 {
			l.Until("some checkpoints have completed", func() bool { return l.Completed.ID >= l.Restored+2 && l.Pending == 0 })
			l.Stop = checkpoint.StopSuspend
			l.Until("the job has stopped", l.Finished)
			for s, r := range l.Status {
				if r.FinalCheckpoint != l.Completed.ID || !l.Stopped {
					t.Errorf("%s has finished with checkpoint %d, want savepoint %d", s, r.FinalCheckpoint, l.Completed.ID)
				}
			}
			jobtest.Output(t, output) // fails on what is not committed
			l.Deploy()
		}
		if len(l.Failures) != 0 {
			t.Errorf("subtasks failed: %q", l.Failures)
		}
	})
}

// The leader is replaced at every stage of a checkpoint: the tasks go on, and the checkpoint in flight
// completes under the next leader with the same ID.
func TestCountsAreExactAcrossLeaders(t *testing.T) {
	run(t, func(t *testing.T, _ *jobtest.Cluster, l *jobtest.Leader, output string) {
		for acked := range l.Topology.NumSubtasks() {
			l.Until("a checkpoint is in flight", func() bool { return l.Pending != 0 && len(l.Acks) >= acked })
			inFlight := l.Pending
			l.TakeOver()
			l.Until("it has completed", func() bool { return l.Completed.ID >= inFlight })
			if l.Completed.ID != inFlight || l.Attempt != 1 {
				t.Errorf("checkpoint %d completed in attempt %d, want %d in attempt 1", l.Completed.ID, l.Attempt, inFlight)
			}
		}
	})
}

// I7: any mix of nodes that die and come back and leaders that change, at any point of a checkpoint.
func TestCountsAreExactUnderChaos(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			run(t, func(t *testing.T, c *jobtest.Cluster, l *jobtest.Leader, _ string) {
				for range 6 {
					acked, after := random.IntN(l.Topology.NumSubtasks()), l.LastID+checkpoint.ID(random.IntN(4))
					l.Until("the next blow is due", func() bool {
						return l.LastID > after && l.Pending != 0 && len(l.Acks) >= acked
					})
					blow := random.IntN(3)
					if blow != 0 {
						l.TakeOver()
					}
					if blow != 1 {
						victim := checkpoint.NodeID(fmt.Sprintf("n%d", 1+random.IntN(3)))
						c.Kill(victim)
						c.Start(victim)
						l.OpenSession(victim)
						l.Deploy()
					}
				}
			})
		})
	}
}

func TestMissingInputFailsForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		missing := filepath.Join(t.TempDir(), "missing")
		c := jobtest.NewCluster(t, Program(), "n1")
		defer c.Close()
		l := jobtest.NewLeader(t, c, map[string]string{"input": missing, "output": t.TempDir()})
		l.Plan()
		l.Deploy()
		l.Until("a subtask has failed", func() bool { return len(l.Failures) > 0 })
		for s, r := range l.Status {
			if r.Status == checkpoint.SubtaskFailed && (!r.Failure.Permanent || !strings.Contains(r.Failure.Message, missing)) {
				t.Errorf("%s failed with %+v", s, r.Failure)
			}
		}
	})
}
