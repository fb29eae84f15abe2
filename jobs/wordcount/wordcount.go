// Package wordcount counts the words of a directory's files.
//
// A word is a maximal run of ASCII letters, digits and underscores; case matters, and every other byte
// separates words. The output is a stream of updates, one "word<TAB>count" line each: whenever a word's
// count reaches a power of two, and at the end of the input when it is not one. The last line of a word, the
// one with the largest count, is its total. Which lines there are depends on nothing but the input, so that
// two runs with any parallelism, with or without failures, give the same lines up to their order.
package wordcount

import (
	"strconv"

	"cairn/checkpoint"
	"cairn/connector/file"
	"cairn/dataflow"
	"cairn/dataflow/codec"
)

const (
	defaultParallelism = 4
	defaultSinks       = 2
)

// Program returns the job "wordcount".
func Program() dataflow.Program {
	return dataflow.Program{
		Name: "wordcount",
		Doc:  "counts the words in the files of a directory",
		Params: []dataflow.Param{
			{Name: "input", Doc: "the directory, or the single file, to be read; required"},
			{Name: "output", Doc: "the directory that the counts are written to; required"},
			{Name: "suffix", Doc: "of the names of the files to be read, for example \".go\"; all files by default"},
			{Name: "rate", Doc: "lines per second, of the whole job; 0, the default, means no bound"},
			{Name: "parallelism", Doc: "of reading, splitting and counting; 4 by default"},
			{Name: "sinks", Doc: "parallelism of writing; 2 by default"},
		},
		Build: build,
	}
}

func build(g *dataflow.Graph, p *dataflow.Params) error {
	o, err := parseOptions(p)
	if err != nil {
		return err
	}
	source := file.NewSource(o.input, file.Suffix(o.suffix), file.LinesPerSecond(o.rate))
	lines := dataflow.From(g, "read", source, codec.String, dataflow.Parallelism(o.parallelism))
	words := dataflow.FlatMap(lines, "split", codec.String, splitWords)
	byWord := dataflow.KeyBy(words, codec.String, func(word string) string { return word })
	counts := dataflow.Process(byWord, "count", countCodec, newCounter, dataflow.Parallelism(o.parallelism))
	dataflow.To(dataflow.Rebalance(counts), "write", file.NewSink(o.output, formatCount), dataflow.Parallelism(o.sinks))
	return nil
}

type options struct {
	input, output, suffix string
	rate                  float64
	parallelism, sinks    int
}

func parseOptions(p *dataflow.Params) (o options, err error) {
	if o.input, err = p.Required("input"); err != nil {
		return o, err
	}
	if o.output, err = p.Required("output"); err != nil {
		return o, err
	}
	o.suffix = p.String("suffix", "")
	if o.rate, err = p.Float("rate", 0, 0); err != nil {
		return o, err
	}
	if o.parallelism, err = p.Int("parallelism", defaultParallelism, 1, checkpoint.MaxMaxParallelism); err != nil {
		return o, err
	}
	o.sinks, err = p.Int("sinks", defaultSinks, 1, checkpoint.MaxMaxParallelism)
	return o, err
}

// splitWords emits the words of a line. They share the line's memory.
func splitWords(line string, emit func(string)) {
	start := -1 // of the word that has begun
	for i := range len(line) {
		switch {
		case !inWord[line[i]]:
			if start >= 0 {
				emit(line[start:i])
				start = -1
			}
		case start < 0:
			start = i
		}
	}
	if start >= 0 {
		emit(line[start:])
	}
}

// inWord tells the bytes that words consist of.
var inWord = func() (table [256]bool) {
	for b := range table {
		table[b] = b == '_' || '0' <= b && b <= '9' || 'A' <= b && b <= 'Z' || 'a' <= b && b <= 'z'
	}
	return table
}()

// count is one line of output.
type count struct {
	word string
	n    uint64
}

var countCodec = codec.Struct2(codec.String, codec.Uint64,
	func(c count) (string, uint64) { return c.word, c.n },
	func(word string, n uint64) count { return count{word: word, n: n} })

// formatCount appends the line of output.
func formatCount(dst []byte, c count) []byte {
	return strconv.AppendUint(append(append(dst, c.word...), '\t'), c.n, 10)
}
