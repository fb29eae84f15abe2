package checkpoint

import (
	"errors"
	"fmt"
)

// Partitioning says how records are spread over the subtasks at the end of an edge. The numbers are
// persisted.
type Partitioning uint8

const (
	// Forward sends subtask i to subtask i; both ends have the same parallelism.
	Forward Partitioning = 1
	// Hash sends each record to the owner of its key group.
	Hash Partitioning = 2
	// Rebalance deals batches out in turn.
	Rebalance Partitioning = 3
	// Broadcast sends every record to every subtask.
	Broadcast Partitioning = 4
	// Custom sends each record where a function of the job says.
	Custom Partitioning = 5
)

// String returns Flink's word for the partitioning, in lower case.
func (p Partitioning) String() string {
	switch p {
	case Forward:
		return "forward"
	case Hash:
		return "hash"
	case Rebalance:
		return "rebalance"
	case Broadcast:
		return "broadcast"
	case Custom:
		return "custom"
	}
	return fmt.Sprintf("partitioning(%d)", uint8(p))
}

// Vertex is a chain of operators that run as one task, with Parallelism instances.
type Vertex struct {
	ID             VertexID
	Name           string       // the operators' names joined with " -> "
	Operators      []OperatorID // in chain order, at least one; the first names the vertex
	Parallelism    int
	MaxParallelism int // number of key groups, fixed at submission
	// SharingGroup is the slot sharing group; empty stands for DefaultSharingGroup, as in all that was stored before
	// there were groups. Use Group to read it.
	SharingGroup string
}

// DefaultSharingGroup is the slot sharing group of operators that name none.
const DefaultSharingGroup = "default"

// Group returns the name of the vertex's slot sharing group.
func (v Vertex) Group() string {
	if v.SharingGroup == "" {
		return DefaultSharingGroup
	}
	return v.SharingGroup
}

// Edge connects two vertices, named by their positions in Topology.Vertices.
type Edge struct {
	From, To     int
	Partitioning Partitioning
}

// Topology is the shape of a job graph: all that the coordinator knows of it. Vertices stand in
// topological order (an edge leads from a smaller position to a larger one).
type Topology struct {
	Vertices []Vertex
	Edges    []Edge
}

// Validate returns an error that names the first part that is not well-formed.
func (t Topology) Validate() error {
	if len(t.Vertices) == 0 {
		return errors.New("job graph: it has no vertices")
	}
	vertices := make(map[VertexID]bool, len(t.Vertices))
	operators := make(map[OperatorID]bool)
	for _, v := range t.Vertices {
		if err := v.validate(); err != nil {
			return err
		}
		if vertices[v.ID] {
			return fmt.Errorf("job graph: vertex %q appears twice", v.ID)
		}
		vertices[v.ID] = true
		for _, op := range v.Operators {
			if op == "" || operators[op] {
				return fmt.Errorf("job graph: operator ID %q is empty or appears twice", op)
			}
			operators[op] = true
		}
	}
	for i, e := range t.Edges {
		if err := t.validateEdge(e); err != nil {
			return fmt.Errorf("job graph: edge %d: %w", i, err)
		}
	}
	return nil
}

func (v Vertex) validate() error {
	switch {
	case v.ID == "" || len(v.Operators) == 0 || VertexID(v.Operators[0]) != v.ID:
		return fmt.Errorf("job graph: vertex %q must be named by its first operator, has %v", v.ID, v.Operators)
	case v.Parallelism < 1:
		return fmt.Errorf("job graph: vertex %q: parallelism %d, must be at least 1", v.ID, v.Parallelism)
	case v.MaxParallelism < v.Parallelism || v.MaxParallelism > MaxMaxParallelism:
		return fmt.Errorf("job graph: vertex %q: max parallelism %d, must be between its parallelism %d and %d",
			v.ID, v.MaxParallelism, v.Parallelism, MaxMaxParallelism)
	}
	return nil
}

