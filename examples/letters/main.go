// Letters is a task node with one job of its own: it counts how often each letter occurs in a directory of text
// files. Build it, run it in the place of the stock node, and submit it with
//
//	coord job submit letters --param input=DIR --param output=DIR
package main

import (
	"fmt"
	"unicode"

	"cairn/connector/file"
	"cairn/dataflow"
	"cairn/dataflow/codec"
	"cairn/node"
)

func main() {
	node.Main(node.Job("letters", "counts the letters of text files", build,
		dataflow.Param{Name: "input", Doc: "directory, or file, to be read; required"},
		dataflow.Param{Name: "output", Doc: "directory that the totals are written to; required"},
		dataflow.Param{Name: "suffix", Doc: "of the names of the files to be read; all files by default"},
	))
}

// build makes the graph: lines are read, letters counted by key, and the totals written. It must make the same
// graph from the same parameters on every node.
func build(g *dataflow.Graph, p *dataflow.Params) error {
	input, err := p.Required("input")
	if err != nil {
		return err
	}
	output, err := p.Required("output")
	if err != nil {
		return err
	}
	lines := dataflow.From(g, "read", file.NewSource(input, file.Suffix(p.String("suffix", ""))), codec.String, dataflow.Parallelism(2))
	letters := dataflow.FlatMap(lines, "split", codec.String, splitLetters)
	byLetter := dataflow.KeyBy(letters, codec.String, func(letter string) string { return letter })
	totals := dataflow.Process(byLetter, "count", codec.String, newCounter, dataflow.Parallelism(2))
	dataflow.To(dataflow.Rebalance(totals), "write", file.NewSink(output, formatTotal), dataflow.Parallelism(1))
	return nil
}

func splitLetters(line string, emit func(string)) {
	for _, r := range line {
		if unicode.IsLetter(r) {
			emit(string(unicode.ToLower(r)))
		}
	}
}

// counter keeps a count per letter. What it keeps in a ValueState survives failures; its own fields would not.
type counter struct {
	counts *dataflow.ValueState[string, uint64]
}

func newCounter() dataflow.KeyedProcessor[string, string, string] { return &counter{} }

func (c *counter) Open(ctx *dataflow.ProcessContext[string]) error {
	c.counts = dataflow.NewValueState(ctx, "count", codec.Uint64)
	return nil
}

func (c *counter) Process(_, _ string, _ func(string)) error {
	n, _ := c.counts.Get()
	c.counts.Put(n + 1)
	return nil
}

// Finish is called once, at the end of the input.
func (c *counter) Finish(emit func(string)) error {
	for letter, n := range c.counts.All() {
		emit(fmt.Sprintf("%s\t%d", letter, n))
	}
	return nil
}

func formatTotal(dst []byte, total string) []byte { return append(dst, total...) }
