package executor

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/checkpoint"
)

// fencedMessage makes a message from a leader.
type fencedMessage struct {
	name string
	make func(checkpoint.Term, checkpoint.JobID, checkpoint.Attempt) checkpoint.ToNode
	// ofAttempt says that it is about an attempt of a job: then it changes nothing when that is not the one that runs.
	ofAttempt bool
	// effect is what the message does when nothing speaks against it: the difference in what snapshotOf returns.
	effect string
}

// fencedMessages holds one message of every kind, each of which would change something.
func fencedMessages() []fencedMessage {
	subtasks := []checkpoint.SubtaskID{read0, write0}
	return []fencedMessage{
		{name: "Leading", effect: "term", make: func(term checkpoint.Term, _ checkpoint.JobID, _ checkpoint.Attempt) checkpoint.ToNode {
			return checkpoint.Leading{Term: term, Leader: "c1"}
		}},
		{name: "PlanJob", effect: "told", make: func(term checkpoint.Term, _ checkpoint.JobID, _ checkpoint.Attempt) checkpoint.ToNode {
			return checkpoint.PlanJob{Term: term, Request: 1, Program: "pipe"}
		}},
		{name: "Deploy", effect: "jobs", make: func(term checkpoint.Term, job checkpoint.JobID, attempt checkpoint.Attempt) checkpoint.ToNode {
			m := deployment(term, attempt)
			m.Job = job
			return m
		}},
		{name: "CancelAttempt", effect: "jobs", make: func(term checkpoint.Term, job checkpoint.JobID, attempt checkpoint.Attempt) checkpoint.ToNode {
			return checkpoint.CancelAttempt{Term: term, Job: job, Attempt: attempt}
		}},
		{name: "CancelTasks", effect: "jobs", make: func(term checkpoint.Term, job checkpoint.JobID, attempt checkpoint.Attempt) checkpoint.ToNode {
			return checkpoint.CancelTasks{Term: term, Job: job, Attempt: attempt, Subtasks: subtasks}
		}},
		{name: "Trigger", ofAttempt: true, effect: "heard", make: func(term checkpoint.Term, job checkpoint.JobID, attempt checkpoint.Attempt) checkpoint.ToNode {
			return checkpoint.Trigger{Term: term, Job: job, Attempt: attempt, Barrier: barrier(9, checkpoint.KindCheckpoint), Subtasks: subtasks}
		}},
		{name: "NotifyComplete", ofAttempt: true, effect: "heard", make: func(term checkpoint.Term, job checkpoint.JobID, attempt checkpoint.Attempt) checkpoint.ToNode {
			return checkpoint.NotifyComplete{Term: term, Job: job, Attempt: attempt, Checkpoint: 8, Kind: checkpoint.KindCheckpoint}
		}},
		{name: "NotifyAborted", ofAttempt: true, effect: "heard", make: func(term checkpoint.Term, job checkpoint.JobID, attempt checkpoint.Attempt) checkpoint.ToNode {
			return checkpoint.NotifyAborted{Term: term, Job: job, Attempt: attempt, Checkpoint: 8}
		}},
		{name: "MarkChunks", effect: "sweeps", make: func(term checkpoint.Term, _ checkpoint.JobID, _ checkpoint.Attempt) checkpoint.ToNode {
			return checkpoint.MarkChunks{Term: term, Sweep: 3}
		}},
		{name: "DeleteChunks", effect: "sweeps", make: func(term checkpoint.Term, _ checkpoint.JobID, _ checkpoint.Attempt) checkpoint.ToNode {
			return checkpoint.DeleteChunks{Term: term, Sweep: 3, Chunks: make([]checkpoint.ChunkID, 1)}
		}},
		{name: "CopyChunks", effect: "custody", make: func(term checkpoint.Term, _ checkpoint.JobID, _ checkpoint.Attempt) checkpoint.ToNode {
			return checkpoint.CopyChunks{Term: term, Order: 4, Copies: make([]checkpoint.ChunkCopy, 2)}
		}},
		{name: "ListChunks", effect: "custody", make: func(term checkpoint.Term, _ checkpoint.JobID, _ checkpoint.Attempt) checkpoint.ToNode {
			return checkpoint.ListChunks{Term: term, Request: 5}
		}},
		{name: "ChunksLocated", effect: "custody", make: func(term checkpoint.Term, _ checkpoint.JobID, _ checkpoint.Attempt) checkpoint.ToNode {
			return checkpoint.ChunksLocated{Term: term, Request: 6}
		}},
	}
}

