package checkpoint

import (
	"fmt"
	"slices"
	"strings"
)

// A subtask that had seen the end of its input, and had finished its operators, goes on from there: it emits nothing
// any more and drops what it receives. So a finished vertex stays one only if nothing can come to it, and one of
// which only some subtasks have finished cannot be divided in another way: nobody could say which of the new ones
// have. Sources can: how far each split was read is in their state.

// finished returns which subtasks of v have finished.
func (x *matcher) finished(v Vertex) func(index int) bool {
	if base, unchanged := x.unchanged(v); unchanged {
		return func(i int) bool { return x.manifest.Subtasks[base+i].EndOfData }
	}
	var ended, others []string
	for _, op := range v.Operators {
		taken := x.taken[op]
		if taken == nil {
			others = append(others, string(op)+" (new)")
			continue
		}
		switch n := x.numFinished(taken.vertex); n {
		case 0:
			others = append(others, string(op))
		case taken.vertex.Parallelism:
			ended = append(ended, string(op))
		default:
			if x.resumable(v, taken.vertex) {
				return never
			}
			x.failf("%d of the %d subtasks of vertex %s had finished, and it is now %s: such a vertex keeps its operators "+
				"and its parallelism; change them from a checkpoint that was taken before or after that",
				n, taken.vertex.Parallelism, taken.vertex.ID, describe(v))
			return never
		}
	}
	if len(ended) > 0 && len(others) > 0 {
		x.failf("vertex %s chains operators that had finished (%s) to others (%s), which would receive nothing: "+
			"keep them in vertices of their own", v.ID, strings.Join(ended, ", "), strings.Join(others, ", "))
	}
	return func(int) bool { return len(ended) > 0 }
}

func never(int) bool { return false }

// resumable reports whether a vertex of which some subtasks have finished can be divided in another way all the same: a
// source, with the operators that were chained to it. None of the new subtasks counts as finished. The splits that had
// been read to their end are dealt out like the others; whoever gets only such ends at once, and finishes its operators
// again, which have nothing to emit that was not emitted: a chain behind a source holds no state by key. Subtasks behind
// it are not affected, for none of them had seen the end of all its inputs.
func (x *matcher) resumable(v, was Vertex) bool {
	at := x.topology.VertexIndex(v.ID)
	fed := slices.ContainsFunc(x.topology.Edges, func(e Edge) bool { return e.To == at })
	return !fed && slices.Equal(v.Operators, was.Operators)
}

func describe(v Vertex) string {
	ops := make([]string, len(v.Operators))
	for i, op := range v.Operators {
		ops[i] = string(op)
	}
	return fmt.Sprintf("%s with parallelism %d", strings.Join(ops, " -> "), v.Parallelism)
}

// unchanged reports whether the manifest has the same vertex, with the same parallelism, and where the state of its
// subtasks begins.
func (x *matcher) unchanged(v Vertex) (base int, found bool) {
	for _, was := range x.manifest.Vertices {
		if was.ID == v.ID {
			return base, was.Parallelism == v.Parallelism && slices.Equal(was.Operators, v.Operators)
		}
		base += was.Parallelism
	}
	return 0, false
}

// numFinished returns how many subtasks of a vertex of the manifest have finished.
func (x *matcher) numFinished(v Vertex) int {
	base := 0
	for _, was := range x.manifest.Vertices {
		if was.ID == v.ID {
			return countFinished(x.manifest.Subtasks[base : base+v.Parallelism])
		}
		base += was.Parallelism
	}
	return 0
}

func countFinished(states []SubtaskState) int {
	n := 0
	for _, s := range states {
		if s.EndOfData {
			n++
		}
	}
	return n
}

// checkInputs makes sure that nothing is sent to a vertex of which subtasks have finished but by one that was there
// before, and has begun to finish: at least once, the end may have been read ahead of the last barrier.
func (x *matcher) checkInputs(states []SubtaskState) {
	finished := make([]int, len(x.topology.Vertices))
	base := 0
	for i, v := range x.topology.Vertices {
		finished[i] = countFinished(states[base : base+v.Parallelism])
		base += v.Parallelism
	}
	for _, e := range x.topology.Edges {
		from, to := x.topology.Vertices[e.From], x.topology.Vertices[e.To]
		if finished[e.To] == 0 || finished[e.From] == from.Parallelism {
			continue
		}
		if _, same := x.unchanged(from); same && finished[e.From] > 0 {
			continue
		}
		x.failf("vertex %s had read the end of its input, so that what %s sends it would be lost: "+
			"give the operators of %s other IDs", to.ID, from.ID, to.ID)
	}
}
