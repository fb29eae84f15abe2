package coordinator

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"cairn/checkpoint"
)

func refsOf(free map[checkpoint.NodeID]int) map[checkpoint.NodeID]checkpoint.NodeRef {
	refs := make(map[checkpoint.NodeID]checkpoint.NodeRef)
	for id := range free {
		refs[id] = checkpoint.NodeRef{ID: id, Incarnation: 1}
	}
	return refs
}

func topologyOf(parallelism ...int) checkpoint.Topology {
	var t checkpoint.Topology
	for i, p := range parallelism {
		id := string(rune('a' + i))
		t.Vertices = append(t.Vertices, checkpoint.Vertex{
			ID: checkpoint.VertexID(id), Operators: []checkpoint.OperatorID{checkpoint.OperatorID(id)}, Parallelism: p, MaxParallelism: 1024,
		})
	}
	return t
}

// grouped puts the vertices into slot sharing groups.
func grouped(t checkpoint.Topology, groups ...string) checkpoint.Topology {
	for i, group := range groups {
		t.Vertices[i].SharingGroup = group
	}
	return t
}

func TestPlace(t *testing.T) {
	type free = map[checkpoint.NodeID]int
	type nodes = []checkpoint.NodeID
	tests := map[string]struct {
		placing placing
		want    nodes
	}{
		"least loaded": {placing{topology: topologyOf(4, 2), free: free{"n1": 1, "n2": 3, "n3": 3}}, nodes{"n2", "n3", "n2", "n3"}},
		"a slot stays, and the others are spread": {
			placing{topology: topologyOf(3), free: free{"n1": 4, "n2": 4, "n3": 4}, former: nodes{"n3", "n3", ""}},
			nodes{"n3", "n3", "n1"},
		},
		"a slot stays though its bytes are elsewhere": {
			placing{topology: topologyOf(1), free: free{"n1": 1, "n2": 1}, former: nodes{"n2"}, bytes: held(stateByNode{"n1": 9})},
			nodes{"n2"},
		},
		"the former node is gone: where most bytes are": {
			placing{topology: topologyOf(1), free: free{"n1": 9, "n2": 1, "n3": 9}, former: nodes{"n4"}, bytes: held(stateByNode{"n1": 4, "n2": 5})},
			nodes{"n2"},
		},
		"the former node is full: where most bytes are": {
			placing{
				topology: topologyOf(2), free: free{"n1": 1, "n2": 1, "n3": 9}, former: nodes{"n1", "n1"},
				bytes: held(stateByNode{"n1": 9}, stateByNode{"n1": 9, "n2": 5}),
			},
			nodes{"n1", "n2"},
		},
		"two want the last slot: the larger state gets it": {
			placing{
				topology: topologyOf(3), free: free{"n1": 1, "n2": 1, "n3": 1},
				bytes: held(stateByNode{"n2": 5}, stateByNode{"n2": 7, "n1": 1}, nil),
			},
			nodes{"n1", "n2", "n3"},
		},
		"nobody there has the bytes": {
			placing{topology: topologyOf(1), free: free{"n1": 1, "n2": 2}, bytes: held(stateByNode{"n9": 5})}, nodes{"n2"},
		},
		"one that grows is spread evenly, not onto its state": {
			placing{
				topology: topologyOf(4), free: free{"n1": 4, "n2": 4, "n3": 4}, former: nodes{"", "", "", ""},
				bytes: held(stateByNode{"n1": 5}, stateByNode{"n1": 7}, stateByNode{"n1": 6}, stateByNode{"n1": 8}),
			},
			nodes{"n2", "n1", "n3", "n1"},
		},
		"one that grows leaves its state where the load allows": {
			placing{
				topology: topologyOf(3), free: free{"n1": 4, "n2": 4, "n3": 4}, former: nodes{"", "", ""},
				bytes: held(stateByNode{"n3": 5}, stateByNode{"n1": 7}, stateByNode{"n1": 6, "n2": 1}),
			},
			nodes{"n3", "n1", "n2"},
		},
		"another group grows around slots that stay": {
			placing{
				topology: grouped(topologyOf(2, 4), "", "sink"), free: free{"n1": 4, "n2": 4}, former: nodes{"n1", "n1", "", "", "", ""},
				bytes: held(nil, nil, stateByNode{"n1": 5}, nil, nil, nil),
			},
			nodes{"n1", "n1", "n1", "n2", "n2", "n2"},
		},
		"little room is filled up": {
			placing{
				topology: topologyOf(5), free: free{"n1": 1, "n2": 2, "n3": 5}, former: nodes{"", "", "", "", ""},
				bytes: held(stateByNode{"n1": 5}, nil, nil, nil, nil),
			},
			nodes{"n3", "n3", "n3", "n2", "n3"},
		},
		"groups do not share slots": {
			placing{topology: grouped(topologyOf(2, 1, 2), "", "sink", ""), free: free{"n1": 2, "n2": 1}}, nodes{"n1", "n1", "n2"},
		},
	}
	for name, test := range tests {
		before := maps.Clone(test.placing.free)
		if got := place(test.placing); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
		if !maps.Equal(test.placing.free, before) {
			t.Errorf("%s: place changed its argument", name)
		}
	}
}

func held(bytes ...stateByNode) func() []stateByNode { return func() []stateByNode { return bytes } }

