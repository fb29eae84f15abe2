package coordinator

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/api"
	"cairn/checkpoint"
)

// fakeDisk is what a fake node holds. The node's mutex guards it. A nil one holds nothing and tells nothing.
type fakeDisk struct {
	chunks  map[checkpoint.ChunkID]checkpoint.ChunkRef
	copied  int
	located []checkpoint.ChunksLocated
}

// tell tells a leader all that the node holds.
func (d *fakeDisk) tell(s *fakeStream) {
	if d == nil {
		return
	}
	s.out <- checkpoint.Inventory{First: true}
	for _, ref := range d.chunks {
		s.out <- checkpoint.Inventory{Chunks: []checkpoint.ChunkRef{ref}}
	}
	s.out <- checkpoint.Inventory{Last: true}
}

// put stores chunks, and tells the leader of them, if there is one.
func (d *fakeDisk) put(leader *fakeStream, refs ...checkpoint.ChunkRef) {
	if d == nil {
		return
	}
	for _, ref := range refs {
		d.chunks[ref.ID] = ref
	}
	if leader != nil {
		leader.out <- checkpoint.InventoryChange{Added: refs}
	}
}

func (d *fakeDisk) receive(s *fakeStream, m checkpoint.ToNode) {
	switch m := m.(type) {
	case checkpoint.CopyChunks:
		answer := checkpoint.ChunksCopied{Order: m.Order}
		for _, c := range m.Copies {
			d.put(s, c.Chunk)
			d.copied++
			answer.Copied = append(answer.Copied, c.Chunk.ID)
		}
		s.out <- answer
	case checkpoint.ChunksLocated:
		d.located = append(d.located, m)
	}
}

// diskStore puts what the leader stores on the disks of the fake nodes, too.
type diskStore struct {
	memoryStore
	fabric *fabric
}

func (s *diskStore) Put(ctx context.Context, data []byte) (checkpoint.ChunkRef, error) {
	ref, err := s.memoryStore.Put(ctx, data)
	s.fabric.mu.Lock()
	defer s.fabric.mu.Unlock()
	for _, n := range s.fabric.nodes {
		n.mu.Lock()
		n.disk.put(n.leader, ref)
		n.mu.Unlock()
	}
	return ref, err
}

// diskCluster is a cluster of three nodes with disks, which keeps two copies of everything.
func diskCluster(t *testing.T) *testCluster {
	c := emptyCluster(t)
	c.store = &diskStore{memoryStore{chunks: make(map[checkpoint.ChunkID][]byte)}, c.fabric}
	c.configure = func(cfg *Config) { cfg.Replicas, cfg.Repair.Delay = 2, 5*time.Second }
	c.startThree("n1", "n2", "n3")
	for _, n := range c.fabric.nodes {
		n.mu.Lock()
		n.disk = &fakeDisk{chunks: make(map[checkpoint.ChunkID]checkpoint.ChunkRef)}
		n.mu.Unlock()
	}
	return c
}

// holds returns how many nodes hold a chunk, the given one left out.
func (c *testCluster) holders(chunk checkpoint.ChunkID, but checkpoint.NodeID) int {
	found := 0
	for _, n := range c.fabric.nodes {
		n.mu.Lock()
		if _, has := n.disk.chunks[chunk]; has && n.id != but {
			found++
		}
		n.mu.Unlock()
	}
	return found
}

