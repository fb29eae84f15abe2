package coordinator

import (
	"reflect"
	"testing"
	"time"

	"cairn/api"
	"cairn/checkpoint"
)

// Programs are listed with the nodes that are alive and have them, and described by the first that does.
func TestProgramsOfTheNodes(t *testing.T) {
	w := newWorld(t)
	w.join("n3", 1, 1) // of an older build, without docs: "test"
	doc := []checkpoint.ProgramDoc{
		{Name: "count", Doc: "counts", Params: []checkpoint.ParamDoc{{Name: "input", Doc: "required"}}}, {Name: "test", Doc: "tests"},
	}
	for _, id := range []checkpoint.NodeID{"n1", "n2"} {
		h := checkpoint.Hello{Node: checkpoint.NodeRef{ID: id, Incarnation: 1}, Slots: 1, Programs: []string{"count", "test"}, Docs: doc}
		w.nodes[id] = h
		w.view.OnSession(h, w.now)
		w.view.OnReport(id, checkpoint.Report{Term: w.term}, w.now)
		doc = nil
	}
	got, err := reading{view: w.view, now: w.now}.programs()
	want := []api.Program{
		{Name: "count", Doc: "counts", Params: []api.Param{{Name: "input", Doc: "required"}}, Nodes: []string{"n1", "n2"}},
		{Name: "test", Doc: "tests", Params: []api.Param{}, Nodes: []string{"n1", "n2", "n3"}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	w.now = w.now.Add(time.Minute) // nobody is heard of
	if got, err := (reading{view: w.view, now: w.now}).programs(); err != nil || len(got) != 0 || got == nil {
		t.Errorf("of dead nodes: %+v, %v", got, err)
	}
}

// What failed by itself is told from what followed, as long as the leader remembers the attempt.
func TestFailedSubtasksAreShownWithTheirCauses(t *testing.T) {
	c := testConfig()
	c.Restart.Strategy = checkpoint.NoRestart
	w := running(t, c)
	w.fail(sub("count", 1), checkpoint.Failure{Message: "boom"})
	w.fail(sub("read", 0), checkpoint.Failure{Message: "channel broke", Secondary: true})
	w.run()
	d, err := reading{jobs: w.view.Jobs, view: w.view, now: w.now}.jobDetail(w.job())
	if err != nil || d.State != "FAILED" {
		t.Fatalf("%s, %v", d.State, err)
	}
	for _, s := range d.Subtasks {
		want := api.Subtask{ID: s.ID, Node: s.Node, Status: "RUNNING"}
		switch s.ID {
		case "count[1]":
			want.Status, want.Failure = "FAILED", "boom"
		case "read[0]":
			want.Status, want.Failure, want.Secondary = "FAILED", "channel broke", true
		}
		if s != want {
			t.Errorf("%+v, want %+v", s, want)
		}
	}
}

// The listing says which checkpoints are retained, and which the attempt was restored from.
func TestCheckpointsAreListedWithWhatBecameOfThem(t *testing.T) {
	c := testConfig()
	c.Retain = 2
	w := running(t, c)
	for id := checkpoint.ID(1); id <= 3; id++ {
		w.tick()
		w.ack(id)
	}
	w.tick()
	w.decline(4, sub("count", 0))
	w.fail(sub("count", 1), checkpoint.Failure{Message: "boom"})
	w.run()
	w.letPass(3 * time.Second)
	w.refresh()
	list, err := reading{jobs: w.view.Jobs, view: w.view, now: w.now}.checkpoints(w.job())
	if err != nil {
		t.Fatal(err)
	}
	type marks struct {
		id                 uint64
		retained, restored bool
	}
	var got []marks
	for _, c := range list {
		got = append(got, marks{c.ID, c.Retained, c.RestoredFrom})
	}
	want := []marks{{4, false, false}, {3, true, true}, {2, true, false}, {1, false, false}}
	if w.job().Attempt != 2 || !reflect.DeepEqual(got, want) {
		t.Errorf("attempt %d: %v, want %v", w.job().Attempt, got, want)
	}
}
