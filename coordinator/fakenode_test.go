package coordinator

import (
	"context"
	"io"
	"sync"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow"
)

// fabric is the data plane of the fake nodes: a trigger at any of them is a barrier at all.
type fabric struct {
	mu    sync.Mutex
	nodes []*fakeNode
	hold  map[checkpoint.NodeID]bool // whose acks do not leave the node
}

func (f *fabric) barrier(m checkpoint.Trigger) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range f.nodes {
		n.snapshot(m, f.hold[n.id])
	}
}

func (f *fabric) setHold(id checkpoint.NodeID, hold bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hold = map[checkpoint.NodeID]bool{id: hold}
}

func (f *fabric) disconnect(coordinator checkpoint.NodeID) {
	for _, n := range f.nodes {
		n.disconnect(coordinator)
	}
}

// fakeNode obeys the leader like a task node, with nothing behind it.
type fakeNode struct {
	id     checkpoint.NodeID
	fabric *fabric
	slots  int
	// programs are what the node's binary was built with; nil makes the graphs of planned.
	programs *dataflow.Registry

	mu       sync.Mutex
	cancel   map[checkpoint.NodeID]context.CancelFunc // by coordinator: ends the session to it
	leader   *fakeStream
	deployed *checkpoint.Deploy
	deploys  int
	acked    map[checkpoint.ID]bool
	acks     []checkpoint.Ack // unresolved
	notified []checkpoint.ID
	sweeps   fakeSweeps
	cancels  bool      // CancelAttempt is obeyed
	failStop bool      // the tasks fail when they are told to stop behind a savepoint
	disk     *fakeDisk // nil for a node that tells nothing of its chunks
}

// obeyCancel lets the node cancel its tasks when it is asked to.
func (n *fakeNode) obeyCancel() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cancels = true
}

// fakeStream is one session, as the coordinator sees it.
type fakeStream struct {
	node *fakeNode
	out  chan checkpoint.FromNode // node to coordinator; roomy, so that a fake node never waits
	gone chan struct{}
}

func (s *fakeStream) Recv() (checkpoint.FromNode, error) {
	select {
	case m := <-s.out:
		return m, nil
	case <-s.gone:
		return nil, io.EOF
	}
}

func (s *fakeStream) Send(m checkpoint.ToNode) error {
	s.node.receive(s, m)
	return nil
}

func (c *testCluster) startNode(id checkpoint.NodeID) *fakeNode {
	n := newFakeNode(id, c.fabric)
	for _, coord := range c.coordinators {
		c.openSession(n, coord)
	}
	return n
}

// openSession lets a node keep a session to a coordinator.
func (c *testCluster) openSession(n *fakeNode, coord *testCoordinator) {
	ctx, cancel := context.WithCancel(context.Background())
	n.mu.Lock()
	n.cancel[coord.cfg.ID] = cancel
	n.mu.Unlock()
	c.running.Go(func() { n.keepSession(ctx, coord.ServeSession) })
}

func newFakeNode(id checkpoint.NodeID, f *fabric) *fakeNode {
	return &fakeNode{id: id, fabric: f, slots: 1, cancel: make(map[checkpoint.NodeID]context.CancelFunc), acked: make(map[checkpoint.ID]bool)}
}

// keepSession opens a session, and another one whenever it ends, until ctx is done.
func (n *fakeNode) keepSession(ctx context.Context, serve func(context.Context, checkpoint.Hello, NodeSession) error) {
	hello := checkpoint.Hello{
		Node: checkpoint.NodeRef{ID: n.id, Incarnation: 1, Address: string(n.id)}, Slots: n.slots, Programs: []string{"test"},
	}
	for ctx.Err() == nil {
		s := &fakeStream{node: n, out: make(chan checkpoint.FromNode, 1000), gone: make(chan struct{})}
		var beating sync.WaitGroup
		beating.Go(s.heartbeat)
		serve(ctx, hello, s)
		close(s.gone)
		beating.Wait()
		n.mu.Lock()
		if n.leader == s {
			n.leader = nil
		}
		n.mu.Unlock()
		time.Sleep(50 * time.Millisecond) // virtual time
	}
}

func (s *fakeStream) heartbeat() {
	for {
		select {
		case <-s.gone:
			return
		case <-time.After(500 * time.Millisecond):
			s.out <- checkpoint.Heartbeat{}
		}
	}
}

// disconnect ends the session to one coordinator, or to all of them, for good.
func (n *fakeNode) disconnect(coordinator checkpoint.NodeID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, cancel := range n.cancel {
		if coordinator == "" || id == coordinator {
			cancel()
		}
	}
}

