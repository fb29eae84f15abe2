package coordinator

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

var otherJob = checkpoint.JobID{9}

// sourceManifest is savepoint 7 of another job: one source, three counters, no sink, and an operator that is gone.
func sourceManifest() checkpoint.Manifest {
	vertex := func(id string, p int) checkpoint.Vertex {
		return checkpoint.Vertex{
			ID: checkpoint.VertexID(id), Operators: []checkpoint.OperatorID{checkpoint.OperatorID(id)}, Parallelism: p, MaxParallelism: 128,
		}
	}
	chunk := func(n byte) []checkpoint.ChunkRef {
		return []checkpoint.ChunkRef{{ID: checkpoint.ChunkID{n}, Size: 100}}
	}
	m := checkpoint.Manifest{
		Job: otherJob, ID: 7, Kind: checkpoint.KindSavepoint,
		Vertices: []checkpoint.Vertex{vertex("read", 1), vertex("count", 3)},
		Subtasks: []checkpoint.SubtaskState{{Subtask: sub("read", 0), Handles: []checkpoint.Handle{
			{Operator: "read", Name: "splits", Kind: checkpoint.ListState, Entries: 5, Chunks: chunk(1)},
		}}},
	}
	for i := range 3 {
		m.Subtasks = append(m.Subtasks, checkpoint.SubtaskState{Subtask: sub("count", i), Handles: []checkpoint.Handle{
			{Operator: "count", Kind: checkpoint.KeyedState, KeyGroups: checkpoint.RangeOf(i, 128, 3), Chunks: chunk(byte(10 + i))},
		}})
	}
	return m
}

// imported makes m an imported savepoint.
func (w *world) imported(m checkpoint.Manifest, ref checkpoint.ChunkRef) {
	w.step(fsm.BeginImport{Job: m.Job, Checkpoint: m.ID, Manifest: ref, At: w.at()})
	w.step(fsm.FinishImport{Job: m.Job, Checkpoint: m.ID, Manifest: ref, At: w.at()})
}

// submittedFrom returns a world with two nodes and a job that was submitted from m.
func submittedFrom(t *testing.T, m checkpoint.Manifest, claim bool) *world {
	w := newWorld(t)
	w.join("n1", 1, 1)
	w.join("n2", 1, 1)
	ref := checkpoint.ChunkRef{ID: checkpoint.ChunkID{0xee}, Size: 1}
	w.manifests[ref.ID] = m
	w.imported(m, ref)
	w.step(fsm.SubmitJob{
		Job: testJob, Name: "job", Program: "test", Topology: testTopology(), Config: testConfig(), At: w.at(),
		Source: fsm.Source{Job: m.Job, Checkpoint: m.ID, Kind: m.Kind, Manifest: ref, Claim: claim},
	})
	return w
}

// deployed returns what each subtask was sent to be restored from since the last run.
func (w *world) deployed() map[checkpoint.SubtaskID][]string {
	states := make(map[checkpoint.SubtaskID][]string)
	for _, deploys := range sentTo[checkpoint.Deploy](w) {
		for _, d := range deploys {
			for _, s := range d.States {
				states[s.Subtask] = []string{}
				for _, h := range s.Handles {
					states[s.Subtask] = append(states[s.Subtask], fmt.Sprint(h.Chunks[0].ID[0], h.KeyGroups, h.Take))
				}
			}
		}
	}
	return states
}

func TestR2_JobStartsFromItsSourceWithAnotherParallelism(t *testing.T) {
	for _, claim := range []bool{false, true} {
		w := submittedFrom(t, sourceManifest(), claim)
		w.run()
		if j := w.job(); j.Status != fsm.JobRunning || j.RestoredFrom != 7 {
			t.Fatalf("the job is %s, from checkpoint %d: %s", j.Status, j.RestoredFrom, jobReason(w.view, j, w.now))
		}
		want := map[checkpoint.SubtaskID][]string{
			sub("read", 0):  {"1 {0 0} {0 2}"},
			sub("read", 1):  {"1 {0 0} {2 3}"},
			sub("count", 0): {"10 {0 42} {0 0}", "11 {43 63} {0 0}"},
			sub("count", 1): {"11 {64 85} {0 0}", "12 {86 127} {0 0}"},
			sub("write", 0): {},
		}
		if got := w.deployed(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("claim %v: deployed %v\nwant %v", claim, got, want)
		}
	}
}

// loads returns the manifests that Decide asks for, once the nodes have said what graphs they make.
func (w *world) loads() []LoadManifest {
	w.view.SetJobs(w.state.SortedJobs())
	for _, a := range Decide(w.view, w.now) {
		if ask, ok := a.(AskPlan); ok {
			w.plan(ask)
		}
	}
	var loads []LoadManifest
	for _, a := range Decide(w.view, w.now) {
		if l, ok := a.(LoadManifest); ok {
			loads = append(loads, l)
		}
	}
	return loads
}

