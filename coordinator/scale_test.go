package coordinator

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"cairn/api"
	"cairn/checkpoint"
)

// wideNode obeys the leader for any number of jobs of any width. A trigger at its sources is a barrier at all subtasks
// of the job, on every node.
type wideNode struct {
	ref    checkpoint.NodeRef
	slots  int
	fabric *wideFabric

	mu       sync.Mutex
	leader   *wideStream
	deployed map[checkpoint.JobID]wideShare
}

// wideShare is what a node runs of one job.
type wideShare struct {
	attempt  checkpoint.Attempt
	subtasks []checkpoint.SubtaskID
	acked    checkpoint.ID
	unheard  []checkpoint.Ack // whose outcome has not been heard
}

type wideFabric struct{ nodes []*wideNode }

func (f *wideFabric) barrier(m checkpoint.Trigger) {
	for _, n := range f.nodes {
		n.snapshot(m)
	}
}

type wideStream struct {
	node *wideNode
	out  chan checkpoint.FromNode // roomy, so that a node never waits for its leader
	gone chan struct{}            // closed when the session has ended
}

func (s *wideStream) Recv() (checkpoint.FromNode, error) {
	select {
	case m := <-s.out:
		return m, nil
	case <-s.gone:
		return nil, io.EOF
	}
}

func (s *wideStream) Send(m checkpoint.ToNode) error {
	s.node.receive(s, m)
	return nil
}

// wideTopology has four vertices of the given parallelism.
func wideTopology(parallelism int) checkpoint.Topology {
	var t checkpoint.Topology
	for i, id := range []checkpoint.VertexID{"read", "parse", "count", "write"} {
		t.Vertices = append(t.Vertices, checkpoint.Vertex{
			ID: id, Operators: []checkpoint.OperatorID{checkpoint.OperatorID(id)}, Parallelism: parallelism,
			MaxParallelism: checkpoint.DefaultMaxParallelism(parallelism),
		})
		if i > 0 {
			t.Edges = append(t.Edges, checkpoint.Edge{From: i - 1, To: i, Partitioning: checkpoint.Hash})
		}
	}
	return t
}

// ackBatch is how many acks share a message, as on a real node.
const ackBatch = 256

func (n *wideNode) receive(s *wideStream, m checkpoint.ToNode) {
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
	case checkpoint.PlanJob:
		parallelism, _ := strconv.Atoi(m.Params["parallelism"])
		s.out <- checkpoint.JobPlanned{Request: m.Request, Topology: wideTopology(parallelism)}
	case checkpoint.Deploy:
		n.deployLocked(s, m)
	case checkpoint.NotifyComplete:
		share := n.deployed[m.Job]
		share.unheard = nil
		n.deployed[m.Job] = share
	case checkpoint.MarkChunks:
		s.out <- checkpoint.ChunksMarked{Sweep: m.Sweep}
	case checkpoint.DeleteChunks:
		s.out <- checkpoint.ChunksDeleted{Sweep: m.Sweep, Deleted: len(m.Chunks)}
	}
}

func (n *wideNode) deployLocked(s *wideStream, m checkpoint.Deploy) {
	share := wideShare{attempt: m.Attempt}
	all := m.Topology.Subtasks()
	for _, ordinal := range m.Assignment.Ordinals(n.ref.ID) {
		share.subtasks = append(share.subtasks, all[ordinal])
	}
	n.deployed[m.Job] = share
	for _, subtask := range share.subtasks {
		s.out <- checkpoint.StatusChange{Job: m.Job, Attempt: m.Attempt, Report: runningReport(subtask)}
	}
}

func runningReport(s checkpoint.SubtaskID) checkpoint.SubtaskReport {
	return checkpoint.SubtaskReport{Subtask: s, Status: checkpoint.SubtaskRunning}
}

func (n *wideNode) reportLocked(term checkpoint.Term) checkpoint.Report {
	r := checkpoint.Report{Term: term}
	for job, share := range n.deployed {
		a := checkpoint.AttemptReport{Job: job, Attempt: share.attempt, Acks: share.unheard}
		for _, subtask := range share.subtasks {
			a.Subtasks = append(a.Subtasks, runningReport(subtask))
		}
		r.Attempts = append(r.Attempts, a)
	}
	return r
}

func (n *wideNode) snapshot(m checkpoint.Trigger) {
	n.mu.Lock()
	defer n.mu.Unlock()
	share := n.deployed[m.Job]
	if share.attempt != m.Attempt || share.acked >= m.Barrier.ID {
		return
	}
	share.acked = m.Barrier.ID
	var acks []checkpoint.Ack
	for _, subtask := range share.subtasks {
		a := ackOf(m.Attempt, m.Barrier.ID, subtask)
		a.Job = m.Job
		acks = append(acks, a)
	}
	share.unheard = acks
	n.deployed[m.Job] = share
	for ; len(acks) > 0 && n.leader != nil; acks = acks[min(ackBatch, len(acks)):] {
		n.leader.out <- checkpoint.AckBatch{Acks: acks[:min(ackBatch, len(acks))]}
	}
}

