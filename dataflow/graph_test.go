package dataflow

import (
	"slices"
	"strings"
	"testing"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

func shape(t checkpoint.Topology) (vertices []string) {
	for _, v := range t.Vertices {
		vertices = append(vertices, v.Name)
	}
	return vertices
}

func TestChaining(t *testing.T) {
	for name, test := range map[string]struct {
		build func(*Graph)
		want  []string
		edges []checkpoint.Edge
	}{
		"equal parallelism": {
			func(g *Graph) {
				s := From(g, "a", numbers{}, codec.Int64, Parallelism(3))
				s = Filter(Map(s, "b", codec.Int64, identity), "c", func(int64) bool { return true })
				To(s, "d", newLedger[int64]())
			},
			[]string{"a -> b -> c -> d"}, nil,
		},
		"another parallelism, a rebalance, another max parallelism": {
			func(g *Graph) {
				g.SetParallelism(2)
				s := Map(From(g, "a", numbers{}, codec.Int64), "b", codec.Int64, identity, Parallelism(3))
				s = Map(Rebalance(s), "c", codec.Int64, identity)
				To(s, "d", newLedger[int64](), MaxParallelism(7))
			},
			[]string{"a", "b", "c", "d"},
			[]checkpoint.Edge{
				{From: 0, To: 1, Partitioning: checkpoint.Rebalance},
				{From: 1, To: 2, Partitioning: checkpoint.Rebalance},
				{From: 2, To: 3, Partitioning: checkpoint.Forward},
			},
		},
		"a branch, and keys": {
			func(g *Graph) {
				s := From(g, "a", numbers{}, codec.Int64)
				To(s, "b", newLedger[int64]())
				counts := Process(KeyBy(s, codec.Int64, identity), "c", codec.Int64,
					func() KeyedProcessor[int64, int64, int64] { return nil })
				To(counts, "d", newLedger[int64]())
			},
			[]string{"a -> b", "c -> d"},
			[]checkpoint.Edge{{From: 0, To: 1, Partitioning: checkpoint.Hash}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewGraph()
			test.build(g)
			if err := g.Seal(); err != nil {
				t.Fatal(err)
			}
			got := g.Topology()
			if !slices.Equal(shape(got), test.want) || !slices.Equal(got.Edges, test.edges) {
				t.Errorf("vertices %q, edges %v; want %q, %v", shape(got), got.Edges, test.want, test.edges)
			}
		})
	}
}

func TestSealRefuses(t *testing.T) {
	for want, build := range map[string]func(*Graph){
		"no vertices": func(*Graph) {},
		`operator ID "a"`: func(g *Graph) {
			To(From(g, "a", numbers{}, codec.Int64), "a", newLedger[int64]())
		},
		"operator a: its output goes to b": func(g *Graph) {
			To(Rebalance(From(g, "a", numbers{}, nil)), "b", newLedger[int64]())
		},
		"operator b: the keys need a codec": func(g *Graph) {
			s := From(g, "a", numbers{}, codec.Int64)
			Process(KeyBy(s, nil, identity), "b", codec.Int64, func() KeyedProcessor[int64, int64, int64] { return nil })
		},
		"operator a: parallelism -1": func(g *Graph) { From(g, "a", numbers{}, codec.Int64, Parallelism(-1)) },
		"max parallelism 2":          func(g *Graph) { From(g, "a", numbers{}, codec.Int64, Parallelism(3), MaxParallelism(2)) },
	} {
		g := NewGraph()
		build(g)
		for range 2 { // the second time too
			if err := g.Seal(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		}
	}
}

func TestRegistry(t *testing.T) {
	r := NewRegistry(
		Program{Name: "b", Build: func(g *Graph, p *Params) error {
			n, err := p.Int("parallelism", 2, 1, 8)
			if err != nil {
				return err
			}
			To(From(g, "read", numbers{}, codec.Int64, Parallelism(n)), "write", newLedger[int64]())
			return nil
		}},
		Program{Name: "a", Build: func(*Graph, *Params) error { return nil }},
		Program{Name: "c", Params: []Param{{Name: "input"}, {Name: "output"}}, Build: func(_ *Graph, p *Params) error {
			_, err := p.Required("output")
			return err
		}},
	)
	if _, err := r.Build("c", map[string]string{"input": "x", "outputt": "y"}, checkpoint.Overrides{}); err == nil ||
		err.Error() != `job c: parameter output is required; and parameter "outputt" is unknown: known are input, output` {
		t.Errorf("%v", err)
	}
	g, err := r.Build("b", map[string]string{"parallelism": "5"}, checkpoint.Overrides{})
	if err != nil || g.Topology().NumSubtasks() != 5 {
		t.Errorf("%v, %v", g, err)
	}
	for want, params := range map[string]map[string]string{
		`job b: parameter parallelism: "9" is not allowed: want a whole number from 1 to 8`: {"parallelism": "9"},
		`job b: unknown parameter "paralelism": known are parallelism`:                      {"paralelism": "5"},
	} {
		if _, err := r.Build("b", params, checkpoint.Overrides{}); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := r.Build("foo", nil, checkpoint.Overrides{}); err == nil || err.Error() != `unknown job "foo": known are a, b, c` {
		t.Errorf("%v", err)
	}
}

func TestParams(t *testing.T) {
	p := NewParams(map[string]string{"f": "2.5", "d": "3s", "b": "true", "s": "x", "nan": "NaN", "neg": "-1s", "maybe": "perhaps"})
	f, errF := p.Float("f", 1, 0)
	d, errD := p.Duration("d", 0)
	b, errB := p.Bool("b", false)
	if f != 2.5 || d.Seconds() != 3 || !b || p.String("s", "y") != "x" || p.String("t", "y") != "y" {
		t.Errorf("%v %v, %v %v, %v %v", f, errF, d, errD, b, errB)
	}
	_, errNaN := p.Float("nan", 1, 0)
	_, errNeg := p.Duration("neg", 0)
	_, errMaybe := p.Bool("maybe", false)
	_, errMissing := p.Required("input")
	for name, err := range map[string]error{"nan": errNaN, "neg": errNeg, "maybe": errMaybe, "input": errMissing} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