// A manifest is checked to be the job's own, which it is not until the job has completed a checkpoint of its own, also
// when it has claimed that of another one.
func TestManifestOfASourceBelongsToAnotherJob(t *testing.T) {
	for _, claim := range []bool{false, true} {
		w := submittedFrom(t, sourceManifest(), claim)
		if got := w.loads(); len(got) != 1 || got[0].Own || got[0].Checkpoint != 7 {
			t.Fatalf("claim %v: %+v is asked for", claim, got)
		}
		w.run()
		w.allStatus(checkpoint.SubtaskRunning)
		w.run()
		w.tick()
		w.ack(8)
		w.wantLastCompleted(8)
		w.fail(sub("count", 0), checkpoint.Failure{Message: "boom"})
		w.run()
		w.elect() // this one has to read the manifest
		w.join("n1", 1, 1)
		w.join("n2", 1, 1)
		w.advance(time.Second)
		if got := w.loads(); len(got) != 1 || !got[0].Own || got[0].Checkpoint != 8 {
			t.Fatalf("claim %v: %+v is asked for", claim, got)
		}
	}
}

func (w *world) wantLastCompleted(id checkpoint.ID) {
	w.t.Helper()
	if ids := w.completedIDs(); len(ids) == 0 || ids[len(ids)-1] != id {
		w.t.Fatalf("completed checkpoints %v, want %d last", ids, id)
	}
}

// A source that does not fit is refused at the submission. Should one get past that, nothing is started without its
// state.
func TestStateThatDoesNotFitHoldsTheJobUp(t *testing.T) {
	m := sourceManifest()
	m.Vertices[1].MaxParallelism = 256
	for i := range 3 {
		m.Subtasks[1+i].Handles[0].KeyGroups = checkpoint.RangeOf(i, 256, 3)
	}
	w := submittedFrom(t, m, false)
	for range 3 {
		w.run()
		w.advance(time.Second)
	}
	j := w.job()
	if reason := jobReason(w.view, j, w.now); j.Attempt != 0 || !strings.Contains(reason, "max parallelism 128") || !strings.Contains(reason, "with 256") {
		t.Errorf("attempt %d, reason %q", j.Attempt, reason)
	}
}

// The newest checkpoint cannot be read, older ones could be: the job waits, says so, and says what can be done.
func TestL6_OlderCheckpointsAreNotUsedUnasked(t *testing.T) {
	w := running(t, testConfig())
	for id := range checkpoint.ID(3) {
		w.tick()
		w.ack(id + 1)
	}
	w.wantCompleted(1, 2, 3)
	w.fail(sub("count", 0), checkpoint.Failure{Message: "boom"})
	w.run()
	newest := w.job().Completed[2].Manifest.ID
	lost := w.manifests[newest]
	delete(w.manifests, newest)
	w.elect()
	w.join("n1", 1, 1)
	w.join("n2", 1, 1)
	w.advance(time.Second)
	w.run()
	for range 3 {
		reason := jobReason(w.view, w.job(), w.now)
		for _, want := range []string{"cannot be restored from checkpoint 3", "not found", "tried again", `to checkpoint 2: "coord job set job restore.fallback=true"`} {
			if !strings.Contains(reason, want) {
				t.Fatalf("reason %q, want %q in it", reason, want)
			}
		}
		if got := w.loads(); len(got) != 0 {
			t.Fatalf("tried again at once: %v", got)
		}
		w.advance(DefaultTiming().LoadRetry)
		if got := w.loads(); len(got) != 1 || got[0].Checkpoint != 3 {
			t.Fatalf("not tried again: %v", got)
		}
		w.run()
	}
	if j := w.job(); j.Attempt != 1 {
		t.Fatalf("attempt %d was started from checkpoint %d", j.Attempt, j.RestoredFrom)
	}
	w.manifests[newest] = lost
	w.advance(DefaultTiming().LoadRetry)
	w.run()
	if j := w.job(); j.Attempt != 2 || j.RestoredFrom != 3 || jobReason(w.view, j, w.now) != "" {
		t.Fatalf("attempt %d from checkpoint %d", j.Attempt, j.RestoredFrom)
	}
}

