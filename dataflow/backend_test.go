package dataflow

import (
	"flag"
	"strconv"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
	"cairn/dataflow/pebblestate"
)

// onBackends runs a test with keyed state in memory and on disk.
func onBackends(t *testing.T, test func(t *testing.T, home func(fatal) rowHome)) {
	t.Run("memory", func(t *testing.T) { test(t, func(fatal) rowHome { return rowHome{} }) })
	t.Run("pebble", func(t *testing.T) {
		backend := newPebble(t)
		test(t, func(fatal) rowHome { return rowHome{backend: backend, dir: t.TempDir()} })
	})
}

// fewerChecks makes rapid do with a fifth of its checks in a test that works on disk.
func fewerChecks(t *testing.T) {
	t.Helper()
	checks := flag.Lookup("rapid.checks").Value
	former := checks.String()
	n, err := strconv.Atoi(former)
	if err == nil {
		err = checks.Set(strconv.Itoa(max(1, n/5)))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = checks.Set(former) })
}

// newPebble returns a backend with small write buffers, so that there are many files.
func newPebble(t testing.TB) *pebblestate.Backend {
	t.Helper()
	backend, err := pebblestate.New(pebblestate.Options{BlockCacheSize: 8 << 20, MemTableSize: 256 << 10, Logger: deadLogger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(backend.Close)
	return backend
}

// keyedOperatorIn returns an operator that has not been opened, of subtask index out of parallelism.
func keyedOperatorIn(home rowHome, index, parallelism, groups int, now func() time.Time) *keyedOperator[string] {
	c := &chain{
		log: deadLogger, subtask: checkpoint.SubtaskID{Vertex: "count", Index: index}, parallelism: parallelism, groups: groups,
		now: now, home: home, ids: []checkpoint.OperatorID{"count"}, timestamp: NoTimestamp,
	}
	o := newKeyedOperator(c, 0, codec.String, outlets{}, nil)
	return &o
}

// openOperator opens an operator with the state of a checkpoint, or with none.
func openOperator(t fatal, o *keyedOperator[string], store ChunkStore, state checkpoint.SubtaskState, declare func(*ProcessContext[string])) {
	t.Helper()
	states, err := restoredStates(t.Context(), store, TaskSpec{Restore: 1, State: state}, o.chain.ids)
	if err != nil {
		t.Fatal(err)
	}
	err = o.openWith(states[0], func(ctx *ProcessContext[string]) error {
		declare(ctx)
		return nil
	})
	if err == nil {
		err = states[0].leftover()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// captureOperator returns the snapshot of an operator.
func captureOperator(t fatal, o *keyedOperator[string], b checkpoint.Barrier) *snapshot {
	t.Helper()
	s := &snapshot{barrier: b}
	if err := o.capture(s); err != nil {
		t.Fatal(err)
	}
	return s
}

func uploadSnapshot(t fatal, s *snapshot, store ChunkStore, index int) checkpoint.SubtaskState {
	t.Helper()
	state, err := s.upload(t.Context(), store, checkpoint.SubtaskID{Vertex: "count", Index: index})
	if err != nil {
		t.Fatal(err)
	}
	return state
}
