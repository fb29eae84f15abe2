package statestore_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
	"cairn/statestore"
)

func TestPutPlacesCopies(t *testing.T) {
	data := []byte("content")
	ref := statestore.RefOf(data)
	tests := []struct {
		name     string
		peers    int
		replicas int
		failing  []int // positions in the chunk's order of nodes
		want     []int // positions that end up with a copy
		under    bool
	}{
		{name: "alone", peers: 0, replicas: 2, under: true},
		{name: "default", peers: 3, want: []int{0}},
		{name: "one replica", peers: 3, replicas: 1},
		{name: "three replicas", peers: 3, replicas: 3, want: []int{0, 1}},
		{name: "more replicas than nodes", peers: 2, replicas: 5, want: []int{0, 1}, under: true},
		{name: "first fails", peers: 3, replicas: 2, failing: []int{0}, want: []int{1}},
		{name: "two fail", peers: 3, replicas: 2, failing: []int{0, 1}, want: []int{2}},
		{name: "one of two fails", peers: 3, replicas: 3, failing: []int{1}, want: []int{0, 2}},
		{name: "too many fail", peers: 3, replicas: 3, failing: []int{0, 2}, want: []int{1}, under: true},
		{name: "all fail", peers: 3, replicas: 2, failing: []int{0, 1, 2}, under: true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			peers := newCluster(test.peers)
			var order []checkpoint.NodeID
			if test.peers > 0 {
				order = peers.order(t, ref)
			}
			for _, i := range test.failing {
				peers[order[i]].set(func(p *testPeer) { p.fail = errDown })
			}
			var told results
			local := statestore.NewMemory()
			s := statestore.NewReplicated(local, "n1", peers, statestore.Options{Replicas: test.replicas, OnPut: told.add})

			if got := mustPut(t, s, data); got != ref {
				t.Fatalf("Put returned %v, want %v", got, ref)
			}
			wantNodes := []checkpoint.NodeID{"n1"}
			for _, i := range test.want {
				wantNodes = append(wantNodes, order[i])
				if has, err := peers[order[i]].Has(t.Context(), ref); err != nil || !has {
					t.Errorf("%s has no copy: %v", order[i], err)
				}
			}
			if n := peers.holders(t, ref); n != len(test.want) {
				t.Errorf("%d peers hold a copy, want %d", n, len(test.want))
			}
			if has, err := local.Has(t.Context(), ref); err != nil || !has {
				t.Errorf("no local copy: %v", err)
			}
			result := told.only(t)
			if !slices.Equal(result.Nodes, wantNodes) || result.Ref != ref {
				t.Errorf("OnPut was told %v, want the nodes %v", result, wantNodes)
			}
			if result.UnderReplicated() != test.under {
				t.Errorf("under-replicated: %v, want %v", result.UnderReplicated(), test.under)
			}
			for _, failed := range result.Failed {
				if i := slices.Index(order, failed.Node); !slices.Contains(test.failing, i) || !errors.Is(failed, errDown) {
					t.Errorf("unexpected failure %v", failed)
				}
			}
			if len(result.Failed) != len(test.failing) {
				t.Errorf("OnPut was told of %d failures, want %d", len(result.Failed), len(test.failing))
			}
		})
	}
}

// The node itself may be among the live ones: it must not count as its own replica.
func TestPutSkipsSelf(t *testing.T) {
	peers := newCluster(1)
	local := &testPeer{Memory: statestore.NewMemory(), puts: make(map[checkpoint.ChunkID]int)}
	all := append(livePeers{{ID: "n1", Peer: local}}, peers.Live()...)
	s := statestore.NewReplicated(local.Memory, "n1", all, statestore.Options{})
	for seed := range 20 {
		ref := mustPut(t, s, []byte{byte(seed)})
		if peers.holders(t, ref) != 1 || local.puts[ref.ID] != 0 {
			t.Fatalf("chunk %s went to the node itself instead of its peer", ref.ID)
		}
	}
}

