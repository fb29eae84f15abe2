package checkpoint

import "maps"

// Overrides change the parallelism of a program's operators, without the program knowing.
type Overrides struct {
	// All is the parallelism of every operator that Parallelism does not name; 0 leaves that to the program.
	All         int
	Parallelism map[OperatorID]int
	// MaxParallelism is the number of key groups of operators whose program gives none. It was fixed when the job was
	// submitted, and would otherwise follow from the parallelism.
	MaxParallelism map[OperatorID]int
}

// OverridesFor returns what makes a build of the program have the graph t, which was built with the given parallelism
// of some operators before: none when the program's own is to be used.
func OverridesFor(t Topology, parallelism map[OperatorID]int) Overrides {
	if len(parallelism) == 0 {
		return Overrides{}
	}
	o := Overrides{Parallelism: maps.Clone(parallelism), MaxParallelism: make(map[OperatorID]int)}
	for _, v := range t.Vertices {
		for _, op := range v.Operators {
			o.MaxParallelism[op] = v.MaxParallelism
		}
	}
	return o
}

// ParallelismOf returns the parallelism of every operator of the graph.
func (t Topology) ParallelismOf() map[OperatorID]int {
	of := make(map[OperatorID]int)
	for _, v := range t.Vertices {
		for _, op := range v.Operators {
			of[op] = v.Parallelism
		}
	}
	return of
}
