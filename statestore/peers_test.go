package statestore_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/statestore"
)

var errDown = errors.New("connection refused")

// testPeer is a node of the tests: a store in memory, and what may be wrong with it.
type testPeer struct {
	*statestore.Memory

	mu    sync.Mutex
	fail  error                        // returned by every call
	hang  bool                         // every call waits until it is given up
	delay time.Duration                // every call takes that long
	spoil func(data []byte) []byte     // what Get makes of the content
	puts  map[checkpoint.ChunkID]int   // calls of Put
	gets  int                          // calls of Get
	onPut func(ref checkpoint.ChunkID) // called by Put before anything else
}

func (p *testPeer) begin(ctx context.Context) error {
	p.mu.Lock()
	fail, hang, delay := p.fail, p.hang, p.delay
	p.mu.Unlock()
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	if delay > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(delay):
		}
	}
	return fail
}

// calls returns how often Put was called.
func (p *testPeer) calls() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, calls := range p.puts {
		n += calls
	}
	return n
}

func (p *testPeer) Put(ctx context.Context, ref checkpoint.ChunkRef, e statestore.Encoded) error {
	p.mu.Lock()
	p.puts[ref.ID]++
	onPut := p.onPut
	p.mu.Unlock()
	if onPut != nil {
		onPut(ref.ID)
	}
	if err := p.begin(ctx); err != nil {
		return err
	}
	return p.Memory.WriteEncoded(ctx, ref, e)
}

func (p *testPeer) Get(ctx context.Context, ref checkpoint.ChunkRef) (statestore.Encoded, error) {
	p.mu.Lock()
	p.gets++
	spoil := p.spoil
	p.mu.Unlock()
	if err := p.begin(ctx); err != nil {
		return statestore.Encoded{}, err
	}
	e, err := p.Memory.GetEncoded(ctx, ref)
	if err == nil && spoil != nil {
		e.Data = spoil(e.Data)
	}
	return e, err
}

// set changes what is wrong with the peer.
func (p *testPeer) set(change func(*testPeer)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(p)
}

// cluster is a set of live nodes by name.
type cluster map[checkpoint.NodeID]*testPeer

func newCluster(n int) cluster {
	c := make(cluster)
	for i := range n {
		c[checkpoint.NodeID(fmt.Sprintf("n%d", i+2))] = &testPeer{
			Memory: statestore.NewMemory(), puts: make(map[checkpoint.ChunkID]int),
		}
	}
	return c
}

func (c cluster) Live() []statestore.PeerInfo {
	var live []statestore.PeerInfo
	for id, p := range c {
		live = append(live, statestore.PeerInfo{ID: id, Peer: p})
	}
	return live
}

// order returns the nodes in the order in which they should hold the chunk, as the store itself sees it:
// it asks for a chunk that nobody has and reads the order from the error.
func (c cluster) order(t *testing.T, ref checkpoint.ChunkRef) []checkpoint.NodeID {
	t.Helper()
	_, err := statestore.NewRemote(c, statestore.Options{}).Get(t.Context(), ref)
	var unavailable *statestore.UnavailableError
	if !errors.As(err, &unavailable) || len(unavailable.Tried) != len(c) {
		t.Fatalf("the order of nodes for %s: %v", ref.ID, err)
	}
	var order []checkpoint.NodeID
	for _, tried := range unavailable.Tried {
		order = append(order, tried.Node)
	}
	c.forgetGets()
	return order
}

func (c cluster) forgetGets() {
	for _, p := range c {
		p.set(func(p *testPeer) { p.gets = 0 })
	}
}

// holders returns how many nodes hold the chunk.
func (c cluster) holders(t *testing.T, ref checkpoint.ChunkRef) int {
	t.Helper()
	n := 0
	for _, p := range c {
		has, err := p.Has(t.Context(), ref)
		if err != nil {
			t.Fatal(err)
		}
		if has {
			n++
		}
	}
	return n
}

// results collects what Options.OnPut is told.
type results struct {
	mu  sync.Mutex
	all []statestore.PutResult
}

func (r *results) add(result statestore.PutResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, result)
}

// only returns the one result there is.
func (r *results) only(t *testing.T) statestore.PutResult {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) != 1 {
		t.Fatalf("OnPut was called %d times, want once: %v", len(r.all), r.all)
	}
	return r.all[0]
}

// firstHolder returns one of the nodes that hold the chunk.
func (c cluster) firstHolder(t *testing.T, ref checkpoint.ChunkRef) checkpoint.NodeID {
	t.Helper()
	for id, p := range c {
		if has, err := p.Has(t.Context(), ref); err == nil && has {
			return id
		}
	}
	t.Fatalf("nobody holds %s", ref.ID)
	return ""
}
