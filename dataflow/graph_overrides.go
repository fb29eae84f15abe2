package dataflow

import (
	"fmt"
	"maps"
	"slices"

	"cairn/checkpoint"
)

// checkOverrides returns an error that names the first operator whose parallelism is overridden and that the graph
// does not have.
func (g *Graph) checkOverrides() error {
	known := make(map[string]bool, len(g.operators))
	for _, o := range g.operators {
		known[string(o.id)] = true
	}
	if g.overrides.All < 0 {
		return fmt.Errorf("parallelism %d of every operator: must be at least 1", g.overrides.All)
	}
	for _, id := range slices.Sorted(maps.Keys(g.overrides.Parallelism)) {
		switch n := g.overrides.Parallelism[id]; {
		case !known[string(id)]:
			return fmt.Errorf("parallelism %d of operator %s: the job has no such operator; it has %s", n, id, listed(known))
		case n < 1:
			return fmt.Errorf("parallelism %d of operator %s: must be at least 1", n, id)
		}
	}
	return nil
}

// resolveParallelism settles the parallelism of an operator whose inputs have been resolved: what was asked for, else
// what the program gives it, else that of its widest input.
//
// The default number of key groups follows from the parallelism that the program means (own), so that a job keeps it,
// and with it its state, whatever it is overridden with.
func (g *Graph) resolveParallelism(o *node) {
	given := o.parallelism
	o.own = g.inherit(o, given, func(from *node) int { return from.own })
	o.parallelism = g.inherit(o, g.asked(o.id, given), func(from *node) int { return from.parallelism })
	if o.maxParallelism != 0 {
		return
	}
	if fixed, known := g.overrides.MaxParallelism[o.id]; known {
		o.maxParallelism = fixed
		return
	}
	o.maxParallelism = checkpoint.DefaultMaxParallelism(max(1, o.own))
	if o.parallelism > o.maxParallelism {
		o.maxParallelism = checkpoint.DefaultMaxParallelism(o.parallelism)
	}
}

// asked returns the parallelism that overrides what the program gives an operator.
func (g *Graph) asked(id checkpoint.OperatorID, given int) int {
	if n, named := g.overrides.Parallelism[id]; named {
		return n
	}
	if g.overrides.All != 0 {
		return g.overrides.All
	}
	return given
}

// inherit returns the given parallelism, or where it is 0 that of the widest input, or the graph's for a source.
func (g *Graph) inherit(o *node, given int, of func(*node) int) int {
	switch {
	case given != 0:
		return given
	case len(o.inputs) == 0:
		return g.defaultParallelism
	}
	widest := 1
	for _, l := range o.inputs {
		widest = max(widest, of(l.from))
	}
	return widest
}
