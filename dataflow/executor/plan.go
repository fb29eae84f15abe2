package executor

import (
	"fmt"
	"runtime/debug"

	"cairn/checkpoint"
	"cairn/dataflow"
)

// planLocked answers a request for the shape of a job. The graph is built by user code, so not here. The
// answer goes to the leader that asked, if it still leads: request numbers mean nothing to another.
func (e *Executor) planLocked(s Session, m checkpoint.PlanJob) {
	e.goLocked(func() {
		answer := checkpoint.JobPlanned{Request: m.Request}
		graph, err := e.buildGraph(m.Program, m.Params, m.Overrides)
		if err != nil {
			answer.Error = err.Error()
		} else {
			answer.Topology, answer.Fingerprint, answer.Operators = graph.Topology(), graph.Fingerprint(), graph.OperatorTexts()
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.answerLocked(s, m.Term, answer)
	})
}

// buildGraph builds a registered program. A panic in it becomes an error: it must not take down the tasks
// of other jobs.
func (e *Executor) buildGraph(program string, params map[string]string, overrides checkpoint.Overrides) (graph *dataflow.Graph, err error) {
	defer func() {
		if r := recover(); r != nil {
			graph, err = nil, fmt.Errorf("building the graph of %s: panic: %v\n%s", program, r, debug.Stack())
		}
	}()
	return e.cfg.Registry.Build(program, params, overrides)
}

// compareGraphs returns an error that names the first difference between the graph that the leader keeps of a job and
// the one that this node's build of the program makes. The two differ when nodes run different versions of it. The leader
// asks before it deploys, and leaves out nodes that differ; this is for what it has not asked.
func compareGraphs(m checkpoint.Deploy, built *dataflow.Graph) error {
	if difference := m.Topology.Difference(built.Topology()); difference != "" {
		return fmt.Errorf("this node's build of it %s", difference)
	}
	if fingerprint := built.Fingerprint(); m.Fingerprint.Contradicts(fingerprint) {
		return fmt.Errorf("this node's build of it makes a graph with the fingerprint %s, the job was submitted with %s",
			fingerprint, m.Fingerprint)
	}
	return nil
}
