package coordinator

import (
	"maps"
	"math"
	"slices"
	"testing"

	"cairn/checkpoint"
	"cairn/fsm"
)

// of128 is topologyOf with vertices of 128 key groups.
func of128(parallelism ...int) checkpoint.Topology {
	t := topologyOf(parallelism...)
	for i := range t.Vertices {
		t.Vertices[i].MaxParallelism = 128
	}
	return t
}

// writtenManifest is of one keyed vertex, "a", each of whose subtasks was written by a node of its own.
func writtenManifest(size int64, writers ...checkpoint.NodeID) checkpoint.Manifest {
	m := checkpoint.Manifest{Job: testJob, ID: 1, Attempt: 1, Kind: checkpoint.KindCheckpoint, Vertices: of128(len(writers)).Vertices, Writers: writers}
	for i := range writers {
		m.Subtasks = append(m.Subtasks, checkpoint.SubtaskState{
			Subtask: checkpoint.SubtaskID{Vertex: "a", Index: i},
			Handles: []checkpoint.Handle{{
				Operator: "a", Kind: checkpoint.KeyedState, KeyGroups: checkpoint.RangeOf(i, 128, len(writers)),
				Chunks: []checkpoint.ChunkRef{{ID: checkpoint.ChunkID{1, byte(i)}, Size: size}},
			}},
		})
	}
	return m
}

func matched(t *testing.T, m checkpoint.Manifest, topology checkpoint.Topology) []checkpoint.SubtaskState {
	t.Helper()
	match, err := checkpoint.MatchState(m, topology, false)
	if err != nil {
		t.Fatal(err)
	}
	return match.Subtasks
}

func wantBytes(t *testing.T, got, want []stateByNode) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(a, b stateByNode) bool { return maps.Equal(a, b) }) {
		t.Errorf("bytes by slot: %v, want %v", got, want)
	}
}

// From 2 to 4 each new subtask gets half of one former one's key groups; to 1, all of both; to 3, the middle one gets a
// third of each (128 groups: 43, 43 and 42, of which 21 and 22 lie in the two halves).
func TestBytesBySlotFollowKeyGroups(t *testing.T) {
	m := writtenManifest(6400, "n1", "n2")
	for parallelism, want := range map[int][]stateByNode{
		1: {{"n1": 6400, "n2": 6400}},
		2: {{"n1": 6400}, {"n2": 6400}},
		3: {{"n1": 4300}, {"n1": 2100, "n2": 2200}, {"n2": 4200}},
		4: {{"n1": 3200}, {"n1": 3200}, {"n2": 3200}, {"n2": 3200}},
	} {
		topology := of128(parallelism)
		wantBytes(t, bytesBySlot(topology, matched(t, m, topology), m), want)
	}
}

func TestBytesBySlotOfLists(t *testing.T) {
	m := writtenManifest(0, "n1", "n2")
	for i, entries := range []int{3, 1} {
		h := &m.Subtasks[i].Handles[0]
		*h = checkpoint.Handle{Operator: "a", Name: "splits", Kind: checkpoint.ListState, Entries: entries, Chunks: h.Chunks}
		h.Chunks[0].Size = 30
	}
	two, four := of128(2), of128(4)
	wantBytes(t, bytesBySlot(two, matched(t, m, two), m), []stateByNode{{"n1": 30}, {"n2": 30}})
	wantBytes(t, bytesBySlot(four, matched(t, m, four), m), []stateByNode{{"n1": 10}, {"n1": 10}, {"n1": 10}, {"n2": 30}})
}

// The states of a slot's subtasks add up, those of other groups do not.
func TestBytesBySlotAddUp(t *testing.T) {
	m := writtenManifest(100, "n1")
	m.Vertices = of128(1, 1, 1).Vertices
	for i, writer := range []checkpoint.NodeID{"n2", "n1"} {
		s := m.Subtasks[0]
		s.Subtask.Vertex = m.Vertices[i+1].ID
		s.Handles = slices.Clone(s.Handles)
		s.Handles[0].Operator, s.Handles[0].Chunks = m.Vertices[i+1].Operators[0], []checkpoint.ChunkRef{{ID: checkpoint.ChunkID{2, byte(i)}, Size: 7}}
		m.Subtasks, m.Writers = append(m.Subtasks, s), append(m.Writers, writer)
	}
	t1 := of128(1, 1, 1)
	wantBytes(t, bytesBySlot(t1, matched(t, m, t1), m), []stateByNode{{"n1": 107, "n2": 7}})
	t2 := grouped(of128(1, 1, 1), "", "", "x")
	wantBytes(t, bytesBySlot(t2, matched(t, m, t2), m), []stateByNode{{"n1": 100, "n2": 7}, {"n1": 7}})
}

