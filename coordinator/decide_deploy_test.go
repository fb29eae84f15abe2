package coordinator

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"cairn/checkpoint"
	"cairn/fsm"
)

// A deployment that no session could carry fails the job at once and says why, instead of breaking session after
// session.
func TestDeploymentThatIsTooLargeFailsTheJob(t *testing.T) {
	w := running(t, testConfig())
	w.tick()
	for _, s := range testTopology().Subtasks() {
		a := ackOf(1, 1, s)
		if s == sub("count", 1) {
			a.State.Handles[0].Chunks = make([]checkpoint.ChunkRef, maxDeploySize/32)
		}
		w.view.OnAck(w.nodeOf(s), a, w.now)
	}
	w.run()
	w.wantCompleted(1)
	w.fail(sub("read", 0), checkpoint.Failure{Message: "boom"})
	w.run()
	w.advance(time.Second)
	w.run()
	j := w.job()
	if j.Status != fsm.JobFailed || len(sentTo[checkpoint.Deploy](w)) != 0 {
		t.Fatalf("the job is %s; sent %v", j.Status, w.sent)
	}
	for _, part := range []string{"node n2", "bytes", "chunks", "more nodes"} {
		if !strings.Contains(j.Failure, part) {
			t.Errorf("cause %q does not name %q", j.Failure, part)
		}
	}
	w.wantCompleted(1) // what there is to restore from stays
}

// What is counted is at least what is sent.
func TestDeploymentIsNotUnderestimated(t *testing.T) {
	m := checkpoint.Deploy{States: []checkpoint.SubtaskState{ackOf(1, 1, sub("read", 0)).State}}
	m.States[0].Handles[0].Chunks = make([]checkpoint.ChunkRef, maxDeploySize/32)
	if size := proto.Size(checkpoint.SubtaskStateToPB(m.States[0])); size <= maxDeploySize {
		t.Fatalf("the state takes %d bytes: too few for this test", size)
	}
	if oversized(m, "n1") == "" {
		t.Error("it passes")
	}
	m.States[0].Handles[0].Chunks = nil
	m.Assignment.NodeOf = make([]int, 10_000)
	if problem := oversized(m, "n1"); problem != "" {
		t.Error(problem)
	}
}
