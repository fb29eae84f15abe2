package statestore_test

import (
	"errors"
	"testing"

	"cairn/checkpoint"
	"cairn/statestore"
)

// A chunk is placed when the nodes that it would be put on have it: one that lacks it, or cannot say, gets it.
func TestRemotePlaced(t *testing.T) {
	data := []byte("chunk")
	ref := statestore.RefOf(data)
	nodes := newCluster(3)
	order := nodes.order(t, ref)
	s := statestore.NewRemote(nodes, statestore.Options{})
	placed := func(want bool, when string) {
		t.Helper()
		if got, err := s.Placed(t.Context(), ref); err != nil || got != want {
			t.Errorf("%s: %t, %v", when, got, err)
		}
	}
	placed(false, "nobody has it")
	if _, err := s.Put(t.Context(), data); err != nil {
		t.Fatal(err)
	}
	placed(true, "as it was put")
	lost := func(checkpoint.ChunkID) bool { return false }
	if _, _, err := nodes[order[1]].Delete(t.Context(), []checkpoint.ChunkID{ref.ID}, lost); err != nil {
		t.Fatal(err)
	}
	placed(false, "when the second node has lost it")
	if _, err := statestore.NewRemote(newCluster(0), statestore.Options{}).Placed(t.Context(), ref); !errors.Is(err, statestore.ErrNoNodes) {
		t.Errorf("without nodes: %v", err)
	}
}
