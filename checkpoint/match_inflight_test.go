package checkpoint

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// unalignedManifest is that of a job a -> b -> c, taken with records in flight between a and b: received by b's subtasks,
// and not yet sent by a's.
func unalignedManifest(vertices ...Vertex) (Manifest, Topology) {
	t := line(vertices...)
	m := manifestOf(keyedEverywhere, vertices...)
	for i := range m.Subtasks {
		s := &m.Subtasks[i]
		if s.Subtask.Vertex == "c" {
			continue
		}
		own, end := t.ChannelEnd(0, s.Subtask.Vertex == "a")
		s.Handles = append(s.Handles, Handle{
			Operator: OperatorID(own), Kind: ChannelState, Channel: end, Entries: 2, Chunks: chunk(10, own, s.Subtask.Index),
		})
	}
	return m, t
}

// Records in flight go back to the channels that they were found in.
func TestRecordsInFlightStayWhereTheyWere(t *testing.T) {
	m, topology := unalignedManifest(chain(2, 8, "a"), chain(3, 8, "b", "b2"), chain(1, 8, "c"))
	match := mustMatch(t, m, topology)
	if !reflect.DeepEqual(match.Subtasks, m.Subtasks) {
		t.Errorf("matched %v\nwant    %v", match.Subtasks, m.Subtasks)
	}
	// What is far from them may change.
	changed := line(chain(2, 8, "a"), chain(3, 8, "b", "b2"), chain(4, 8, "c"), chain(1, 8, "d"))
	changed.Edges = append([]Edge{{From: 2, To: 3, Partitioning: Hash}}, changed.Edges[:2]...)
	match = mustMatch(t, m, changed)
	for i, s := range m.Subtasks[:5] {
		if !slices.ContainsFunc(match.Subtasks[i].Handles, func(h Handle) bool { return reflect.DeepEqual(h, s.Handles[len(s.Handles)-1]) }) {
			t.Errorf("%s: %v, its records in flight are lost", s.Subtask, match.Subtasks[i].Handles)
		}
	}
}

func TestRecordsInFlightForbidChangesAroundThem(t *testing.T) {
	m, _ := unalignedManifest(chain(2, 8, "a"), chain(3, 8, "b"), chain(1, 8, "c"))
	apart := line(chain(2, 8, "a"), chain(3, 8, "b"), chain(1, 8, "c"))
	apart.Edges = []Edge{{From: 0, To: 2, Partitioning: Hash}, {From: 1, To: 2, Partitioning: Hash}}
	for name, topology := range map[string]Topology{
		"another parallelism of the sender":   line(chain(4, 8, "a"), chain(3, 8, "b"), chain(1, 8, "c")),
		"another parallelism of the receiver": line(chain(2, 8, "a"), chain(2, 8, "b"), chain(1, 8, "c")),
		"another chain":                       line(chain(2, 8, "a"), chain(3, 8, "b", "new"), chain(1, 8, "c")),
		"no receiver":                         line(chain(2, 8, "a"), chain(1, 8, "c")),
		"no such edge":                        apart,
	} {
		_, err := MatchState(m, topology, true)
		if !errors.Is(err, ErrStateMismatch) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, part := range []string{"taken unaligned", "from vertex a to b", "take a savepoint", "alignment aligned"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q is missing in %q", name, part, err)
			}
		}
		if strings.Count(err.Error(), "taken unaligned") > 2 {
			t.Errorf("%s: each end is named once: %s", name, err)
		}
	}
	groups, _ := unalignedManifest(chain(2, 8, "a"), chain(3, 8, "b"), chain(1, 8, "c"))
	for i := range groups.Subtasks {
		groups.Subtasks[i].Handles = inFlight(groups.Subtasks[i])
	}
	if _, err := MatchState(groups, line(chain(2, 8, "a"), chain(3, 16, "b"), chain(1, 8, "c")), false); !errors.Is(err, ErrStateMismatch) {
		t.Errorf("another number of key groups, which leads records elsewhere: %v", err)
	}
}

func TestChannelEndsFindTheirEdge(t *testing.T) {
	topology := Topology{
		Vertices: []Vertex{chain(1, 8, "a"), chain(1, 8, "b"), chain(1, 8, "c")},
		Edges:    []Edge{{From: 0, To: 2}, {From: 0, To: 1}, {From: 0, To: 2}, {From: 1, To: 2}},
	}
	for i := range topology.Edges {
		for _, output := range []bool{false, true} {
			own, end := topology.ChannelEnd(i, output)
			if edge, found := topology.EdgeOf(own, end); !found || edge != i {
				t.Errorf("edge %d, %s of %s, is found at %d (%t)", i, end, own, edge, found)
			}
		}
	}
	if _, found := topology.EdgeOf("a", ChannelEnd{Output: true, Peer: "c", Edge: 2}); found {
		t.Error("an edge is found that is not there")
	}
}

func TestManifestKeepsRecordsInFlight(t *testing.T) {
	m, _ := unalignedManifest(chain(2, 8, "a"), chain(3, 8, "b"), chain(1, 8, "c"))
	m.Kind = KindCheckpoint
	b, err := EncodeManifest(m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeManifest(b)
	if err != nil || !reflect.DeepEqual(got.Subtasks, m.Subtasks) {
		t.Errorf("%v\n%+v\nwant %+v", err, got.Subtasks, m.Subtasks)
	}
}
