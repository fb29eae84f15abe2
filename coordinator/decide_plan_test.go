package coordinator

import (
	"slices"
	"strings"
	"testing"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

const submittedPrint checkpoint.Fingerprint = "1-aaaa"

// operatorTexts are those of testTopology, with the kind of count as given.
func operatorTexts(count string) []checkpoint.OperatorText {
	return []checkpoint.OperatorText{{Operator: "read", Text: "source"}, {Operator: "count", Text: count}, {Operator: "write", Text: "sink"}}
}

// mixedWorld is a cluster of three nodes of one slot each, of which n3 makes its own graph of the job.
func mixedWorld(t *testing.T, n3 checkpoint.JobPlanned) *world {
	w := newWorld(t)
	w.builds = map[checkpoint.NodeID]checkpoint.JobPlanned{"n3": n3}
	for _, id := range []checkpoint.NodeID{"n1", "n2"} {
		w.join(id, 1, 1)
		w.builds[id] = checkpoint.JobPlanned{Topology: testTopology(), Fingerprint: submittedPrint, Operators: operatorTexts("count words")}
	}
	w.join("n3", 9, 1) // it would be the first choice
	w.submitPrinted(submittedPrint)
	return w
}

func (w *world) submitPrinted(f checkpoint.Fingerprint) {
	w.t.Helper()
	w.step(fsm.SubmitJob{
		Job: testJob, Name: "words", Program: "test", Topology: testTopology(), Fingerprint: f, Config: testConfig(), At: w.at(),
	})
}

func (w *world) wantNodes(want ...checkpoint.NodeID) {
	w.t.Helper()
	j := w.job()
	if j.Status != fsm.JobRunning {
		w.t.Fatalf("the job is %s: %s", j.Status, jobReason(w.view, j, w.now))
	}
	if got := slotsIn(j.Topology, j.Assignment); !slices.Equal(got, want) {
		w.t.Fatalf("the job is on %v, want %v", got, want)
	}
}

func (w *world) problems() []string {
	var status api.Status
	fillStatus(&status, w.view, 0, w.now)
	detail, err := reading{jobs: w.view.Jobs, view: w.view, now: w.now}.jobDetail(w.job())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, p := range detail.Problems {
		if !slices.Contains(status.Problems, p) {
			w.t.Errorf("the job has the problem %q, the cluster has not", p)
		}
	}
	return detail.Problems
}

func (w *world) wantProblems(want ...string) {
	w.t.Helper()
	if got := w.problems(); !slices.Equal(got, want) {
		w.t.Errorf("problems %q, want %q", got, want)
	}
}

func (w *world) askedNodes() []checkpoint.NodeID {
	var ids []checkpoint.NodeID
	for _, a := range w.asked {
		ids = append(ids, a.Node)
	}
	return ids
}

// A node whose build makes another graph is left out, whatever it has free, and told of by its first difference.
func TestNodesWithAnotherGraphGetNoTasks(t *testing.T) {
	wider := testTopology()
	wider.Vertices[1].Parallelism = 3
	rechained := testTopology()
	rechained.Vertices[2].Operators = []checkpoint.OperatorID{"write", "log"}
	tests := map[string]struct {
		build checkpoint.JobPlanned
		want  string
	}{
		"parallelism": {checkpoint.JobPlanned{Topology: wider, Fingerprint: submittedPrint}, "has parallelism 3 for operator count, the job has 2"},
		"chains":      {checkpoint.JobPlanned{Topology: rechained, Fingerprint: submittedPrint}, "chains [write log] in vertex write, the job [write]"},
		"operators": {
			checkpoint.JobPlanned{Topology: testTopology(), Fingerprint: "1-bbbb", Operators: operatorTexts("count letters")},
			"has operator count as count letters; the job has count words",
		},
		"no reason": {checkpoint.JobPlanned{Topology: testTopology(), Fingerprint: "1-bbbb", Operators: operatorTexts("count words")},
			"makes a graph with another fingerprint than the one that was submitted"},
		"no graph": {checkpoint.JobPlanned{Error: "building: panic: oh\ngoroutine 7"}, "cannot make the graph: building: panic: oh"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := mixedWorld(t, test.build)
			w.run()
			w.wantNodes("n1", "n2")
			w.wantProblems("node n3 gets no task of job words: its build " + test.want)
			w.allStatus(checkpoint.SubtaskRunning)
			w.run()
			if got := w.askedNodes(); !slices.Equal(got, []checkpoint.NodeID{"n1", "n2", "n3"}) {
				t.Errorf("asked were %v: each once", got)
			}
		})
	}
}

// What says nothing of a difference is none: jobs from before there were fingerprints, nodes of another version.
func TestUnknownFingerprintsAreNotCompared(t *testing.T) {
	for name, f := range map[string]struct{ job, node checkpoint.Fingerprint }{
		"an old job": {"", "1-bbbb"}, "an old node": {submittedPrint, ""}, "another scheme": {submittedPrint, "2-bbbb"}, "equal": {submittedPrint, submittedPrint},
	} {
		w := newWorld(t)
		w.builds = map[checkpoint.NodeID]checkpoint.JobPlanned{"n1": {Topology: testTopology(), Fingerprint: f.node}}
		w.join("n1", 2, 1)
		w.submitPrinted(f.job)
		w.run()
		if got := w.job().Status; got != fsm.JobRunning {
			t.Errorf("%s: the job is %s: %v", name, got, w.problems())
		}
	}
}

