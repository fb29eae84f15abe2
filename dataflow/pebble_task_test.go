package dataflow

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
	"cairn/dataflow/pebblestate"
)

// keepingStore is a store that keeps chunks when it is asked to, and counts what it is asked for.
type keepingStore struct {
	*memoryStore
	puts, kept int
	bytes      int64
}

func (s *keepingStore) Put(ctx context.Context, data []byte) (checkpoint.ChunkRef, error) {
	s.mu.Lock()
	s.puts, s.bytes = s.puts+1, s.bytes+int64(len(data))
	s.mu.Unlock()
	return s.memoryStore.Put(ctx, data)
}

func (s *keepingStore) Keep(_ context.Context, ref checkpoint.ChunkRef) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, held := s.chunks[ref.ID]
	if held {
		s.kept++
	}
	return held, nil
}

func (s *keepingStore) reset() { s.puts, s.kept, s.bytes = 0, 0, 0 }

// onPebble lets the tasks of a leader keep their state on disk, below dir.
func onPebble(l *leader, backend *pebblestate.Backend, dir string) {
	l.tune = append(l.tune, func(t *Task) {
		t.spec.Backend, t.deps.Rows = checkpoint.BackendPebble, backend
		t.spec.WorkDir = filepath.Join(dir, fmt.Sprintf("%d-%s-%d", t.spec.Attempt, t.spec.Subtask.Vertex, t.spec.Subtask.Index))
	})
}

// TestI7_PebbleExactlyOnce runs jobs with values, maps and timers on disk through kills and aborted checkpoints, and
// looks whether anything is left on the disk behind them.
func TestI7_PebbleExactlyOnce(t *testing.T) {
	backend, want := newPebble(t), countingOutput(400)
	killed, completed := 0, 0
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 3))
		out, dir := newLedger[string](), t.TempDir()
		g := countingJob(t, numbers{n: 400, splits: 3, batch: 5 + rng.IntN(20), pace: true}, out, [3]int{1, 1 + rng.IntN(3), 1})
		l := newLeader(t, g, seed, 3)
		onPebble(l, backend, dir)
		l.run()
		if got := sorted(out.output()); !slices.Equal(got, want) {
			t.Errorf("seed %d, %+v: %s", seed, l.counts, firstDifference(got, want))
		}
		killed, completed = killed+l.counts.killed, completed+l.counts.completed
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("seed %d: %d tasks have left files behind, %v", seed, len(left), err)
		}
	}
	t.Logf("%d kills, %d checkpoints completed", killed, completed)
	if killed < 6 || completed < 12 {
		t.Errorf("%d kills, %d completed checkpoints: the test has lost its teeth", killed, completed)
	}
}

// TestLeftoversOfATaskAreRemoved: a directory that a crashed process has left is emptied at the start.
func TestLeftoversOfATaskAreRemoved(t *testing.T) {
	out, dir := newLedger[string](), t.TempDir()
	g := countingJob(t, numbers{n: 50, splits: 1, batch: 10}, out, [3]int{1, 1, 1})
	l := newLeader(t, g, 1, 0)
	onPebble(l, newPebble(t), dir)
	l.tune = append(l.tune, func(task *Task) {
		old := filepath.Join(task.spec.WorkDir, "operator-0", "rows")
		if err := os.MkdirAll(old, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(old, "CURRENT"), []byte("rubbish"), 0o644); err != nil {
			t.Fatal(err)
		}
	})
	l.run()
	if got := sorted(out.output()); !slices.Equal(got, countingOutput(50)) {
		t.Error(firstDifference(got, countingOutput(50)))
	}
}

// openCounts opens an operator on Pebble with one state of numbers.
func openCounts(t fatal, home rowHome, store ChunkStore, state checkpoint.SubtaskState) (o *keyedOperator[string], counts *ValueState[string, int64]) {
	t.Helper()
	o = keyedOperatorIn(home, 0, 1, testGroups, time.Now)
	openOperator(t, o, store, state, func(ctx *ProcessContext[string]) { counts = NewValueState(ctx, "count", codec.Int64) })
	return o, counts
}

func putCount(t fatal, o *keyedOperator[string], counts *ValueState[string, int64], key string, n int64) {
	t.Helper()
	if err := o.keyed.setKey(key); err != nil {
		t.Fatal(err)
	}
	counts.Put(n)
}

