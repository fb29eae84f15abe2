package executor

import (
	"fmt"
	"runtime/debug"
	"slices"

	"cairn/checkpoint"
	"cairn/dataflow"
)

// planLocked answers a request for the shape of a job. The graph is built by user code, so not here. The
// answer goes to the leader that asked, if it still leads: request numbers mean nothing to another.
func (e *Executor) planLocked(s Session, m checkpoint.PlanJob) {
	e.goLocked(func() {
		answer := checkpoint.JobPlanned{Request: m.Request}
		graph, err := e.buildGraph(m.Program, m.Params)
		if err != nil {
			answer.Error = err.Error()
		} else {
			answer.Topology = graph.Topology()
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.answerLocked(s, m.Term, answer)
	})
}

// buildGraph builds a registered program. A panic in it becomes an error: it must not take down the tasks
// of other jobs.
func (e *Executor) buildGraph(program string, params map[string]string) (graph *dataflow.Graph, err error) {
	defer func() {
		if r := recover(); r != nil {
			graph, err = nil, fmt.Errorf("building the graph of %s: panic: %v\n%s", program, r, debug.Stack())
		}
	}()
	return e.cfg.Registry.Build(program, params)
}

// compareTopologies returns an error that names the first difference between the shape that the leader
// keeps of a job and the one that this node's build of the program has. The two differ when nodes run
// different versions of it.
func compareTopologies(want, got checkpoint.Topology) error {
	if len(want.Vertices) != len(got.Vertices) {
		return fmt.Errorf("the job has %d vertices, this node's build of it has %d", len(want.Vertices), len(got.Vertices))
	}
	for i, w := range want.Vertices {
		if err := compareVertices(w, got.Vertices[i]); err != nil {
			return fmt.Errorf("vertex %s: %w", w.ID, err)
		}
	}
	if !slices.Equal(want.Edges, got.Edges) {
		return fmt.Errorf("the job has the edges %v, this node's build of it has %v", want.Edges, got.Edges)
	}
	return nil
}

func compareVertices(want, got checkpoint.Vertex) error {
	switch {
	case want.ID != got.ID:
		return fmt.Errorf("this node's build of the job has %s in its place", got.ID)
	case !slices.Equal(want.Operators, got.Operators):
		return fmt.Errorf("it chains %v, in this node's build %v", want.Operators, got.Operators)
	case want.Parallelism != got.Parallelism:
		return fmt.Errorf("parallelism %d, in this node's build %d", want.Parallelism, got.Parallelism)
	case want.MaxParallelism != got.MaxParallelism:
		return fmt.Errorf("max parallelism %d, in this node's build %d", want.MaxParallelism, got.MaxParallelism)
	}
	return nil
}
