package checkpoint

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func verticesOf(parallelism ...int) []Vertex {
	var all []Vertex
	for i, p := range parallelism {
		id := fmt.Sprintf("v%d", i)
		all = append(all, Vertex{ID: VertexID(id), Operators: []OperatorID{OperatorID(id)}, Parallelism: p, MaxParallelism: 128})
	}
	return all
}

func TestRegions(t *testing.T) {
	tests := []struct {
		name string
		t    Topology
		want []int
	}{
		{"one vertex", Topology{Vertices: verticesOf(3)}, []int{0, 1, 2}},
		{"a forwarding chain", Topology{
			Vertices: verticesOf(3, 3, 3),
			Edges:    []Edge{{0, 1, Forward}, {1, 2, Forward}},
		}, []int{0, 1, 2, 0, 1, 2, 0, 1, 2}},
		{"an exchange", Topology{Vertices: verticesOf(2, 3), Edges: []Edge{{0, 1, Hash}}}, []int{0, 0, 0, 0, 0}},
		{"two pipelines", Topology{
			Vertices: verticesOf(2, 1, 2, 2),
			Edges:    []Edge{{0, 2, Rebalance}, {1, 3, Broadcast}},
		}, []int{0, 0, 1, 0, 0, 1, 1}},
		{"forward chains that meet", Topology{
			Vertices: verticesOf(2, 2, 1),
			Edges:    []Edge{{0, 1, Forward}, {1, 2, Custom}},
		}, []int{0, 0, 0, 0, 0}},
		{"pipelines that share a forward end", Topology{
			Vertices: verticesOf(2, 2, 2),
			Edges:    []Edge{{0, 2, Forward}, {1, 2, Forward}},
		}, []int{0, 1, 0, 1, 0, 1}},
	}
	for _, test := range tests {
		if got := test.t.Regions(); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// TestRegionsAgainstAFlood colours the graph of subtasks, channel by channel, from each subtask that has no colour yet.
func TestRegionsAgainstAFlood(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		g := topologies(rt)
		if err := g.Validate(); err != nil {
			rt.Fatal(err)
		}
		if got, want := g.Regions(), flooded(g); !slices.Equal(got, want) {
			rt.Errorf("%+v: %v, want %v", g, got, want)
		}
	})
}

func topologies(rt *rapid.T) Topology {
	g := Topology{Vertices: verticesOf(rapid.SliceOfN(rapid.IntRange(1, 4), 1, 6).Draw(rt, "parallelism")...)}
	for from := range g.Vertices {
		for to := from + 1; to < len(g.Vertices); to++ {
			p := rapid.SampledFrom([]Partitioning{0, 0, 0, Forward, Forward, Hash, Rebalance, Broadcast, Custom}).Draw(rt, "edge")
			if p != 0 && (p != Forward || g.Vertices[from].Parallelism == g.Vertices[to].Parallelism) {
				g.Edges = append(g.Edges, Edge{from, to, p})
			}
		}
	}
	return g
}

func flooded(g Topology) []int {
	subtasks := g.Subtasks()
	connected := func(a, b SubtaskID) bool {
		return slices.ContainsFunc(g.Edges, func(e Edge) bool {
			return g.Vertices[e.From].ID == a.Vertex && g.Vertices[e.To].ID == b.Vertex && (e.Partitioning != Forward || a.Index == b.Index)
		})
	}
	colours := make([]int, len(subtasks))
	for i := range colours {
		colours[i] = -1
	}
	var flood func(at, colour int)
	flood = func(at, colour int) {
		if colours[at] >= 0 {
			return
		}
		colours[at] = colour
		for other := range subtasks {
			if connected(subtasks[at], subtasks[other]) || connected(subtasks[other], subtasks[at]) {
				flood(other, colour)
			}
		}
	}
	next := 0
	for at := range subtasks {
		if colours[at] < 0 {
			flood(at, next)
			next++
		}
	}
	return colours
}
