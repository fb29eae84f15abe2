package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"cairn/dataflow/jobtest"
	"cairn/node"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// writeCharges writes charges to several files that follow each other in time, at most a minute out of order.
func writeCharges(t *testing.T, dir string) (all []Charge) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 0))
	start := time.Date(2026, 2, 3, 10, 0, 0, 0, time.UTC)
	for f := range 4 {
		var text strings.Builder
		for i := f * 500; i < f*500+500; i++ {
			c := Charge{
				ID: fmt.Sprintf("c-%d", i), Card: fmt.Sprint(random.IntN(60)), Cents: []int64{99, 100, 2000, 500_00, 500_01}[random.IntN(5)],
				At: start.Add(time.Duration(i)*100*time.Millisecond - time.Duration(random.IntN(60_000))*time.Millisecond),
			}
			if i%2 == 0 {
				c.At = start.Add(time.Duration(i/100) * 10 * time.Second) // so that some are a whole minute apart
			}
			line, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			text.Write(append(line, '\n'))
			all = append(all, c)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("charges-%d.jsonl", f)), []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// naiveAlerts compares every charge with every other.
func naiveAlerts(all []Charge) (lines []string) {
	for _, c := range all {
		if slices.ContainsFunc(all, func(trial Charge) bool {
			behind := c.At.Sub(trial.At)
			return c.Cents > 500_00 && trial.Cents < 100 && trial.Card == c.Card && 0 < behind && behind < time.Minute
		}) {
			line, _ := json.Marshal(c)
			lines = append(lines, string(line))
		}
	}
	slices.Sort(lines)
	return lines
}

func TestAlertsAreExactAfterANodeDies(t *testing.T) {
	input, output := t.TempDir(), filepath.Join(t.TempDir(), "out")
	want := naiveAlerts(writeCharges(t, input))
	if len(want) < 50 {
		t.Fatalf("only %d alerts: nothing to compare", len(want))
	}
	jobtest.Run(t, node.Job("fraud", "", build), map[string]string{"input": input, "output": output, "rate": "1000", "disorder": "1m"}, func(_ *testing.T, c *jobtest.Cluster, l *jobtest.Leader) {
		l.Until("some checkpoints have completed and one is in flight", func() bool {
			return l.Completed.ID > 40 && l.Pending != 0 && len(l.Acks) > 0
		})
		c.Kill("n2")
		l.Deploy()
	})
	jobtest.SameLines(t, jobtest.Output(t, output), want)
}

func TestParametersAreRequired(t *testing.T) {
	for _, missing := range []string{"input", "output"} {
		params := map[string]string{"input": "in", "output": "out"}
		delete(params, missing)
		if err := jobtest.Build(node.Job("fraud", "", build), params); err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("without %s: %v", missing, err)
		}
	}
}