// TestI6_EveryMessageIsInTheFencingTest makes a new kind of message fail the tests until it is walked through them.
func TestI6_EveryMessageIsInTheFencingTest(t *testing.T) {
	files, err := filepath.Glob("../../checkpoint/*.go")
	if err != nil {
		t.Fatal(err)
	}
	kinds := make(map[string]bool)
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv != nil && f.Name.Name == "toNode" {
				kinds[f.Recv.List[0].Type.(*ast.Ident).Name] = true
			}
		}
	}
	tested := make(map[string]bool)
	for _, m := range fencedMessages() {
		if made := m.make(1, job1, 1); reflect.TypeOf(made).Name() != m.name {
			t.Errorf("%s makes a %T", m.name, made)
		}
		tested[m.name] = true
	}
	if !maps.Equal(kinds, tested) {
		t.Errorf("the messages to a node are %v, tested are %v", slices.Sorted(maps.Keys(kinds)), slices.Sorted(maps.Keys(tested)))
	}
}

// fenced is a node that runs attempt 2 of job1 for the leader of term 5, with checkpoint 8 in flight.
type fenced struct {
	*cluster
	leader   *fakeSession
	deposed  *fakeSession // whose coordinator led term 4
	follower *fakeSession
}

func newFenced(c *cluster) *fenced {
	f := &fenced{cluster: c, follower: &fakeSession{}}
	f.deposed, _ = c.lead(4, "c4")
	f.leader, _ = c.lead(5, "c5")
	c.Receive(f.leader, deployment(5, 2))
	c.task(2, read0).ack(8)
	c.task(2, write0).decline(8)
	f.state()
	return f
}

// state takes what has changed since the last call, and what the node's memory holds, by subject.
func (f *fenced) state() map[string]string {
	synctest.Wait()
	time.Sleep(time.Minute) // virtual: for what is told later
	f.cluster.mu.Lock()
	tasks := slices.Clone(f.tasks)
	f.cluster.mu.Unlock()
	var heard []string
	for _, task := range tasks {
		heard = append(heard, task.takeHeard()...)
	}
	told := append(append(f.leader.take(), f.deposed.take()...), f.follower.take()...)
	sweeps, custody := f.sweeper.asked(), f.keeper.asked()
	e := f.Executor
	e.mu.Lock()
	defer e.mu.Unlock()
	var jobs []string
	for _, id := range sortedKeys(e.mu.jobs, compareJobs) {
		j := e.mu.jobs[id]
		line := fmt.Sprintf("%s seen %d", id, j.seen)
		if a := j.current; a != nil {
			line += fmt.Sprintf(" runs %d (%v), %+v, acks %+v, declines %+v, completed %d, settled %v, progress %d",
				a.number(), a.ctx.Err(), a.roster.subtasks(), a.book.unresolvedAcks(), a.book.unresolvedDeclines(),
				a.book.completed, a.book.settled, len(a.progress.pending))
		}
		jobs = append(jobs, line)
	}
	return map[string]string{
		"term":    fmt.Sprintf("%d led by %s", e.mu.fence.term, e.mu.fence.leader),
		"jobs":    strings.Join(jobs, "\n"),
		"heard":   strings.Join(heard, ", "),
		"told":    fmt.Sprintf("%+v", told),
		"sweeps":  strings.Join(sweeps, ", "),
		"custody": strings.Join(custody, ", "),
	}
}

// difference names what two states do not have in common.
func difference(a, b map[string]string) (subjects []string) {
	for _, subject := range slices.Sorted(maps.Keys(a)) {
		if a[subject] != b[subject] {
			subjects = append(subjects, subject)
		}
	}
	return subjects
}

