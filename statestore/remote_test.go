package statestore_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
	"cairn/statestore"
)

func TestRemotePut(t *testing.T) {
	data := []byte("manifest")
	ref := statestore.RefOf(data)
	tests := []struct {
		name    string
		nodes   int
		failing int // how many of the first nodes fail
		copies  int
		ok      bool
	}{
		{name: "three nodes", nodes: 3, copies: 2, ok: true},
		{name: "one node", nodes: 1, copies: 1, ok: true},
		{name: "one of three fails", nodes: 3, failing: 1, copies: 2, ok: true},
		{name: "two of three fail", nodes: 3, failing: 2, copies: 1, ok: true},
		{name: "the only one fails", nodes: 1, failing: 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			nodes := newCluster(test.nodes)
			for _, id := range nodes.order(t, ref)[:test.failing] {
				nodes[id].set(func(p *testPeer) { p.fail = errDown })
			}
			var told results
			s := statestore.NewRemote(nodes, statestore.Options{OnPut: told.add})
			got, err := s.Put(t.Context(), data)
			if n := nodes.holders(t, ref); n != test.copies {
				t.Errorf("%d nodes hold the chunk, want %d", n, test.copies)
			}
			if test.ok {
				if err != nil || got != ref {
					t.Fatalf("Put: %v, %v", got, err)
				}
				if result := told.only(t); len(result.Nodes) != test.copies || len(result.Failed) != test.failing {
					t.Errorf("OnPut was told %v", result)
				}
				return
			}
			var placement *statestore.PlacementError
			if !errors.As(err, &placement) || !errors.Is(err, errDown) {
				t.Fatalf("Put: %v, want a PlacementError", err)
			}
			if !strings.Contains(err.Error(), ref.ID.String()) || !strings.Contains(err.Error(), "connection refused") {
				t.Errorf("the error %q does not say what failed", err)
			}
		})
	}
}

func TestRemoteWithoutNodes(t *testing.T) {
	s := statestore.NewRemote(newCluster(0), statestore.Options{})
	if _, err := s.Put(t.Context(), []byte("manifest")); !errors.Is(err, statestore.ErrNoNodes) {
		t.Errorf("Put: %v, want ErrNoNodes", err)
	}
	if _, err := s.Get(t.Context(), statestore.RefOf(nil)); !errors.Is(err, statestore.ErrNoNodes) {
		t.Errorf("Get: %v, want ErrNoNodes", err)
	}
}

func TestRemoteGet(t *testing.T) {
	data := []byte("manifest")
	ref := statestore.RefOf(data)
	nodes := newCluster(4)
	order := nodes.order(t, ref)
	nodes[order[0]].fail = errDown
	for _, id := range order[2:] {
		if err := nodes[id].Write(t.Context(), ref, data); err != nil {
			t.Fatal(err)
		}
	}
	nodes[order[2]].spoil = func(data []byte) []byte { return data[:3] }
	s := statestore.NewRemote(nodes, statestore.Options{})
	if got, err := s.Get(t.Context(), ref); err != nil || string(got) != string(data) {
		t.Fatalf("Get: %q, %v", got, err)
	}
	nodes[order[3]].set(func(p *testPeer) { p.fail = errDown })
	if _, err := s.Get(t.Context(), ref); !errors.Is(err, statestore.ErrUnavailable) || !errors.Is(err, statestore.ErrCorrupt) {
		t.Fatalf("Get without a good copy: %v", err)
	}
}

// I5: Keep reaches every copy, so that a sweep that is under way spares it, and notices what is nowhere.
func TestI5_RemoteKeep(t *testing.T) {
	data, other := []byte("state"), []byte("other state")
	ref := statestore.RefOf(data)
	var live livePeers
	var nodes []*statestore.Swept
	for _, id := range []checkpoint.NodeID{"n1", "n2", "n3"} {
		n := statestore.NewSwept(statestore.NewMemory())
		nodes, live = append(nodes, n), append(live, statestore.PeerInfo{ID: id, Peer: statestore.AsPeer(n)})
	}
	mustPut(t, nodes[0], data)
	mustPut(t, nodes[2], data)
	for _, n := range nodes {
		n.Mark(1)
	}
	s := statestore.NewRemote(live, statestore.Options{})
	if err := s.Keep(t.Context(), []checkpoint.ChunkRef{ref}); err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		wantSwept(t, n, 1, ref.ID, 0, 1)
	}
	err := s.Keep(t.Context(), []checkpoint.ChunkRef{ref, statestore.RefOf(other)})
	if !errors.Is(err, statestore.ErrNotFound) || !strings.Contains(err.Error(), statestore.RefOf(other).ID.String()) {
		t.Fatalf("Keep of a chunk that nobody has: %v", err)
	}
	if err := statestore.NewRemote(newCluster(0), statestore.Options{}).Keep(t.Context(), []checkpoint.ChunkRef{ref}); !errors.Is(err, statestore.ErrNoNodes) {
		t.Fatalf("Keep without nodes: %v", err)
	}
	if err := s.Keep(t.Context(), nil); err != nil {
		t.Fatalf("Keep of nothing: %v", err)
	}
}

