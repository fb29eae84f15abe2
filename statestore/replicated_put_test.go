package statestore_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"syscall"
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

// Beside a peer that is slow the next one is tried, long before the slow one is given up. Which of them takes the chunk
// first counts.
func TestSlowPeerIsReplaced(t *testing.T) {
	data := []byte("content")
	tests := []struct {
		name      string
		delays    []time.Duration // by position; from there on peers hang
		replicas  int
		takes     time.Duration
		want      []int // positions that count
		called    []int // positions that were asked for nothing in the end
		slowAfter time.Duration
	}{
		{name: "fast", delays: []time.Duration{0}, replicas: 2, takes: 0, want: []int{0}},
		{name: "not that slow", delays: []time.Duration{time.Second}, replicas: 2, takes: time.Second, want: []int{0}},
		{name: "hangs", delays: []time.Duration{time.Hour, 0}, replicas: 2, takes: 2 * time.Second, want: []int{1}, called: []int{0}},
		{name: "slow but first", delays: []time.Duration{3 * time.Second, 2 * time.Second}, replicas: 2, takes: 3 * time.Second, want: []int{0}},
		{name: "two hang", delays: []time.Duration{time.Hour, time.Hour, 0}, replicas: 2, takes: 4 * time.Second, want: []int{2}, called: []int{0, 1}},
		{name: "one of two hangs", delays: []time.Duration{0, time.Hour, 0}, replicas: 3, takes: 2 * time.Second, want: []int{0, 2}, called: []int{1}},
		{name: "two of two hang", delays: []time.Duration{time.Hour, time.Hour, 0, 0}, replicas: 3, takes: 2 * time.Second, want: []int{2, 3}, called: []int{0, 1}},
		{name: "impatient", delays: []time.Duration{time.Second, 0}, replicas: 2, takes: 100 * time.Millisecond, want: []int{1}, called: []int{0}, slowAfter: 100 * time.Millisecond},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peers := newCluster(4)
				order := peers.order(t, statestore.RefOf(data))
				for i, id := range order {
					if i >= len(test.delays) {
						peers[id].hang = true
					} else {
						peers[id].delay = test.delays[i]
					}
				}
				var told results
				s := statestore.NewReplicated(statestore.NewMemory(), "n1", peers,
					statestore.Options{Replicas: test.replicas, OnPut: told.add, SlowAfter: test.slowAfter})
				start := time.Now()
				mustPut(t, s, data)
				if took := time.Since(start); took != test.takes {
					t.Errorf("Put took %s, want %s", took, test.takes)
				}
				result, want := told.only(t), []checkpoint.NodeID{"n1"}
				for _, i := range test.want {
					want = append(want, order[i])
				}
				if !slices.Equal(result.Nodes, want) || result.UnderReplicated() {
					t.Errorf("OnPut was told %v, want %v", result, want)
				}
				var called []checkpoint.NodeID
				for _, i := range test.called {
					called = append(called, order[i])
				}
				var failed []checkpoint.NodeID
				for _, f := range result.Failed {
					if failed = append(failed, f.Node); !strings.Contains(f.Error(), "no answer within ") {
						t.Errorf("failure %v", f)
					}
				}
				if !slices.Equal(failed, called) {
					t.Errorf("failures: %v, want those of %v", result.Failed, called)
				}
			})
		})
	}
}

// With nobody else to ask, a slow peer has all of PutTimeout.
func TestSlowPeerIsAllThereIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		peers := newCluster(1)
		peers["n2"].delay = 9 * time.Second
		var told results
		s := statestore.NewReplicated(statestore.NewMemory(), "n1", peers, statestore.Options{OnPut: told.add})
		mustPut(t, s, []byte("content"))
		if result := told.only(t); result.UnderReplicated() {
			t.Errorf("OnPut was told %v", result)
		}
		peers["n2"].set(func(p *testPeer) { p.hang = true })
		told.all = nil
		start := time.Now()
		mustPut(t, s, []byte("other content"))
		if result := told.only(t); !result.UnderReplicated() || !strings.Contains(result.Failed.Error(), "no answer within 10s") || time.Since(start) != 10*time.Second {
			t.Errorf("after %s OnPut was told %v", time.Since(start), result)
		}
	})
}

