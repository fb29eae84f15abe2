package sim

import (
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"cairn/checkpoint"
	"cairn/fsm"
)

// settle is how long the world goes on after each command of a story: long enough for every message to arrive
// and to be answered, too short for an election.
const settle = 100 * time.Millisecond

// patience is how long a story's user waits for a checkpoint to begin.
const patience = time.Hour

// TestStories reads stories from testdata: one file for each thing that can happen to a checkpoint. They are the
// protocol's documentation by example. A command does something and prints what came of it within settle of virtual
// time: what was sent, what the log committed, what nodes refused. testdata/README.md lists the commands.
//
// Run with -rewrite to take what happens now for what is meant; read the difference before believing it.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		s := &story{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string { return s.tell(t, d) })
		s.end(t)
	})
}

// story is a steady world in which nothing happens by itself, and the one who writes down what happens.
type story struct {
	*script
	narrator
	held []heldAnswer // stored snapshots that nobody has acknowledged
	acks string       // auto: snapshots are acknowledged at once
}

type heldAnswer struct {
	task    *task
	barrier checkpoint.Barrier
	answer  func()
}

// tell carries out one command.
func (s *story) tell(t *testing.T, d *datadriven.TestData) string {
	t.Helper()
	command, known := storyCommands[d.Cmd]
	switch {
	case !known:
		d.Fatalf(t, "unknown command %q", d.Cmd)
	case d.Cmd != "cluster" && s.script == nil:
		d.Fatalf(t, "a story begins with cluster")
	}
	text := command(s, t, d)
	if s.failed != nil {
		d.Fatalf(t, "%v", s.failed)
	}
	if d.HasArg("quiet") {
		return "ok"
	}
	return text
}

// end demands, in the calm that follows the story, that everybody hears of what was completed.
func (s *story) end(t *testing.T) {
	s.release(func(heldAnswer) bool { return true })
	s.acks = "auto"
	clear(s.net.held)
	s.calmDown()
	s.allHeard()
	if s.failed != nil {
		t.Error(s.failed)
	}
}

// settled lets the world go on for a while and returns what was written down meanwhile.
func (s *story) settled(d time.Duration) string {
	s.runUntil(d, func() bool { return false })
	return s.narrator.take()
}

// release acknowledges the stored snapshots that which chooses.
func (s *story) release(which func(heldAnswer) bool) (released int) {
	held := s.held
	s.held = slices.DeleteFunc(slices.Clone(held), which)
	for _, h := range held {
		if which(h) {
			h.answer()
			released++
		}
	}
	return released
}

// gateAnswer keeps a stored snapshot's answer until the story gives it.
func (s *story) gateAnswer(t *task, b checkpoint.Barrier, answer func()) {
	if s.acks == "auto" {
		answer()
		return
	}
	s.note("   %s  %s has stored its snapshot of %d", t.a.n.ref.ID, t.id, b.ID)
	s.held = append(s.held, heldAnswer{t, b, answer})
}

// storyJob returns the committed state of a job: that of the argument job, or the last one submitted.
func (s *story) storyJob(t *testing.T, d *datadriven.TestData) (*client, *fsm.Job) {
	number := len(s.clients)
	if a, given := d.Arg("job"); given && len(a.Vals) > 0 {
		d.ScanArgs(t, "job", &number)
	}
	if number < 1 || number > len(s.clients) {
		d.Fatalf(t, "job=%d: %d jobs were submitted", number, len(s.clients))
	}
	c := s.clients[number-1]
	j := s.check.state.Jobs[c.id]
	if j == nil {
		d.Fatalf(t, "job %d is not in the log", number)
	}
	return c, j
}

// coordinatorOf returns a coordinator by its ID; "leader" is the one that leads.
func (s *story) coordinatorOf(id string) *coord {
	s.t.Helper()
	if id == "leader" {
		return s.leader()
	}
	for _, c := range s.coordinators {
		if string(c.id) == id {
			return c
		}
	}
	s.t.Fatalf("no coordinator %q", id)
	return nil
}

// taskOf finds a running task by its name.
func (s *story) taskOf(t *testing.T, d *datadriven.TestData, name string) *task {
	var found *task
	for _, h := range s.hosts {
		if h.proc == nil {
			continue
		}
		h.proc.eachAttempt(func(a *attempt) {
			for _, task := range a.tasks {
				if task.id.String() == name && !task.ending {
					found = task
				}
			}
		})
	}
	if found == nil {
		d.Fatalf(t, "no task %q is running", name)
	}
	return found
}
