// Fraud is a task node with one job of its own: it finds cards that are tried with a small charge and then plundered
// with a large one. Charges come as JSON lines,
//
//	{"id": "c-17", "card": "4921", "cents": 90, "at": "2026-02-03T10:15:02Z"}
//
// in files whose names are in the order of time, and alerts go out as JSON lines, exactly once. Build it, run it in the place of the stock node, and submit it with
//
//	coord job submit fraud --param input=DIR --param output=DIR
package main

import (
	"time"

	"cairn/connector/file"
	"cairn/dataflow"
	"cairn/dataflow/codec"
	"cairn/node"
)

func main() {
	node.Main(node.Job("fraud", "finds small charges that a large one follows within a minute", build,
		dataflow.Param{Name: "input", Doc: "directory of JSON lines; required"},
		dataflow.Param{Name: "output", Doc: "directory that alerts are written to; required"},
		dataflow.Param{Name: "disorder", Doc: "how late charges may be; 10s by default"},
		dataflow.Param{Name: "rate", Doc: "charges per second; 0, the default, for as fast as it goes"},
	))
}

// Charge is one use of a card.
type Charge struct {
	ID    string    `json:"id"`
	Card  string    `json:"card"`
	Cents int64     `json:"cents"`
	At    time.Time `json:"at"`
}

// EventTime is when the card was used, as opposed to when its charge was read.
func (c Charge) EventTime() dataflow.EventTime { return dataflow.EventTimeOf(c.At) }

// build makes the graph: charges are read, compared per card, and alerts written. It must make the same graph from the
// same parameters on every node.
func build(g *dataflow.Graph, p *dataflow.Params) error {
	input, err := p.Required("input")
	if err != nil {
		return err
	}
	output, err := p.Required("output")
	if err != nil {
		return err
	}
	disorder, err := p.Duration("disorder", 10*time.Second) // how late charges may be
	if err != nil {
		return err
	}
	rate, err := p.Float("rate", 0, 0) // charges per second; 0 for as fast as it goes
	if err != nil {
		return err
	}
	charges := codec.MustStruct[Charge]()
	read := dataflow.From(g, "read", file.JSONLines[Charge](input, file.LinesPerSecond(rate)), charges, dataflow.Parallelism(2))
	timed := dataflow.AssignTimestampsAndWatermarks(read, "times", dataflow.BoundedOutOfOrderness(disorder), Charge.EventTime)
	byCard := dataflow.KeyBy(timed, codec.String, func(c Charge) string { return c.Card })
	alerts := dataflow.Process(byCard, "detect", charges, newDetector, dataflow.Parallelism(2))
	dataflow.To(alerts, "alert", file.NewJSONSink[Charge](output), dataflow.Parallelism(1))
	return nil
}
