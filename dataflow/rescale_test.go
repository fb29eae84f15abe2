package dataflow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

const rescaleGroups = 128

// rescalable returns the keyed state of one subtask, with two tables.
func rescalable(index, parallelism int) (*keyedState[string], [2]*ValueState[string, int64]) {
	s := newKeyedState(codec.String, checkpoint.RangeOf(index, rescaleGroups, parallelism), rescaleGroups, time.Now)
	ctx := &ProcessContext[string]{keyed: s}
	return s, [2]*ValueState[string, int64]{NewValueState[string](ctx, "count", codec.Int64), NewValueState[string](ctx, "sum", codec.Int64)}
}

func countVertex(parallelism int) checkpoint.Vertex {
	return checkpoint.Vertex{ID: "count", Operators: []checkpoint.OperatorID{"count"}, Parallelism: parallelism, MaxParallelism: rescaleGroups}
}

// entriesByGroup returns the serialized entries of a capture, sorted, for each key group and table.
func entriesByGroup(t *testing.T, c capturedKeyed) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	for _, s := range c.shards {
		s.serve()
		name := fmt.Sprint(s.group, " ", s.table)
		for data := s.data; len(data) > 0; {
			_, n, err := codec.String.Decode(data)
			if err != nil {
				t.Fatal(err)
			}
			_, m, err := codec.Int64.Decode(data[n:])
			if err != nil {
				t.Fatal(err)
			}
			all[name] = append(all[name], string(data[:n+m]))
			data = data[n+m:]
		}
		slices.Sort(all[name])
	}
	return all
}

// The bytes of each key group of each table arrive once, at the subtask that owns the group now.
func TestR1_KeyedStateMovesWithItsKeyGroups(t *testing.T) {
	for _, p := range [][2]int{{2, 13}, {13, 2}, {5, 7}, {1, 128}, {128, 1}, {3, 3}} {
		was, is := p[0], p[1]
		t.Run(fmt.Sprintf("%d to %d", was, is), func(t *testing.T) {
			store := newMemoryStore()
			m := checkpoint.Manifest{ID: 1, Vertices: []checkpoint.Vertex{countVertex(was)}}
			before := make(map[string][]string)
			for i := range was {
				s, tables := rescalable(i, was)
				for k := range 2000 {
					if key := fmt.Sprint("key", k); s.setKey(key) == nil {
						tables[k%2].Put(int64(k))
					}
				}
				maps.Copy(before, entriesByGroup(t, s.capture()))
				snap := &snapshot{barrier: barrier(1)}
				snap.addKeyed("count", s.capture())
				state, err := snap.upload(t.Context(), store, checkpoint.SubtaskID{Vertex: "count", Index: i})
				if err != nil {
					t.Fatal(err)
				}
				m.Subtasks = append(m.Subtasks, state)
			}
			match, err := checkpoint.MatchState(m, checkpoint.Topology{Vertices: []checkpoint.Vertex{countVertex(is)}}, false)
			if err != nil {
				t.Fatal(err)
			}
			after := make(map[string][]string)
			for i, state := range match.Subtasks {
				s, _ := rescalable(i, is)
				loadKeyedState(t, store, state, s)
				for group, entries := range entriesByGroup(t, s.capture()) {
					if after[group] != nil {
						t.Errorf("key group and table %s arrive twice", group)
					}
					after[group] = entries
				}
			}
			if len(before) != 2*rescaleGroups || !maps.EqualFunc(before, after, slices.Equal) {
				t.Errorf("%d key groups and tables of %d, or other bytes", len(after), len(before))
			}
		})
	}
}

// countingStore counts what is read.
type countingStore struct {
	*memoryStore
	gets atomic.Int64
}

func (s *countingStore) Get(ctx context.Context, ref checkpoint.ChunkRef) ([]byte, error) {
	s.gets.Add(1)
	return s.memoryStore.Get(ctx, ref)
}

// Chunks that hold nothing but key groups of others are not fetched.
func TestForeignKeyGroupsAreNotFetched(t *testing.T) {
	var shards []*capturedShard
	for group := range 8 {
		shards = append(shards, &capturedShard{table: "count", group: group, data: bytes.Repeat([]byte{byte(group)}, 1<<20), serve: func() {}})
	}
	b := content(t, func(w *chunkWriter) error { return w.writeKeyed(capturedKeyed{shards: shards}) })
	chunks := chunksOf(t, b, 64<<10)
	store := &countingStore{memoryStore: chunks.store.(*memoryStore)}
	all := len(chunks.refs)
	chunks.store = store
	r, err := newStateReader(chunks, int64(len(b)), keyedMagic, keyedFormatVersion)
	if err != nil {
		t.Fatal(err)
	}
	var got []int
	err = r.keyed(checkpoint.KeyGroupRange{First: 3, Last: 3}, func(group int, _ string, _ tableKind, _ int, entries []byte) error {
		if !bytes.Equal(entries, bytes.Repeat([]byte{3}, 1<<20)) {
			t.Error("other bytes")
		}
		got = append(got, group)
		return nil
	})
	if err != nil || !slices.Equal(got, []int{3}) {
		t.Fatalf("read the groups %v, %v", got, err)
	}
	r.close()
	if gets := int(store.gets.Load()); gets > all/4 {
		t.Errorf("%d of %d chunks were fetched for one group of 8", gets, all)
	}
}

