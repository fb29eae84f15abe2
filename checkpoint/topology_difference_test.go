package checkpoint

import (
	"slices"
	"testing"
)

func wordTopology() Topology {
	return Topology{
		Vertices: []Vertex{
			{ID: "read", Name: "read -> split", Operators: []OperatorID{"read", "split"}, Parallelism: 2, MaxParallelism: 128},
			{ID: "count", Name: "count", Operators: []OperatorID{"count"}, Parallelism: 3, MaxParallelism: 128},
			{ID: "write", Name: "write", Operators: []OperatorID{"write"}, Parallelism: 1, MaxParallelism: 128, SharingGroup: "sinks"},
		},
		Edges: []Edge{{From: 0, To: 1, Partitioning: Hash}, {From: 1, To: 2, Partitioning: Rebalance}},
	}
}

func TestTopologyDifference(t *testing.T) {
	tests := map[string]func(*Topology){
		"":                                       func(g *Topology) { g.Vertices[0].Name, g.Vertices[1].SharingGroup = "other", DefaultSharingGroup },
		"has no vertex write":                    func(g *Topology) { g.Vertices = g.Vertices[:2] },
		"has vertex last, which the job has not": func(g *Topology) { g.Vertices = append(g.Vertices, Vertex{ID: "last"}) },
		"has vertex tally in the place of count": func(g *Topology) { g.Vertices[1].ID = "tally" },
		"chains [read] in vertex read, the job [read split]":                        func(g *Topology) { g.Vertices[0].Operators = []OperatorID{"read"} },
		"has parallelism 4 for operator count, the job has 3":                       func(g *Topology) { g.Vertices[1].Parallelism = 4 },
		"has max parallelism 256 for operator count, the job has 128":               func(g *Topology) { g.Vertices[1].MaxParallelism = 256 },
		"has operator write in slot sharing group default, the job has it in sinks": func(g *Topology) { g.Vertices[2].SharingGroup = "" },
		"has no edge rebalance from count to write":                                 func(g *Topology) { g.Edges = g.Edges[:1] },
		"has the edge broadcast from read to count in the place of hash from read to count": func(g *Topology) {
			g.Edges[0].Partitioning = Broadcast
		},
		"has an edge hash from read to write, which the job has not": func(g *Topology) {
			g.Edges = append(g.Edges, Edge{From: 0, To: 2, Partitioning: Hash})
		},
	}
	for want, change := range tests {
		built := wordTopology()
		change(&built)
		if got := wordTopology().Difference(built); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	one := Topology{Vertices: wordTopology().Vertices[:1]}
	decoded := Topology{Vertices: one.Vertices, Edges: []Edge{}}
	if got := one.Difference(decoded); got != "" {
		t.Errorf("no edges and an empty list of them: %q", got)
	}
}

func TestSlotsOfGroups(t *testing.T) {
	topology := Topology{Vertices: []Vertex{
		{ID: "a", Parallelism: 2}, {ID: "b", Parallelism: 3, SharingGroup: "x"}, {ID: "c", Parallelism: 4}, {ID: "d", Parallelism: 1, SharingGroup: "x"},
		{ID: "e", Parallelism: 1, SharingGroup: DefaultSharingGroup},
	}}
	bases, slots := topology.SlotBases()
	if !slices.Equal(bases, []int{0, 4, 0, 4, 0}) || slots != 7 || topology.SlotsNeeded() != 7 {
		t.Errorf("bases %v, %d slots, %d needed", bases, slots, topology.SlotsNeeded())
	}
}

func TestFingerprintsOfOneSchemeAreCompared(t *testing.T) {
	for _, test := range []struct {
		a, b Fingerprint
		want bool
	}{
		{"1-aa", "1-aa", false}, {"1-aa", "1-bb", true}, {"1-aa", "2-bb", false}, {"", "1-bb", false}, {"1-aa", "", false}, {"aa", "bb", false},
	} {
		if test.a.Contradicts(test.b) != test.want || test.b.Contradicts(test.a) != test.want {
			t.Errorf("%q and %q: want %v", test.a, test.b, test.want)
		}
	}
}

func TestOperatorDifference(t *testing.T) {
	job := []OperatorText{{"a", "source"}, {"b", "map"}}
	for want, built := range map[string][]OperatorText{
		"":                                 {{"a", "source"}, {"b", "map"}},
		"has no operator b":                {{"a", "source"}},
		"has operator c in the place of b": {{"a", "source"}, {"c", "map"}},
		"has operator b as filter; the job has map": {{"a", "source"}, {"b", "filter"}},
		"has operator c, which the job has not":     {{"a", "source"}, {"b", "map"}, {"c", "sink"}},
	} {
		if got := OperatorDifference(job, built); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// Manifests name who wrote the state, each node once.
func TestManifestWriters(t *testing.T) {
	m := testManifest()
	m.Vertices[0].Parallelism, m.Vertices[0].SharingGroup = 4, "io"
	m.Subtasks = nil
	for i := range 4 {
		m.Subtasks = append(m.Subtasks, SubtaskState{Subtask: SubtaskID{Vertex: "read", Index: i}})
	}
	m.Writers = []NodeID{"n2", "", "n1", "n2"}
	data, err := EncodeManifest(m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeManifest(data)
	if err != nil || !slices.Equal(got.Writers, m.Writers) || got.Vertices[0].SharingGroup != "io" {
		t.Errorf("decoded %+v, %v", got, err)
	}
	m.Writers = m.Writers[:3]
	if data, err = EncodeManifest(m); err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeManifest(data); err == nil {
		t.Error("writers of 3 subtasks of 4 are taken")
	}
}
