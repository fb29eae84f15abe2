package checkpoint

// Regions returns the number of the pipelined region of each subtask, by ordinal. A region is what records connect,
// directly or through others: a Forward edge connects subtask i with subtask i, any other all subtasks of the one vertex
// with all of the other. Regions exchange nothing, so that each may fail, and go back to a checkpoint, by itself. They
// are numbered from 0 on, in the order of their first subtasks. The topology must be valid.
func (t Topology) Regions() []int {
	bases := make([]int, len(t.Vertices))
	for i := 1; i < len(bases); i++ {
		bases[i] = bases[i-1] + t.Vertices[i-1].Parallelism
	}
	sets := newSets(t.NumSubtasks())
	for _, e := range t.Edges {
		from, to := t.Vertices[e.From].Parallelism, t.Vertices[e.To].Parallelism
		if e.Partitioning == Forward {
			for i := range from {
				sets.join(bases[e.From]+i, bases[e.To]+i)
			}
			continue
		}
		// All with all: each of the one side with the first of the other.
		for i := range from {
			sets.join(bases[e.From]+i, bases[e.To])
		}
		for i := range to {
			sets.join(bases[e.From], bases[e.To]+i)
		}
	}
	return sets.numbered()
}

// sets are disjoint sets of the numbers from 0 on: each number points to another one of its set, its smallest to itself.
type sets []int

func newSets(n int) sets {
	s := make(sets, n)
	for i := range s {
		s[i] = i
	}
	return s
}

// first returns the smallest number of i's set, and shortens the way to it.
func (s sets) first(i int) int {
	for s[i] != i {
		s[i] = s[s[i]]
		i = s[i]
	}
	return i
}

func (s sets) join(a, b int) {
	a, b = s.first(a), s.first(b)
	s[max(a, b)] = min(a, b)
}

// numbered returns the number of each one's set; the sets are numbered by their smallest members.
func (s sets) numbered() []int {
	numbers := make([]int, len(s))
	next := 0
	for i := range s {
		if first := s.first(i); first != i {
			numbers[i] = numbers[first]
			continue
		}
		numbers[i] = next
		next++
	}
	return numbers
}
