package dataflow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// modelTTL is the TTL of the states in modelStates that have one.
const modelTTL = 100 * time.Millisecond

// modelStates is an operator's state with a table of every kind, each without and with a TTL.
type modelStates struct {
	op     *keyedOperator[string]
	keyed  *keyedState[string]
	value  [2]*ValueState[string, int64]
	list   [2]*ListState[string, int64]
	table  [2]*MapState[string, string, int64]
	sum    [2]*ReducingState[string, int64]
	digits [2]*AggregatingState[string, int64, []int64, string]
}

// digitList is an aggregate that changes its accumulator in place.
type digitList struct{}

func (digitList) New() []int64 { return make([]int64, 1, 8) }

func (digitList) Add(acc []int64, v int64) []int64 {
	acc[0] += v
	return append(acc, v)
}

func (digitList) Result(acc []int64) string { return fmt.Sprint(acc) }

func (digitList) Merge(a, b []int64) []int64 {
	a[0] += b[0]
	return append(a, b[1:]...)
}

func declareModel(ctx *ProcessContext[string]) *modelStates {
	s := &modelStates{keyed: ctx.keyed}
	for i, opts := range [][]StateOption{nil, {TTL(modelTTL)}} {
		name := func(kind string) string { return fmt.Sprint(kind, i) }
		s.value[i] = NewValueState(ctx, name("value"), codec.Int64, opts...)
		s.list[i] = NewListState(ctx, name("list"), codec.Int64, opts...)
		s.table[i] = NewMapState(ctx, name("map"), codec.String, codec.Int64, opts...)
		s.sum[i] = NewReducingState(ctx, name("sum"), codec.Int64, func(sum, v int64) int64 { return sum + v }, opts...)
		s.digits[i] = NewAggregatingState(ctx, name("digits"), codec.Slice(codec.Int64), digitList{}, opts...)
	}
	return s
}

// dated is a value of the model with the time of its last write.
type dated[V any] struct {
	at time.Time
	v  V
}

// stateModel is what modelStates should hold, in plain maps.
type stateModel struct {
	keys   []string
	now    time.Time
	value  [2]map[string]dated[int64]
	list   [2]map[string][]dated[int64]
	table  [2]map[string]map[string]dated[int64]
	sum    [2]map[string]dated[int64]
	digits [2]map[string]dated[[]int64]
}

func newStateModel(now time.Time) *stateModel {
	m := &stateModel{keys: modelKeys, now: now}
	for i := range 2 {
		m.value[i], m.sum[i] = make(map[string]dated[int64]), make(map[string]dated[int64])
		m.list[i], m.table[i] = make(map[string][]dated[int64]), make(map[string]map[string]dated[int64])
		m.digits[i] = make(map[string]dated[[]int64])
	}
	return m
}

func (m *stateModel) clone() *stateModel {
	c := newStateModel(m.now)
	c.keys = m.keys
	for i := range 2 {
		maps.Copy(c.value[i], m.value[i])
		maps.Copy(c.sum[i], m.sum[i])
		maps.Copy(c.digits[i], m.digits[i]) // replaced, never changed
		for k, l := range m.list[i] {
			c.list[i][k] = slices.Clone(l)
		}
		for k, t := range m.table[i] {
			c.table[i][k] = maps.Clone(t)
		}
	}
	return c
}

// live returns a value unless it has expired in the states with a TTL, which are those with index 1.
func live[V any](m *stateModel, i int, d dated[V], found bool) (v V, is bool) {
	if !found || i == 1 && m.now.Sub(d.at) >= modelTTL {
		return v, false
	}
	return d.v, true
}

