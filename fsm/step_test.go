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
		ConfigureJob{Job: unknown, Config: checkpoint.DefaultConfig()},
		DisposeSavepoint{Job: unknown, Savepoint: 1},
	} {
		s := newScript(t)
		s.running(1)
		s.rejects(ErrUnknownJob, c)
	}
}

// TestEveryCommandKnowsTheEnd asks of each command that a job which has ended be left alone, but for what becomes of
// the checkpoints that it has left behind.
func TestEveryCommandKnowsTheEnd(t *testing.T) {
	for _, status := range []JobStatus{JobFinished, JobFailed, JobCanceled} {
		t.Run(status.String(), func(t *testing.T) {
			s := newScript(t)
			s.running(1)
			savepoint := s.savepoint(1)
			id := s.begin(1, checkpoint.KindCheckpoint)
			if status == JobCanceled {
				s.must(s.cancel(1))
			}
			s.must(s.end(1, status))
			for _, c := range []Command{
				s.start(1, 0), s.fail(1, "late"), s.cancel(1), s.end(1, JobFailed), s.complete(1, id),
				s.abort(1, id, checkpoint.ReasonExpired),
				BeginCheckpoint{Job: jobID(1), Attempt: 1, Kind: checkpoint.KindCheckpoint}, s.configure(1, retain(9)),
			} {
				s.rejects(ErrJobEnded, c)
			}
			s.must(FinishDiscards{Job: jobID(1), Checkpoints: []checkpoint.ID{id}})
			s.must(DisposeSavepoint{Job: jobID(1), Savepoint: savepoint})
		})
	}
}

// TestBadInput gives each command what makes no sense whatever the state is. Commands that carry nothing but names are
// in the tables of their own tests.
func TestBadInput(t *testing.T) {
	begin := func(kind checkpoint.Kind, stop checkpoint.Stop) func(*script, checkpoint.ID) Command {
		return func(*script, checkpoint.ID) Command {
			return BeginCheckpoint{Job: jobID(1), Attempt: 1, Kind: kind, Stop: stop}
		}
	}
	complete := func(f func(*CompleteCheckpoint)) func(*script, checkpoint.ID) Command {
		return func(s *script, id checkpoint.ID) Command { c := s.complete(1, id); f(&c); return c }
	}
	abort := func(f func(*AbortCheckpoint)) func(*script, checkpoint.ID) Command {
		return func(s *script, id checkpoint.ID) Command {
			c := s.abort(1, id, checkpoint.ReasonDeclined)
			f(&c)
			return c
		}
	}
	for name, c := range map[string]func(*script, checkpoint.ID) Command{
		"begin: no kind":                   begin(0, 0),
		"begin: unknown kind":              begin(3, 0),
		"begin: a checkpoint that stops":   begin(checkpoint.KindCheckpoint, checkpoint.StopSuspend),
		"begin: unknown stop":              begin(checkpoint.KindSavepoint, 3),
		"complete: no manifest":            complete(func(c *CompleteCheckpoint) { c.Manifest.ID = checkpoint.ChunkID{} }),
		"complete: negative subtasks":      complete(func(c *CompleteCheckpoint) { c.NumSubtasks = -1 }),
		"complete: negative state":         complete(func(c *CompleteCheckpoint) { c.Sizes.State = -1 }),
		"complete: negative checkpointed":  complete(func(c *CompleteCheckpoint) { c.Sizes.Checkpointed = -1 }),
		"complete: negative alignment":     complete(func(c *CompleteCheckpoint) { c.Sizes.AlignmentMillis = -1 }),
		"complete: negative processed":     complete(func(c *CompleteCheckpoint) { c.Sizes.Processed = -1 }),
		"complete: negative persisted":     complete(func(c *CompleteCheckpoint) { c.Sizes.Persisted = -1 }),
		"complete: large inline detail":    complete(func(c *CompleteCheckpoint) { c.Detail.Inline = make([]byte, MaxInlineDetail+1) }),
		"complete: detail in two places":   complete(func(c *CompleteCheckpoint) { c.Detail = Detail{Inline: []byte{1}, Chunk: detailChunk(1)} }),
		"complete: detail without a name":  complete(func(c *CompleteCheckpoint) { c.Detail.Chunk.Size = 9 }),
		"abort: no reason":                 abort(func(c *AbortCheckpoint) { c.Reason = 0 }),
		"abort: negative acknowledgements": abort(func(c *AbortCheckpoint) { c.NumAcknowledged = -1 }),
		"abort: negative sizes":            abort(func(c *AbortCheckpoint) { c.Sizes.Checkpointed = -1 }),
		"abort: large inline detail":       abort(func(c *AbortCheckpoint) { c.Detail.Inline = make([]byte, MaxInlineDetail+1) }),
		"end: no status":                   func(s *script, _ checkpoint.ID) Command { return s.end(1, 0) },
		"end: a status that is no end":     func(s *script, _ checkpoint.ID) Command { return s.end(1, JobRunning) },
		"configure: an empty one":          func(*script, checkpoint.ID) Command { return ConfigureJob{Job: jobID(1)} },
		"submit: an empty one":             func(*script, checkpoint.ID) Command { return SubmitJob{} },
	} {
		t.Run(name, func(t *testing.T) {
			s := newScript(t)
			s.running(1)
			s.rejects(ErrInvalid, c(s, s.begin(1, checkpoint.KindCheckpoint)))
		})
	}
	t.Run("as large as it may be", func(t *testing.T) {
		s := newScript(t)
		s.running(1)
		s.must(complete(func(c *CompleteCheckpoint) { c.Detail.Inline = make([]byte, MaxInlineDetail) })(s, s.begin(1, checkpoint.KindCheckpoint)))
	})
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