func (t Topology) validateEdge(e Edge) error {
	if e.From < 0 || e.To >= len(t.Vertices) || e.From >= e.To {
		return fmt.Errorf("%d -> %d does not lead forward among %d vertices", e.From, e.To, len(t.Vertices))
	}
	switch e.Partitioning {
	case Hash, Rebalance, Broadcast, Custom:
		return nil
	case Forward:
		from, to := t.Vertices[e.From], t.Vertices[e.To]
		if from.Parallelism != to.Parallelism {
			return fmt.Errorf("forward from %s (parallelism %d) to %s (parallelism %d) needs equal parallelism",
				from.ID, from.Parallelism, to.ID, to.Parallelism)
		}
		return nil
	}
	return fmt.Errorf("unknown partitioning %d", e.Partitioning)
}

// NumSubtasks returns the number of subtasks of the whole job.
func (t Topology) NumSubtasks() int {
	n := 0
	for _, v := range t.Vertices {
		n += v.Parallelism
	}
	return n
}

// SlotsNeeded returns the number of slots the job needs. Slots are shared as Flink shares them: one slot holds at most
// one subtask of each vertex of one sharing group, so the widest vertex of a group decides for it.
func (t Topology) SlotsNeeded() int {
	_, slots := t.SlotBases()
	return slots
}

// SlotBases returns the number of the first slot of each vertex, and how many slots there are. Subtask i of a vertex is
// in slot base+i. Vertices of one group have the same base; the groups come in the order of their first vertices.
func (t Topology) SlotBases() (bases []int, slots int) {
	widest := make(map[string]int)
	var groups []string
	for _, v := range t.Vertices {
		group := v.Group()
		if widest[group] == 0 {
			groups = append(groups, group)
		}
		widest[group] = max(widest[group], v.Parallelism)
	}
	base := make(map[string]int, len(groups))
	for _, group := range groups {
		base[group] = slots
		slots += widest[group]
	}
	bases = make([]int, len(t.Vertices))
	for i, v := range t.Vertices {
		bases[i] = base[v.Group()]
	}
	return bases, slots
}

// Subtasks returns every subtask, vertex by vertex in topological order. A subtask's position in this
// slice is its ordinal, by which assignments and acknowledgements refer to it.
func (t Topology) Subtasks() []SubtaskID {
	all := make([]SubtaskID, 0, t.NumSubtasks())
	for _, v := range t.Vertices {
		for i := range v.Parallelism {
			all = append(all, SubtaskID{Vertex: v.ID, Index: i})
		}
	}
	return all
}

// Ordinal returns the position of s in Subtasks, or -1 when the job has no such subtask.
func (t Topology) Ordinal(s SubtaskID) int {
	base := 0
	for _, v := range t.Vertices {
		if v.ID == s.Vertex {
			if s.Index < 0 || s.Index >= v.Parallelism {
				return -1
			}
			return base + s.Index
		}
		base += v.Parallelism
	}
	return -1
}

// VertexIndex returns the position of the vertex in Vertices, or -1.
func (t Topology) VertexIndex(id VertexID) int {
	for i, v := range t.Vertices {
		if v.ID == id {
			return i
		}
	}
	return -1
}

// ChannelEnd names one end of the edge at a position of Edges, the sending one if output is set, and the vertex there.
func (t Topology) ChannelEnd(edge int, output bool) (own VertexID, end ChannelEnd) {
	e := t.Edges[edge]
	for _, before := range t.Edges[:edge] {
		if before.From == e.From && before.To == e.To {
			end.Edge++
		}
	}
	from, to := t.Vertices[e.From].ID, t.Vertices[e.To].ID
	if end.Output = output; output {
		end.Peer = to
		return from, end
	}
	end.Peer = from
	return to, end
}

// EdgeOf is the reverse of ChannelEnd: it returns the position of the edge.
func (t Topology) EdgeOf(own VertexID, end ChannelEnd) (edge int, found bool) {
	for i := range t.Edges {
		if v, e := t.ChannelEnd(i, end.Output); v == own && e == end {
			return i, true
		}
	}
	return 0, false
}
