package executor

import (
	"errors"

	"cairn/checkpoint"
	"cairn/dataflow"
	"cairn/dataflow/codec"
)

// testRegistry holds a program "pipe" of two vertices, the same as "slow", which is built when the channel is
// closed, and one that cannot be built. Their sources and sinks are never opened: the tests run fake tasks.
func testRegistry(slow <-chan struct{}) *dataflow.Registry {
	return dataflow.NewRegistry(
		dataflow.Program{Name: "pipe", Build: pipe},
		dataflow.Program{Name: "slow", Build: func(g *dataflow.Graph, p *dataflow.Params) error {
			<-slow
			return pipe(g, p)
		}},
		dataflow.Program{Name: "panics", Build: func(*dataflow.Graph, *dataflow.Params) error { panic("no such luck") }},
	)
}

func pipe(g *dataflow.Graph, _ *dataflow.Params) error {
	records := dataflow.From(g, "read", unusedSource{}, codec.Int64, dataflow.Parallelism(2))
	dataflow.To(dataflow.Rebalance(records), "write", unusedSink{})
	return nil
}

// pipeTopology is the shape of the program "pipe".
func pipeTopology() checkpoint.Topology {
	return checkpoint.Topology{
		Vertices: []checkpoint.Vertex{
			{ID: "read", Name: "read", Operators: []checkpoint.OperatorID{"read"}, Parallelism: 2, MaxParallelism: 128},
			{ID: "write", Name: "write", Operators: []checkpoint.OperatorID{"write"}, Parallelism: 2, MaxParallelism: 128},
		},
		Edges: []checkpoint.Edge{{From: 0, To: 1, Partitioning: checkpoint.Rebalance}},
	}
}

var errUnused = errors.New("not used")

type unusedSource struct{}

func (unusedSource) Open(dataflow.SourceContext) (dataflow.SourceReader[int64], error) {
	return nil, errUnused
}

type unusedSink struct{}

func (unusedSink) Open(dataflow.SinkContext) (dataflow.SinkWriter[int64], error) {
	return nil, errUnused
}