// keepSession keeps a session to one coordinator until ctx is done.
func (n *wideNode) keepSession(ctx context.Context, serve func(context.Context, checkpoint.Hello, NodeSession) error) {
	hello := checkpoint.Hello{Node: n.ref, Slots: n.slots, Programs: []string{"wide"}}
	for ctx.Err() == nil {
		s := &wideStream{node: n, out: make(chan checkpoint.FromNode, 1<<16), gone: make(chan struct{})}
		var beating sync.WaitGroup
		beating.Go(func() {
			for {
				select {
				case <-s.gone:
					return
				case <-time.After(500 * time.Millisecond):
					s.out <- checkpoint.Heartbeat{}
				}
			}
		})
		serve(ctx, hello, s)
		close(s.gone)
		beating.Wait()
		time.Sleep(50 * time.Millisecond) // virtual time
	}
}

// wideCluster is a test cluster with nodes for wide jobs.
func wideCluster(t *testing.T, nodes, slots int) (*testCluster, func()) {
	c := newTestCluster(t)
	ctx, cancel := context.WithCancel(context.Background())
	f := new(wideFabric)
	for i := range nodes {
		id := checkpoint.NodeID(fmt.Sprintf("w%d", i+1))
		f.nodes = append(f.nodes, &wideNode{
			ref: checkpoint.NodeRef{ID: id, Incarnation: 1, Address: string(id)}, slots: slots, fabric: f,
			deployed: make(map[checkpoint.JobID]wideShare),
		})
	}
	for _, n := range f.nodes {
		for _, coord := range c.coordinators {
			c.running.Go(func() { n.keepSession(ctx, coord.ServeSession) })
		}
	}
	c.awaitStatus("all nodes", func(s api.Status) bool { return len(s.Nodes) == nodes })
	return c, func() { cancel(); c.stop() }
}

// logBytes sums up the entries of a leader's Raft log from an index on.
func logBytes(t *testing.T, c *testCoordinator, from uint64) (bytes int) {
	t.Helper()
	last := c.replica.raft.LastIndex()
	for i := from; i <= last; i++ {
		var entry raft.Log
		if err := c.replica.stores.Log.GetLog(i, &entry); err != nil {
			t.Fatalf("log entry %d: %v", i, err)
		}
		bytes += len(entry.Data)
	}
	return bytes
}

// A job of 10,000 subtasks on ten nodes: its checkpoints complete, also the one that is in flight when the leader
// dies, and each costs the Raft log no more than a job of twelve would.
func TestTenThousandSubtasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, stop := wideCluster(t, 10, 250)
		defer stop()
		_, err := c.leader("").Service().SubmitJob(context.Background(), api.SubmitJobRequest{
			Program: "wide", Params: map[string]string{"parallelism": "2500"}, Config: map[string]string{"checkpointing.interval": "1s"},
		})
		if err != nil {
			t.Fatal(err)
		}
		before := c.awaitStatus("a checkpoint", completedAtLeast(1))
		leader := c.coordinators[checkpoint.NodeID(before.Leader.ID)]
		from := leader.replica.raft.LastIndex() + 1
		after := c.awaitStatus("five more", completedAtLeast(before.Jobs[0].Checkpoints.Completed+5))
		n := int(after.Jobs[0].Checkpoints.Completed - before.Jobs[0].Checkpoints.Completed)
		if each := logBytes(t, leader, from) / n; each > 8<<10 {
			t.Errorf("a checkpoint costs %d bytes of Raft log, at most 8 KiB are allowed", each)
		} else {
			t.Logf("%d bytes of Raft log per checkpoint of 10,000 subtasks", each)
		}

		c.crash(leader.cfg.ID)
		end := c.awaitStatus("checkpoints under the next leader", func(s api.Status) bool {
			return len(s.Jobs) == 1 && s.Leader.ID != "" && s.Leader.ID != before.Leader.ID &&
				s.Jobs[0].Checkpoints.Completed >= after.Jobs[0].Checkpoints.Completed+2
		})
		if job := end.Jobs[0]; job.Attempt != 1 || job.Checkpoints.Failed != 0 {
			t.Errorf("after the crash: %+v", job)
		}
	})
}

// Two hundred jobs beside each other: each gets its checkpoints in its interval, and all of them go on when the
// leader dies.
func TestTwoHundredJobs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const jobs = 200
		c, stop := wideCluster(t, 4, 3*jobs/4)
		defer stop()
		for i := range jobs {
			_, err := c.leader("").Service().SubmitJob(context.Background(), api.SubmitJobRequest{
				Program: "wide", Name: fmt.Sprintf("job-%d", i), Params: map[string]string{"parallelism": "3"},
				Config: map[string]string{"checkpointing.interval": "1s"},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		all := func(n uint64) func(api.Status) bool {
			return func(s api.Status) bool {
				for _, j := range s.Jobs {
					if j.Checkpoints.Completed < n || j.Attempt != 1 || j.Checkpoints.Failed != 0 {
						return false
					}
				}
				return len(s.Jobs) == jobs
			}
		}
		before := c.awaitStatus("three checkpoints of every job", all(3))
		c.crash(checkpoint.NodeID(before.Leader.ID))
		c.awaitStatus("six checkpoints of every job", all(6))
	})
}
