package statestore_test

import (
	"testing"

	"cairn/checkpoint"
	"cairn/statestore"
	"cairn/statestore/storetest"
)

func TestLocalConforms(t *testing.T) {
	storetest.Run(t, func(t *testing.T) statestore.Store { return openLocal(t, t.TempDir()) })
}

func TestMemoryConforms(t *testing.T) {
	storetest.Run(t, func(*testing.T) statestore.Store { return statestore.NewMemory() })
}

func TestSweptConforms(t *testing.T) {
	storetest.Run(t, func(t *testing.T) statestore.Store {
		s := statestore.NewSwept(openLocal(t, t.TempDir()))
		s.Mark(1)
		return s
	})
}

func TestReplicatedConforms(t *testing.T) {
	storetest.Run(t, func(t *testing.T) statestore.Store {
		peers := livePeers{}
		for _, id := range []checkpoint.NodeID{"n2", "n3"} {
			peers = append(peers, statestore.PeerInfo{ID: id, Peer: statestore.AsPeer(statestore.NewMemory())})
		}
		return statestore.NewReplicated(openLocal(t, t.TempDir()), "n1", peers, statestore.Options{})
	})
}

// livePeers is a fixed set of live nodes.
type livePeers []statestore.PeerInfo

func (p livePeers) Live() []statestore.PeerInfo { return p }

func openLocal(t *testing.T, dir string) *statestore.Local {
	t.Helper()
	s, err := statestore.OpenLocal(dir, statestore.LocalOptions{Node: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}
