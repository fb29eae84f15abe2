package checkpoint

import (
	"errors"
	"fmt"
	"slices"
)

// takenOperator is an operator as a manifest has it.
type takenOperator struct {
	vertex Vertex // it was chained into
	keyed  keyedParts
	lists  []*takenList // in the order in which the manifest names them first
}

// takenList is a state of an operator that is a list on each subtask: split, union or broadcast.
type takenList struct {
	name      string
	kind      HandleKind
	bySubtask [][]Handle
	all       listParts
}

// takenOperators returns every operator of a manifest with its state. An error wraps ErrNotManifest.
func takenOperators(m Manifest) (map[OperatorID]*takenOperator, error) {
	if err := checkSubtasks(m); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotManifest, err)
	}
	taken := make(map[OperatorID]*takenOperator)
	for _, v := range m.Vertices {
		for _, op := range v.Operators {
			if taken[op] != nil {
				return nil, fmt.Errorf("%w: operator %s appears twice", ErrNotManifest, op)
			}
			taken[op] = &takenOperator{vertex: v, keyed: keyedParts{v.MaxParallelism, make([][]Handle, v.Parallelism)}}
		}
	}
	for _, s := range m.Subtasks {
		for _, h := range s.Handles {
			if h.Kind == ChannelState {
				continue // of a vertex, not of an operator: inFlight
			}
			if err := taken[h.Operator].add(h, s.Subtask); err != nil {
				return nil, fmt.Errorf("%w: %s state of operator %s, subtask %s: %w", ErrNotManifest, h.Kind, h.Operator, s.Subtask, err)
			}
		}
	}
	for _, o := range taken {
		for _, l := range o.lists {
			l.all = joinParts(l.bySubtask)
		}
	}
	return taken, nil
}

// checkSubtasks makes sure that there is one state for each subtask of the vertices, in their order.
func checkSubtasks(m Manifest) error {
	was := Topology{Vertices: m.Vertices}
	if err := was.Validate(); err != nil {
		return err
	}
	if n := was.NumSubtasks(); n != len(m.Subtasks) {
		return fmt.Errorf("state of %d subtasks, its vertices have %d", len(m.Subtasks), n)
	}
	for i, want := range was.Subtasks() {
		if got := m.Subtasks[i].Subtask; got != want {
			return fmt.Errorf("state of subtask %s in the place of %s", got, want)
		}
	}
	return nil
}

// add notes a handle of one subtask. o is nil when the manifest has no such operator.
func (o *takenOperator) add(h Handle, s SubtaskID) error {
	if o == nil || o.vertex.ID != s.Vertex {
		return fmt.Errorf("it is not one of the operators of vertex %s", s.Vertex)
	}
	switch h.Kind {
	case KeyedState:
		owned := RangeOf(s.Index, o.vertex.MaxParallelism, o.vertex.Parallelism)
		if h.KeyGroups.Len() == 0 || h.KeyGroups.Intersect(owned) != h.KeyGroups {
			return fmt.Errorf("key groups %d to %d, the subtask owns %d to %d",
				h.KeyGroups.First, h.KeyGroups.Last, owned.First, owned.Last)
		}
		o.keyed.bySubtask[s.Index] = append(o.keyed.bySubtask[s.Index], h)
		return nil
	case ListState, UnionState, BroadcastState:
		if h.Take != (EntryRange{}) || int64(h.Entries) > h.Size() {
			return fmt.Errorf("%d entries of list %q in %d bytes, of which %d from %d on",
				h.Entries, h.Name, h.Size(), h.Take.Count, h.Take.First)
		}
		l := o.list(h)
		l.bySubtask[s.Index] = append(l.bySubtask[s.Index], h)
		return nil
	}
	return errors.New("a kind that this build does not know")
}

// list returns the list that h is a part of.
func (o *takenOperator) list(h Handle) *takenList {
	i := slices.IndexFunc(o.lists, func(l *takenList) bool { return l.name == h.Name && l.kind == h.Kind })
	if i < 0 {
		i = len(o.lists)
		o.lists = append(o.lists, &takenList{name: h.Name, kind: h.Kind, bySubtask: make([][]Handle, o.vertex.Parallelism)})
	}
	return o.lists[i]
}

// hasKeyed reports whether there is any keyed state.
func (o *takenOperator) hasKeyed() bool {
	return slices.ContainsFunc(o.keyed.bySubtask, func(parts []Handle) bool { return len(parts) > 0 })
}

// hasState reports whether anything would be lost without the operator.
func (o *takenOperator) hasState() bool {
	return o.hasKeyed() || slices.ContainsFunc(o.lists, func(l *takenList) bool {
		return slices.ContainsFunc(l.all.handles, func(h Handle) bool { return h.Entries != 0 })
	})
}

// share returns what subtask index of v receives.
func (o *takenOperator) share(v Vertex, index int) []Handle {
	var share []Handle
	if o.keyed.maxParallelism == v.MaxParallelism { // or there is no keyed state
		share = o.keyed.share(RangeOf(index, v.MaxParallelism, v.Parallelism))
	}
	for _, l := range o.lists {
		share = append(share, l.share(v.Parallelism, index)...)
	}
	return share
}

func (l *takenList) share(parallelism, index int) []Handle {
	switch {
	case l.kind == UnionState:
		return l.all.handles
	case l.kind == BroadcastState:
		return []Handle{l.all.copyFor(index)}
	case parallelism == len(l.bySubtask):
		return l.bySubtask[index]
	}
	return l.all.partition(index, parallelism)
}

// uncounted reports whether the number of entries is not known.
func (l *takenList) uncounted() bool {
	return slices.ContainsFunc(l.all.handles, func(h Handle) bool { return h.Entries == UnknownEntries })
}