// A node that does not answer does not matter where another one has the chunk.
func TestRemoteKeepWithoutANode(t *testing.T) {
	data := []byte("state")
	ref := statestore.RefOf(data)
	nodes := newCluster(3)
	order := nodes.order(t, ref)
	if err := nodes[order[1]].Write(t.Context(), ref, data); err != nil {
		t.Fatal(err)
	}
	s := statestore.NewRemote(brokenHas{nodes, order[0]}, statestore.Options{})
	if err := s.Keep(t.Context(), []checkpoint.ChunkRef{ref}); err != nil {
		t.Fatal(err)
	}
	s = statestore.NewRemote(brokenHas{nodes, order[1]}, statestore.Options{})
	if err := s.Keep(t.Context(), []checkpoint.ChunkRef{ref}); !errors.Is(err, errDown) || errors.Is(err, statestore.ErrNotFound) {
		t.Fatalf("Keep with the only copy out of reach: %v", err)
	}
}

// brokenHas is a cluster in which one node cannot be asked.
type brokenHas struct {
	cluster
	node checkpoint.NodeID
}

func (b brokenHas) Live() []statestore.PeerInfo {
	live := b.cluster.Live()
	for i := range live {
		if live[i].ID == b.node {
			live[i].Peer = deafPeer{live[i].Peer}
		}
	}
	return live
}

type deafPeer struct{ statestore.Peer }

func (deafPeer) Has(context.Context, checkpoint.ChunkRef) (bool, error) { return false, errDown }

func TestRemoteLimits(t *testing.T) {
	s := statestore.NewRemote(newCluster(1), statestore.Options{})
	if _, err := s.Put(t.Context(), make([]byte, statestore.MaxChunkSize+1)); !errors.Is(err, statestore.ErrTooLarge) {
		t.Errorf("Put: %v, want ErrTooLarge", err)
	}
	if _, err := s.Get(t.Context(), checkpoint.ChunkRef{Size: -1}); !errors.Is(err, statestore.ErrCorrupt) {
		t.Errorf("Get of a negative size: %v, want ErrCorrupt", err)
	}
}

func TestRemoteCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nodes := newCluster(3)
		for _, p := range nodes {
			p.hang = true
		}
		s := statestore.NewRemote(nodes, statestore.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, putErr := s.Put(ctx, []byte("manifest"))
		_, getErr := s.Get(ctx, statestore.RefOf([]byte("manifest")))
		for call, err := range map[string]error{"Put": putErr, "Get": getErr} {
			if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, statestore.ErrUnavailable) {
				t.Errorf("%s: %v, want the deadline", call, err)
			}
		}
	})
}

// A manifest that a coordinator stored is read back by another one, after the node that is first in order
// is gone.
func TestManifestSurvivesANode(t *testing.T) {
	want := checkpoint.Manifest{
		Job: checkpoint.JobID{1}, ID: 7, Attempt: 2, Kind: checkpoint.KindCheckpoint, TriggerTimestamp: 1000,
		Subtasks: []checkpoint.SubtaskState{{
			Subtask: checkpoint.SubtaskID{Vertex: "count", Index: 0},
			Handles: []checkpoint.Handle{{
				Operator: "count", Kind: checkpoint.ListState,
				Chunks: []checkpoint.ChunkRef{statestore.RefOf([]byte("state"))},
			}},
		}},
	}
	data, err := checkpoint.EncodeManifest(want)
	if err != nil {
		t.Fatal(err)
	}
	nodes := newCluster(3)
	ref, err := statestore.NewRemote(nodes, statestore.Options{}).Put(t.Context(), data)
	if err != nil {
		t.Fatal(err)
	}
	delete(nodes, nodes.firstHolder(t, ref))
	read, err := statestore.NewRemote(nodes, statestore.Options{}).Get(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := checkpoint.DecodeManifest(read); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("the manifest came back as %v, %v", got, err)
	}
}
