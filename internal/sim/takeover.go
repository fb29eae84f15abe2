package sim

import (
	"cmp"
	"maps"
	"slices"

	"cairn/checkpoint"
)

// takeOver gives the attempt the tasks that it is to keep of the one before it here. What is not there any more has
// failed.
func (a *attempt) takeOver(from *attempt) {
	if !a.n.w.broken(AcceptsAcksOfAborted) {
		a.book.floor = a.deploy.Settled
	}
	for _, k := range a.deploy.Kept {
		ordinal := a.deploy.Topology.Ordinal(k.Subtask)
		t := from.find(ordinal)
		if t == nil || t.deployed != k.Since || !t.mayGoOn() {
			t = a.lost(ordinal, k, t)
		} else {
			from.tasks = slices.DeleteFunc(from.tasks, func(other *task) bool { return other == t })
			t.a = a
			if !a.n.w.broken(AcceptsAcksOfAborted) {
				t.settle(a.deploy, from.book)
				t.repeat(from.book)
			}
		}
		a.tasks = append(a.tasks, t)
		a.n.tell(checkpoint.StatusChange{Job: a.deploy.Job, Attempt: a.number(), Report: t.last})
	}
	slices.SortFunc(a.tasks, func(x, y *task) int { return cmp.Compare(x.ordinal, y.ordinal) })
}

// repeat says again, for the attempt that has taken a task over, what it has answered to that attempt's checkpoints
// before the node heard of it.
func (t *task) repeat(from book) {
	for _, id := range slices.Sorted(maps.Keys(from.acks)) {
		if ack, has := from.acks[id][t.ordinal]; has {
			ack.Attempt = t.a.number()
			t.sayAck(ack, from.kinds[id])
		}
	}
	for _, id := range slices.Sorted(maps.Keys(from.declines)) {
		if d, has := from.declines[id][t.ordinal]; has {
			d.Attempt = t.a.number()
			t.sayDecline(d, from.kinds[id])
		}
	}
}

// find returns the attempt's task of an ordinal; nil when there is none, or no attempt.
func (a *attempt) find(ordinal int) *task {
	if a == nil {
		return nil
	}
	return a.task(ordinal)
}

// mayGoOn reports whether the task can go on into another attempt.
func (t *task) mayGoOn() bool {
	return t.started && (t.last.Status == checkpoint.SubtaskFinished || !t.ended() && !t.ending)
}

// lost is what stands for a subtask of which nothing can go on; was is what there is instead, or nil.
func (a *attempt) lost(ordinal int, k checkpoint.KeptSubtask, was *task) *task {
	t := &task{
		a: a, w: a.n.w, ordinal: ordinal, id: k.Subtask, deployed: k.Since, ending: true,
		last: checkpoint.SubtaskReport{Subtask: k.Subtask, Status: checkpoint.SubtaskFailed, Failure: checkpoint.Failure{
			Message: "it cannot go on", Secondary: true,
		}},
	}
	if was != nil && was.deployed == k.Since && was.last.Status == checkpoint.SubtaskFailed {
		t.last = was.last
	}
	t.w.check.status(t)
	return t
}

// settle tells a task that goes on what has become of the checkpoints of earlier attempts.
func (t *task) settle(m checkpoint.Deploy, heard book) {
	if m.Restore > t.restore {
		t.notifyComplete(m.Restore)
	}
	unheard := slices.Clone(m.Aborted)
	for id := range heard.acks {
		unheard = append(unheard, id)
	}
	slices.Sort(unheard)
	for _, id := range slices.Compact(unheard) {
		if id != m.Restore && id <= m.Settled {
			t.notifyAborted(id)
		}
	}
}

// cancelTasks stops some tasks of an attempt, a moment later. The others go on.
func (n *node) cancelTasks(m checkpoint.CancelTasks) {
	j := n.jobs[m.Job]
	if j == nil || j.current == nil || j.current.number() > m.Attempt {
		return
	}
	for _, s := range m.Subtasks {
		if t := j.current.task(j.current.deploy.Topology.Ordinal(s)); t != nil && !t.ending && !t.ended() {
			t.ending = true
			n.after(n.w.between(0, stopTime), t.stopped)
		}
	}
}

// stopped is the end of a task that was cancelled.
func (t *task) stopped() {
	if !t.ended() {
		t.report(checkpoint.SubtaskReport{Status: checkpoint.SubtaskCanceled})
		t.breakChannels()
	}
}
