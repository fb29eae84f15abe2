package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/dataflow"
	"cairn/dataflow/codec"
	"cairn/dataflow/executor"
	"cairn/membership"
	"cairn/statestore"
	"cairn/transport"
)

// A node with a full disk declines checkpoints and names the place; its tasks go on, and the next checkpoint is whole when
// there is room again. The other nodes' copies go elsewhere meanwhile.
func TestFullDiskDeclinesTheCheckpoint(t *testing.T) {
	full := smallDisk(t)
	read := new(atomic.Int64)
	program := Job("steps", "", func(g *dataflow.Graph, _ *dataflow.Params) error {
		numbers := dataflow.From(g, "read", steps{read}, codec.String, dataflow.Parallelism(3))
		dataflow.To(numbers, "write", drain{})
		return nil
	})
	c := startStores(t, program, map[checkpoint.NodeID]string{"n1": t.TempDir(), "n2": full, "n3": t.TempDir()})
	session := c.deploy(t, program)
	eventually(t, "the tasks to run", func() bool { return session.running() == 3 })

	session.trigger(1)
	eventually(t, "three acks", func() bool { acks, _ := session.answers(1); return acks == 3 })

	filler := fill(t, full)
	session.trigger(2)
	eventually(t, "every task to answer", func() bool { acks, declines := session.answers(2); return acks+len(declines) == 3 })
	_, declines := session.answers(2)
	if want := fmt.Sprintf("no space on node n2 (%s)", full); len(declines) != 1 || !strings.Contains(declines[0], want) {
		t.Errorf("declined with %q, want one that says %q", declines, want)
	}
	c.wantCopiesElsewhere(t, full)

	before := read.Load()
	eventually(t, "the tasks to go on", func() bool { return read.Load() > before+1000 })
	if n := session.running(); n != 3 {
		t.Errorf("%d tasks run behind the declined checkpoint", n)
	}
	session.tell(checkpoint.NotifyAborted{Term: 1, Job: checkpoint.JobID{1}, Attempt: 1, Checkpoint: 2, LatestCompleted: 1})

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	session.trigger(3)
	eventually(t, "three acks", func() bool { acks, _ := session.answers(3); return acks == 3 })
}

