package blackhole_test

import (
	"cairn/connector/blackhole"
	"cairn/connector/generate"
	"cairn/dataflow"
	"cairn/dataflow/codec"
)

// A job that measures nothing but how fast numbers are made.
func Example() {
	build := func(g *dataflow.Graph, _ *dataflow.Params) error {
		numbers := dataflow.From(g, "numbers", generate.New(0, func(i int64) int64 { return i }), codec.Int64, dataflow.Parallelism(2))
		dataflow.To(numbers, "drop", blackhole.New[int64](), dataflow.Parallelism(2))
		return nil
	}
	_ = dataflow.Program{Name: "numbers", Doc: "makes numbers", Build: build}
}
