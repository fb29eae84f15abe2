package jobtest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"cairn/checkpoint"
	"cairn/dataflow"
	"cairn/dataflow/exchange"
	"cairn/dataflow/executor"
)

// Cluster is a few task nodes in this process, connected by plain calls, with a store that they share.
type Cluster struct {
	t        *testing.T
	registry *dataflow.Registry
	store    *memoryStore

	mu      sync.Mutex
	nodes   map[checkpoint.NodeID]*node
	started checkpoint.Incarnation // how many processes have been started
}

type node struct {
	*executor.Executor
	ref     checkpoint.NodeRef
	stop    context.CancelFunc
	stopped chan struct{} // closed when Run has returned
}

// NewCluster starts nodes that can run the program.
func NewCluster(t *testing.T, program dataflow.Program, ids ...checkpoint.NodeID) *Cluster {
	t.Helper()
	c := &Cluster{
		t: t, registry: dataflow.NewRegistry(program), nodes: make(map[checkpoint.NodeID]*node),
		store: &memoryStore{chunks: make(map[checkpoint.ChunkID][]byte)},
	}
	for _, id := range ids {
		c.Start(id)
	}
	return c
}

// Start starts a node, as a process that knows nothing of those before it.
func (c *Cluster) Start(id checkpoint.NodeID) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started++
	n := &node{ref: checkpoint.NodeRef{ID: id, Incarnation: c.started}, stopped: make(chan struct{})}
	e, err := executor.New(executor.Config{
		Self: n.ref, Slots: 4, Registry: c.registry, Store: c.store, Sweeper: noSweeps{}, Dialer: c,
		Logger: slog.New(slog.NewTextHandler(c.t.Output(), nil)),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	n.Executor = e
	ctx, stop := context.WithCancel(c.t.Context())
	n.stop = stop
	go func() {
		defer close(n.stopped)
		if err := e.Run(ctx); err != nil {
			c.t.Errorf("node %s: %v", id, err)
		}
	}()
	c.nodes[id] = n
}

// Kill ends a node. The others find its channels broken.
func (c *Cluster) Kill(id checkpoint.NodeID) {
	c.mu.Lock()
	n := c.nodes[id]
	delete(c.nodes, id)
	c.mu.Unlock()
	n.stop()
	<-n.stopped
}

// Close ends all nodes.
func (c *Cluster) Close() {
	for id := range c.alive() {
		c.Kill(id)
	}
}

// alive returns the nodes that have not been killed.
func (c *Cluster) alive() map[checkpoint.NodeID]*node {
	c.mu.Lock()
	defer c.mu.Unlock()
	nodes := make(map[checkpoint.NodeID]*node, len(c.nodes))
	for id, n := range c.nodes {
		nodes[id] = n
	}
	return nodes
}

// Connect is the way from one node to another.
func (c *Cluster) Connect(ctx context.Context, to checkpoint.NodeRef, id exchange.ChannelID, ready func()) (exchange.FrameWriter, error) {
	n := c.alive()[to.ID]
	if n == nil {
		return nil, fmt.Errorf("node %s is down", to.ID)
	}
	return n.AcceptChannel(ctx, id, func(exchange.Credit) { ready() })
}

// noSweeps stands in for what no leader here asks for.
type noSweeps struct{}

func (noSweeps) Mark(uint64) {}
func (noSweeps) Fence(context.Context, uint64, []checkpoint.NodeRef, []checkpoint.NodeRef) error {
	return errors.New("no store is shared here")
}
func (noSweeps) Delete(context.Context, uint64, []checkpoint.ChunkID) (deleted, refused int, err error) {
	return 0, 0, errors.New("nothing is deleted here")
}

// memoryStore keeps chunks by the hash of their content.
type memoryStore struct {
	mu     sync.Mutex
	chunks map[checkpoint.ChunkID][]byte
}

func (s *memoryStore) Put(_ context.Context, data []byte) (checkpoint.ChunkRef, error) {
	ref := checkpoint.ChunkRef{ID: sha256.Sum256(data), Size: int64(len(data))}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chunks[ref.ID] = append([]byte(nil), data...)
	return ref, nil
}

func (s *memoryStore) Get(_ context.Context, ref checkpoint.ChunkRef) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, found := s.chunks[ref.ID]
	if !found {
		return nil, errors.New("no such chunk")
	}
	return data, nil
}
