package executor

import (
	"testing"

	"cairn/checkpoint"
)

func sub(index int) checkpoint.SubtaskID { return checkpoint.SubtaskID{Vertex: "v", Index: index} }

func status(index int, s checkpoint.SubtaskStatus) checkpoint.SubtaskReport {
	return checkpoint.SubtaskReport{Subtask: sub(index), Status: s}
}

func TestRosterKeepsHowASubtaskEnded(t *testing.T) {
	for _, end := range []checkpoint.SubtaskStatus{checkpoint.SubtaskFinished, checkpoint.SubtaskFailed, checkpoint.SubtaskCanceled} {
		r := newRoster([]checkpoint.SubtaskID{sub(0)})
		if _, changed := r.update(status(0, checkpoint.SubtaskRunning)); !changed || !r.active() {
			t.Error("a running subtask is not active")
		}
		if _, changed := r.update(status(0, end)); !changed || r.active() {
			t.Errorf("a subtask that is %s is still active", end)
		}
		if _, changed := r.update(status(0, checkpoint.SubtaskRunning)); changed || r.subtasks()[0].Status != end {
			t.Errorf("a subtask that was %s is now %s", end, r.subtasks()[0].Status)
		}
	}
}

func TestRosterIgnoresStrangers(t *testing.T) {
	r := newRoster([]checkpoint.SubtaskID{sub(1)})
	if _, changed := r.update(status(0, checkpoint.SubtaskRunning)); changed || len(r.subtasks()) != 1 {
		t.Errorf("a subtask of another node was taken in: %+v", r.subtasks())
	}
}

func TestRosterOfAStoppedAttempt(t *testing.T) {
	r := newRoster([]checkpoint.SubtaskID{sub(0), sub(1)})
	r.update(status(0, checkpoint.SubtaskFinished))
	r.stopped = "no leader"
	r.update(status(0, checkpoint.SubtaskCanceled))
	told, _ := r.update(status(1, checkpoint.SubtaskCanceled))
	if told.Status != checkpoint.SubtaskFailed || told.Failure.Message != "no leader" || told.Failure.Permanent {
		t.Errorf("the leader is told %+v", told)
	}
	if got := r.subtasks(); got[0].Status != checkpoint.SubtaskFinished || got[1].Status != checkpoint.SubtaskFailed {
		t.Errorf("the roster says %+v", got)
	}
}

func TestRosterRefusals(t *testing.T) {
	r := newRoster([]checkpoint.SubtaskID{sub(0), sub(1), sub(2), sub(3), sub(4)})
	r.update(status(1, checkpoint.SubtaskFinished))
	r.update(status(2, checkpoint.SubtaskFailed))
	r.update(status(3, checkpoint.SubtaskFinishing))
	r.update(status(4, checkpoint.SubtaskCanceled))
	for index, want := range map[int]checkpoint.Reason{
		0: 0, 1: checkpoint.ReasonTaskClosing, 2: checkpoint.ReasonTaskFailure, 3: 0, 4: checkpoint.ReasonTaskClosing,
		9: checkpoint.ReasonDeclined,
	} {
		reason, message, refused := r.refusal(sub(index))
		if reason != want || refused != (want != 0) || refused != (message != "") {
			t.Errorf("subtask %d: %v %q %v, want %v", index, reason, message, refused, want)
		}
	}
}
