package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/zeebo/blake3"

	"cairn/checkpoint"
	"cairn/statestore"
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

// The store that is made up for a sweep has of everything that a sweep deletes, and the plan is the one that is expected.
func TestSweepOfAMadeUpStore(t *testing.T) {
	s := newSweep(10_000)
	if s.discarded == 0 || s.orphans != 10 || s.extra != 100 || len(s.in.Named) != 2*sweepJobs*sweepRetained {
		t.Errorf("%d chunks are discarded, %d are orphans, %d have too many copies, %d lists name the others",
			s.discarded, s.orphans, s.extra, len(s.in.Named))
	}
	if ns, err := s.plan(t.Context()); err != nil || ns <= 0 {
		t.Errorf("%g ns, %v", ns, err)
	}
	s.orphans++
	if _, err := s.plan(t.Context()); err == nil {
		t.Error("a plan that is not the expected one passes")
	}
}

// Each chunk is on two nodes, needed as often as there are manifests, and known by the name that the manifest has of it.
func TestLocations(t *testing.T) {
	var refs []checkpoint.ChunkRef
	for i := range 100 {
		refs = append(refs, checkpoint.ChunkRef{ID: chunkNamed(i), Size: 1})
	}
	index, named := locationsOf(refs, 2)
	for i, ref := range refs {
		c := index.Chunk(named[1][i])
		if c.Ref != ref || !c.Judged || len(index.Holders(ref.ID)) != 2 {
			t.Fatalf("chunk %d is %+v, on %v", i, c, index.Holders(ref.ID))
		}
	}
}

// What bars compare is not compressed, and the other is.
func TestContents(t *testing.T) {
	for name, c := range map[string]struct {
		value      func(uint64, int) []byte
		compressed bool
	}{"noise": {noise, false}, "events": {events, true}} {
		content := c.value(7, 64<<10)
		e := statestore.Encode(content)
		if len(content) != 64<<10 || (e.Encoding != statestore.EncodingRaw) != c.compressed {
			t.Errorf("%s: %d bytes become %d, %s", name, len(content), len(e.Data), e.Encoding)
		}
		if blake3.Sum256(content) != blake3.Sum256(c.value(7, 64<<10)) || blake3.Sum256(content) == blake3.Sum256(c.value(8, 64<<10)) {
			t.Errorf("%s does not depend on the seed and nothing else", name)
		}
	}
}

func TestAtATime(t *testing.T) {
	var calls, underWay, most atomic.Int32
	bad := errors.New("bad")
	err := atATime(100, 3, func(i int) error {
		calls.Add(1)
		most.Store(max(most.Load(), underWay.Add(1)))
		defer underWay.Add(-1)
		if i == 99 {
			return bad
		}
		return nil
	})
	if calls.Load() != 100 || most.Load() > 3 || !errors.Is(err, bad) {
		t.Errorf("%d calls, %d at a time: %v", calls.Load(), most.Load(), err)
	}
}
