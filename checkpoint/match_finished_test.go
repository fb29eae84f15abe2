package checkpoint

import (
	"errors"
	"strings"
	"testing"
)

// finishedManifest has three vertices in a line; ended says which of their subtasks had finished.
func finishedManifest(ended map[SubtaskID]bool) Manifest {
	m := manifestOf(listEverywhere, chain(2, 128, "read", "split"), chain(2, 128, "count"), chain(1, 128, "write"))
	for i, s := range m.Subtasks {
		m.Subtasks[i].EndOfData = ended[s.Subtask]
	}
	return m
}

func read(i int) SubtaskID { return SubtaskID{Vertex: "read", Index: i} }

var allRead = map[SubtaskID]bool{read(0): true, read(1): true}

func TestFinishedSubtasksStayFinished(t *testing.T) {
	same := line(chain(2, 128, "read", "split"), chain(2, 128, "count"), chain(1, 128, "write"))
	match := mustMatch(t, finishedManifest(map[SubtaskID]bool{read(1): true}), same)
	for i, want := range []bool{false, true, false, false, false} {
		if match.Subtasks[i].EndOfData != want {
			t.Errorf("%s: finished is %v", match.Subtasks[i].Subtask, !want)
		}
	}
	// A vertex that has finished whole may be divided anew: nothing will happen in it.
	for name, is := range map[string]Topology{
		"another parallelism": line(chain(3, 128, "read", "split"), chain(2, 128, "count"), chain(1, 128, "write")),
		"another chain":       line(chain(2, 128, "read"), chain(4, 128, "split"), chain(2, 128, "count"), chain(1, 128, "write")),
	} {
		t.Run(name, func(t *testing.T) {
			for _, s := range mustMatch(t, finishedManifest(allRead), is).Subtasks {
				if want := s.Subtask.Vertex == "read" || s.Subtask.Vertex == "split"; s.EndOfData != want {
					t.Errorf("%s: finished is %v", s.Subtask, s.EndOfData)
				}
			}
		})
	}
}

// A source of which a part has been read may be divided anew: its splits say what is left to read.
func TestR2_PartlyReadSourceIsDividedAnew(t *testing.T) {
	for _, parallelism := range []int{1, 3} {
		is := line(chain(parallelism, 128, "read", "split"), chain(2, 128, "count"), chain(1, 128, "write"))
		match := mustMatch(t, finishedManifest(map[SubtaskID]bool{read(0): true}), is)
		for i, s := range match.Subtasks {
			if s.EndOfData {
				t.Errorf("%s counts as finished", s.Subtask)
			}
			if i < parallelism && len(s.Handles) == 0 {
				t.Errorf("%s has no share of the splits, and would take itself for a new source", s.Subtask)
			}
		}
	}
}

func TestFinishedVerticesThatCannotBeRestored(t *testing.T) {
	rest := []Vertex{chain(2, 128, "count"), chain(1, 128, "write")}
	countEnded := map[SubtaskID]bool{read(0): true, read(1): true, {Vertex: "count"}: true, {Vertex: "count", Index: 1}: true}
	for name, test := range map[string]struct {
		ended map[SubtaskID]bool
		is    Topology
		want  string
	}{
		"partly finished, rescaled": {
			map[SubtaskID]bool{read(0): true, read(1): true, {Vertex: "count"}: true},
			line(chain(2, 128, "read", "split"), chain(3, 128, "count"), chain(1, 128, "write")),
			"1 of the 2 subtasks of vertex count had finished, and it is now count with parallelism 3",
		},
		"partly finished, chained otherwise": {
			map[SubtaskID]bool{read(0): true}, line(append([]Vertex{chain(2, 128, "read", "new", "split")}, rest...)...),
			"1 of the 2 subtasks of vertex read had finished",
		},
		"finished and running in one chain": {
			allRead, line(chain(2, 128, "read", "split", "count"), chain(1, 128, "write")),
			"chains operators that had finished (read, split) to others (count)",
		},
		"finished and new in one chain": {
			allRead, line(append([]Vertex{chain(2, 128, "new", "split")}, rest...)...),
			"chains operators that had finished (split) to others (new (new))",
		},
		"fed by a new vertex": {
			countEnded, line(chain(2, 128, "other"), chain(2, 128, "count"), chain(1, 128, "write")),
			"vertex count had read the end of its input, so that what other sends it would be lost",
		},
		"fed by a vertex that has not finished": {
			allRead, Topology{
				Vertices: []Vertex{chain(2, 128, "count"), chain(2, 128, "read", "split"), chain(1, 128, "write")},
				Edges:    []Edge{{From: 0, To: 1, Partitioning: Hash}},
			},
			"vertex read had read the end of its input, so that what count sends it would be lost",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := MatchState(finishedManifest(test.ended), test.is, true)
			if !errors.Is(err, ErrStateMismatch) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v\nwant %q in it", err, test.want)
			}
		})
	}
}
