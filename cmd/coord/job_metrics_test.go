package main

import (
	"strings"
	"testing"

	"cairn/api"
)

func TestMetricsOfOneVertex(t *testing.T) {
	b := newBench()
	if r := b.run(t, "job", "metrics", "wordcount", "--vertex", "count"); r.code != 0 || b.service.vertex != "count" {
		t.Errorf("exit code %d, asked for vertex %q", r.code, b.service.vertex)
	}
	if r := b.run(t, "job", "metrics", "wordcount", "--stale"); r.code != 0 || b.service.vertex != "" || !b.service.stale {
		t.Errorf("exit code %d, asked for vertex %q, stale %t", r.code, b.service.vertex, b.service.stale)
	}
}

func TestMetricsOfNothing(t *testing.T) {
	b := newBench()
	b.service.metrics.Subtasks = nil
	if r := b.run(t, "job", "metrics", "wordcount"); r.code != 0 || r.stdout != "No subtask is placed.\n" {
		t.Errorf("exit code %d and %q", r.code, r.stdout)
	}
	if r := b.run(t, "job", "metrics", "wordcount", "--json"); r.code != 0 || !strings.Contains(r.stdout, `"subtasks": []`) {
		t.Errorf("exit code %d and %q", r.code, r.stdout)
	}
	b.service.job.Vertices = []api.Vertex{{ID: "count", Parallelism: 4, MaxParallelism: 128}}
	if r := b.run(t, "job", "show", "wordcount"); r.code != 0 || strings.Contains(r.stdout, "RECORDS") {
		t.Errorf("of a job of which nothing is known: %q", r.stdout)
	}
}

func TestRatesAreReadable(t *testing.T) {
	for rate, want := range map[float64]string{0: "0", 0.04: "0.0", 0.25: "0.2", 9.94: "9.9", 9.96: "10", 99.5: "100", 1e6: "1000000"} {
		if got := perSecond(rate); got != want {
			t.Errorf("%v per second is written %q, want %q", rate, got, want)
		}
	}
}
