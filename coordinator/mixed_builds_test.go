package coordinator

import (
	"strings"
	"testing"
	"testing/synctest"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/dataflow"
	"cairn/dataflow/codec"
)

type noSource struct{}

func (noSource) Open(dataflow.SourceContext) (dataflow.SourceReader[int64], error) {
	panic("fake nodes run no tasks")
}

type noSink[T any] struct{}

func (noSink[T]) Open(dataflow.SinkContext) (dataflow.SinkWriter[T], error) {
	panic("fake nodes run no tasks")
}

// buildOf is the binary of a node, with the program "test" as build makes it.
func buildOf(build func(g *dataflow.Graph)) *dataflow.Registry {
	return dataflow.NewRegistry(dataflow.Program{Name: "test", Build: func(g *dataflow.Graph, _ *dataflow.Params) error {
		build(g)
		return nil
	}})
}

// Nodes of two builds of a program: those that make the graph which was submitted run the job, the other is left out, and
// the difference is named, down to the types of the records.
func TestMixedBuilds(t *testing.T) {
	numbers := buildOf(func(g *dataflow.Graph) {
		in := dataflow.From(g, "read", noSource{}, codec.Int64, dataflow.Parallelism(2))
		dataflow.To(dataflow.Map(in, "twice", codec.Int64, func(n int64) int64 { return 2 * n }), "write", noSink[int64]{})
	})
	tests := map[string]struct {
		build *dataflow.Registry
		want  string
	}{
		"another record type": {
			buildOf(func(g *dataflow.Graph) {
				in := dataflow.From(g, "read", noSource{}, codec.Int64, dataflow.Parallelism(2))
				dataflow.To(dataflow.Map(in, "twice", codec.String, func(int64) string { return "" }), "write", noSink[string]{})
			}),
			"has operator twice as map, input 0 from read by forward, emits string in ",
		},
		"another parallelism": {
			buildOf(func(g *dataflow.Graph) {
				in := dataflow.From(g, "read", noSource{}, codec.Int64, dataflow.Parallelism(1))
				dataflow.To(dataflow.Map(in, "twice", codec.Int64, func(n int64) int64 { return n }), "write", noSink[int64]{})
			}),
			"has parallelism 1 for operator read, the job has 2",
		},
		"another slot sharing group": {
			buildOf(func(g *dataflow.Graph) {
				in := dataflow.From(g, "read", noSource{}, codec.Int64, dataflow.Parallelism(2), dataflow.SlotSharingGroup("io"))
				dataflow.To(dataflow.Map(in, "twice", codec.Int64, func(n int64) int64 { return n }), "write", noSink[int64]{})
			}),
			"has operator read in slot sharing group io, the job has it in default",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newTestCluster(t)
				defer c.stop()
				for id, build := range map[checkpoint.NodeID]*dataflow.Registry{"n1": numbers, "n2": numbers, "n3": test.build} {
					n := newFakeNode(id, c.fabric)
					n.programs = build
					for _, coord := range c.coordinators {
						c.openSession(n, coord)
					}
					c.fabric.nodes = append(c.fabric.nodes, n)
				}
				c.awaitStatus("three nodes", func(s api.Status) bool { return len(s.Nodes) == 3 })
				submitTestJob(c)
				c.awaitRunning("test")
				job, err := c.leader("").Service().ShowJob(t.Context(), "test")
				if err != nil {
					t.Fatal(err)
				}
				for _, s := range job.Subtasks {
					if s.Node == "n3" {
						t.Errorf("%s is on %s", s.ID, s.Node)
					}
				}
				want := "node n3 gets no task of job test: its build " + test.want
				if len(job.Problems) != 1 || !strings.HasPrefix(job.Problems[0], want) {
					t.Errorf("problems %q, want %q", job.Problems, want)
				}
			})
		})
	}
}