// TestI6_Fencing sends every kind of message in every way that must not change anything, and then in the one way that
// must: else the test would prove nothing.
func TestI6_Fencing(t *testing.T) {
	stranger := checkpoint.JobID{99}
	for _, m := range fencedMessages() {
		t.Run(m.name, func(t *testing.T) {
			inCluster(t, func(t *testing.T, c *cluster) {
				f := newFenced(c)
				before := f.state()
				refused := func(how string, on *fakeSession, message checkpoint.ToNode) {
					t.Helper()
					f.Receive(on, message)
					after := f.state()
					for _, subject := range difference(before, after) {
						t.Errorf("%s, %s changed %s:\n%s\nwas\n%s", how, message, subject, after[subject], before[subject])
					}
				}
				refused("in an older term", f.deposed, m.make(4, job1, 2))
				refused("in an older term, on the leader's session", f.leader, m.make(4, job1, 2))
				refused("in an older term, of a newer attempt", f.deposed, m.make(4, job1, 3))
				if m.name != "Leading" {
					refused("from a coordinator that does not lead", f.follower, m.make(5, job1, 2))
					refused("from a coordinator that has not said that it leads", f.follower, m.make(6, job1, 2))
				} else {
					refused("from a second leader of the term", f.follower, m.make(5, job1, 2))
				}
				if m.name == "Deploy" || m.name == "CancelTasks" || m.ofAttempt {
					refused("of an older attempt", f.leader, m.make(5, job1, 1))
				}
				if m.ofAttempt {
					refused("of an attempt that is not here yet", f.leader, m.make(5, job1, 3))
				}
				if m.name == "CancelTasks" || m.ofAttempt {
					refused("of an unknown job", f.leader, m.make(5, stranger, 2))
				}
				if m.name == "Deploy" {
					refused("of the attempt that runs", f.leader, m.make(5, job1, 2))
				}

				legal := m.make(5, job1, 2)
				switch m.name {
				case "Leading":
					legal = m.make(6, job1, 2)
				case "Deploy":
					legal = m.make(5, job1, 3)
				}
				f.Receive(f.leader, legal)
				if changed := difference(before, f.state()); !slices.Contains(changed, m.effect) {
					t.Errorf("%s changed %v, want %s among it: the test proves nothing", legal, changed, m.effect)
				}
			})
		})
	}
}

// An older attempt's cancellation comes from a leader that has deployed a newer one since: it stays. What it cancelled
// never comes back.
func TestI6_CancellationOfAnOlderAttempt(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		f := newFenced(c)
		before := f.state()
		f.Receive(f.leader, checkpoint.CancelAttempt{Term: 5, Job: job1, Attempt: 1})
		if changed := difference(before, f.state()); len(changed) != 0 {
			t.Errorf("it changed %v", changed)
		}
		f.Receive(f.leader, checkpoint.CancelAttempt{Term: 5, Job: checkpoint.JobID{99}, Attempt: 2})
		late := deployment(5, 2)
		late.Job = checkpoint.JobID{99}
		before = f.state()
		f.Receive(f.leader, late)
		if changed := difference(before, f.state()); len(changed) != 0 {
			t.Errorf("a deployment behind its cancellation changed %v", changed)
		}
	})
}

// What a task says of a checkpoint with an outcome, or behind its attempt's end, reaches no leader.
func TestI6_AnswersOfThePast(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		f := newFenced(c)
		f.Receive(f.leader, checkpoint.NotifyAborted{Term: 5, Job: job1, Attempt: 2, Checkpoint: 9})
		f.Receive(f.leader, checkpoint.NotifyComplete{Term: 5, Job: job1, Attempt: 2, Checkpoint: 8, Kind: checkpoint.KindCheckpoint})
		before := f.state()
		read := c.task(2, read0)
		for _, id := range []checkpoint.ID{7, 8, 9} {
			read.ack(id)
			read.decline(id)
			read.enter(barrier(id, checkpoint.KindCheckpoint), checkpoint.PhaseUpload)
		}
		before["heard"] = ""
		if changed := difference(before, f.state()); len(changed) != 0 {
			t.Errorf("it changed %v", changed)
		}
	})
}

// U9: tasks that were recovered elsewhere go on processing: their channels are refused by those of the attempt that
// replaced them, and by a node whose attempt has been cancelled.
func TestU9_ZombiesChannelIsRefused(t *testing.T) {
	inCluster(t, func(t *testing.T, c *cluster) {
		f := newFenced(c)
		zombie := channel(1, 0)
		if w, err := f.AcceptChannel(t.Context(), zombie, noGrant); w != nil || err == nil {
			t.Errorf("the channel of an older attempt was accepted: %v", err)
		}
		if _, err := f.AcceptChannel(t.Context(), channel(2, 0), noGrant); err != nil {
			t.Errorf("the channel of the attempt that runs: %v", err)
		}
		f.Receive(f.leader, checkpoint.CancelAttempt{Term: 5, Job: job1, Attempt: 2})
		if w, err := f.AcceptChannel(t.Context(), channel(2, 0), noGrant); w != nil || err == nil {
			t.Errorf("the channel of a cancelled attempt was accepted: %v", err)
		}
	})
}
