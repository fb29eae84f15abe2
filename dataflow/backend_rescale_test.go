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

// fill gives the keys of the subtask state of every kind.
func (s *manyStates) fill() {
	for k := range int64(500) {
		if s.op.keyed.setKey(fmt.Sprint("key", k)) != nil {
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
		for _, p := range [][2]int{{2, 13}, {13, 2}, {3, 2}, {1, 1}} {
			t.Run(fmt.Sprintf("%s of %s to %s, %d to %d", way.kind, way.from, way.to, p[0], p[1]), func(t *testing.T) {
				moveState(t, homes[way.from], homes[way.to], way.kind, p[0], p[1])
			})
		}
	}
}

func moveState(t *testing.T, from, to func() rowHome, kind checkpoint.Kind, was, is int) {
	store, b := newMemoryStore(), barrier(1)
	b.Kind = kind
	m := checkpoint.Manifest{ID: 1, Vertices: []checkpoint.Vertex{countVertex(was)}}
	before := make(map[string][]string)
	for i := range was {
		s := openMany(t, from(), i, was, store, checkpoint.SubtaskState{})
		s.fill()
		maps.Copy(before, rowsOf(t, s))
		m.Subtasks = append(m.Subtasks, uploadSnapshot(t, captureOperator(t, s.op, b), store, i))
		closeOperator(t, s.op)
	}
	match, err := checkpoint.MatchState(m, checkpoint.Topology{Vertices: []checkpoint.Vertex{countVertex(is)}}, false)
	if err != nil {
		t.Fatal(err)
	}
	after := make(map[string][]string)
	for i, state := range match.Subtasks {
		s := openMany(t, to(), i, is, store, state)
		for group, rows := range rowsOf(t, s) {
			if after[group] != nil {
				t.Errorf("key group and table %s arrive twice", group)
			}
			after[group] = rows
		}
		// It goes on from there: what it captures next is the same again.
		again := uploadSnapshot(t, captureOperator(t, s.op, b), store, i)
		r := openMany(t, to(), i, is, store, again)
		if !maps.EqualFunc(rowsOf(t, r), rowsOf(t, s), slices.Equal) {
			t.Errorf("subtask %d: the next snapshot has other rows", i)
		}
		closeOperator(t, r.op)
		closeOperator(t, s.op)
	}
	if len(before) < 5*rescaleGroups || !maps.EqualFunc(before, after, slices.Equal) {
		t.Errorf("%d key groups and tables of %d, or other bytes", len(after), len(before))
	}
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
	s.fill()
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
