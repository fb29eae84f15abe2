package dataflow

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// operatorHarness runs one operator with state per key (of type int64) on some subtasks, with records, watermarks,
// snapshots and restores at the test's will. What the operator emits is noted as text.
type operatorHarness struct {
	t        *testing.T
	node     *node
	tag      string // of a side output of int64; empty for none
	store    *memoryStore
	clock    time.Time // processing time
	subtasks []*harnessSubtask

	out  []string // "timestamp: record"
	side []string
}

type harnessSubtask struct {
	chain *chain
	op    operator
	ins   []any
}

const harnessGroups = 16

// newHarness runs the operator that makes the stream which build returns.
func newHarness(t *testing.T, parallelism int, build func(*Graph) Stream[string]) *operatorHarness {
	t.Helper()
	g := NewGraph()
	s := build(g)
	To(s, "write", newLedger[string]())
	for _, o := range g.operators {
		o.timed = len(o.inputs) == 0 // the harness gives records their times
	}
	if err := g.Seal(); err != nil {
		t.Fatal(err)
	}
	h := &operatorHarness{t: t, node: s.outlets[0].node, store: newMemoryStore(), clock: time.UnixMilli(0)}
	h.start(parallelism, 0, nil)
	return h
}

// start makes the subtasks anew.
func (h *operatorHarness) start(parallelism int, restore checkpoint.ID, states []checkpoint.SubtaskState) {
	h.t.Helper()
	h.subtasks = nil
	ids := []checkpoint.OperatorID{h.node.id}
	for index := range parallelism {
		c := &chain{
			ctx: h.t.Context(), log: deadLogger, subtask: checkpoint.SubtaskID{Vertex: checkpoint.VertexID(h.node.id), Index: index},
			parallelism: parallelism, groups: harnessGroups, ids: ids, now: func() time.Time { return h.clock }, timestamp: NoTimestamp,
		}
		outs := outlets{
			main:  func(s string) { h.out = append(h.out, fmt.Sprintf("%d: %s", int64(c.timestamp), s)) },
			sides: map[string]any{h.tag: func(v int64) { h.side = append(h.side, fmt.Sprintf("%d: %d", int64(c.timestamp), v)) }},
		}
		s := &harnessSubtask{chain: c}
		s.op, s.ins = h.node.build(c, 0, outs)
		spec := TaskSpec{Restore: restore}
		if states != nil {
			spec.State = states[index]
		}
		state, err := restoredStates(h.t.Context(), h.store, spec, ids)
		if err != nil {
			h.t.Fatal(err)
		}
		if err := s.op.open(start{state: state[0]}); err != nil {
			h.t.Fatal(err)
		}
		if err := state[0].leftover(); err != nil {
			h.t.Fatal(err)
		}
		h.subtasks = append(h.subtasks, s)
	}
}

// push passes a record to an input of the subtask that its key belongs to.
func push[T any](h *operatorHarness, input int, key int64, at EventTime, v T) {
	group := checkpoint.KeyGroupOf(xxhash.Sum64(codec.Int64.Append(nil, key)), harnessGroups)
	h.pushTo(checkpoint.OwnerOf(group, harnessGroups, len(h.subtasks)), at, func(s *harnessSubtask) {
		s.ins[input].(func(T))(v)
	})
}

func (h *operatorHarness) pushTo(index int, at EventTime, pass func(*harnessSubtask)) {
	h.t.Helper()
	s := h.subtasks[index]
	s.chain.timestamp = at
	pass(s)
	if s.chain.err != nil {
		h.t.Fatal(s.chain.err)
	}
	if s.chain.timestamp != at {
		h.t.Fatalf("the record's event time %d has become %d", at, s.chain.timestamp)
	}
}

func (h *operatorHarness) watermark(w EventTime) {
	h.t.Helper()
	for _, s := range h.subtasks {
		s.op.onWatermark(w)
		if s.chain.err != nil {
			h.t.Fatal(s.chain.err)
		}
	}
}

// advanceClock lets processing time pass.
func (h *operatorHarness) advanceClock(to time.Time) {
	h.clock = to
	for _, s := range h.subtasks {
		s.op.(timed).fireProcessingTimers(EventTimeOf(to))
	}
}

// end brings the input to its end. Nothing may be left in the state of an operator of windows or joins.
func (h *operatorHarness) end() {
	h.t.Helper()
	h.watermark(MaxEventTime)
	for _, s := range h.subtasks {
		if err := s.op.finish(); err != nil {
			h.t.Fatal(err)
		}
	}
	for _, s := range h.snapshot().Subtasks {
		if len(s.Handles) > 0 {
			h.t.Errorf("%s keeps state behind the end: %v", s.Subtask, s.Handles)
		}
	}
}

// snapshot takes the state of all subtasks.
func (h *operatorHarness) snapshot() checkpoint.Manifest {
	h.t.Helper()
	m := checkpoint.Manifest{ID: 1, Vertices: []checkpoint.Vertex{h.vertex(len(h.subtasks))}}
	for _, s := range h.subtasks {
		snap := &snapshot{barrier: barrier(1)}
		if err := s.op.capture(snap); err != nil {
			h.t.Fatal(err)
		}
		state, err := snap.upload(h.t.Context(), h.store, s.chain.subtask)
		if err != nil {
			h.t.Fatal(err)
		}
		m.Subtasks = append(m.Subtasks, state)
	}
	return m
}

// restore goes on from a snapshot with another parallelism. No watermark is known then.
func (h *operatorHarness) restore(m checkpoint.Manifest, parallelism int) {
	h.t.Helper()
	match, err := checkpoint.MatchState(m, checkpoint.Topology{Vertices: []checkpoint.Vertex{h.vertex(parallelism)}}, false)
	if err != nil {
		h.t.Fatal(err)
	}
	h.start(parallelism, 1, match.Subtasks)
}

func (h *operatorHarness) vertex(parallelism int) checkpoint.Vertex {
	return checkpoint.Vertex{
		ID: checkpoint.VertexID(h.node.id), Operators: []checkpoint.OperatorID{h.node.id},
		Parallelism: parallelism, MaxParallelism: harnessGroups,
	}
}

// take returns what has been emitted since the last call, sorted.
func (h *operatorHarness) take() []string {
	out := h.out
	h.out = nil
	slices.Sort(out)
	return out
}

// expect fails the test unless exactly the given lines have been emitted since the last call.
func (h *operatorHarness) expect(when string, want ...string) {
	h.t.Helper()
	slices.Sort(want)
	if got := h.take(); !slices.Equal(got, want) {
		h.t.Errorf("%s: emitted %q, want %q", when, got, want)
	}
}

// lateRecords is how many records the subtasks have dropped.
func (h *operatorHarness) lateRecords() (n int64) {
	for _, s := range h.subtasks {
		n += s.chain.lateRecords
	}
	return n
}

// observation is a record of the tests: one value of a key.
type observation struct {
	key, v int64
}

var observations = codec.Struct2(codec.Int64, codec.Int64,
	func(o observation) (int64, int64) { return o.key, o.v }, func(key, v int64) observation { return observation{key, v} })

// observed returns a keyed stream of observations, for a harness.
func observed(g *Graph, id checkpoint.OperatorID) KeyedStream[int64, observation] {
	s := Map(From(g, id, numbers{}, codec.Int64), id+" map", observations, func(v int64) observation { return observation{v, v} })
	return KeyBy(s, codec.Int64, func(o observation) int64 { return o.key })
}