func (n *fakeNode) receive(s *fakeStream, m checkpoint.ToNode) {
	if trigger, ok := m.(checkpoint.Trigger); ok {
		n.fabric.barrier(trigger)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	switch m := m.(type) {
	case checkpoint.Leading:
		n.leader = s
		s.out <- n.reportLocked(m.Term)
		n.disk.tell(s)
	case checkpoint.PlanJob:
		s.out <- n.plan(m)
	case checkpoint.Deploy:
		if n.deployed == nil || n.deployed.Job != m.Job {
			n.acked = make(map[checkpoint.ID]bool) // the IDs are another job's
		}
		n.deployed = &m
		n.deploys++
		for _, r := range n.statusLocked() {
			s.out <- checkpoint.StatusChange{Job: m.Job, Attempt: m.Attempt, Report: r}
		}
	case checkpoint.MarkChunks, checkpoint.DeleteChunks:
		n.sweeps.receive(s, m)
	case checkpoint.CopyChunks, checkpoint.ChunksLocated:
		n.disk.receive(s, m)
	case checkpoint.CancelAttempt:
		if n.cancels && n.deployed != nil && n.deployed.Job == m.Job && n.deployed.Attempt <= m.Attempt {
			for _, r := range n.statusLocked() {
				r.Status = checkpoint.SubtaskCanceled
				s.out <- checkpoint.StatusChange{Job: m.Job, Attempt: n.deployed.Attempt, Report: r}
			}
			n.deployed, n.acks = nil, nil
		}
	case checkpoint.NotifyComplete:
		n.notified = append(n.notified, m.Checkpoint)
		n.acks = nil
		if m.Stop != checkpoint.StopNone {
			for _, r := range n.statusLocked() {
				r.Status, r.FinalCheckpoint = checkpoint.SubtaskFinished, m.Checkpoint
				if n.failStop {
					r.Status, r.Failure = checkpoint.SubtaskFailed, checkpoint.Failure{Message: "commit refused"}
				}
				s.out <- checkpoint.StatusChange{Job: m.Job, Attempt: m.Attempt, Report: r}
			}
		}
	}
}

// plan builds the graph of a job.
func (n *fakeNode) plan(m checkpoint.PlanJob) checkpoint.JobPlanned {
	if n.programs == nil {
		return checkpoint.JobPlanned{Request: m.Request, Topology: overridden(planned(m.Params), m.Overrides)}
	}
	graph, err := n.programs.Build(m.Program, m.Params, m.Overrides)
	if err != nil {
		return checkpoint.JobPlanned{Request: m.Request, Error: err.Error()}
	}
	return checkpoint.JobPlanned{
		Request: m.Request, Topology: graph.Topology(), Fingerprint: graph.Fingerprint(), Operators: graph.OperatorTexts(),
	}
}

// overridden changes the parallelism of a graph whose operators are vertices of their own.
func overridden(t checkpoint.Topology, o checkpoint.Overrides) checkpoint.Topology {
	for i := range t.Vertices {
		v := &t.Vertices[i]
		if o.All != 0 {
			v.Parallelism = o.All
		}
		if n := o.Parallelism[v.Operators[0]]; n != 0 {
			v.Parallelism = n
		}
	}
	return t
}

func (n *fakeNode) statusLocked() []checkpoint.SubtaskReport {
	var reports []checkpoint.SubtaskReport
	for _, ordinal := range n.deployed.Assignment.Ordinals(n.id) {
		reports = append(reports, checkpoint.SubtaskReport{
			Subtask: n.deployed.Topology.Subtasks()[ordinal], Status: checkpoint.SubtaskRunning,
		})
	}
	return reports
}

func (n *fakeNode) reportLocked(term checkpoint.Term) checkpoint.Report {
	r := checkpoint.Report{Term: term}
	if n.deployed != nil {
		r.Attempts = []checkpoint.AttemptReport{{
			Job: n.deployed.Job, Attempt: n.deployed.Attempt, Subtasks: n.statusLocked(), Acks: n.acks,
		}}
	}
	return r
}

// snapshot acks a checkpoint for all subtasks of the node, once. With hold the acks stay in the node until a new
// leader asks for a report.
func (n *fakeNode) snapshot(m checkpoint.Trigger, hold bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.deployed == nil || n.acked[m.Barrier.ID] {
		return
	}
	n.acked[m.Barrier.ID] = true
	for _, r := range n.statusLocked() {
		a := ackOf(m.Attempt, m.Barrier.ID, r.Subtask)
		a.Job = m.Job
		n.acks = append(n.acks, a)
		n.disk.put(n.leader, a.State.Handles[0].Chunks...)
	}
	if !hold && n.leader != nil {
		n.leader.out <- checkpoint.AckBatch{Acks: n.acks}
	}
}