func TestRestorePoint(t *testing.T) {
	completed := func(ids ...checkpoint.ID) (all []fsm.Completed) {
		for _, id := range ids {
			all = append(all, fsm.Completed{ID: id, Manifest: checkpoint.ChunkRef{ID: checkpoint.ChunkID{byte(id)}}})
		}
		return all
	}
	savepoint := func(id checkpoint.ID, stop checkpoint.Stop) []fsm.Completed {
		all := completed(id)
		all[0].Kind, all[0].Stop = checkpoint.KindSavepoint, stop
		return all
	}
	source := fsm.Source{Job: otherJob, Checkpoint: 7, Manifest: checkpoint.ChunkRef{ID: checkpoint.ChunkID{7}}}
	for name, test := range map[string]struct {
		job fsm.Job
		id  checkpoint.ID
		own bool
	}{
		"nothing yet":                        {fsm.Job{}, 0, false},
		"the newest of the log":              {fsm.Job{Completed: completed(3, 5)}, 5, true},
		"not a savepoint":                    {fsm.Job{Completed: completed(3), Savepoints: savepoint(4, checkpoint.StopNone)}, 3, true},
		"a savepoint that published":         {fsm.Job{Completed: completed(3), Savepoints: savepoint(4, checkpoint.StopSuspend)}, 4, true},
		"but not one that is older":          {fsm.Job{Completed: completed(3, 5), Savepoints: savepoint(4, checkpoint.StopDrain)}, 5, true},
		"the source while nothing completed": {fsm.Job{Source: source, FirstID: 7}, 7, false},
		"not with a savepoint alone":         {fsm.Job{Source: source, FirstID: 7, Savepoints: savepoint(8, checkpoint.StopNone)}, 7, false},
		"the source in the log":              {fsm.Job{Source: source, FirstID: 7, Completed: completed(7)}, 7, false},
		"its own after that":                 {fsm.Job{Source: source, FirstID: 7, Completed: completed(7, 8)}, 8, true},
	} {
		t.Run(name, func(t *testing.T) {
			j := test.job
			j.ID = testJob
			got := restorePoint(&j)
			if got.id != test.id || got.own != test.own || got.manifest.ID[0] != byte(test.id) {
				t.Errorf("it is %+v, want %d, own %v", got, test.id, test.own)
			}
			j.RestoredFrom = got.id
			if again, found := restoredFrom(&j); !found || again != got {
				t.Errorf("restored from %+v, %v", again, found)
			}
			j.Discards = []fsm.Discard{{ID: got.id, Manifest: got.manifest}}
			j.Completed, j.Savepoints = nil, nil
			if again, found := restoredFrom(&j); !found || again.manifest != got.manifest {
				t.Errorf("after it has left the log: %+v, %v", again, found)
			}
		})
	}
	if _, found := restoredFrom(&fsm.Job{ID: testJob, RestoredFrom: 3}); found {
		t.Error("a checkpoint that is gone was found")
	}
}

// manifestStore has one chunk.
type manifestStore struct{ data []byte }

func (s manifestStore) Get(context.Context, checkpoint.ChunkRef) ([]byte, error) { return s.data, nil }

func (s manifestStore) Put(context.Context, []byte) (checkpoint.ChunkRef, error) {
	return checkpoint.ChunkRef{}, nil
}

func (s manifestStore) Keep(context.Context, []checkpoint.ChunkRef) error { return nil }

// The chunk is what its reference says; that it is the right one is another question.
func TestManifestOfAnotherCheckpointIsRefused(t *testing.T) {
	data, err := checkpoint.EncodeManifest(sourceManifest())
	if err != nil {
		t.Fatal(err)
	}
	l := &leader{store: manifestStore{data}}
	for _, a := range []LoadManifest{{Job: testJob, Checkpoint: 7}, {Job: otherJob, Checkpoint: 7, Own: true}} {
		if m, err := l.readManifest(t.Context(), a); err != nil || m.ID != 7 {
			t.Errorf("%+v: %+v, %v", a, m, err)
		}
	}
	for _, a := range []LoadManifest{{Job: testJob, Checkpoint: 7, Own: true}, {Job: testJob, Checkpoint: 8}} {
		if _, err := l.readManifest(t.Context(), a); err == nil || !strings.Contains(err.Error(), "it is of job "+otherJob.String()) {
			t.Errorf("%+v: %v", a, err)
		}
	}
}

// A node gets the states of its own subtasks, whoever is the first to be deployed to.
func TestStatesOfANodeAreThoseOfItsSubtasks(t *testing.T) {
	w := submittedFrom(t, sourceManifest(), false)
	w.run()
	for id, deploys := range sentTo[checkpoint.Deploy](w) {
		for _, s := range deploys[0].States {
			if w.nodeOf(s.Subtask) != id {
				t.Errorf("%s was sent to %s", s.Subtask, id)
			}
		}
		if got, want := len(deploys[0].States), len(w.job().Assignment.Ordinals(id)); got != want {
			t.Errorf("%s was sent %d states, want %d", id, got, want)
		}
	}
	if !slices.Equal(w.pendingIDs(), nil) {
		t.Error("a checkpoint has begun")
	}
}

// A savepoint that the job was to end with has published its output. If the job cannot end after all, it goes on from
// there: an older checkpoint would publish that output again.
func TestJobThatCouldNotEndGoesOnFromItsLastSavepoint(t *testing.T) {
	w := stopping(t, checkpoint.StopSuspend)
	w.ack(2)
	w.wantCompleted(1)
	w.fail(sub("count", 0), checkpoint.Failure{Message: "boom"})
	w.run()
	w.advance(time.Second)
	w.run()
	if j := w.job(); j.Status != fsm.JobRunning || j.Attempt != 2 || j.RestoredFrom != 2 {
		t.Fatalf("the job is %s, attempt %d from checkpoint %d: %s", j.Status, j.Attempt, j.RestoredFrom, j.Failure)
	}
	deploy := sentTo[checkpoint.Deploy](w)["n1"]
	if len(deploy) != 1 || deploy[0].Restore != 2 || len(deploy[0].States) == 0 || deploy[0].States[0].Handles[0].Chunks[0].ID[0] != 2 {
		t.Fatalf("deployment to n1: %+v", deploy)
	}
}
