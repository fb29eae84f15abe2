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

// readOutput returns the committed lines, sorted, and fails on files that have not been committed.
func readOutput(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) != "" {
			t.Errorf("the output holds %s", e.Name())
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")...)
	}
	slices.Sort(lines)
	return lines
}

func wantCounts(t *testing.T, input, output string) {
	t.Helper()
	got, want := readOutput(t, output), naiveCount(t, input)
	if slices.Equal(got, want) {
		return
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("%d lines, want %d; the first difference is %q, want %q", len(got), len(want), got[i], want[i])
		}
	}
	t.Fatalf("%d lines, want %d", len(got), len(want))
}

// inBubble runs the job on three nodes, in a bubble in which time passes only when everything waits: what the
// tests assert depends on no speed. The rate makes the job last for many checkpoints of that time.
func inBubble(t *testing.T, test func(*testing.T, *cluster, *leader)) {
	input, output := t.TempDir(), filepath.Join(t.TempDir(), "out")
	writeInput(t, input)
	params := map[string]string{"input": input, "output": output, "suffix": ".go", "rate": "1500"}
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, "n1", "n2", "n3")
		defer c.close()
		l := newLeader(t, c, params)
		l.plan()
		l.deploy()
		test(t, c, l)
		l.until("the job has finished", l.finished)
		if len(l.failures) != 0 {
			t.Errorf("subtasks failed: %q", l.failures)
		}
		t.Logf("%d checkpoints, %d attempts, %d terms", l.lastID, l.attempt, l.term)
	})
	wantCounts(t, input, output)
}

func TestCountsAreExact(t *testing.T) {
	inBubble(t, func(*testing.T, *cluster, *leader) {})
}

// I7: a node dies while a checkpoint is in flight, twice.
func TestCountsAreExactAfterNodesDie(t *testing.T) {
	inBubble(t, func(t *testing.T, c *cluster, l *leader) {
		for i, id := range []checkpoint.NodeID{"n2", "n3"} {
			l.until("some checkpoints have completed and one is in flight", func() bool {
				return l.completed.id >= l.restored+3 && l.pending != 0 && len(l.acks) > 0
			})
			c.kill(id)
			l.deploy()
			if l.restored == 0 || l.attempt != checkpoint.Attempt(i+2) {
				t.Errorf("attempt %d starts from checkpoint %d", l.attempt, l.restored)
			}
		}
	})
}

// I7: the job is stopped with a savepoint and resumed, twice; the output in between is committed, and goes on exactly.
func TestCountsAreExactAfterStops(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *cluster, l *leader) {
		for range 2 {
			l.until("some checkpoints have completed", func() bool { return l.completed.id >= l.restored+2 && l.pending == 0 })
			l.stop = checkpoint.StopSuspend
			l.until("the job has stopped", l.finished)
			for s, r := range l.status {
				if r.FinalCheckpoint != l.completed.id || !l.stopped {
					t.Errorf("%s has finished with checkpoint %d, want savepoint %d", s, r.FinalCheckpoint, l.completed.id)
				}
			}
			readOutput(t, l.params["output"]) // fails on what is not committed
			l.deploy()
		}
		if len(l.failures) != 0 {
			t.Errorf("subtasks failed: %q", l.failures)
		}
	})
}

// The leader is replaced at every stage of a checkpoint: the tasks go on, and the checkpoint in flight
// completes under the next leader with the same ID.
func TestCountsAreExactAcrossLeaders(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *cluster, l *leader) {
		for acked := range l.topology.NumSubtasks() {
			l.until("a checkpoint is in flight", func() bool { return l.pending != 0 && len(l.acks) >= acked })
			inFlight := l.pending
			l.takeOver()
			l.until("it has completed", func() bool { return l.completed.id >= inFlight })
			if l.completed.id != inFlight || l.attempt != 1 {
				t.Errorf("checkpoint %d completed in attempt %d, want %d in attempt 1", l.completed.id, l.attempt, inFlight)
			}
		}
	})
}

// I7: any mix of nodes that die and come back and leaders that change, at any point of a checkpoint.
func TestCountsAreExactUnderChaos(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			inBubble(t, func(t *testing.T, c *cluster, l *leader) {
				for range 6 {
					acked, after := random.IntN(l.topology.NumSubtasks()), l.lastID+checkpoint.ID(random.IntN(4))
					l.until("the next blow is due", func() bool {
						return l.lastID > after && l.pending != 0 && len(l.acks) >= acked
					})
					blow := random.IntN(3)
					if blow != 0 {
						l.takeOver()
					}
					if blow != 1 {
						victim := checkpoint.NodeID(fmt.Sprintf("n%d", 1+random.IntN(3)))
						c.kill(victim)
						c.start(victim)
						l.openSession(victim)
						l.deploy()
					}
				}
			})
		})
	}
}

func TestMissingInputFailsForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		missing := filepath.Join(t.TempDir(), "missing")
		c := newCluster(t, "n1")
		defer c.close()
		l := newLeader(t, c, map[string]string{"input": missing, "output": t.TempDir()})
		l.plan()
		l.deploy()
		l.until("a subtask has failed", func() bool { return len(l.failures) > 0 })
		for s, r := range l.status {
			if r.Status == checkpoint.SubtaskFailed && (!r.Failure.Permanent || !strings.Contains(r.Failure.Message, missing)) {
				t.Errorf("%s failed with %+v", s, r.Failure)
			}
		}
	})
}
