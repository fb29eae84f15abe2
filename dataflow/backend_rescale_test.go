package dataflow

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/checkpoint"
)

// manyStates is the state of one subtask with all kinds of tables, and timers.
type manyStates struct {
	*modelStates
	op *keyedOperator[string]
}

func openMany(t fatal, home rowHome, index, parallelism int, store ChunkStore, state checkpoint.SubtaskState) *manyStates {
	t.Helper()
	s := &manyStates{op: keyedOperatorIn(home, index, parallelism, rescaleGroups, func() time.Time { return time.UnixMilli(5000) })}
	s.op.onTimer = func(string, Timer) error { return nil }
	openOperator(t, s.op, store, state, func(ctx *ProcessContext[string]) { s.modelStates = declareModel(ctx) })
	return s
}

// fill gives the keys of the subtask state of every kind, and takes that of some former keys away.
func (s *manyStates) fill(generation int64) {
	for k := range int64(500) {
		if s.op.keyed.setKey(fmt.Sprint("key", k)) != nil {
			continue
		}
		if generation > 0 && k%3 == generation%3 {
			for i := range 2 {
				s.value[i].Delete()
				s.table[i].Clear()
				s.list[i].Clear()
				s.sum[i].Clear()
				s.digits[i].Clear()
			}
			s.op.event.unregister(EventTime(k))
			continue
		}
		for i := range 2 {
			s.value[i].Put(k)
			s.table[i].Put(fmt.Sprint("e", k%3), k)
			s.table[i].Put("e", k)
			s.list[i].Add(k)
			s.list[i].Add(k + 1)
			s.sum[i].Add(k)
			s.digits[i].Add(k)
		}
		s.op.event.register(EventTime(k))
		s.op.procTime.register(EventTime(k % 7))
	}
}

// rowsOf returns all rows of a subtask in the canonical format, by key group and table, sorted.
func rowsOf(t fatal, s *manyStates) map[string][]string {
	t.Helper()
	store, b := newMemoryStore(), barrier(1)
	b.Kind = checkpoint.KindSavepoint
	state := uploadSnapshot(t, captureOperator(t, s.op, b), store, 0)
	all := make(map[string][]string)
	states, err := restoredStates(t.Context(), store, TaskSpec{Restore: 1, State: state}, s.op.chain.ids)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range states[0].keyed {
		r, err := h.open()
		if err != nil {
			t.Fatal(err)
		}
		err = r.keyed(h.handle.KeyGroups, func(group int, table string, kind tableKind, count int, rows []byte) error {
			name := fmt.Sprint(group, " ", table, " ", kind)
			for range count {
				n, between, m, err := splitRow(s.op.keyed.table(table), rows)
				if err != nil {
					return err
				}
				all[name] = append(all[name], string(rows[:n+between+m]))
				rows = rows[n+between+m:]
			}
			slices.Sort(all[name])
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// splitRow splits a row by the format of its table, in any backend.
func splitRow(t keyedTable, rows []byte) (name, between, value int, err error) {
	return t.(interface{ rowFormat() rowFormat }).rowFormat().split(rows)
}

func (t *memoryTable[K, R, C]) rowFormat() rowFormat { return t.format.(rowFormat) }
func (t *rowTable[K]) rowFormat() rowFormat          { return t.format }

// Every row of every table arrives once, at the subtask that owns its key group now, whatever the backends are.
func TestR1_StateOfEveryBackendMovesWithItsKeyGroups(t *testing.T) {
	pebble := newPebble(t)
	homes := map[string]func() rowHome{
		"memory": func() rowHome { return rowHome{} },
		"pebble": func() rowHome { return rowHome{backend: pebble, dir: t.TempDir()} },
	}
	for _, way := range []struct {
		from, to string
		kind     checkpoint.Kind
	}{
		{"memory", "memory", checkpoint.KindCheckpoint},
		{"memory", "pebble", checkpoint.KindCheckpoint},
		{"pebble", "pebble", checkpoint.KindCheckpoint},
		{"pebble", "memory", checkpoint.KindSavepoint},
		{"pebble", "pebble", checkpoint.KindSavepoint},
	} {
		for _, p := range [][]int{{2, 13, 3}, {13, 2, 5}, {3, 2, 3}, {1, 1}} {
			t.Run(fmt.Sprintf("%s of %s to %s, %d", way.kind, way.from, way.to, p), func(t *testing.T) {
				moveState(t, homes[way.from], homes[way.to], way.kind, p)
			})
		}
	}
}

// moveState lets an operator go on with one parallelism after the other.
func moveState(t *testing.T, from, to func() rowHome, kind checkpoint.Kind, parallelisms []int) {
	store, b := newMemoryStore(), barrier(1)
	b.Kind = kind
	states := make([]checkpoint.SubtaskState, parallelisms[0])
	var before map[string][]string
	for generation, parallelism := range parallelisms {
		after, next := make(map[string][]string), make(map[string][]string)
		m := checkpoint.Manifest{ID: 1, Vertices: []checkpoint.Vertex{countVertex(parallelism)}}
		for i := range parallelism {
			home := to()
			if generation == 0 {
				home = from()
			}
			s := openMany(t, home, i, parallelism, store, states[i])
			for group, rows := range rowsOf(t, s) {
				if after[group] != nil {
					t.Errorf("key group and table %s arrive twice", group)
				}
				after[group] = rows
			}
			s.fill(int64(generation))
			maps.Copy(next, rowsOf(t, s))
			m.Subtasks = append(m.Subtasks, uploadSnapshot(t, captureOperator(t, s.op, b), store, i))
			closeOperator(t, s.op)
		}
		if generation > 0 && !maps.EqualFunc(before, after, slices.Equal) {
			t.Fatalf("generation %d: %d key groups and tables of %d, or other bytes", generation, len(after), len(before))
		}
		if len(next) < 4*rescaleGroups {
			t.Fatalf("only %d key groups and tables have state: the test has lost its teeth", len(next))
		}
		before = next
		if generation+1 < len(parallelisms) {
			states = matchedStates(t, m, parallelisms[generation+1])
		}
	}
}

func matchedStates(t *testing.T, m checkpoint.Manifest, parallelism int) []checkpoint.SubtaskState {
	t.Helper()
	match, err := checkpoint.MatchState(m, checkpoint.Topology{Vertices: []checkpoint.Vertex{countVertex(parallelism)}}, false)
	if err != nil {
		t.Fatal(err)
	}
	return match.Subtasks
}

func closeOperator(t fatal, o *keyedOperator[string]) {
	t.Helper()
	if o.chain.err != nil {
		t.Fatal(o.chain.err)
	}
	if err := o.close(); err != nil {
		t.Fatal(err)
	}
}

// TestPebbleFilesAreNotRestoredIntoMemory: the error names the way out.
func TestPebbleFilesAreNotRestoredIntoMemory(t *testing.T) {
	store := newMemoryStore()
	s := openMany(t, rowHome{backend: newPebble(t), dir: t.TempDir()}, 0, 1, store, checkpoint.SubtaskState{})
	s.fill(0)
	state := uploadSnapshot(t, captureOperator(t, s.op, barrier(1)), store, 0)
	closeOperator(t, s.op)
	states, err := restoredStates(t.Context(), store, TaskSpec{Restore: 1, State: state}, s.op.chain.ids)
	if err != nil {
		t.Fatal(err)
	}
	o := keyedOperatorIn(rowHome{}, 0, 1, rescaleGroups, time.Now)
	err = o.openWith(states[0], func(ctx *ProcessContext[string]) error {
		declareModel(ctx)
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "savepoint") {
		t.Errorf("error %v", err)
	}
}