// A large chunk takes longer on any peer.
func TestSlowIsRelativeToTheSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := make([]byte, 24<<20)
		peers := newCluster(2)
		order := peers.order(t, statestore.RefOf(data))
		peers[order[0]].delay = 5 * time.Second
		s := statestore.NewReplicated(statestore.NewMemory(), "n1", peers, statestore.Options{})
		ref := mustPut(t, s, data)
		if peers[order[1]].puts[ref.ID] != 0 {
			t.Error("24 MiB were sent to a second peer within 6s")
		}
	})
}

// What is full is not asked for every chunk, but again later, and at once when nobody else is left.
func TestFullPeerIsPassedOver(t *testing.T) {
	for name, cause := range map[string]error{"full": fmt.Errorf("writing: %w", syscall.ENOSPC), "down": errDown} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				peers := newCluster(3)
				sick := peers["n3"]
				sick.fail = cause
				s := statestore.NewReplicated(statestore.NewMemory(), "n1", peers, statestore.Options{})
				put := func(n int) (asked int) {
					before := sick.calls()
					for range n {
						data := fmt.Appendf(nil, "%d", time.Now().UnixNano())
						if ref := mustPut(t, s, data); peers.holders(t, ref) != 1 {
							t.Fatal("no copy")
						}
						time.Sleep(time.Millisecond)
					}
					return sick.calls() - before
				}
				if n := put(100); n != 1 {
					t.Errorf("a peer that cannot was asked %d times", n)
				}
				time.Sleep(3 * time.Second)
				if n := put(100); n != 1 {
					t.Errorf("behind the pause it was asked %d times", n)
				}
				time.Sleep(3 * time.Second) // the second pause is longer
				if n := put(100); n != 0 {
					t.Errorf("within the second pause it was asked %d times", n)
				}
				delete(peers, "n2")
				delete(peers, "n4")
				sick.set(func(p *testPeer) { p.fail = nil })
				if n := put(1); n != 1 {
					t.Errorf("it was asked %d times as the only one left", n)
				}
			})
		})
	}
}

// The copies spread over zones: those of the writer's come last.
func TestPutSpreadsOverZones(t *testing.T) {
	zones := map[checkpoint.NodeID]string{"n2": "a", "n3": "a", "n4": "b", "n5": "c"}
	peers := newCluster(4)
	var live livePeers
	for id, p := range peers {
		live = append(live, statestore.PeerInfo{ID: id, Zone: zones[id], Peer: p})
	}
	first := make(map[checkpoint.NodeID]int)
	for i := range 50 {
		var told results
		s := statestore.NewReplicated(statestore.NewMemory(), "n1", live, statestore.Options{Replicas: 3, Zone: "a", OnPut: told.add})
		mustPut(t, s, []byte{byte(i)})
		nodes := told.only(t).Nodes
		if got := zones[nodes[1]] + zones[nodes[2]]; got != "bc" && got != "cb" {
			t.Fatalf("copies on %v, in the zones %q: want b and c", nodes, got)
		}
		first[nodes[1]]++
		s = statestore.NewReplicated(statestore.NewMemory(), "n1", live, statestore.Options{Replicas: 5, Zone: "a", OnPut: told.add})
		told.all = nil
		mustPut(t, s, []byte{byte(i), 1})
		if nodes := told.only(t).Nodes; len(nodes) != 5 {
			t.Fatalf("copies on %v, want all", nodes)
		}
	}
	if len(first) != 2 {
		t.Errorf("the first copies were on %v, want both zones", first)
	}
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
