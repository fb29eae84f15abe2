package generate

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"cairn/checkpoint"
	"cairn/dataflow"
)

func contextOf(index, parallelism int) dataflow.SourceContext {
	return dataflow.SourceContext{
		Subtask: checkpoint.SubtaskID{Vertex: "read", Index: index}, Parallelism: parallelism, Logger: slog.New(slog.DiscardHandler),
	}
}

func identity(i int64) int64 { return i }

type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

func open(t fataler, s *Source[int64], ctx dataflow.SourceContext) dataflow.SourceReader[int64] {
	t.Helper()
	r, err := s.Open(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// pull calls Next, at most calls times, and returns what it emitted and whether it came to the end.
func pull(t fataler, r dataflow.SourceReader[int64], calls int) (got []int64, ended bool) {
	t.Helper()
	for range calls {
		status, err := r.Next(func(i int64) { got = append(got, i) })
		if err != nil {
			t.Fatal(err)
		}
		if status == dataflow.End() {
			return got, true
		}
	}
	return got, false
}

func TestEachIndexOnce(t *testing.T) {
	for _, count := range []int64{1, 2, 127, 128, 129, 5000} {
		for _, parallelism := range []int{1, 3, 128, 200} {
			var got []int64
			for index := range parallelism {
				share, ended := pull(t, open(t, New(count, identity), contextOf(index, parallelism)), 100)
				if !ended || !slices.IsSorted(share) {
					t.Fatalf("count %d, subtask %d of %d: ended %v, %d indices in order %v", count, index, parallelism, ended, len(share), slices.IsSorted(share))
				}
				got = append(got, share...)
			}
			slices.Sort(got)
			if int64(len(got)) != count || got[0] != 0 || got[count-1] != count-1 || len(slices.Compact(got)) != int(count) {
				t.Errorf("count %d, parallelism %d: %d indices, want each once", count, parallelism, len(got))
			}
		}
	}
}

// deal hands out the entries of a list as checkpoint.MatchState does: kept together under the same parallelism, dealt
// evenly in order under another one.
func deal(entries [][][]byte, parallelism int) [][][]byte {
	if len(entries) == parallelism {
		return entries
	}
	all := slices.Concat(entries...)
	dealt := make([][][]byte, parallelism)
	for i := range dealt {
		dealt[i] = all[i*len(all)/parallelism : (i+1)*len(all)/parallelism]
	}
	return dealt
}

// I7 and rescaling in small: whatever is read between snapshots and lost in crashes, under whatever parallelism, what
// the snapshots cover is each index once.
func TestEachIndexOnceThroughRestores(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.Int64Range(1, 20_000).Draw(t, "count")
		source := New(count, identity)
		var state [][][]byte
		var got []int64
		for attempt, ended := 0, false; !ended; attempt++ {
			parallelism := rapid.IntRange(1, 9).Draw(t, "parallelism")
			if state != nil {
				state = deal(state, parallelism)
			}
			ended = true
			next := make([][][]byte, parallelism)
			for index := range parallelism {
				ctx := contextOf(index, parallelism)
				if state != nil {
					ctx.Restored, ctx.Entries = true, state[index]
				}
				r := open(t, source, ctx)
				calls := rapid.IntRange(0, 12).Draw(t, "calls")
				if attempt == 30 {
					calls = 1000
				}
				share, over := pull(t, r, calls)
				got = append(got, share...)
				ended = ended && over
				entries, err := r.Snapshot()
				if err != nil {
					t.Fatal(err)
				}
				next[index] = entries
				pull(t, r, 1) // lost in the crash
			}
			state = next
		}
		slices.Sort(got)
		if int64(len(got)) != count || int64(len(slices.Compact(got))) != count {
			t.Fatalf("%d indices, want %d, each once", len(got), count)
		}
	})
}

// Lanes that a restore has put together take turns by their index: those behind catch up first.
func TestLanesBehindCatchUp(t *testing.T) {
	r := newRing([]int64{901, 2, 500, 103}, 100)
	var got []int64
	for range 40 {
		got = append(got, r.take(1<<40))
	}
	if !slices.IsSorted(got) || got[0] != 2 || len(slices.Compact(got)) != 40 {
		t.Errorf("the indices are %v, want them ascending", got)
	}
	for lane, want := range map[int64]bool{1: true, 2: true, 0: true, 3: true, 4: false} {
		if got := slices.ContainsFunc(got, func(i int64) bool { return i%100 == lane }); got != want {
			t.Errorf("lane %d: %v, want %v", lane, got, want)
		}
	}
}