func TestBytesBySlotOfUnknownWriters(t *testing.T) {
	m := writtenManifest(100, "", "n2")
	topology := of128(2)
	wantBytes(t, bytesBySlot(topology, matched(t, m, topology), m), []stateByNode{{}, {"n2": 100}})
	m.Writers = nil
	wantBytes(t, bytesBySlot(topology, matched(t, m, topology), m), []stateByNode{{}, {}})
}

func TestBytesBySlotDoNotOverflow(t *testing.T) {
	m := writtenManifest(math.MaxInt64/2, "n1", "n2")
	topology := of128(3)
	for slot, held := range bytesBySlot(topology, matched(t, m, topology), m) {
		for id, n := range held {
			if n <= 0 {
				t.Errorf("slot %d: %d bytes on %s", slot, n, id)
			}
		}
	}
}

// A job that is submitted from another one's savepoint has been nowhere: it goes where the state is, and what has not
// been asked to say so is not needed for that.
func TestAttemptGoesWhereTheStateIs(t *testing.T) {
	w := newWorld(t)
	for _, id := range []checkpoint.NodeID{"n1", "n2", "n3", "n4"} {
		w.join(id, 1, 1)
	}
	m := writtenManifest(100, "n4", "n3")
	ref := checkpoint.ChunkRef{ID: checkpoint.ChunkID{7}, Size: 1}
	w.manifests[ref.ID] = m
	w.imported(checkpoint.Manifest{Job: checkpoint.JobID{9}, ID: 1}, ref)
	w.step(fsm.SubmitJob{
		Job: testJob, Name: "job", Program: "test", Topology: of128(2), Config: testConfig(), At: w.at(),
		Source: fsm.Source{Job: checkpoint.JobID{9}, Checkpoint: 1, Kind: checkpoint.KindSavepoint, Manifest: ref},
	})
	w.run()
	j := w.job()
	if got := slotsIn(j.Topology, j.Assignment); !slices.Equal(got, []checkpoint.NodeID{"n4", "n3"}) {
		t.Errorf("placed on %v", got)
	}
}

// The manifest names who wrote what, so that the next leader knows it too.
func TestManifestNamesWriters(t *testing.T) {
	w := running(t, testConfig())
	w.tick()
	w.ack(1)
	w.wantCompleted(1)
	m := w.manifests[w.job().Completed[0].Manifest.ID]
	for i, s := range m.Subtasks {
		if want := w.nodeOf(s.Subtask); m.Writers[i] != want {
			t.Errorf("%s was written by %q, the manifest says %q", s.Subtask, want, m.Writers[i])
		}
	}
}

// A drained node is given nothing, and what it could have been given is not counted.
func TestDrainedNodesGetNothing(t *testing.T) {
	w := newWorld(t)
	w.join("n1", 9, 1)
	w.join("n2", 1, 1)
	w.step(fsm.DrainNode{Node: "n1", At: w.at()})
	w.submit(testConfig())
	w.run()
	if got := w.job().Status; got != fsm.JobCreated {
		t.Fatalf("the job is %s", got)
	}
	if got, want := jobReason(w.view, w.job(), w.now), "needs 2 slots, 1 free"; got != want {
		t.Errorf("reason %q, want %q", got, want)
	}
	w.join("n3", 1, 1)
	w.run()
	if got := usedSlots(w.job()); !maps.Equal(got, map[checkpoint.NodeID]int{"n2": 1, "n3": 1}) {
		t.Errorf("placed on %v", got)
	}
}

// The groups that are not the default one are named to users, however they are stored.
func TestJobDetailNamesSharingGroups(t *testing.T) {
	w := newWorld(t)
	w.step(fsm.SubmitJob{
		Job: testJob, Name: "job", Program: "test", Config: testConfig(), At: w.at(),
		Topology: grouped(of128(1, 1, 1), "", "heavy", checkpoint.DefaultSharingGroup),
	})
	w.view.SetJobs(w.state.SortedJobs())
	detail, err := reading{jobs: w.view.Jobs, view: w.view, now: w.now}.jobDetail(w.job())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"", "heavy", ""} {
		if got := detail.Vertices[i].SlotSharingGroup; got != want {
			t.Errorf("vertex %d is in group %q, want %q", i, got, want)
		}
	}
}