// step does something at random to a state and to the model of it.
func (m *stateModel) step(t *rapid.T, s *modelStates) {
	key := rapid.SampledFrom(m.keys).Draw(t, "key")
	if err := s.keyed.setKey(key); err != nil {
		return // not one of this subtask
	}
	i, v := rapid.IntRange(0, 1).Draw(t, "ttl"), rapid.Int64Range(0, 99).Draw(t, "v")
	entry := fmt.Sprint("e", v%4)
	switch rapid.SampledFrom([]string{
		"put", "put", "delete", "add", "add", "list put", "list clear", "map put", "map put", "map put", "map delete", "map clear",
		"sum", "sum clear", "digits", "digits clear",
	}).Draw(t, "op") {
	case "put":
		s.value[i].Put(v)
		m.value[i][key] = dated[int64]{m.now, v}
	case "delete":
		s.value[i].Delete()
		delete(m.value[i], key)
	case "add":
		s.list[i].Add(v)
		m.list[i][key] = append(m.list[i][key], dated[int64]{m.now, v})
	case "list put":
		s.list[i].Put([]int64{v, v + 1}[:v%3])
		m.list[i][key] = []dated[int64]{{m.now, v}, {m.now, v + 1}}[:v%3]
	case "list clear":
		s.list[i].Clear()
		delete(m.list[i], key)
	case "map put":
		s.table[i].Put(entry, v)
		if m.table[i][key] == nil {
			m.table[i][key] = make(map[string]dated[int64])
		}
		m.table[i][key][entry] = dated[int64]{m.now, v}
	case "map delete":
		s.table[i].Delete(entry)
		delete(m.table[i][key], entry)
	case "map clear":
		s.table[i].Clear()
		delete(m.table[i], key)
	case "sum":
		s.sum[i].Add(v)
		d, found := m.sum[i][key]
		sum, _ := live(m, i, d, found)
		m.sum[i][key] = dated[int64]{m.now, sum + v}
	case "sum clear":
		s.sum[i].Clear()
		delete(m.sum[i], key)
	case "digits":
		s.digits[i].Add(v)
		d, found := m.digits[i][key]
		acc, found := live(m, i, d, found)
		if !found {
			acc = []int64{0}
		}
		acc = append(slices.Clone(acc), v)
		acc[0] += v
		m.digits[i][key] = dated[[]int64]{m.now, acc}
	case "digits clear":
		s.digits[i].Clear()
		delete(m.digits[i], key)
	}
}

var modelKeys = []string{"", "a", "aa", "b", "key with a longer name", "k1", "k2", "k3", "k4", "k5"}

// check compares everything that can be read of the keys of the subtask, in ways that change nothing but to remove
// what has expired.
func (m *stateModel) check(t fatal, s *modelStates) {
	t.Helper()
	all := [2]map[string]int64{{}, {}}
	for _, key := range m.keys {
		if s.keyed.setKey(key) != nil {
			continue
		}
		for i := range 2 {
			d, found := m.value[i][key]
			want, exists := live(m, i, d, found)
			same(t, key, "value", pairOf(s.value[i].Get()), pairOf(want, exists))
			if exists {
				all[i][key] = want
			}
			d, found = m.sum[i][key]
			same(t, key, "sum", pairOf(s.sum[i].Get()), pairOf(live(m, i, d, found)))
			acc, found := m.digits[i][key]
			digits, exists := live(m, i, acc, found)
			text := ""
			if exists {
				text = fmt.Sprint(digits)
			}
			same(t, key, "digits", pairOf(s.digits[i].Get()), pairOf(text, exists))
			m.checkList(t, s, i, key)
			m.checkMap(t, s, i, key)
		}
	}
	for i := range 2 {
		same(t, "every key", "value", fmt.Sprint(maps.Collect(s.value[i].All())), fmt.Sprint(all[i]))
	}
}

func (m *stateModel) checkList(t fatal, s *modelStates, i int, key string) {
	t.Helper()
	var want []int64
	for _, d := range m.list[i][key] {
		if v, is := live(m, i, d, true); is {
			want = append(want, v)
		}
	}
	same(t, key, "list", fmt.Sprint(slices.Collect(s.list[i].All())), fmt.Sprint(want))
}

func (m *stateModel) checkMap(t fatal, s *modelStates, i int, key string) {
	t.Helper()
	want := make(map[string]int64)
	for e, d := range m.table[i][key] {
		if v, is := live(m, i, d, true); is {
			want[e] = v
		}
	}
	for _, e := range []string{"e0", "e1", "e2", "e3"} {
		v, found := want[e]
		same(t, key, "map entry "+e, pairOf(s.table[i].Get(e)), pairOf(v, found))
	}
	same(t, key, "map", fmt.Sprint(maps.Collect(s.table[i].All())), fmt.Sprint(want))
	same(t, key, "empty map", fmt.Sprint(s.table[i].Empty()), fmt.Sprint(len(want) == 0))
}