// However nodes, job and state look: no node is given more than it has, the same question has the same answer, what can
// stay stays, no slot that was somewhere is placed where less of its state is while a node with more is left unused, and
// those that were nowhere are spread evenly.
func TestPlaceProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		free := drawFree(t)
		topology := drawTopology(t, total(free))
		needs := topology.SlotsNeeded()
		if needs > total(free) {
			t.Skip("not enough slots")
		}
		ids := append(slices.Sorted(maps.Keys(free)), "gone")
		node := rapid.SampledFrom(ids)
		former := rapid.SliceOfN(rapid.OneOf(node, rapid.Just[checkpoint.NodeID]("")), needs, needs).Draw(t, "former")
		bytes := make([]stateByNode, needs)
		for i := range bytes {
			bytes[i] = rapid.MapOfN(node, rapid.Int64Range(1, 9), 0, 3).Draw(t, "bytes")
		}
		p := placing{topology: topology, free: free, former: former, bytes: held(bytes...)}
		slots := place(p)
		if again := place(p); !slices.Equal(slots, again) {
			t.Fatalf("placed %v, then %v", slots, again)
		}
		left := maps.Clone(free)
		stayed := make(map[checkpoint.NodeID]int)
		for i, id := range slots {
			left[id]--
			if id == former[i] {
				stayed[id]++
			}
		}
		for id, n := range left {
			if n < 0 {
				t.Fatalf("node %s has %d slots and is given %d", id, free[id], free[id]-n)
			}
			if n > 0 {
				noneMissed(t, id, slots, former, bytes)
			}
		}
		for i, id := range former {
			if id != "" && slots[i] != id && stayed[id] < free[id] {
				t.Fatalf("slot %d does not stay on %s, where only %d of %d did: %v", i, id, stayed[id], free[id], slots)
			}
		}
		evenlySpread(t, free, slots, former)
		a := assignment(topology, slots, refsOf(free))
		if got := slotsIn(topology, a); !slices.Equal(got, slots) {
			t.Fatalf("assigned %v, placed %v", got, slots)
		}
		// Who comes or comes back changes nothing for the others.
		free["new"] = rapid.IntRange(1, 9).Draw(t, "new")
		if again := place(placing{topology: topology, free: free, former: slots, bytes: p.bytes}); !slices.Equal(again, slots) {
			t.Fatalf("with one more node %v became %v", slots, again)
		}
	})
}

// noneMissed makes sure that no slot that had to move would rather be on id, which has room.
func noneMissed(t *rapid.T, id checkpoint.NodeID, slots, former []checkpoint.NodeID, bytes []stateByNode) {
	for i, on := range slots {
		if former[i] != "" && on != former[i] && bytes[i][id] > bytes[i][on] {
			t.Fatalf("slot %d is on %s with %d bytes, node %s has room and %d", i, on, bytes[i][on], id, bytes[i][id])
		}
	}
}

// evenlySpread makes sure that no node that was given a slot which had been nowhere has less left than another one had
// when it could have had it.
func evenlySpread(t *rapid.T, free map[checkpoint.NodeID]int, slots, former []checkpoint.NodeID) {
	left := maps.Clone(free)
	given := make(map[checkpoint.NodeID]bool)
	for i, id := range slots {
		left[id]--
		given[id] = given[id] || former[i] == ""
	}
	for id := range given {
		for other := range free {
			if given[id] && left[other] > left[id]+1 {
				t.Fatalf("%s has %d slots left and %s %d: %v", id, left[id], other, left[other], slots)
			}
		}
	}
}

func drawFree(t *rapid.T) map[checkpoint.NodeID]int {
	free := make(map[checkpoint.NodeID]int)
	for i := range rapid.IntRange(1, 6).Draw(t, "nodes") {
		free[checkpoint.NodeID(fmt.Sprint("n", i))] = rapid.IntRange(0, 5).Draw(t, "free")
	}
	return free
}

func drawTopology(t *rapid.T, slots int) checkpoint.Topology {
	topology := topologyOf(rapid.SliceOfN(rapid.IntRange(1, max(1, slots/2)), 1, 4).Draw(t, "parallelism")...)
	for i := range topology.Vertices {
		topology.Vertices[i].SharingGroup = rapid.SampledFrom([]string{"", "", "x", "y"}).Draw(t, "group")
	}
	return topology
}

func TestFormerSlots(t *testing.T) {
	last := grouped(topologyOf(2, 1, 2), "", "", "sink")
	slots := []checkpoint.NodeID{"n1", "n2", "n3", "n1"}
	a := assignment(last, slots, refsOf(map[checkpoint.NodeID]int{"n1": 1, "n2": 1, "n3": 1}))
	tests := map[string]struct {
		next checkpoint.Topology
		want []checkpoint.NodeID
	}{
		"the same graph":         {last, slots},
		"one group is rescaled":  {grouped(topologyOf(3, 1, 2), "", "", "sink"), []checkpoint.NodeID{"", "", "", "n3", "n1"}},
		"the other one is":       {grouped(topologyOf(2, 1, 1), "", "", "sink"), []checkpoint.NodeID{"n1", "n2", ""}},
		"a vertex changes group": {grouped(topologyOf(2, 1, 2), "", "sink", "sink"), []checkpoint.NodeID{"n1", "n2", "", ""}},
	}
	for name, test := range tests {
		if got := formerSlots(test.next, last, a); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
	if got := formerSlots(last, last, checkpoint.Assignment{}); got != nil {
		t.Errorf("before the first attempt: %v", got)
	}
}