// Subtasks go through the indices side by side, so that an index may stand for a time.
func TestSubtasksStayAbreast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const parallelism = 3 // the 128 lanes cannot be shared evenly
		source := New(0, identity, Rate(1000))
		var readers []dataflow.SourceReader[int64]
		for index := range parallelism {
			readers = append(readers, open(t, source, contextOf(index, parallelism)))
		}
		last := make([]int64, parallelism)
		emitted := 0
		for start := time.Now(); time.Since(start) < 100*time.Second; time.Sleep(time.Millisecond) {
			for i, r := range readers {
				if _, err := r.Next(func(index int64) { last[i] = index; emitted++ }); err != nil {
					t.Fatal(err)
				}
			}
		}
		if emitted < 99_000 || emitted > 101_000 {
			t.Errorf("%d records in 100s at 1000 per second", emitted)
		}
		if apart := slices.Max(last) - slices.Min(last); apart > 2*fewestLanes {
			t.Errorf("the subtasks are at %v, %d apart", last, apart)
		}
	})
}

func TestStateIsChecked(t *testing.T) {
	good := newRing([]int64{7}, 128).encode()[0]
	for name, entries := range map[string][][]byte{
		"empty":         {{}},
		"cut short":     {good[:1]},
		"too long":      {append(slices.Clone(good), 0)},
		"no lanes":      {{0, 5}},
		"foreign lanes": {good, newRing([]int64{7}, 256).encode()[0]},
	} {
		ctx := contextOf(0, 1)
		ctx.Restored, ctx.Entries = true, entries
		if _, err := New(10, identity).Open(ctx); err == nil || !strings.Contains(err.Error(), "restored state") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecodeLanes(f *testing.F) {
	f.Add(newRing([]int64{7}, 128).encode()[0])
	f.Add([]byte{0x80})
	f.Fuzz(func(t *testing.T, entry []byte) {
		next, lanes, err := decodeLanes([][]byte{entry}, 1<<62)
		if err != nil || len(next) == 0 {
			return
		}
		again, same, err := decodeLanes(newRing(next, lanes).encode(), 1<<62)
		if err != nil || same != lanes || !slices.Equal(again, next) {
			t.Errorf("%v of %d come back as %v of %d, %v", next, lanes, again, same, err)
		}
	})
}

func TestRestoredAtTheEndMakesNothing(t *testing.T) {
	ctx := contextOf(0, 1)
	ctx.Restored = true
	if got, ended := pull(t, open(t, New(10, identity), ctx), 1); len(got) != 0 || !ended {
		t.Errorf("made %v again", got)
	}
}

func TestNoAllocationPerRecord(t *testing.T) {
	r := open(t, New(0, identity), contextOf(0, 2))
	sum := int64(0)
	emit := func(i int64) { sum += i }
	if allocs := testing.AllocsPerRun(100, func() {
		if _, err := r.Next(emit); err != nil {
			t.Fatal(err)
		}
	}); allocs != 0 {
		t.Errorf("%v allocations for %d records, want none", allocs, recordsPerCall)
	}
}

func TestNegativeRate(t *testing.T) {
	if _, err := New(1, identity, Rate(-1)).Open(contextOf(0, 1)); err == nil || !dataflow.FailureOf(err).Permanent {
		t.Errorf("got %v", err)
	}
}

func TestPosition(t *testing.T) {
	r := open(t, New(300, identity), contextOf(1, 2))
	if got := r.Position(); got != "before the first index" {
		t.Errorf("at first the position is %q", got)
	}
	pull(t, r, 1)
	if got := r.Position(); got != "index 299" {
		t.Errorf("at the end the position is %q", got)
	}
}

func BenchmarkNext(b *testing.B) {
	r := open(b, New(0, identity), contextOf(0, 1))
	sum := int64(0)
	emit := func(i int64) { sum += i }
	for n := 0; n < b.N; n += recordsPerCall {
		if _, err := r.Next(emit); err != nil {
			b.Fatal(err)
		}
	}
	if sum == 0 {
		b.Fatal(fmt.Sprint("nothing was made of ", b.N))
	}
}
