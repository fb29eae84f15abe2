package socket_test

import (
	"strings"

	"cairn/connector/print"
	"cairn/connector/socket"
	"cairn/dataflow"
	"cairn/dataflow/codec"
)

// A job that shows in capitals what is typed into "nc -lk 9999".
func Example() {
	build := func(g *dataflow.Graph, _ *dataflow.Params) error {
		lines := dataflow.From(g, "read", socket.New("localhost:9999"), codec.String, dataflow.Parallelism(1))
		dataflow.To(dataflow.Map(lines, "shout", codec.String, strings.ToUpper), "show", print.New[string]())
		return nil
	}
	_ = dataflow.Program{Name: "shout", Doc: "shows lines in capitals", Build: build}
}
