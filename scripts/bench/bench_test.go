package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSample(t *testing.T) {
	for _, c := range []struct {
		s                      sample
		median, mean, min, max float64
	}{
		{sample{7}, 7, 7, 7, 7},
		{sample{9, 1, 2}, 2, 4, 1, 9},
		{sample{8, 1, 4, 3}, 3.5, 4, 1, 8},
	} {
		if c.s.median() != c.median || c.s.mean() != c.mean || c.s.min() != c.min || c.s.max() != c.max {
			t.Errorf("%v: median %g, mean %g, %g to %g", c.s, c.s.median(), c.s.mean(), c.s.min(), c.s.max())
		}
	}
}

// Pairs are taken in alternating order, and stay pairs.
func TestAlternate(t *testing.T) {
	var order strings.Builder
	n := 0.0
	taking := func(name string) func(context.Context) (float64, error) {
		return func(context.Context) (float64, error) {
			order.WriteString(name)
			n++
			return n, nil
		}
	}
	as, bs, err := alternate(t.Context(), 3, taking("A"), taking("B"))
	if err != nil || order.String() != "ABBAAB" {
		t.Fatalf("%s, %v", order.String(), err)
	}
	if got, want := as.over(bs), (sample{1. / 2, 4. / 3, 5. / 6}); got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("ratios %v, want %v", got, want)
	}
}

func TestBars(t *testing.T) {
	beside := sample{100, 100, 100}
	for name, c := range map[string]struct {
		f  figure
		ok bool
	}{
		"no bar":           {valueOf("x", sample{1}, "ms"), true},
		"fast enough":      {ratioOf("x", sample{97, 10, 99}, "records/s", "y", beside).with(ratioAtLeast(0.97)), true},
		"too slow":         {ratioOf("x", sample{96, 10, 99}, "records/s", "y", beside).with(ratioAtLeast(0.97)), false},
		"small enough":     {ratioOf("x", sample{5, 5, 100}, "MiB", "y", beside).with(ratioAtMost(0.05)), true},
		"too large":        {ratioOf("x", sample{5, 6, 6}, "MiB", "y", beside).with(ratioAtMost(0.05)), false},
		"short enough":     {valueOf("x", sample{9.9}, "ms").with(valueBelow(10, "ms")), true},
		"too long":         {valueOf("x", sample{10}, "ms").with(valueBelow(10, "ms")), false},
		"the value counts": {ratioOf("x", sample{20}, "ms", "y", sample{100}).with(valueBelow(10, "ms")), false},
	} {
		if got := c.f.judged().OK; got != c.ok {
			t.Errorf("%s: %v, want %v", name, got, c.ok)
		}
	}
}

func TestResultsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.json")
	figures := []figure{
		ratioOf("a", sample{98}, "records/s", "b", sample{100}).with(ratioAtLeast(0.97)).judged(),
		valueOf("c", sample{3}, "ms").judged(),
	}
	if err := writeResults(path, figures); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	if err := json.Unmarshal(content, &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{"name": "a", "value": 98., "unit": "records/s", "bar": ">= 0.97", "ratio": 0.98, "ok": true} {
		if got[0][key] != want {
			t.Errorf("%s is %v, want %v", key, got[0][key], want)
		}
	}
	if got[1]["bar"] != "" || got[1]["ratio"] != nil {
		t.Errorf("a figure that is only reported: %v", got[1])
	}
}
