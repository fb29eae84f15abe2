package checkpoint

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ErrStateMismatch says that a job cannot go on from a checkpoint, as its graph does not fit the state.
var ErrStateMismatch = errors.New("the state does not fit the job")

// Match is what the subtasks of a job start from.
type Match struct {
	// Subtasks holds the state of every subtask, in the order of Topology.Subtasks. The handles are parts of the
	// manifest's: narrowed to the subtask's key groups, or to its share of a list.
	Subtasks []SubtaskState
	// NonRestored are the operators whose state goes unused, sorted.
	NonRestored []OperatorID
}

// MatchState spreads the state of a completed checkpoint over the subtasks of a job, whose graph and parallelism may
// be others than those it was taken with. State is matched by operator, whichever vertex the operator is chained
// into: keyed state by key group, list state in even shares, union state whole, broadcast state one copy each.
// Operators that the checkpoint does not know start empty. Records in flight go back to the channels that they were found
// in, which have to be there. The state of operators that the job does not have is an
// error unless allowNonRestored is set. Where neither the operators nor the parallelism of a vertex have changed, each
// subtask gets what it had.
//
// An error wraps ErrStateMismatch and says everything that has to be changed, or wraps ErrNotManifest when m
// contradicts itself. m is not changed; the result shares memory with it.
func MatchState(m Manifest, t Topology, allowNonRestored bool) (Match, error) {
	taken, err := takenOperators(m)
	if err != nil {
		return Match{}, err
	}
	x := &matcher{manifest: m, topology: t, taken: taken}
	match := Match{Subtasks: make([]SubtaskState, 0, t.NumSubtasks()), NonRestored: x.nonRestored()}
	if len(match.NonRestored) > 0 && !allowNonRestored {
		x.failf("it has state of %s, which the job does not have: keep the operator IDs as they were, "+
			"or give that state up with --allow-non-restored-state", listOperators(match.NonRestored))
	}
	for _, v := range t.Vertices {
		match.Subtasks = append(match.Subtasks, x.vertex(v)...)
	}
	x.checkInFlight()
	if len(x.problems) == 0 {
		x.checkInputs(match.Subtasks)
	}
	if len(x.problems) > 0 {
		return Match{}, fmt.Errorf("%w: %s", ErrStateMismatch, strings.Join(x.problems, "; "))
	}
	return match, nil
}

// matcher is the work sheet of one call of MatchState.
type matcher struct {
	manifest Manifest
	topology Topology
	taken    map[OperatorID]*takenOperator
	problems []string
}

func (x *matcher) failf(format string, args ...any) {
	x.problems = append(x.problems, fmt.Sprintf(format, args...))
}

// nonRestored returns the operators that have state and that the job lacks.
func (x *matcher) nonRestored() []OperatorID {
	known := make(map[OperatorID]bool)
	for _, v := range x.topology.Vertices {
		for _, op := range v.Operators {
			known[op] = true
		}
	}
	var lost []OperatorID
	for op, taken := range x.taken {
		if !known[op] && taken.hasState() {
			lost = append(lost, op)
		}
	}
	slices.Sort(lost)
	return lost
}

// vertex returns the state of a vertex's subtasks.
func (x *matcher) vertex(v Vertex) []SubtaskState {
	finished := x.finished(v)
	states := make([]SubtaskState, v.Parallelism)
	for i := range states {
		states[i] = SubtaskState{Subtask: SubtaskID{Vertex: v.ID, Index: i}, EndOfData: finished(i)}
	}
	for _, op := range v.Operators {
		if taken := x.taken[op]; taken != nil && x.fits(op, taken, v) {
			for i := range states {
				states[i].Handles = append(states[i].Handles, taken.share(v, i)...)
			}
		}
	}
	if base, unchanged := x.unchanged(v); unchanged {
		for i := range states {
			states[i].Handles = append(states[i].Handles, inFlight(x.manifest.Subtasks[base+i])...)
		}
	}
	return states
}

// fits reports whether an operator's state can be spread over the subtasks of v, and notes why not.
func (x *matcher) fits(op OperatorID, taken *takenOperator, v Vertex) bool {
	was := taken.vertex
	if taken.hasKeyed() && was.MaxParallelism != v.MaxParallelism {
		advice := fmt.Sprintf("set it to %d", was.MaxParallelism)
		if v.Parallelism > was.MaxParallelism {
			advice += fmt.Sprintf(", and the parallelism of %d to at most that", v.Parallelism)
		}
		x.failf("operator %s has max parallelism %d, but its keyed state was taken with %d, which can never change: %s",
			op, v.MaxParallelism, was.MaxParallelism, advice)
		return false
	}
	for _, l := range taken.lists {
		if l.kind == ListState && was.Parallelism != v.Parallelism && l.uncounted() {
			x.failf("operator %s has parallelism %d, but its list state %q was taken with %d by a version that could not "+
				"change that: restore with %d, take a savepoint, and change it from there",
				op, v.Parallelism, l.name, was.Parallelism, was.Parallelism)
			return false
		}
	}
	return true
}

func listOperators(ops []OperatorID) string {
	names := make([]string, len(ops))
	for i, op := range ops {
		names[i] = string(op)
	}
	noun := "operator "
	if len(ops) > 1 {
		noun = "operators "
	}
	return noun + strings.Join(names, ", ")
}
