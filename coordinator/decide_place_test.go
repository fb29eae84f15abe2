package coordinator

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"cairn/checkpoint"
	"cairn/fsm"
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

func TestPlaceSpreadsSlots(t *testing.T) {
	free := map[checkpoint.NodeID]int{"n1": 4, "n2": 4, "n3": 4}
	j := &fsm.Job{Topology: topologyOf(4, 4, 2)}
	a, ok := place(j, refsOf(free), free)
	if !ok {
		t.Fatal("no place found")
	}
	if got := slotsOf(j.Topology, a); !maps.Equal(got, map[checkpoint.NodeID]int{"n1": 2, "n2": 1, "n3": 1}) {
		t.Fatalf("slots by node: %v", got)
	}
	if free["n1"] != 4 {
		t.Fatal("place changed its argument")
	}
}

// However the nodes and the job look: place finds slots exactly when there are enough, overbooks no node, puts
// subtasks of one slot together, and moves nothing that could stay.
func TestPlaceProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		free := make(map[checkpoint.NodeID]int)
		total := 0
		for i := range rapid.IntRange(1, 6).Draw(t, "nodes") {
			n := rapid.IntRange(0, 5).Draw(t, "free")
			free[checkpoint.NodeID(rune('1'+i))] = n
			total += n
		}
		j := &fsm.Job{Topology: topologyOf(rapid.SliceOfN(rapid.IntRange(1, 8), 1, 4).Draw(t, "parallelism")...)}
		needs := j.Topology.SlotsNeeded()
		a, ok := place(j, refsOf(free), free)
		if ok != (total >= needs) {
			t.Fatalf("place says %v with %d of %d slots free", ok, total, needs)
		}
		if !ok {
			return
		}
		for id, used := range slotsOf(j.Topology, a) {
			if used > free[id] {
				t.Fatalf("node %s has %d free slots, %d are used", id, free[id], used)
			}
		}
		ordinal := 0
		slots := slotsIn(j.Topology, a)
		for _, v := range j.Topology.Vertices {
			for i := range v.Parallelism {
				if a.Node(ordinal).ID != slots[i] {
					t.Fatalf("%s[%d] is not in slot %d", v.ID, i, i)
				}
				ordinal++
			}
		}
		again := &fsm.Job{Topology: j.Topology, Assignment: a}
		b, _ := place(again, refsOf(free), free)
		if !slices.Equal(slotsIn(j.Topology, b), slots) {
			t.Fatalf("placing again moved slots: %v to %v", slots, slotsIn(j.Topology, b))
		}
	})
}