// When no node is left, the job waits and says why. A node that starts again with the right build is asked again.
func TestJobWaitsForANodeWithItsGraph(t *testing.T) {
	w := newWorld(t)
	w.builds = map[checkpoint.NodeID]checkpoint.JobPlanned{"n1": {Topology: testTopology(), Fingerprint: "1-bbbb"}}
	w.join("n1", 2, 1)
	w.submitPrinted(submittedPrint)
	w.run()
	j := w.job()
	if got, want := jobReason(w.view, j, w.now), "needs 2 slots, 0 free on nodes whose build makes its graph"; j.Status != fsm.JobCreated || got != want {
		t.Fatalf("the job is %s: %q, want %q", j.Status, got, want)
	}
	w.wantProblems("node n1 gets no task of job words: its build makes a graph with another fingerprint than the one that was submitted")
	w.join("n1", 2, 1) // another session of the same process
	w.run()
	if len(w.asked) != 1 {
		t.Errorf("the same process was asked %d times", len(w.asked))
	}
	delete(w.builds, "n1")
	w.join("n1", 2, 2)
	w.run()
	w.wantNodes("n1", "n1")
	w.wantProblems()
}

// A node that does not answer is waited for, but not for ever; it is used as soon as it has answered.
func TestSilentNodesAreNotWaitedForLong(t *testing.T) {
	w := newWorld(t)
	w.holdPlans = map[checkpoint.NodeID]bool{"n1": true}
	w.join("n1", 2, 1)
	w.join("n2", 1, 1)
	w.submitPrinted("")
	w.run()
	if got := jobReason(w.view, w.job(), w.now); got != "waits for node n1 to say what graph its build makes" {
		t.Errorf("the job is %s: %q", w.job().Status, got)
	}
	w.wantProblems()
	w.advance(w.view.Timing.PlanAnswer + time.Millisecond)
	w.run()
	if got := jobReason(w.view, w.job(), w.now); got != "needs 2 slots, 1 free on nodes whose build makes its graph" {
		t.Errorf("the job is %s: %q", w.job().Status, got)
	}
	w.wantProblems("node n1 gets no task of job words: it has not said for 5s what graph its build makes")
	w.join("n3", 1, 1)
	w.run()
	w.wantNodes("n2", "n3")
	w.answerPlan(1)
	w.wantProblems()
}

// The answer may have been lost with the session in which it was asked for.
func TestANewSessionIsAskedAgain(t *testing.T) {
	w := newWorld(t)
	w.holdPlans = map[checkpoint.NodeID]bool{"n1": true}
	w.join("n1", 2, 1)
	w.submitPrinted("")
	w.run()
	w.leave("n1")
	w.holdPlans = nil
	w.join("n1", 2, 1)
	w.run()
	w.wantNodes("n1", "n1")
	if len(w.asked) != 2 {
		t.Errorf("asked %d times", len(w.asked))
	}
}

// I6: an answer counts only when it was asked for, of that node, and once.
func TestI6_AnswersToOtherQuestionsChangeNothing(t *testing.T) {
	w := newWorld(t)
	w.holdPlans = map[checkpoint.NodeID]bool{"n1": true, "n2": true}
	w.join("n1", 1, 1)
	w.join("n2", 1, 1)
	w.submitPrinted("")
	w.run() // asks n1 with request 1, n2 with 2
	planned := func(id checkpoint.NodeID, request uint64, message string) bool {
		return w.view.OnPlanned(id, checkpoint.JobPlanned{Request: request, Topology: testTopology(), Error: message})
	}
	if planned("n1", 2, "") || planned("n1", 3, "") || planned("n9", 1, "") {
		t.Error("an answer to a question that the node was not asked counts")
	}
	if !planned("n1", 1, "") || planned("n1", 1, "changed its mind") || !planned("n2", 2, "") {
		t.Error("the first answer counts, and no other")
	}
	w.run()
	w.wantNodes("n1", "n2")
}

// A new leader knows of no answers. It asks those that it may need, while the restart delay lasts.
func TestNewLeaderAsksAgain(t *testing.T) {
	w := mixedWorld(t, checkpoint.JobPlanned{Topology: testTopology(), Fingerprint: "1-bbbb", Operators: operatorTexts("count letters")})
	w.run()
	w.allStatus(checkpoint.SubtaskRunning)
	w.fail(sub("count", 0), checkpoint.Failure{Message: "it broke"})
	w.run()
	w.elect()
	w.asked = nil
	for id, slots := range map[checkpoint.NodeID]int{"n1": 1, "n2": 1, "n3": 9} {
		w.join(id, slots, 1)
	}
	w.run()
	if got := w.askedNodes(); w.job().Status != fsm.JobRestarting || !slices.Equal(got, []checkpoint.NodeID{"n1", "n2", "n3"}) {
		t.Fatalf("during the delay the job is %s, asked are %v", w.job().Status, got)
	}
	w.advance(w.job().Config.Restart.InitialBackoff)
	w.run()
	w.wantNodes("n1", "n2")
	if got := w.problems(); len(got) != 1 || !strings.Contains(got[0], "count letters") {
		t.Errorf("problems %q", got)
	}
}

// A deployment says which graph it is for, so that a node that was not asked can refuse it.
func TestDeploymentNamesTheFingerprint(t *testing.T) {
	w := mixedWorld(t, checkpoint.JobPlanned{Error: "no"})
	w.run()
	for id, sent := range sentTo[checkpoint.Deploy](w) {
		if len(sent) != 1 || sent[0].Fingerprint != submittedPrint {
			t.Errorf("node %s was sent %+v", id, sent)
		}
	}
}
