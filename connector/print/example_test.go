package print_test

import (
	"log/slog"

	"cairn/checkpoint"
	"cairn/connector/print"
	"cairn/dataflow"
)

// What the subtask show[0] writes for a record.
func Example() {
	sink := print.New[int]()
	w, err := sink.Open(dataflow.SinkContext{Subtask: checkpoint.SubtaskID{Vertex: "show"}, Logger: slog.Default()})
	if err != nil {
		panic(err)
	}
	if err := w.Write(42); err != nil {
		panic(err)
	}
	// Output: show[0]> 42
}
