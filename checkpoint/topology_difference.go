package checkpoint

import (
	"fmt"
	"slices"
)

// Difference names the first difference between the shape of a job and the shape that a node's build of its program
// gives it, as what the build does instead: "has no vertex x". It is empty when there is none. Names of vertices do not
// count: they follow from the operators.
func (t Topology) Difference(built Topology) string {
	for i, v := range t.Vertices {
		if i == len(built.Vertices) {
			return fmt.Sprintf("has no vertex %s", v.ID)
		}
		if difference := v.difference(built.Vertices[i]); difference != "" {
			return difference
		}
	}
	if len(built.Vertices) > len(t.Vertices) {
		return fmt.Sprintf("has vertex %s, which the job has not", built.Vertices[len(t.Vertices)].ID)
	}
	if !slices.Equal(t.Edges, built.Edges) {
		return t.edgeDifference(built)
	}
	return ""
}

func (v Vertex) difference(built Vertex) string {
	switch {
	case v.ID != built.ID:
		return fmt.Sprintf("has vertex %s in the place of %s", built.ID, v.ID)
	case !slices.Equal(v.Operators, built.Operators):
		return fmt.Sprintf("chains %v in vertex %s, the job %v", built.Operators, v.ID, v.Operators)
	case v.Parallelism != built.Parallelism:
		return fmt.Sprintf("has parallelism %d for operator %s, the job has %d", built.Parallelism, v.ID, v.Parallelism)
	case v.MaxParallelism != built.MaxParallelism:
		return fmt.Sprintf("has max parallelism %d for operator %s, the job has %d", built.MaxParallelism, v.ID, v.MaxParallelism)
	case v.Group() != built.Group():
		return fmt.Sprintf("has operator %s in slot sharing group %s, the job has it in %s", v.ID, built.Group(), v.Group())
	}
	return ""
}

// edgeDifference names the first edge that is not the same. The vertices are.
func (t Topology) edgeDifference(built Topology) string {
	text := func(e Edge) string {
		return fmt.Sprintf("%s from %s to %s", e.Partitioning, t.Vertices[e.From].ID, t.Vertices[e.To].ID)
	}
	for i, e := range t.Edges {
		switch {
		case i == len(built.Edges):
			return fmt.Sprintf("has no edge %s", text(e))
		case e != built.Edges[i]:
			return fmt.Sprintf("has the edge %s in the place of %s", text(built.Edges[i]), text(e))
		}
	}
	return fmt.Sprintf("has an edge %s, which the job has not", text(built.Edges[len(t.Edges)]))
}
