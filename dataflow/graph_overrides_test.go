package dataflow

import (
	"fmt"
	"strings"
	"testing"

	"cairn/checkpoint"
	"cairn/dataflow/codec"
)

// scaledGraph builds read -> double => count -> write, where read and count are given a parallelism of 2, double has
// read's, and write that of count.
func scaledGraph(o checkpoint.Overrides, maxCount int) (*Graph, error) {
	return NewRegistry(Program{Name: "p", Build: func(g *Graph, _ *Params) error {
		read := From(g, "read", numbers{n: 1}, codec.Int64, Parallelism(2))
		double := Map(read, "double", codec.String, func(v int64) string { return fmt.Sprint(2 * v) })
		opts := []Option{Parallelism(2)}
		if maxCount > 0 {
			opts = append(opts, MaxParallelism(maxCount))
		}
		byWord := KeyBy(double, codec.String, func(w string) string { return w })
		count := Process(byWord, "count", codec.String, func() KeyedProcessor[string, string, string] { return &counter{} }, opts...)
		To(count, "write", newLedger[string]())
		return nil
	}}).Build("p", nil, o)
}

func TestOverrides(t *testing.T) {
	of := func(pairs ...any) map[checkpoint.OperatorID]int {
		m := make(map[checkpoint.OperatorID]int)
		for i := 0; i < len(pairs); i += 2 {
			m[checkpoint.OperatorID(pairs[i].(string))] = pairs[i+1].(int)
		}
		return m
	}
	for name, tc := range map[string]struct {
		o        checkpoint.Overrides
		maxCount int
		want     string
	}{
		"none":                         {checkpoint.Overrides{}, 0, "read,double 2/128; count,write 2/128"},
		"all":                          {checkpoint.Overrides{All: 5}, 0, "read,double 5/128; count,write 5/128"},
		"one, and what inherits of it": {checkpoint.Overrides{Parallelism: of("count", 7)}, 0, "read,double 2/128; count,write 7/128"},
		"one of a chain":               {checkpoint.Overrides{Parallelism: of("double", 3)}, 0, "read 2/128; double 3/128; count,write 2/128"},
		"one instead of all":           {checkpoint.Overrides{All: 4, Parallelism: of("write", 1)}, 0, "read,double 4/128; count 4/128; write 1/128"},
		"key groups stay":              {checkpoint.Overrides{All: 100}, 0, "read,double 100/128; count,write 100/128"},
		"key groups must grow":         {checkpoint.Overrides{Parallelism: of("count", 200)}, 0, "read,double 2/128; count,write 200/512"},
		"key groups are fixed": {
			checkpoint.Overrides{Parallelism: of("count", 3), MaxParallelism: of("read", 512, "double", 512, "count", 512, "write", 512)}, 0,
			"read,double 2/512; count,write 3/512",
		},
		"key groups are the program's": {checkpoint.Overrides{All: 3, MaxParallelism: of("count", 512)}, 64, "read,double 3/128; count 3/64; write 3/128"},
	} {
		t.Run(name, func(t *testing.T) {
			g, err := scaledGraph(tc.o, tc.maxCount)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, v := range g.Topology().Vertices {
				var ops []string
				for _, op := range v.Operators {
					ops = append(ops, string(op))
				}
				got = append(got, fmt.Sprintf("%s %d/%d", strings.Join(ops, ","), v.Parallelism, v.MaxParallelism))
			}
			if text := strings.Join(got, "; "); text != tc.want {
				t.Errorf("built %s, want %s", text, tc.want)
			}
			again := checkpoint.OverridesFor(g.Topology(), g.Topology().ParallelismOf())
			if h, err := scaledGraph(again, tc.maxCount); err != nil || g.Topology().Difference(h.Topology()) != "" {
				t.Errorf("what the coordinator remembers of it builds another graph: %v, %v", h, err)
			}
			if plain, err := scaledGraph(checkpoint.Overrides{}, tc.maxCount); err != nil || plain.Fingerprint() != g.Fingerprint() {
				t.Errorf("the fingerprint depends on the parallelism: %v", err)
			}
		})
	}
}

func TestOverridesThatDoNotFit(t *testing.T) {
	for want, o := range map[string]checkpoint.Overrides{
		"parallelism 3 of operator sort: the job has no such operator; it has count, double, read, write": {Parallelism: map[checkpoint.OperatorID]int{"sort": 3}},
		"parallelism -1 of operator read: must be at least 1":                                             {Parallelism: map[checkpoint.OperatorID]int{"read": -1}},
		"parallelism -2 of every operator: must be at least 1":                                            {All: -2},
		"max parallelism 64, must be between its parallelism 65":                                          {Parallelism: map[checkpoint.OperatorID]int{"count": 65}},
	} {
		if _, err := scaledGraph(o, 64); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
}
