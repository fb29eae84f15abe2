package statestore_test

import (
	"errors"
	"testing"

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
	nodes[order[2]].set(func(p *testPeer) { p.fail = errDown })
	placed(true, "when the third node is down")
	nodes[order[1]].set(func(p *testPeer) { p.fail = errDown })
	placed(false, "when the second node does not say")
	if _, err := statestore.NewRemote(newCluster(0), statestore.Options{}).Placed(t.Context(), ref); !errors.Is(err, statestore.ErrNoNodes) {
		t.Errorf("without nodes: %v", err)
	}
}