// Every part of a list is what it says, however the content is cut into chunks.
func TestPartsOfLists(t *testing.T) {
	var entries [][]byte
	for i := range 9 {
		entries = append(entries, bytes.Repeat([]byte{byte(i)}, 3*i))
	}
	b := content(t, func(w *chunkWriter) error { return w.writeList(entries) })
	for size := 1; size <= len(b); size += 5 {
		for first := range entries {
			for count := 1; first+count <= len(entries); count++ {
				r, err := newStateReader(chunksOf(t, b, size), int64(len(b)), listMagic, listFormatVersion)
				if err != nil {
					t.Fatal(err)
				}
				got, err := r.list(len(entries), checkpoint.EntryRange{First: first, Count: count})
				if err != nil || !slices.EqualFunc(got, entries[first:first+count], bytes.Equal) {
					t.Fatalf("%d entries from %d on in chunks of %d bytes: %v, %v", count, first, size, got, err)
				}
			}
		}
	}
	for cut := range b[:len(b)-1] { // the last part begins behind every cut
		r, err := newStateReader(chunksOf(t, b[:cut], 7), int64(len(b)), listMagic, listFormatVersion)
		if err == nil {
			_, err = r.list(len(entries), checkpoint.EntryRange{First: 8, Count: 1})
		}
		if !errors.Is(err, errState) {
			t.Errorf("cut to %d of %d bytes: %v", cut, len(b), err)
		}
	}
}

// A subtask whose share of a list is empty knows all the same that there was one.
func TestEmptyShareOfAListIsFound(t *testing.T) {
	spec := TaskSpec{Restore: 1, State: checkpoint.SubtaskState{Handles: []checkpoint.Handle{
		{Operator: "read", Name: "splits", Kind: checkpoint.ListState},
	}}}
	states, err := restoredStates(t.Context(), newMemoryStore(), spec, []checkpoint.OperatorID{"read"})
	if err != nil {
		t.Fatal(err)
	}
	if entries, found := states[0].takeList("splits"); !found || len(entries) != 0 {
		t.Errorf("%d entries, found: %v", len(entries), found)
	}
}

// TestR1_ExactlyOnceAcrossRescaling kills the job again and again and has it go on with another parallelism each time,
// so that its operators are chained otherwise too, from the last completed checkpoint. Its sinks' transactions are dealt
// to other subtasks, and what nobody commits is given up in the end.
func TestR1_ExactlyOnceAcrossRescaling(t *testing.T) {
	want := countingOutput(600)
	rescaled, refused := 0, 0
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 7))
			out := newLedger[string]()
			next := func() *Graph {
				p := [3]int{1 + rng.IntN(3), 1 + rng.IntN(13), 1 + rng.IntN(3)}
				if rng.IntN(2) == 0 {
					p[2] = p[1] // one chain
				}
				return countingJob(t, numbers{n: 600, splits: 5, batch: 10, pace: true}, out, p)
			}
			l := newLeader(t, next(), seed, 12)
			var last checkpoint.Manifest
			for {
				completed := l.completed
				if l.runAttempt() {
					break
				}
				if l.completed != completed {
					last = manifestOf(l)
				}
				g := next()
				match, err := checkpoint.MatchState(last, g.Topology(), false)
				switch {
				case l.completed == 0:
					l.graph = g
				case errors.Is(err, checkpoint.ErrStateMismatch):
					refused++ // some subtasks of a vertex have finished: go on as before
				case err != nil:
					t.Fatalf("seed %d: %v", seed, err)
				default:
					rescaled++
					l.graph, l.states = g, make(map[checkpoint.SubtaskID]checkpoint.SubtaskState)
					for _, s := range match.Subtasks {
						l.states[s.Subtask] = s
					}
				}
			}
			got := out.output()
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("seed %d, %+v: %s", seed, l.counts, firstDifference(got, want))
			}
			if len(out.prepared) > 0 {
				t.Errorf("seed %d: %d transactions were neither committed nor given up", seed, len(out.prepared))
			}
		})
	}
	t.Logf("rescaled %d times, %d refused", rescaled, refused)
	if rescaled < 30 {
		t.Errorf("the job was rescaled only %d times: the test has lost its teeth", rescaled)
	}
}

// manifestOf returns the manifest of the last completed checkpoint, which the present graph took.
func manifestOf(l *leader) checkpoint.Manifest {
	t := l.graph.Topology()
	m := checkpoint.Manifest{ID: l.completed, Vertices: t.Vertices}
	for _, s := range t.Subtasks() {
		m.Subtasks = append(m.Subtasks, l.states[s])
	}
	return m
}