// fatal is a *testing.T or a *rapid.T.
type fatal interface {
	Helper()
	Fatalf(format string, args ...any)
	Fatal(args ...any)
	Context() context.Context
}

func pairOf[V any](v V, found bool) string { return fmt.Sprint(v, " ", found) }

func same(t fatal, key, what, got, want string) {
	t.Helper()
	if got != want {
		t.Fatalf("%s of %q: %s, want %s", what, key, got, want)
	}
}

// openModelStates returns the state of an operator that has all key groups; its clock is the model's.
func openModelStates(t fatal, home rowHome, m **stateModel, store ChunkStore, state checkpoint.SubtaskState) (s *modelStates) {
	t.Helper()
	o := keyedOperatorIn(home, 0, 1, testGroups, func() time.Time { return (*m).now })
	openOperator(t, o, store, state, func(ctx *ProcessContext[string]) { s = declareModel(ctx) })
	s.op = o
	return s
}

func (s *modelStates) close(t fatal) {
	t.Helper()
	if err := errors.Join(s.op.chain.err, s.op.close()); err != nil {
		t.Fatal(err)
	}
}

// TestStateAgainstModel does things at random to states of all kinds, and to plain maps. In between it captures; the
// captures are uploaded later, and hold what was there at their moment. Sometimes the state goes on from one of them, in
// any backend.
func TestStateAgainstModel(t *testing.T) {
	onBackends(t, func(t *testing.T, home func(fatal) rowHome) {
		if home(t).backend != nil {
			fewerChecks(t)
		}
		rapid.Check(t, func(rt *rapid.T) {
			modelRun(rt, home)
		})
	})
}

// takenModel is a snapshot that has not been uploaded, and the model at its moment.
type takenModel struct {
	snapshot *snapshot
	model    *stateModel
}

func modelRun(t *rapid.T, home func(fatal) rowHome) {
	m := newStateModel(time.UnixMilli(1_000_000))
	store := newMemoryStore()
	s := openModelStates(t, home(t), &m, store, checkpoint.SubtaskState{})
	var pending []takenModel
	defer func() {
		for _, c := range pending {
			c.snapshot.release()
		}
		s.close(t)
	}()
	t.Repeat(map[string]func(*rapid.T){
		"change": func(t *rapid.T) {
			for range rapid.IntRange(1, 20).Draw(t, "steps") {
				m.step(t, s)
			}
		},
		"wait": func(t *rapid.T) {
			m.now = m.now.Add(time.Duration(rapid.IntRange(1, 120).Draw(t, "ms")) * time.Millisecond)
		},
		"capture": func(t *rapid.T) {
			if len(pending) < 3 {
				b := barrier(1)
				if rapid.Bool().Draw(t, "savepoint") {
					b.Kind = checkpoint.KindSavepoint
				}
				b.Full = rapid.Bool().Draw(t, "full")
				pending = append(pending, takenModel{captureOperator(t, s.op, b), m.clone()})
			}
		},
		"upload": func(t *rapid.T) {
			if len(pending) == 0 {
				t.Skip()
			}
			c := pending[0]
			pending = pending[1:]
			state := uploadSnapshot(t, c.snapshot, store, 0)
			now := m.now
			m, c.model = c.model, m // the restored states look at m's clock
			m.now = now
			restored := openModelStates(t, home(t), &m, store, state)
			m.check(t, restored)
			if rapid.Bool().Draw(t, "go on from it") {
				s, restored = restored, s
				for _, p := range pending {
					p.snapshot.release()
				}
				pending = nil
			} else {
				m = c.model
			}
			restored.close(t)
		},
		"": func(t *rapid.T) {
			m.check(t, s)
			if s.op.chain.err != nil {
				t.Fatal(s.op.chain.err)
			}
		},
	})
}

