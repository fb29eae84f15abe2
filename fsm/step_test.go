package fsm

import (
	"strings"
	"testing"
	"unicode/utf8"

	"cairn/checkpoint"
)

func panicText(f func()) (text string) {
	defer func() {
		if r := recover(); r != nil {
			text = r.(string)
		}
	}()
	f()
	return ""
}

type foreignCommand struct{ Command }

func TestStepPanicsOnImpossibleInput(t *testing.T) {
	tests := []struct {
		name  string
		index uint64
		c     Command
		want  []string
	}{
		{"index repeats", 1, CancelJob{}, []string{"index 1", "fsm.CancelJob", "index 1"}},
		{"index goes back", 0, BeginCheckpoint{}, []string{"index 0", "fsm.BeginCheckpoint"}},
		{"unknown command", 2, foreignCommand{}, []string{"index 2", "fsm.foreignCommand"}},
		{"no command", 2, nil, []string{"index 2", "nil"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t)
			s.must(s.submit(1))
			text := panicText(func() { _, _ = s.state.Step(test.index, test.c) })
			for _, want := range test.want {
				if !strings.Contains(text, want) {
					t.Errorf("panic %q does not name %q", text, want)
				}
			}
		})
	}
}

func TestStepAcceptsGapsInTheIndex(t *testing.T) {
	s := newScript(t)
	if _, err := s.state.Step(17, s.submit(1)); err != nil { // Raft has entries of its own
		t.Fatal(err)
	}
	if s.state.LastIndex != 17 {
		t.Errorf("last index %d, want 17", s.state.LastIndex)
	}
}

// TestEveryCommandKnowsItsJob asks of each command that it be rejected for a job that nobody submitted.
func TestEveryCommandKnowsItsJob(t *testing.T) {
	unknown := jobID(9)
	for _, c := range []Command{
		StartAttempt{Job: unknown, Attempt: 1},
		FailAttempt{Job: unknown, Attempt: 1},
		CancelJob{Job: unknown},
		EndJob{Job: unknown, Status: JobFailed},
		BeginCheckpoint{Job: unknown, Kind: checkpoint.KindCheckpoint},
		CompleteCheckpoint{Job: unknown, Checkpoint: 1, Manifest: manifest(1)},
		AbortCheckpoint{Job: unknown, Checkpoint: 1, Reason: checkpoint.ReasonExpired},
		FinishDiscards{Job: unknown},
	} {
		s := newScript(t)
		s.running(1)
		s.rejects(ErrUnknownJob, c)
	}
}

// TestEveryCommandKnowsTheEnd asks of each command but FinishDiscards that a job which has ended be left
// alone.
func TestEveryCommandKnowsTheEnd(t *testing.T) {
	for _, status := range []JobStatus{JobFinished, JobFailed, JobCanceled} {
		t.Run(status.String(), func(t *testing.T) {
			s := newScript(t)
			s.running(1)
			id := s.begin(1, checkpoint.KindCheckpoint)
			if status == JobCanceled {
				s.must(s.cancel(1))
			}
			s.must(s.end(1, status))
			for _, c := range []Command{
				s.start(1, 0), s.fail(1, "late"), s.cancel(1), s.end(1, JobFailed), s.complete(1, id),
				s.abort(1, id, checkpoint.ReasonExpired),
				BeginCheckpoint{Job: jobID(1), Attempt: 1, Kind: checkpoint.KindCheckpoint},
			} {
				s.rejects(ErrJobEnded, c)
			}
			s.must(FinishDiscards{Job: jobID(1), Checkpoints: []checkpoint.ID{id}})
		})
	}
}

func TestTextIsCutBetweenCharacters(t *testing.T) {
	for _, test := range []struct{ name, text string }{
		{"short", "disk full"},
		{"exact", strings.Repeat("a", MaxText)},
		{"long", strings.Repeat("a", MaxText+1)},
		{"wide characters", "a" + strings.Repeat("é", MaxText)},
		{"not UTF-8", strings.Repeat("\x80", MaxText+1)},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newScript(t)
			s.running(1)
			s.must(s.fail(1, test.text))
			got := s.job(1).Failure
			if len(test.text) <= MaxText && got != test.text {
				t.Errorf("a text of %d bytes was changed", len(test.text))
			}
			if len(got) > MaxText || len(test.text) > MaxText && !strings.HasSuffix(got, "…") {
				t.Errorf("a text of %d bytes became %d bytes ending in %q", len(test.text), len(got), got[max(0, len(got)-5):])
			}
			if utf8.ValidString(test.text) && !utf8.ValidString(got) {
				t.Error("a character was cut in two")
			}
		})
	}
}