// What a checkpoint names is copied until it is on two nodes; the copies of a node that is lost are made elsewhere; a
// node may ask where chunks are. The status says what is missing, and is healthy again behind the repair.
func TestRepairByALeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := diskCluster(t)
		defer c.stop()
		c.awaitStatus("three nodes", func(s api.Status) bool { return len(s.Nodes) == 3 && s.Healthy })
		service := c.leader("").Service()
		job := submitManual(t, service, api.SubmitJobRequest{Name: "job"})
		c.awaitStatus("the job runs", func(s api.Status) bool { return s.Jobs[0].State == "RUNNING" })
		time.Sleep(time.Second) // virtual time: until every task is known to run
		done, err := service.TriggerCheckpoint(t.Context(), job.ID)
		if err != nil {
			t.Fatal(err)
		}
		var chunks []checkpoint.ChunkID // of the tasks, each on the one node that wrote it
		for _, s := range testTopology().Subtasks() {
			chunks = append(chunks, chunkOf(checkpoint.ID(done.ID), s))
		}
		few := func(s api.Status) bool {
			return slices.ContainsFunc(s.Problems, func(p string) bool { return strings.Contains(p, "are on fewer than 2 nodes") })
		}
		c.awaitStatus("too few copies are a problem", few)
		c.awaitStatus("the copies are made", func(s api.Status) bool { return s.Healthy })
		for _, id := range chunks {
			if n := c.holders(id, ""); n != 2 {
				t.Fatalf("a chunk is on %d nodes", n)
			}
		}
		c.fabric.nodes[0].disconnect("")
		c.awaitStatus("a node is lost", few)
		c.awaitStatus("its copies are made elsewhere", func(s api.Status) bool { return !few(s) })
		for _, id := range chunks {
			if n := c.holders(id, "n1"); n != 2 {
				t.Fatalf("a chunk is on %d nodes besides the lost one", n)
			}
		}
		keeper, open := c.leader("").sessions.leading().keeper, true
		if err := keeper.ask(t.Context(), func() { open = keeper.view.nodes["n1"].open }); err != nil || open {
			t.Errorf("the session of the lost node counts as open: %t, %v", open, err)
		}
		c.wantLocated(chunks[0])
	})
}

// wantLocated has n2 ask where a chunk is.
func (c *testCluster) wantLocated(chunk checkpoint.ChunkID) {
	c.t.Helper()
	n := c.fabric.nodes[1]
	n.mu.Lock()
	n.leader.out <- checkpoint.LocateChunks{Request: 9, Chunks: []checkpoint.ChunkID{chunk}}
	n.mu.Unlock()
	time.Sleep(time.Second) // virtual time
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.disk.located) != 1 || n.disk.located[0].Request != 9 {
		c.t.Fatalf("located %+v", n.disk.located)
	}
	var got []checkpoint.NodeID
	for _, at := range n.disk.located[0].Holders[0] {
		got = append(got, n.disk.located[0].Nodes[at].ID)
	}
	if len(got) < 2 || slices.Contains(got[:2], "n1") {
		c.t.Fatalf("the chunk is on %v", got)
	}
}

// The storekeeper answers others with what it knows, and with an error when the leadership is over.
func TestStorekeeperAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := diskCluster(t)
		defer c.stop()
		c.awaitStatus("three nodes", func(s api.Status) bool { return len(s.Nodes) == 3 && s.Healthy })
		time.Sleep(10 * time.Second) // virtual time
		ref := checkpoint.ChunkRef{ID: checkpoint.ChunkID{7}, Size: 7}
		for _, n := range c.fabric.nodes[:2] {
			n.mu.Lock()
			n.disk.put(n.leader, ref)
			n.mu.Unlock()
		}
		synctest.Wait()
		keeper := c.leader("").sessions.leading().keeper
		ctx := t.Context()
		if h, err := keeper.holdings(ctx); err != nil || !h.Complete || !slices.Equal(h.Chunks, []checkpoint.ChunkID{ref.ID}) {
			t.Errorf("holdings %+v, %v", h, err)
		}
		missing := checkpoint.ChunkRef{ID: checkpoint.ChunkID{8}, Size: 8}
		if lost, err := keeper.lost(ctx, checkpoint.ChunkID{}, []checkpoint.ChunkRef{ref, missing}); err != nil || len(lost) != 1 || lost[0].Chunk != missing {
			t.Errorf("lost %+v, %v", lost, err)
		}
		if s, err := keeper.status(ctx); err != nil || !s.Complete || len(s.Nodes) != 3 || s.Replicas != 2 || s.Backend != "nodes" {
			t.Errorf("status %+v, %v", s, err)
		}
		c.crash(c.leader("").cfg.ID)
		time.Sleep(5 * time.Second) // virtual time: until it has noticed
		if _, err := keeper.status(ctx); err != errLeadershipOver {
			t.Errorf("behind the end of the leadership: %v", err)
		}
	})
}