// TestExpiredStateIsLeftOut: what has expired is not in a snapshot, and what a snapshot has come across goes at the
// next write to the key group.
func TestExpiredStateIsLeftOut(t *testing.T) {
	m := newStateModel(time.UnixMilli(1_000_000))
	s := openModelStates(t, rowHome{}, &m, newMemoryStore(), checkpoint.SubtaskState{})
	fill := func(key string) {
		if err := s.keyed.setKey(key); err != nil {
			t.Fatal(err)
		}
		s.value[1].Put(1)
		s.list[1].Add(1)
		s.table[1].Put("e", 1)
		s.digits[1].Add(1)
	}
	for i := range 100 {
		fill(fmt.Sprint("old", i))
	}
	m.now = m.now.Add(modelTTL)
	for i := range 100 {
		fill(fmt.Sprint("new", i))
	}
	sizes := func() (rows, cells int) {
		c := s.keyed.capture()
		for _, shard := range c.shards {
			shard.serve()
			rows += shard.count
		}
		values := s.value[1].cells.(*expiringValues[string, int64]).cells.(memoryValues[string, stamped[int64]])
		for range values.rows() {
			cells++
		}
		return rows, cells
	}
	if rows, cells := sizes(); rows != 400 || cells != 200 {
		t.Errorf("%d rows in the snapshot, want 400; %d values in memory, want 200", rows, cells)
	}
	for i := range 100 {
		fill(fmt.Sprint("new", i)) // every key group, most probably
	}
	if rows, cells := sizes(); rows != 400 || cells != 100 {
		t.Errorf("%d rows in the snapshot, want 400; %d values in memory, want 100", rows, cells)
	}
}

// TestExpiredRowsGoOnDisk: rows that nobody looks at again are removed bit by bit, and no others.
func TestExpiredRowsGoOnDisk(t *testing.T) {
	m := newStateModel(time.UnixMilli(1_000_000))
	s := openModelStates(t, rowHome{backend: newPebble(t), dir: t.TempDir()}, &m, newMemoryStore(), checkpoint.SubtaskState{})
	defer s.close(t)
	fill := func(round int) {
		for i := range 1000 {
			if err := s.keyed.setKey(fmt.Sprint("key ", round, " ", i)); err != nil {
				t.Fatal(err)
			}
			s.value[0].Put(1) // has no TTL
			s.value[1].Put(1)
			s.list[1].Add(1)
			s.table[1].Put("e", 1)
		}
	}
	const rounds = 4
	for round := range rounds {
		fill(round)
		m.now = m.now.Add(modelTTL)
	}
	rows := make(map[string]int)
	for _, table := range s.keyed.tables {
		table.(interface {
			each(func(string, []byte, []byte) bool)
		}).each(func(string, []byte, []byte) bool {
			rows[table.tableName()]++
			return true
		})
	}
	if rows["value0"] != 1000*rounds {
		t.Errorf("%d rows without a TTL, want %d", rows["value0"], 1000*rounds)
	}
	for _, name := range []string{"value1", "list1", "map1"} {
		if n := rows[name]; n < 1000 || n > 2500 {
			t.Errorf("%d rows of %s, want the last 1000 and not many more", n, name)
		}
	}
}

func TestStatesThatCannotBeDeclared(t *testing.T) {
	for name, declare := range map[string]func(*ProcessContext[string]){
		"no name":       func(ctx *ProcessContext[string]) { NewListState(ctx, "", codec.Int64) },
		"reserved name": func(ctx *ProcessContext[string]) { NewListState(ctx, "cairn.x", codec.Int64) },
		"twice": func(ctx *ProcessContext[string]) {
			NewValueState(ctx, "a", codec.Int64)
			NewMapState(ctx, "a", codec.Int64, codec.Int64)
		},
		"a TTL of 0":     func(ctx *ProcessContext[string]) { NewValueState(ctx, "a", codec.Int64, TTL(0)) },
		"a negative TTL": func(ctx *ProcessContext[string]) { NewValueState(ctx, "a", codec.Int64, TTL(-time.Second)) },
	} {
		keyed, _ := countTable(t)
		ctx := &ProcessContext[string]{keyed: keyed}
		if declare(ctx); ctx.err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
