package dataflow

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

const testGroups = 16

// countTable returns keyed state with one table, as a processor with all key groups has it.
func countTable(t testing.TB) (*keyedState[string], *ValueState[string, int64]) {
	t.Helper()
	s := newKeyedState(codec.String, checkpoint.KeyGroupRange{First: 0, Last: testGroups - 1}, testGroups, time.Now)
	ctx := &ProcessContext[string]{keyed: s}
	table := NewValueState[string](ctx, "count", codec.Int64)
	if ctx.err != nil {
		t.Fatal(ctx.err)
	}
	return s, table
}

// memoryOf returns the table in memory behind a state without a TTL.
func memoryOf[K comparable, V any](s *ValueState[K, V]) *memoryTable[K, K, V] {
	return s.cells.(memoryValues[K, V]).memoryTable
}

func put(t testing.TB, s *keyedState[string], table *ValueState[string, int64], key string, v int64) {
	t.Helper()
	if err := s.setKey(key); err != nil {
		t.Fatal(err)
	}
	table.Put(v)
}

// uploadKeyed stores a capture and returns what a fresh table restores from it.
func uploadKeyed(t testing.TB, c capturedKeyed) map[string]int64 {
	t.Helper()
	store := newMemoryStore()
	s := &snapshot{barrier: barrier(1)}
	s.addKeyed("count", c)
	state, err := s.upload(context.Background(), store, checkpoint.SubtaskID{Vertex: "count"})
	if err != nil {
		t.Fatal(err)
	}
	restored, table := countTable(t)
	loadKeyedState(t, store, state, restored)
	return maps.Collect(table.All())
}

func loadKeyedState(t fatal, store ChunkStore, state checkpoint.SubtaskState, into keyedLoader) {
	t.Helper()
	spec := TaskSpec{Restore: 1, State: state}
	states, err := restoredStates(context.Background(), store, spec, []checkpoint.OperatorID{"count"})
	if err != nil {
		t.Fatal(err)
	}
	if err := states[0].loadKeyed(into); err != nil {
		t.Fatal(err)
	}
}

// TestCaptureIsIsolated captures at random points while the table goes on changing, uploads in other
// goroutines, and compares each snapshot with a copy that was made at its moment. Run with -race it also shows
// that no block is read while it is written.
func TestCaptureIsIsolated(t *testing.T) {
	for name, keys := range map[string]int{"pages of few blocks": 500, "pages that are split": 40_000} {
		t.Run(name, func(t *testing.T) { testCaptureIsIsolated(t, keys) })
	}
}

func testCaptureIsIsolated(t *testing.T, keys int) {
	rng := rand.New(rand.NewPCG(3, 5))
	s, table := countTable(t)
	model := make(map[string]int64)
	type result struct{ want, got map[string]int64 }
	results := make(chan result, 64)
	captures, steps := 0, max(20_000, 2*keys)
	for step := range steps {
		key := fmt.Sprint("k", rng.IntN(keys))
		if rng.IntN(10) == 0 {
			if err := s.setKey(key); err != nil {
				t.Fatal(err)
			}
			table.Delete()
			delete(model, key)
		} else {
			put(t, s, table, key, int64(step))
			model[key] = int64(step)
		}
		if step%(steps/40) == 0 {
			captures++
			c, want := s.capture(), maps.Clone(model)
			go func() { results <- result{want, uploadKeyed(t, c)} }()
		}
	}
	for range captures {
		if r := <-results; !maps.Equal(r.want, r.got) {
			t.Errorf("a snapshot has %d keys that differ from the %d at its moment", len(r.got), len(r.want))
		}
	}
	if got := maps.Collect(table.All()); !maps.Equal(got, model) {
		t.Error("the table itself went wrong")
	}
}

// TestWriteServesWaitingCaptures checks the other half of copy-on-write: two captures of the same page are
// served by one write, and an abandoned one costs nothing.
func TestWriteServesWaitingCaptures(t *testing.T) {
	s, table := countTable(t)
	put(t, s, table, "a", 1)
	first, second, third := s.capture(), s.capture(), s.capture()
	third.release()
	put(t, s, table, "a", 2)
	put(t, s, table, "a", 3) // waits for nothing any more
	for i, c := range []capturedKeyed{first, second, third} {
		if rows, want := c.shards[0].count, []int{1, 1, 0}[i]; rows != want {
			t.Errorf("capture %d has %d rows after the write, want %d", i, rows, want)
		}
	}
	for _, c := range []capturedKeyed{first, second} {
		if got := uploadKeyed(t, c); got["a"] != 1 {
			t.Errorf("the capture has %v, want a = 1", got)
		}
	}
	if n := len(memoryOf(table).current().mu.captures); n != 0 {
		t.Errorf("%d captures wait after all were uploaded or given up", n)
	}
	if got := uploadKeyed(t, s.capture()); got["a"] != 3 {
		t.Errorf("the next capture has %v, want a = 3", got)
	}
}

// TestStateLargerThanAChunk cuts the content at places that the format knows nothing of.
func TestStateLargerThanAChunk(t *testing.T) {
	s := newKeyedState(codec.String, checkpoint.KeyGroupRange{First: 0, Last: testGroups - 1}, testGroups, time.Now)
	table := NewValueState[string](&ProcessContext[string]{keyed: s}, "text", codec.String)
	want := make(map[string]string)
	for i := range 40 {
		key := fmt.Sprint("k", i)
		want[key] = strings.Repeat(fmt.Sprint(i), 300_000)
		if err := s.setKey(key); err != nil {
			t.Fatal(err)
		}
		table.Put(want[key])
	}
	store, snap := newMemoryStore(), &snapshot{barrier: barrier(1)}
	snap.addKeyed("count", s.capture())
	state, err := snap.upload(t.Context(), store, checkpoint.SubtaskID{Vertex: "count"})
	if err != nil {
		t.Fatal(err)
	}
	chunks := state.Handles[0].Chunks
	if len(chunks) < 2 {
		t.Fatalf("%d chunks of %d bytes in all", len(chunks), state.Size())
	}
	for _, c := range chunks {
		if c.Size > maxChunkSize {
			t.Errorf("a chunk of %d bytes", c.Size)
		}
	}
	restored := newKeyedState(codec.String, s.groups, testGroups, time.Now)
	again := NewValueState[string](&ProcessContext[string]{keyed: restored}, "text", codec.String)
	loadKeyedState(t, store, state, restored)
	if !maps.Equal(maps.Collect(again.All()), want) {
		t.Error("the restored state differs")
	}
}

func TestAllSetsTheCurrentKey(t *testing.T) {
	s, table := countTable(t)
	for i := range 100 {
		put(t, s, table, fmt.Sprint("k", i), int64(i))
	}
	for key, v := range table.All() {
		if v%2 == 0 {
			table.Delete()
		} else {
			table.Put(v * 10)
		}
		if got, found := table.Get(); found && got != v*10 {
			t.Errorf("%s: %d", key, got)
		}
	}
	if got := maps.Collect(table.All()); len(got) != 50 || got["k7"] != 70 {
		t.Errorf("%d keys, k7 = %d", len(got), got["k7"])
	}
}

func TestRecordOfAnotherSubtask(t *testing.T) {
	s := newKeyedState(codec.String, checkpoint.KeyGroupRange{First: 0, Last: 0}, testGroups, time.Now)
	wrong := 0
	for i := range 200 {
		if s.setKey(fmt.Sprint(i)) != nil {
			wrong++
		}
	}
	if wrong < 100 || wrong == 200 {
		t.Errorf("%d of 200 keys are refused by the owner of one group of %d", wrong, testGroups)
	}
}
