package dataflow

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"cairn/checkpoint"
)

// named is a source whose subtasks keep entries, which are dealt out as union says.
type named struct {
	union  bool
	opened map[checkpoint.SubtaskID][]string // with what
}

func (n named) UnionSplits() bool { return n.union }

func (n named) Open(ctx SourceContext) (SourceReader[int64], error) {
	for _, e := range ctx.Entries {
		n.opened[ctx.Subtask] = append(n.opened[ctx.Subtask], string(e))
	}
	return namedReader{ctx.Subtask}, nil
}

type namedReader struct{ subtask checkpoint.SubtaskID }

func (r namedReader) Next(func(int64)) (ReadStatus, error) { return End(), nil }
func (r namedReader) Position() string                     { return "" }
func (r namedReader) Close() error                         { return nil }
func (r namedReader) Snapshot() ([][]byte, error) {
	return [][]byte{fmt.Append(nil, r.subtask, " first"), fmt.Append(nil, r.subtask, " second")}, nil
}

// With a source that says itself who goes on with what, every subtask sees the entries of all, also under the same
// parallelism; with others each entry goes to one.
func TestUnionSourceReceivesAllEntries(t *testing.T) {
	vertex := func(parallelism int) checkpoint.Vertex {
		return checkpoint.Vertex{ID: "read", Operators: []checkpoint.OperatorID{"read"}, Parallelism: parallelism, MaxParallelism: 128}
	}
	operatorOf := func(source named, index, parallelism int) *sourceOperator[int64] {
		c := &chain{
			ctx: t.Context(), log: slog.New(slog.DiscardHandler), ids: []checkpoint.OperatorID{"read"},
			subtask: checkpoint.SubtaskID{Vertex: "read", Index: index}, parallelism: parallelism,
		}
		return &sourceOperator[int64]{chain: c, source: source}
	}
	all := []string{"read[0] first", "read[0] second", "read[1] first", "read[1] second"}
	for _, union := range []bool{true, false} {
		for is := 1; is <= 3; is++ {
			store, source := newMemoryStore(), named{union: union, opened: make(map[checkpoint.SubtaskID][]string)}
			m := checkpoint.Manifest{ID: 1, Vertices: []checkpoint.Vertex{vertex(2)}}
			for index := range 2 {
				o, snap := operatorOf(source, index, 2), &snapshot{barrier: barrier(1)}
				if err := o.open(start{state: &operatorState{}}); err != nil {
					t.Fatal(err)
				}
				if err := o.capture(snap); err != nil {
					t.Fatal(err)
				}
				state, err := snap.upload(t.Context(), store, o.chain.subtask)
				if err != nil {
					t.Fatal(err)
				}
				m.Subtasks = append(m.Subtasks, state)
			}
			match, err := checkpoint.MatchState(m, checkpoint.Topology{Vertices: []checkpoint.Vertex{vertex(is)}}, false)
			if err != nil {
				t.Fatal(err)
			}
			var received []string
			for index, state := range match.Subtasks {
				o := operatorOf(source, index, is)
				states, err := restoredStates(t.Context(), store, TaskSpec{Subtask: o.chain.subtask, Restore: 1, State: state}, o.chain.ids)
				if err != nil {
					t.Fatal(err)
				}
				if err := o.open(start{state: states[0]}); err != nil {
					t.Fatal(err)
				}
				got := source.opened[o.chain.subtask]
				if union && !slices.Equal(got, all) {
					t.Errorf("union, 2 to %d: subtask %d is opened with %q, want %q", is, index, got, all)
				}
				received = append(received, got...)
			}
			if !union && !slices.Equal(received, all) {
				t.Errorf("list, 2 to %d: the subtasks are opened with %q, want %q", is, received, all)
			}
		}
	}
}
