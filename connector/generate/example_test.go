package generate_test

import (
	"cairn/connector/blackhole"
	"cairn/connector/generate"
	"cairn/dataflow"
	"cairn/dataflow/codec"
)

// A job that makes a million numbers, a thousand a second, and drops them.
func Example() {
	build := func(g *dataflow.Graph, _ *dataflow.Params) error {
		source := generate.New(1_000_000, func(i int64) int64 { return i * i }, generate.Rate(1000))
		squares := dataflow.From(g, "squares", source, codec.Int64, dataflow.Parallelism(4))
		dataflow.To(squares, "drop", blackhole.New[int64]())
		return nil
	}
	_ = dataflow.Program{Name: "squares", Doc: "makes squares", Build: build}
}
