package sessionize

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cairn/checkpoint"
	"cairn/dataflow"
	"cairn/dataflow/jobtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// naiveSessions sorts the clicks by user and time and goes through them once.
func naiveSessions(all []Click, gap dataflow.EventTime) (lines []string) {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b Click) int {
		if a.User != b.User {
			return strings.Compare(a.User, b.User)
		}
		return int(a.At - b.At)
	})
	for len(all) > 0 {
		n, pages := 1, map[string]bool{all[0].Page: true}
		for n < len(all) && all[n].User == all[0].User && all[n].At-all[n-1].At < gap {
			pages[all[n].Page] = true
			n++
		}
		lines = append(lines, fmt.Sprintf("%s\t%d\t%d\t%d\t%d", all[0].User, all[0].At, all[n-1].At+gap, n, len(pages)))
		all = all[n:]
	}
	slices.Sort(lines)
	return lines
}

// generated returns what the job generates by default, with a disorder of 20 s.
func generated(n int64) (all []Click) {
	for i := range n {
		all = append(all, clicks{perSecond: 100, disorder: 20 * time.Second}.at(i))
	}
	return all
}

// writeClicks writes clicks to files that follow each other.
func writeClicks(t *testing.T, all []Click, perFile int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	i := 0
	for chunk := range slices.Chunk(all, perFile) {
		var text strings.Builder
		for _, c := range chunk {
			line, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			text.Write(append(line, '\n'))
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("clicks-%03d.jsonl", i)), []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		i++
	}
	return dir
}

// run runs the job and returns its sessions and late clicks.
func run(t *testing.T, params map[string]string, test func(*testing.T, *jobtest.Cluster, *jobtest.Leader)) (sessions, late []string) {
	t.Helper()
	params["output"], params["late"] = filepath.Join(t.TempDir(), "out"), filepath.Join(t.TempDir(), "late")
	jobtest.Run(t, Program(), params, test)
	return jobtest.Output(t, params["output"]), jobtest.Output(t, params["late"])
}

// TestSessionsAgreeWithTheBatch: generated or read, whatever the parallelism, with a node that dies.
func TestSessionsAgreeWithTheBatch(t *testing.T) {
	const n = 8000
	all := generated(n)
	input := writeClicks(t, all, n/16)
	for _, parallelism := range []int{1, 3} {
		for name, params := range map[string]map[string]string{
			"generated": {"events": strconv.Itoa(n)},
			"read":      {"input": input},
		} {
			t.Run(fmt.Sprintf("%s parallelism %d", name, parallelism), func(t *testing.T) {
				params["parallelism"], params["rate"], params["gap"], params["disorder"] = strconv.Itoa(parallelism), "4000", "1s", "20s"
				sessions, late := run(t, params, func(_ *testing.T, c *jobtest.Cluster, l *jobtest.Leader) {
					l.Until("some checkpoints have completed and one is in flight", func() bool {
						return l.Completed.ID > 20 && l.Pending != 0 && len(l.Acks) > 0
					})
					c.Kill("n2")
					l.Deploy()
				})
				want := naiveSessions(all, 1000)
				if len(want) < 500 || len(want) > n/2 {
					t.Fatalf("%d sessions of %d clicks: nothing to compare", len(want), n)
				}
				jobtest.SameLines(t, sessions, want)
				jobtest.SameLines(t, late, nil)
			})
		}
	}
}

// TestLateClicks: one that comes within the lateness is added to its session, one that comes later is put aside.
func TestLateClicks(t *testing.T) {
	const minute = 60_000
	all := []Click{{"a", 10, "/"}, {"b", 20, "/"}, {"b", 21, "/"}}
	for i := range dataflow.EventTime(600) { // for ten minutes somebody else clicks
		all = append(all, Click{"clock", i * 1000, "/"})
	}
	all = append(all, Click{"a", 5000, "/item"}) // the session of a ended at 30.010, and is kept for 20 minutes
	for i := range dataflow.EventTime(1200) {
		all = append(all, Click{"clock", 10*minute + i*1000, "/"})
	}
	all = append(all, Click{"b", 22, "/item"}, Click{"b", 29 * minute, "/"})
	sessions, late := run(t, map[string]string{
		"input": writeClicks(t, all, len(all)), "rate": "500", "parallelism": "1", "disorder": "0s", "lateness": "20m",
	}, nil)
	jobtest.SameLines(t, sessions, []string{
		"a\t10\t30010\t1\t1", "a\t10\t35000\t2\t2",
		"b\t1740000\t1770000\t1\t1", "b\t20\t30021\t2\t1",
		"clock\t0\t1829000\t1800\t1",
	})
	jobtest.SameLines(t, late, []string{"b\t22\t/item"})
}

func TestParameters(t *testing.T) {
	valid := map[string]string{"output": "out", "late": "late"}
	for name, value := range map[string]string{
		"": "", "output": "", "late": "", "events": "0", "event_rate": "x", "rate": "-1", "gap": "0s", "disorder": "x", "lateness": "x",
		"parallelism": "0", "gaps": "1s",
	} {
		params := map[string]string{}
		for k, v := range valid {
			params[k] = v
		}
		if name != "" {
			params[name] = value
		}
		err := jobtest.Build(Program(), params)
		if (err == nil) != (name == "") || err != nil && !strings.Contains(err.Error(), name) {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}

// TestShape: late clicks and sessions leave the same operator.
func TestShape(t *testing.T) {
	graph, err := dataflow.NewRegistry(Program()).Build("sessionize", map[string]string{"output": "out", "late": "late"}, checkpoint.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, v := range graph.Topology().Vertices {
		names = append(names, v.Name)
	}
	if want := []string{"read -> times", "sessions", "write", "write late"}; !slices.Equal(names, want) {
		t.Errorf("the vertices are %q", names)
	}
	if edges := graph.Topology().Edges; edges[0].Partitioning != checkpoint.Hash {
		t.Errorf("the edges are %v", edges)
	}
}