// incremental takes snapshots until one stores less than a tenth of the given bytes and keeps the rest. Any one of them may
// be larger: Pebble puts files together when it likes.
func incremental(t fatal, store *keepingStore, all int64, take func() checkpoint.SubtaskState) checkpoint.SubtaskState {
	t.Helper()
	for range 100 {
		store.reset()
		if state := take(); store.kept > 0 && store.bytes*10 <= all {
			return state
		}
	}
	t.Fatalf("the last of many snapshots stored %d bytes in %d chunks and kept %d; all is %d bytes", store.bytes, store.puts, store.kept, all)
	return checkpoint.SubtaskState{}
}

// TestPebbleIsIncremental: the second snapshot stores what has changed, a full one everything, and one that is taken
// behind a restore goes on where the one before it stood.
func TestPebbleIsIncremental(t *testing.T) {
	backend, dir := newPebble(t), t.TempDir()
	store := &keepingStore{memoryStore: newMemoryStore()}
	o, counts := openCounts(t, rowHome{backend: backend, dir: dir}, store, checkpoint.SubtaskState{})
	const keys = 100_000
	for i := range int64(keys) {
		putCount(t, o, counts, fmt.Sprint("key with a name that takes some room ", i*7919%keys), i)
	}
	first := uploadSnapshot(t, captureOperator(t, o, barrier(1)), store, 0)
	all := first.Size()
	second := incremental(t, store, all, func() checkpoint.SubtaskState {
		for i := range int64(keys / 100) {
			putCount(t, o, counts, fmt.Sprint("new ", i), i)
		}
		return uploadSnapshot(t, captureOperator(t, o, barrier(2)), store, 0)
	})
	if size := second.Size(); size < all/2 {
		t.Errorf("the second snapshot is of %d bytes: it does not hold everything", size)
	}
	store.reset()
	full := barrier(3)
	full.Full = true
	uploadSnapshot(t, captureOperator(t, o, full), store, 0)
	if store.kept != 0 || store.bytes < all/2 {
		t.Errorf("a full snapshot has kept %d chunks and stored %d bytes", store.kept, store.bytes)
	}
	latest := uploadSnapshot(t, captureOperator(t, o, full), store, 0)
	closeOperator(t, o)

	incremental(t, store, all, func() checkpoint.SubtaskState {
		o, _ := openCounts(t, rowHome{backend: backend, dir: t.TempDir()}, store, latest)
		defer closeOperator(t, o)
		latest = uploadSnapshot(t, captureOperator(t, o, barrier(4)), store, 0)
		return latest
	})

	// What the store has swept is stored again.
	o, _ = openCounts(t, rowHome{backend: backend, dir: t.TempDir()}, store, first)
	clear(store.chunks)
	store.reset()
	state := uploadSnapshot(t, captureOperator(t, o, barrier(5)), store, 0)
	closeOperator(t, o)
	if store.kept != 0 || !store.has(state) {
		t.Errorf("%d chunks kept that are not there", store.kept)
	}
	o, counts = openCounts(t, rowHome{backend: backend, dir: t.TempDir()}, store, state)
	n := 0
	for range counts.All() {
		n++
	}
	if n != keys {
		t.Errorf("%d keys, want %d", n, keys)
	}
	closeOperator(t, o)
}

// TestPebbleCaptureIsIsolated writes much while a capture is being made: what is written behind it is not in it, though
// it is more than a write buffer.
func TestPebbleCaptureIsIsolated(t *testing.T) {
	backend, store := newPebble(t), newMemoryStore()
	o, counts := openCounts(t, rowHome{backend: backend, dir: t.TempDir()}, store, checkpoint.SubtaskState{})
	for round := range int64(8) {
		const keys = 3000
		for i := range int64(keys) {
			putCount(t, o, counts, fmt.Sprint("key ", i), round)
		}
		s := captureOperator(t, o, barrier(checkpoint.ID(round+1)))
		for i := range int64(keys) {
			putCount(t, o, counts, fmt.Sprint("key ", i), -1-round)
			putCount(t, o, counts, fmt.Sprint("later ", round, " ", i), 1)
		}
		restored, got := openCounts(t, rowHome{backend: backend, dir: t.TempDir()}, store, uploadSnapshot(t, s, store, 0))
		for i := range int64(keys) {
			if err := restored.keyed.setKey(fmt.Sprint("key ", i)); err != nil {
				t.Fatal(err)
			}
			if v, found := got.Get(); !found || v != round {
				t.Fatalf("round %d: key %d is %d, %v", round, i, v, found)
			}
		}
		if err := restored.keyed.setKey(fmt.Sprint("later ", round, " ", 1)); err != nil {
			t.Fatal(err)
		}
		if _, found := got.Get(); found {
			t.Fatalf("round %d: the capture has what was written behind it", round)
		}
		closeOperator(t, restored)
	}
	closeOperator(t, o)
}
