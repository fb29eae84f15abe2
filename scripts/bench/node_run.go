package main

import (
	"context"
	"errors"

	"cairn/checkpoint"
	"cairn/dataflow"
)

// nodeRun is a job on task nodes. A checkpoint's chunks are on two of them, if there are two.
type nodeRun struct {
	*jobRun
	nodes  benchNodes
	leader *session
}

// startNodes starts nodes and deploys the program on them, the subtasks of each vertex in turn. The caller ends the run.
func startNodes(ctx context.Context, dir string, count int, program dataflow.Program) (*nodeRun, error) {
	graph, err := dataflow.NewRegistry(program).Build(program.Name, nil, checkpoint.Overrides{})
	if err != nil {
		return nil, err
	}
	r := &nodeRun{jobRun: newRun(graph.Topology())}
	r.leader = &session{r.jobRun}
	if r.nodes, err = openNodes(dir, count, program); err != nil {
		return nil, err
	}
	r.trigger, r.complete = r.triggerAll, r.completeAll
	r.deploy(program)
	if err := r.awaitRunning(ctx); err != nil {
		return nil, errors.Join(err, r.nodes.close())
	}
	return r, nil
}

func (r *nodeRun) deploy(program dataflow.Program) {
	var assignment checkpoint.Assignment
	for _, n := range r.nodes {
		assignment.Nodes = append(assignment.Nodes, n.self)
	}
	for _, s := range r.topology.Subtasks() {
		assignment.NodeOf = append(assignment.NodeOf, s.Index%len(r.nodes))
	}
	for _, n := range r.nodes {
		n.executor.Receive(r.leader, checkpoint.Leading{Term: 1, Leader: "bench"})
		n.executor.Receive(r.leader, checkpoint.Deploy{
			Term: 1, Job: benchJob, Attempt: 1, Program: program.Name, Topology: r.topology, Assignment: assignment,
			Mode: checkpoint.ExactlyOnce, AfterTasksFinish: true,
		})
	}
}

func (r *nodeRun) triggerAll(b checkpoint.Barrier, sources []checkpoint.SubtaskID) {
	bySubtask := make(map[int][]checkpoint.SubtaskID)
	for _, s := range sources {
		bySubtask[s.Index%len(r.nodes)] = append(bySubtask[s.Index%len(r.nodes)], s)
	}
	for i, subtasks := range bySubtask {
		r.nodes[i].executor.Receive(r.leader, checkpoint.Trigger{
			Term: 1, Job: benchJob, Attempt: 1, Barrier: b, Subtasks: subtasks,
		})
	}
}

func (r *nodeRun) completeAll(id checkpoint.ID) {
	for _, n := range r.nodes {
		n.executor.Receive(r.leader, checkpoint.NotifyComplete{
			Term: 1, Job: benchJob, Attempt: 1, Checkpoint: id, Kind: checkpoint.KindCheckpoint,
		})
	}
}

// session is the nodes' way to the leader, the same one for all.
type session struct{ run *jobRun }

func (s *session) Send(m checkpoint.FromNode) error { return s.run.tell(m) }

// Offer takes nothing: nobody looks at measurements of tasks here.
func (s *session) Offer(...checkpoint.FromNode) bool { return true }
func (s *session) Close() error                      { return nil }