func TestWriteReplicates(t *testing.T) {
	peers := newCluster(2)
	s := statestore.NewReplicated(statestore.NewMemory(), "n1", peers, statestore.Options{})
	data := []byte("content")
	if err := s.Write(t.Context(), statestore.RefOf(data), data); err != nil {
		t.Fatal(err)
	}
	if n := peers.holders(t, statestore.RefOf(data)); n != 1 {
		t.Fatalf("%d peers hold a copy, want 1", n)
	}
}

// I9: no ack before the copies are durable.
func TestPutWaitsForThePeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peers := newCluster(1)
		goOn := make(chan struct{}) // closed by the test
		peers["n2"].onPut = func(checkpoint.ChunkID) { <-goOn }
		s := statestore.NewReplicated(statestore.NewMemory(), "n1", peers, statestore.Options{})
		acked := false
		var put sync.WaitGroup
		put.Go(func() {
			mustPut(t, s, []byte("content"))
			acked = true
		})
		synctest.Wait()
		if acked {
			t.Error("Put returned before the peer had the chunk")
		}
		close(goOn)
		put.Wait()
	})
}

func TestSlowPeerIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := []byte("content")
		peers := newCluster(2)
		order := peers.order(t, statestore.RefOf(data))
		peers[order[0]].hang = true
		var told results
		s := statestore.NewReplicated(statestore.NewMemory(), "n1", peers,
			statestore.Options{PutTimeout: 3 * time.Second, OnPut: told.add})
		start := time.Now()
		mustPut(t, s, data)
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("Put took %s, want the timeout of 3s", took)
		}
		result := told.only(t)
		if !slices.Equal(result.Nodes, []checkpoint.NodeID{"n1", order[1]}) || result.UnderReplicated() {
			t.Errorf("OnPut was told %v, want n1 and %s", result, order[1])
		}
		if len(result.Failed) != 1 || !strings.Contains(result.Failed.Error(), "no answer within 3s") {
			t.Errorf("failures: %v", result.Failed)
		}
	})
}

// A Put that was given up while the peers were at it must not pass for one that found no peer.
func TestPutCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peers := newCluster(2)
		for _, p := range peers {
			p.hang = true
		}
		var told results
		s := statestore.NewReplicated(statestore.NewMemory(), "n1", peers, statestore.Options{OnPut: told.add})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.Put(ctx, []byte("content")); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Put: %v, want the deadline", err)
		}
		if len(told.all) != 0 {
			t.Errorf("OnPut was told of a Put that failed: %v", told.all)
		}
	})
}

// brokenStore is a local store that cannot be written to.
type brokenStore struct {
	*statestore.Memory
	err error
}

func (s brokenStore) Write(context.Context, checkpoint.ChunkRef, []byte) error { return s.err }

func (s brokenStore) Put(context.Context, []byte) (checkpoint.ChunkRef, error) {
	return checkpoint.ChunkRef{}, s.err
}

// A node without a local copy must not ack, and must not wait for a peer that hangs.
func TestLocalFailureFailsThePut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peers := newCluster(1)
		peers["n2"].hang = true
		full := errors.New("no space")
		local := struct{ statestore.Store }{brokenStore{err: full}}
		s := statestore.NewReplicated(local, "n1", peers, statestore.Options{})
		start := time.Now()
		if _, err := s.Put(t.Context(), []byte("content")); !errors.Is(err, full) {
			t.Fatalf("Put: %v, want the local store's error", err)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("Put waited %s for a peer", took)
		}
	})
}

// A peer that is down for a while costs two lines of log, not one for every chunk.
func TestPeerHealthIsLoggedOnce(t *testing.T) {
	var log strings.Builder
	peers := newCluster(1)
	s := statestore.NewReplicated(statestore.NewMemory(), "n1", peers,
		statestore.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	for i := range 9 {
		down := i >= 3 && i < 6
		peers["n2"].set(func(p *testPeer) {
			if p.fail = nil; down {
				p.fail = errDown
			}
		})
		mustPut(t, s, []byte{byte(i)})
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], "does not take chunks") || !strings.Contains(lines[0], "node=n2") ||
		!strings.Contains(lines[1], "takes chunks again") {
		t.Fatalf("log:\n%s", log.String())
	}
}