// smallDisk returns a directory on a disk of its own, of a few megabytes.
func smallDisk(t *testing.T) string {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skipf("a small tmpfs cannot be mounted here, which takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill takes all the room that a disk has and returns the file to be removed.
func fill(t *testing.T, dir string) string {
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling the disk: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// steps is a source that never ends, and whose snapshots are new each time and too large to travel with an ack.
type steps struct{ read *atomic.Int64 }

func (s steps) Open(dataflow.SourceContext) (dataflow.SourceReader[string], error) { return s, nil }
func (s steps) Next(emit func(string)) (dataflow.ReadStatus, error) {
	time.Sleep(100 * time.Microsecond) // it has the processors to itself otherwise
	s.read.Add(1)
	emit("x")
	return dataflow.Ready(), nil
}

func (steps) Snapshot() ([][]byte, error) { return [][]byte{randomChunk()}, nil }
func (steps) Position() string            { return "" }
func (steps) Close() error                { return nil }

func randomChunk() []byte {
	data := make([]byte, 128<<10)
	rand.Read(data)
	return data
}

// drain is a sink that takes everything and keeps nothing.
type drain struct{}

func (drain) Open(dataflow.SinkContext) (dataflow.SinkWriter[string], error) { return drain{}, nil }
func (drain) Recover(context.Context, [][]byte) error                        { return nil }
func (drain) Write(string) error                                             { return nil }
func (drain) PreCommit(context.Context, checkpoint.ID) ([]byte, error)       { return nil, nil }
func (drain) Commit(context.Context, []byte) error                           { return nil }
func (drain) Close() error                                                   { return nil }

// storeNodes are nodes with stores on disk, which reach each other over the network.
type storeNodes struct {
	executors map[checkpoint.NodeID]*executor.Executor
	stores    map[checkpoint.NodeID]*statestore.Replicated
	refs      []checkpoint.NodeRef

	mu   sync.Mutex
	puts []statestore.PutResult
}

func startStores(t *testing.T, program dataflow.Program, dirs map[checkpoint.NodeID]string) *storeNodes {
	c := &storeNodes{
		executors: make(map[checkpoint.NodeID]*executor.Executor), stores: make(map[checkpoint.NodeID]*statestore.Replicated),
	}
	muxes := make(map[checkpoint.NodeID]*transport.Mux)
	var roster fixedRoster
	for i := range len(dirs) {
		id := checkpoint.NodeID(fmt.Sprint("n", i+1))
		mux, err := transport.Listen("127.0.0.1:0", transport.MuxOptions{})
		if err != nil {
			t.Fatal(err)
		}
		muxes[id] = mux
		c.refs = append(c.refs, checkpoint.NodeRef{ID: id, Incarnation: 1, Address: mux.Addr().String()})
		roster = append(roster, membership.Member{ID: id, Role: membership.RoleNode, State: membership.StateAlive, RPCAddr: mux.Addr().String()})
	}
	for _, self := range c.refs {
		c.start(t, self, program, dirs[self.ID], muxes[self.ID], roster)
	}
	return c
}

func (c *storeNodes) start(t *testing.T, self checkpoint.NodeRef, program dataflow.Program, dir string, mux *transport.Mux, roster fixedRoster) {
	local, err := statestore.OpenLocal(dir, statestore.LocalOptions{Node: self.ID})
	if err != nil {
		t.Fatal(err)
	}
	own, dialing, log := statestore.NewSwept(local), transport.NewDialer(transport.DialerOptions{}), slog.New(slog.DiscardHandler)
	store := statestore.NewReplicated(own, self.ID, StorePeers(roster, dialing, self.ID, 1), statestore.Options{
		Replicas: 2, OnPut: func(r statestore.PutResult) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.puts = append(c.puts, r)
		},
	})
	e, err := executor.New(executor.Config{
		Self: self, Slots: 8, Registry: dataflow.NewRegistry(program), Store: store, Sweeper: own, Dialer: dialer{dialing}, Logger: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := transport.NewServer(PeerServices(e, own, log))
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(mux.GRPC()) })
	running.Go(func() { _ = e.Run(ctx) })
	t.Cleanup(func() {
		stop()
		err := errors.Join(dialing.Close(), server.Close(ctx), mux.Close())
		running.Wait()
		if err = errors.Join(err, local.Close()); err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	c.executors[self.ID], c.stores[self.ID] = e, store
}

// wantCopiesElsewhere fails the test unless each chunk has found two places, though n2 refuses what it is sent.
func (c *storeNodes) wantCopiesElsewhere(t *testing.T, full string) {
	t.Helper()
	for range 20 { // n2 would be the first choice for half of them, but who has refused one is passed over for a while
		if _, err := c.stores["n1"].Put(t.Context(), randomChunk()); err != nil {
			t.Fatal(err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	refused := 0
	for _, p := range c.puts {
		if p.UnderReplicated() {
			t.Errorf("chunk %s is on %v", p.Ref.ID, p.Nodes)
		}
		for _, f := range p.Failed {
			refused++
			if want := fmt.Sprintf("no space on node n2 (%s)", full); f.Node != "n2" || !strings.Contains(f.Err.Error(), want) {
				t.Errorf("node %s did not take a chunk: %v, want %q", f.Node, f.Err, want)
			}
		}
	}
	if len(c.puts) < 20 || refused == 0 {
		t.Errorf("%d chunks were stored, n2 refused %d: the test proves nothing", len(c.puts), refused)
	}
}

// deploy puts a task on each node.
func (c *storeNodes) deploy(t *testing.T, program dataflow.Program) *storeSession {
	g, err := dataflow.NewRegistry(program).Build(program.Name, nil, checkpoint.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	s := &storeSession{
		nodes: c, topology: g.Topology(), statuses: make(map[checkpoint.SubtaskID]checkpoint.SubtaskStatus),
		acks: make(map[checkpoint.ID]int), declines: make(map[checkpoint.ID][]string),
	}
	for _, e := range c.executors {
		e.Receive(s, checkpoint.Leading{Term: 1, Leader: "c1"})
	}
	s.tell(checkpoint.Deploy{
		Term: 1, Job: checkpoint.JobID{1}, Attempt: 1, Program: program.Name, Topology: s.topology,
		Assignment: checkpoint.Assignment{Nodes: c.refs, NodeOf: []int{0, 1, 2}}, Mode: checkpoint.ExactlyOnce,
	})
	return s
}

// storeSession is the leader's session with every node, and what it has heard.
type storeSession struct {
	nodes    *storeNodes
	topology checkpoint.Topology

	mu       sync.Mutex
	statuses map[checkpoint.SubtaskID]checkpoint.SubtaskStatus
	acks     map[checkpoint.ID]int
	declines map[checkpoint.ID][]string
}

func (s *storeSession) tell(m checkpoint.ToNode) {
	for _, e := range s.nodes.executors {
		e.Receive(s, m)
	}
}

func (s *storeSession) trigger(id checkpoint.ID) {
	for i, ref := range s.nodes.refs {
		s.nodes.executors[ref.ID].Receive(s, checkpoint.Trigger{
			Term: 1, Job: checkpoint.JobID{1}, Attempt: 1, Subtasks: []checkpoint.SubtaskID{{Vertex: s.topology.Vertices[0].ID, Index: i}},
			Barrier: checkpoint.Barrier{ID: id, Kind: checkpoint.KindCheckpoint, Mode: checkpoint.ExactlyOnce},
		})
	}
}

func (s *storeSession) Close() error                      { return nil }
func (s *storeSession) Offer(...checkpoint.FromNode) bool { return true }
func (s *storeSession) Send(m checkpoint.FromNode) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch m := m.(type) {
	case checkpoint.StatusChange:
		s.statuses[m.Report.Subtask] = m.Report.Status
	case checkpoint.AckBatch:
		for _, a := range m.Acks {
			s.acks[a.Checkpoint]++
		}
	case checkpoint.Decline:
		s.declines[m.Checkpoint] = append(s.declines[m.Checkpoint], m.Message)
	}
	return nil
}

// answers returns how many tasks have acknowledged a checkpoint, and why the others declined.
func (s *storeSession) answers(id checkpoint.ID) (acks int, declines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acks[id], s.declines[id]
}

// running returns how many tasks run.
func (s *storeSession) running() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, status := range s.statuses {
		if status == checkpoint.SubtaskRunning {
			n++
		}
	}
	return n
}
