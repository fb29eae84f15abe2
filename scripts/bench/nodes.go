package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"cairn/checkpoint"
	"cairn/dataflow"
	"cairn/dataflow/executor"
	"cairn/membership"
	"cairn/node"
	"cairn/transport"
)

// nodeRun is a job on task nodes in this process: executors with stores of their own, which reach each other over
// connections of the loopback interface. A checkpoint's chunks are on two nodes, if there are two.
type nodeRun struct {
	*jobRun
	nodes  []*benchNode
	refs   []checkpoint.NodeRef
	leader *session
}

// benchNode is what a node process consists of, without gossip and sessions.
type benchNode struct {
	self     checkpoint.NodeRef
	mux      *transport.Mux
	dialer   *transport.Dialer
	own      *ownStore
	executor *executor.Executor
	server   *transport.Server
	stop     context.CancelFunc
	running  sync.WaitGroup
}

// startNodes starts nodes and deploys the program on them, the subtasks of each vertex in turn. The caller ends the run,
// also after an error if there is one.
func startNodes(ctx context.Context, dir string, count int, program dataflow.Program) (_ *nodeRun, err error) {
	graph, err := dataflow.NewRegistry(program).Build(program.Name, nil, checkpoint.Overrides{})
	if err != nil {
		return nil, err
	}
	r := &nodeRun{jobRun: newRun(graph.Topology())}
	r.leader = &session{r.jobRun}
	r.trigger, r.complete, r.end = r.triggerAll, r.completeAll, r.stop
	defer func() {
		if err != nil {
			err = errors.Join(err, r.stop())
		}
	}()
	var members roster
	for i := range count {
		n, err := openNode(filepath.Join(dir, fmt.Sprint("n", i+1)), checkpoint.NodeID(fmt.Sprint("n", i+1)))
		if err != nil {
			return nil, err
		}
		r.nodes, r.refs = append(r.nodes, n), append(r.refs, n.self)
		members = append(members, membership.Member{
			ID: n.self.ID, Role: membership.RoleNode, RPCAddr: n.self.Address, State: membership.StateAlive,
		})
	}
	for _, n := range r.nodes {
		if err := n.start(program, members); err != nil {
			return nil, err
		}
	}
	r.deploy(program)
	return r, r.awaitRunning(ctx)
}

func openNode(dir string, id checkpoint.NodeID) (*benchNode, error) {
	mux, err := transport.Listen("127.0.0.1:0", transport.MuxOptions{})
	if err != nil {
		return nil, err
	}
	own, err := openStore(dir)
	if err != nil {
		return nil, errors.Join(err, mux.Close())
	}
	self := checkpoint.NodeRef{ID: id, Incarnation: 1, Address: mux.Addr().String()}
	return &benchNode{self: self, mux: mux, own: own, dialer: transport.NewDialer(transport.DialerOptions{})}, nil
}

func (n *benchNode) start(program dataflow.Program, members roster) (err error) {
	n.executor, err = executor.New(executor.Config{
		Self: n.self, Slots: 16, Registry: dataflow.NewRegistry(program), Store: n.own.replicated(n.self.ID, members, n.dialer),
		Sweeper: n.own.swept, Dialer: node.Connector(n.dialer), Logger: quiet,
	})
	if err != nil {
		return err
	}
	n.server = transport.NewServer(node.PeerServices(n.executor, n.own.swept, quiet))
	var ctx context.Context
	ctx, n.stop = context.WithCancel(context.Background())
	n.running.Go(func() { _ = n.server.Serve(n.mux.GRPC()) }) // without it, the others' calls fail
	n.running.Go(func() { _ = n.executor.Run(ctx) })
	return nil
}

func (r *nodeRun) deploy(program dataflow.Program) {
	assignment := checkpoint.Assignment{Nodes: r.refs}
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

// delete removes what a checkpoint has and a newer one has not, on all nodes.
func (r *nodeRun) delete(ctx context.Context, old, newer *taken) error {
	var errs []error
	for _, n := range r.nodes {
		errs = append(errs, n.own.delete(ctx, old, newer))
	}
	return errors.Join(errs...)
}

func (r *nodeRun) stop() error {
	var errs []error
	for _, n := range r.nodes {
		if n.stop != nil {
			n.stop()
		}
	}
	for _, n := range r.nodes {
		errs = append(errs, n.close())
	}
	return errors.Join(errs...)
}

func (n *benchNode) close() error {
	closing, cancel := context.WithCancel(context.Background())
	cancel() // nobody is waited for
	errs := []error{n.dialer.Close()}
	if n.server != nil {
		if err := n.server.Close(closing); !errors.Is(err, context.Canceled) {
			errs = append(errs, err)
		}
	}
	errs = append(errs, n.mux.Close())
	n.running.Wait()
	return errors.Join(append(errs, n.own.close())...)
}

// session is the nodes' way to the leader, the same one for all.
type session struct{ run *jobRun }

func (s *session) Send(m checkpoint.FromNode) error { return s.run.tell(m) }

// Offer takes nothing: nobody looks at measurements of tasks here.
func (s *session) Offer(...checkpoint.FromNode) bool { return true }
func (s *session) Close() error                      { return nil }
