package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"cairn/checkpoint"
)

// connectLimit is how long a channel's other side may take to deploy its share.
const connectLimit = 3 * time.Second

// stopTime is how long a task that was cancelled may take to end.
const stopTime = 20 * time.Millisecond

// attempt is a node's share of one execution of a job.
type attempt struct {
	n       *node
	deploy  checkpoint.Deploy
	tasks   []*task // in the job's order
	book    book
	started bool
	stopped string // why the node stopped it of its own accord
	ending  bool   // cancelled or stopped: nothing happens in it any more
	over    bool   // everything of it has ended
	forget  bool   // cancelled by the leader
	next    func() // starts the attempt that waits for this one's end
}

func newAttempt(n *node, m checkpoint.Deploy) *attempt {
	a := &attempt{n: n, deploy: m, book: newBook()}
	states := make(map[checkpoint.SubtaskID]checkpoint.SubtaskState, len(m.States))
	for _, s := range m.States {
		states[s.Subtask] = s
	}
	subtasks, inputs := m.Topology.Subtasks(), inputsOf(m.Topology)
	kept := make(map[checkpoint.SubtaskID]bool)
	for _, k := range m.Kept {
		kept[k.Subtask] = true
	}
	for _, ordinal := range m.Assignment.Ordinals(n.ref.ID) {
		if kept[subtasks[ordinal]] {
			continue
		}
		a.tasks = append(a.tasks, newTask(a, ordinal, subtasks[ordinal], inputs, states[subtasks[ordinal]]))
	}
	return a
}

func (a *attempt) number() checkpoint.Attempt { return a.deploy.Attempt }

// after schedules something of the attempt as such that does not happen any more when it is ending.
func (a *attempt) after(d time.Duration, do func()) {
	a.n.after(d, func() {
		if !a.ending {
			do()
		}
	})
}

// after schedules something that does not happen any more when the task is ending.
func (t *task) after(d time.Duration, do func()) {
	t.a.n.after(d, func() {
		if !t.ending {
			do()
		}
	})
}

func (a *attempt) eachTask(f func(*task)) {
	for _, t := range slices.Clone(a.tasks) {
		if t.started {
			f(t)
		}
	}
}

// startAfter starts the tasks when the previous attempt has ended: two attempts of a subtask never work side by
// side in one process.
func (a *attempt) startAfter(previous *attempt) {
	start := func() { a.after(a.n.w.between(time.Millisecond, 20*time.Millisecond), a.start) }
	if previous == nil || previous.over {
		start()
		return
	}
	previous.next = start
}

func (a *attempt) start() {
	a.started = true
	for _, t := range a.tasks {
		if !t.started && !t.ending {
			t.started = true
			a.n.w.check.started(a, t)
			t.after(a.n.w.between(time.Millisecond, 40*time.Millisecond), t.run)
		}
	}
}

// cancel ends the tasks, a moment later.
func (a *attempt) cancel() {
	if a.ending {
		return
	}
	a.ending = true
	for _, t := range a.tasks {
		t.ending = true
	}
	a.n.after(a.n.w.between(0, stopTime), a.end)
}

// stop ends the tasks of the node's own accord: they fail.
func (a *attempt) stop(why string) {
	if !a.ending {
		a.stopped = why
		a.cancel()
	}
}

func (a *attempt) end() {
	for _, t := range a.tasks {
		if t.ended() {
			continue
		}
		if a.stopped != "" {
			t.report(checkpoint.SubtaskReport{Status: checkpoint.SubtaskFailed, Failure: checkpoint.Failure{Message: a.stopped}})
		} else {
			t.report(checkpoint.SubtaskReport{Status: checkpoint.SubtaskCanceled})
		}
		t.breakChannels()
	}
	a.over = true
	if j := a.n.jobs[a.deploy.Job]; j.current == a && a.forget {
		j.current = nil
	}
	if a.next != nil {
		a.next()
	}
}

// vanish ends the tasks without a word, with their process.
func (a *attempt) vanish() {
	a.ending, a.over = true, true
	for _, t := range a.tasks {
		t.ending = true
		if !t.ended() {
			t.breakChannels()
		}
	}
}

func (a *attempt) reports() []checkpoint.SubtaskReport {
	reports := make([]checkpoint.SubtaskReport, len(a.tasks))
	for i, t := range a.tasks {
		reports[i] = t.last
	}
	return reports
}

func (a *attempt) trigger(m checkpoint.Trigger) {
	for _, s := range m.Subtasks {
		t := a.task(a.deploy.Topology.Ordinal(s))
		switch {
		case t == nil:
			a.n.w.violate(harness, "%s was triggered on %s, where it is not", s, a.n.ref.ID)
		case t.last.Status == checkpoint.SubtaskFinished:
			t.decline(m.Barrier, checkpoint.ReasonTaskClosing)
		case t.ended() || t.ending:
			t.decline(m.Barrier, checkpoint.ReasonTaskFailure)
		case !t.started:
			t.decline(m.Barrier, checkpoint.ReasonTaskNotReady)
		default:
			t.onTrigger(m.Barrier)
		}
	}
}

func (a *attempt) task(ordinal int) *task {
	for _, t := range a.tasks {
		if t.ordinal == ordinal {
			return t
		}
	}
	return nil
}

func (a *attempt) fingerprint(b *strings.Builder) {
	fmt.Fprintf(b, "%t %t %t %d %d %d;", a.started, a.ending, a.forget, len(a.book.acks), len(a.book.declines), a.book.completed)
	for _, t := range a.tasks {
		fmt.Fprintf(b, "%d %t %d %d %d %d;", t.last.Status, t.ending, t.notified, t.snapshotted, len(t.pending), len(t.cancelled))
	}
}
