package nexmark_test

import (
	"fmt"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cairn/checkpoint"
	"cairn/dataflow/jobtest"
	"cairn/jobs/nexmark"
	"cairn/jobs/nexmark/reference"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var queries = []string{"q0", "q1", "q2", "q3", "q4", "q5", "q7", "q8"}

const (
	eventCount = 10_000
	eventRate  = 200 // so the events are of 50 seconds
)

// evaluate returns the lines of a query over the events that a job with the parameters generates.
func evaluate(t *testing.T, query string, disorder int64, w reference.Windows) []string {
	t.Helper()
	c := nexmark.DefaultConfig()
	c.EventsPerSecond, c.Disorder = eventRate, disorder
	g, err := nexmark.NewGenerator(c)
	if err != nil {
		t.Fatal(err)
	}
	events := make([]nexmark.Event, eventCount)
	for i := range events {
		events[i] = g.Event(int64(i))
	}
	lines, err := reference.Evaluate(query, events, w)
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) < 5 {
		t.Fatalf("only %d lines: nothing to compare", len(lines))
	}
	return lines
}

// run runs a query, with what the test does to it, and compares its output with the evaluation.
func run(t *testing.T, query string, parallelism int, disorder int64, w reference.Windows, test func(*testing.T, *jobtest.Cluster, *jobtest.Leader)) {
	t.Helper()
	output := filepath.Join(t.TempDir(), "out")
	params := map[string]string{
		"query": query, "output": output, "events": strconv.Itoa(eventCount), "event_rate": strconv.Itoa(eventRate), "rate": "5000",
		"disorder": fmt.Sprint(disorder), "parallelism": strconv.Itoa(parallelism), "window": w.Size.String(), "slide": w.Slide.String(),
	}
	jobtest.Run(t, nexmark.Program(), params, test)
	jobtest.SameLines(t, jobtest.Output(t, output), evaluate(t, query, disorder, w))
}

// TestQueriesAgreeWithTheirEvaluation: whatever the parallelism, the order of the events and the windows.
func TestQueriesAgreeWithTheirEvaluation(t *testing.T) {
	for _, query := range queries {
		for _, variant := range []struct {
			parallelism int
			disorder    int64
			windows     reference.Windows
		}{
			{1, 1, reference.Windows{Size: 10 * time.Second, Slide: 2 * time.Second}},
			{3, 400, reference.Windows{Size: 5 * time.Second, Slide: 1500 * time.Millisecond}}, // of 2 seconds
			{4, 10_000, reference.Windows{Size: 2 * time.Second, Slide: 2 * time.Second}},      // of all
		} {
			t.Run(fmt.Sprintf("%s parallelism %d disorder %d", query, variant.parallelism, variant.disorder), func(t *testing.T) {
				t.Parallel()
				run(t, query, variant.parallelism, variant.disorder, variant.windows, nil)
			})
		}
	}
}

// I7: a node dies while a checkpoint is in flight, and comes back. Windows and timers go on where they were.
func TestQueriesAreExactAfterANodeDies(t *testing.T) {
	for _, query := range queries {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			run(t, query, 2, 50, reference.Windows{Size: 5 * time.Second, Slide: time.Second}, func(_ *testing.T, c *jobtest.Cluster, l *jobtest.Leader) {
				for _, id := range []checkpoint.NodeID{"n2", "n1"} {
					l.Until("some checkpoints have completed and one is in flight", func() bool {
						return l.Completed.ID >= l.Restored+5 && l.Pending != 0 && len(l.Acks) > 0
					})
					c.Kill(id)
					c.Start(id)
					l.OpenSession(id)
					l.Deploy()
				}
			})
		})
	}
}
