package wordcount

import (
	"slices"
	"strings"
	"testing"

	"cairn/checkpoint"
	"cairn/dataflow"
)

func TestSplitWords(t *testing.T) {
	tests := []struct {
		line string
		want []string
	}{
		{"", nil},
		{" \t.;", nil},
		{"one", []string{"one"}},
		{"func (s *Store) get_2(K int)", []string{"func", "s", "Store", "get_2", "K", "int"}},
		{"a-b  c", []string{"a", "b", "c"}},
		{"_0_", []string{"_0_"}},
		{"Wort Straße x", []string{"Wort", "Stra", "e", "x"}},
		{"\xff\x00a\x80b", []string{"a", "b"}},
		{"@AZ[`az{/09:", []string{"AZ", "az", "09"}},
	}
	for _, test := range tests {
		var got []string
		splitWords(test.line, func(w string) { got = append(got, w) })
		if !slices.Equal(got, test.want) {
			t.Errorf("%q splits into %q, want %q", test.line, got, test.want)
		}
	}
}

func TestSplitWordsAllocatesNothing(t *testing.T) {
	n := 0
	emit := func(w string) { n += len(w) }
	if allocs := testing.AllocsPerRun(100, func() { splitWords("if err != nil { return nil, err }", emit) }); allocs != 0 {
		t.Errorf("%v allocations per line", allocs)
	}
}

func TestCountCodec(t *testing.T) {
	want := count{word: "Straße_9", n: 1 << 40}
	encoded := countCodec.Append([]byte("x"), want)
	if got, n, err := countCodec.Decode(encoded[1:]); err != nil || got != want || n != len(encoded)-1 {
		t.Errorf("got %+v, %d bytes, %v", got, n, err)
	}
	if line := string(formatCount([]byte("x"), count{word: "a", n: 12})); line != "xa\t12" {
		t.Errorf("the line is %q", line)
	}
}

func TestTopology(t *testing.T) {
	registry := dataflow.NewRegistry(Program())
	graph, err := registry.Build("wordcount", map[string]string{"input": "in", "output": "out"}, checkpoint.Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	got := graph.Topology()
	var shape []string
	for _, v := range got.Vertices {
		shape = append(shape, v.Name+" "+strings.Repeat("|", v.Parallelism))
	}
	if want := []string{"read -> split ||||", "count ||||", "write ||"}; !slices.Equal(shape, want) {
		t.Errorf("the vertices are %q, want %q", shape, want)
	}
	want := []checkpoint.Edge{
		{From: 0, To: 1, Partitioning: checkpoint.Hash}, {From: 1, To: 2, Partitioning: checkpoint.Rebalance},
	}
	if !slices.Equal(got.Edges, want) {
		t.Errorf("the edges are %v, want %v", got.Edges, want)
	}
}

func TestParameters(t *testing.T) {
	registry := dataflow.NewRegistry(Program())
	for _, test := range []struct {
		params map[string]string
		want   string // part of the error; empty for none
	}{
		{map[string]string{"input": "in", "output": "out"}, ""},
		{map[string]string{"input": "in", "output": "out", "suffix": "", "rate": "0.5", "parallelism": "1", "sinks": "1"}, ""},
		{map[string]string{"output": "out"}, "input"},
		{map[string]string{"input": "in"}, "output"},
		{map[string]string{"input": "in", "output": "out", "rate": "-1"}, "rate"},
		{map[string]string{"input": "in", "output": "out", "parallelism": "0"}, "parallelism"},
		{map[string]string{"input": "in", "output": "out", "sinks": "many"}, "sinks"},
		{map[string]string{"input": "in", "output": "out", "sufix": ".c"}, "sufix"},
	} {
		_, err := registry.Build("wordcount", test.params, checkpoint.Overrides{})
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v", test.params, err)
		}
	}
}
