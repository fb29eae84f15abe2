package placement

import (
	"fmt"
	"slices"
	"testing"

	"github.com/zeebo/blake3"

	"cairn/checkpoint"
)

func testNodes(n int) []checkpoint.NodeID {
	var nodes []checkpoint.NodeID
	for i := range n {
		nodes = append(nodes, checkpoint.NodeID(fmt.Sprintf("n%d", i+1)))
	}
	return nodes
}

// rendezvous is Order without zones and holders.
func rendezvous(chunk checkpoint.ChunkID, ids []checkpoint.NodeID) []checkpoint.NodeID {
	var nodes []Node
	for _, id := range ids {
		nodes = append(nodes, Node{ID: id})
	}
	var ordered []checkpoint.NodeID
	for _, n := range Order(chunk, nodes, nil) {
		ordered = append(ordered, n.ID)
	}
	return ordered
}

// chunkID names a chunk with the given content.
func chunkID(content string) checkpoint.ChunkID { return blake3.Sum256([]byte(content)) }

// Nodes and coordinators of different versions must agree on the order, so it is fixed here.
func TestRendezvousGolden(t *testing.T) {
	for _, test := range []struct {
		content string
		want    []checkpoint.NodeID
	}{
		{"", []checkpoint.NodeID{"n2", "n4", "n5", "n3", "n1"}},
		{"a", []checkpoint.NodeID{"n1", "n4", "n2", "n3", "n5"}},
		{"b", []checkpoint.NodeID{"n5", "n1", "n2", "n3", "n4"}},
	} {
		if got := rendezvous(chunkID(test.content), testNodes(5)); !slices.Equal(got, test.want) {
			t.Errorf("order for %q: %q, want %q", test.content, got, test.want)
		}
	}
}

func TestRendezvousIgnoresTheOrderOfNodes(t *testing.T) {
	nodes := testNodes(7)
	reversed := slices.Clone(nodes)
	slices.Reverse(reversed)
	for i := range 50 {
		id := chunkID(string([]byte{byte(i)}))
		if a, b := rendezvous(id, nodes), rendezvous(id, reversed); !slices.Equal(a, b) {
			t.Fatalf("%v and %v", a, b)
		}
	}
	if nodes[0] != "n1" || nodes[6] != "n7" {
		t.Fatalf("the argument was changed: %v", nodes)
	}
}

// When a node goes, the others keep their order: only what it held moves.
func TestRendezvousIsStable(t *testing.T) {
	nodes := testNodes(6)
	for i := range 50 {
		id := chunkID(string([]byte{byte(i)}))
		for _, gone := range nodes {
			isGone := func(n checkpoint.NodeID) bool { return n == gone }
			want := slices.DeleteFunc(rendezvous(id, nodes), isGone)
			got := rendezvous(id, slices.DeleteFunc(slices.Clone(nodes), isGone))
			if !slices.Equal(got, want) {
				t.Fatalf("without %s: %v, want %v", gone, got, want)
			}
		}
	}
}

func TestRendezvousSpreads(t *testing.T) {
	const chunks = 5000
	nodes := testNodes(5)
	first := make(map[checkpoint.NodeID]int)
	for i := range chunks {
		first[rendezvous(chunkID(fmt.Sprint(i)), nodes)[0]]++
	}
	for _, n := range nodes {
		if share := first[n]; share < chunks/5*85/100 || share > chunks/5*115/100 {
			t.Errorf("%s is first for %d of %d chunks, want about a fifth", n, share, chunks)
		}
	}
}
