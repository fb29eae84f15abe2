package dataflow

import (
	"slices"
	"strings"
	"testing"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

func TestSlotSharingGroups(t *testing.T) {
	keep := func(int64) bool { return true }
	for name, test := range map[string]struct {
		build  func(*Graph)
		want   []string // the vertices, and their groups
		needed int
	}{
		"nobody names one": {
			func(g *Graph) {
				To(Filter(From(g, "a", numbers{}, codec.Int64, Parallelism(3)), "b", keep), "c", newLedger[int64]())
			},
			[]string{"a -> b -> c default"}, 3,
		},
		"inherited from the input, and not chained to another group": {
			func(g *Graph) {
				g.SetParallelism(2)
				s := Filter(From(g, "a", numbers{}, codec.Int64, SlotSharingGroup("in")), "b", keep)
				s = Filter(Filter(s, "c", keep, SlotSharingGroup("out")), "d", keep, Parallelism(3))
				To(s, "e", newLedger[int64](), SlotSharingGroup("default"))
			},
			[]string{"a -> b in", "c out", "d out", "e default"}, 2 + 3 + 3,
		},
		"inputs that agree": {
			func(g *Graph) {
				a, b := From(g, "a", numbers{}, codec.Int64, SlotSharingGroup("in")), From(g, "b", numbers{}, codec.Int64, SlotSharingGroup("in"))
				To(Union(a, b), "c", newLedger[int64]())
			},
			[]string{"a in", "b in", "c in"}, 1,
		},
		"inputs that do not": {
			func(g *Graph) {
				a, b := From(g, "a", numbers{}, codec.Int64, SlotSharingGroup("in")), From(g, "b", numbers{}, codec.Int64, SlotSharingGroup("too"))
				To(Union(a, b), "c", newLedger[int64]())
			},
			[]string{"a in", "b too", "c default"}, 3,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewGraph()
			test.build(g)
			if err := g.Seal(); err != nil {
				t.Fatal(err)
			}
			var got []string
			topology := g.Topology()
			for _, v := range topology.Vertices {
				got = append(got, v.Name+" "+v.Group())
				if v.SharingGroup == checkpoint.DefaultSharingGroup {
					t.Errorf("%s: the default group is written out", v.Name)
				}
			}
			if !slices.Equal(got, test.want) || topology.SlotsNeeded() != test.needed {
				t.Errorf("vertices %q in %d slots, want %q in %d", got, topology.SlotsNeeded(), test.want, test.needed)
			}
		})
	}
}

func TestSlotSharingGroupsAreChecked(t *testing.T) {
	for want, build := range map[string]func(*Graph){
		"operator a: its slot sharing group has no name": func(g *Graph) {
			To(From(g, "a", numbers{}, codec.Int64, SlotSharingGroup("")), "b", newLedger[int64]())
		},
		"operator a: its output goes to b on other subtasks and needs a codec": func(g *Graph) {
			To(From(g, "a", numbers{}, nil), "b", newLedger[int64](), SlotSharingGroup("out"))
		},
	} {
		g := NewGraph()
		build(g)
		if err := g.Seal(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
