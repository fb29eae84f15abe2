package sim

import (
	"bytes"
	"maps"
	"slices"

	"cairn/checkpoint"
)

func sortedJobs[V any](m map[checkpoint.JobID]V) []checkpoint.JobID {
	return slices.SortedFunc(maps.Keys(m), func(a, b checkpoint.JobID) int { return bytes.Compare(a[:], b[:]) })
}

// receive takes in a message of a coordinator. The checker looks over its shoulder: what is stale must change
// nothing (I6).
func (n *node) receive(s *session, m checkpoint.ToNode) {
	stale := n.w.check.stale(n, m)
	var before string
	if stale {
		before = n.fingerprint()
	}
	admitted := n.fence.admits(s, m)
	if admitted || n.w.broken(NodeIgnoresTerms) {
		n.handle(s, m)
	}
	if stale && n.fingerprint() != before {
		n.w.violate(I6, "%s acted on the stale message %s of term %d", n.ref.ID, m, m.LeaderTerm())
	}
	n.w.moment(Moment{Kind: Received, Node: n.ref.ID, Message: m, Refused: !admitted})
}

func (n *node) handle(s *session, m checkpoint.ToNode) {
	switch m := m.(type) {
	case checkpoint.Leading:
		n.leaderless++
		n.outbox = s
		n.report(m.Term)
	case checkpoint.PlanJob:
		n.plan(s, m)
	case checkpoint.Deploy:
		n.deploy(m)
	case checkpoint.CancelAttempt:
		if !n.spoilNode(m, TakesOverAnyExecution) {
			n.cancelAttempt(m)
		}
	case checkpoint.CancelTasks:
		if !n.spoilNode(m, TakesOverAnyExecution) {
			n.cancelTasks(m)
		}
	case checkpoint.Trigger:
		if a := n.current(m.Job, m.Attempt); a != nil {
			a.trigger(m)
		}
	case checkpoint.MarkChunks:
		n.mark(m)
	case checkpoint.DeleteChunks:
		n.remove(m)
	case checkpoint.NotifyComplete:
		if a := n.current(m.Job, m.Attempt); a != nil {
			a.completed(m)
		}
	case checkpoint.NotifyAborted:
		if a := n.current(m.Job, m.Attempt); a != nil && !n.spoilNode(m, AcceptsAcksOfAborted) {
			a.book.settle(m.Checkpoint)
			a.eachTask(func(t *task) { t.notifyAborted(m.Checkpoint) })
		}
	}
}

// completed passes a completion on. Nothing is published for a savepoint that the job goes on after.
func (a *attempt) completed(m checkpoint.NotifyComplete) {
	if m.Kind == checkpoint.KindSavepoint {
		a.book.settle(m.Checkpoint)
	} else {
		a.book.complete(m.Checkpoint)
	}
	if m.Kind == checkpoint.KindSavepoint && m.Stop == checkpoint.StopNone {
		return
	}
	a.eachTask(func(t *task) { t.notifyComplete(m.Checkpoint) })
}

// report answers a leader with everything that is in memory, unresolved acks and declines included.
func (n *node) report(term checkpoint.Term) {
	report := checkpoint.Report{Term: term}
	var declines []checkpoint.Decline
	n.eachAttempt(func(a *attempt) {
		r := checkpoint.AttemptReport{Job: a.deploy.Job, Attempt: a.number(), Subtasks: a.reports()}
		if !n.w.broken(ForgetsAcks) {
			r.Acks = unresolved(a.book.acks)
		}
		report.Attempts = append(report.Attempts, r)
		declines = append(declines, unresolved(a.book.declines)...)
	})
	n.tell(report)
	n.inventory()
	for _, d := range declines {
		n.tell(d)
	}
}

// plan answers with the graph of a job, when it has been built.
func (n *node) plan(s *session, m checkpoint.PlanJob) {
	answer := checkpoint.JobPlanned{Request: m.Request, Error: "no such job"}
	for _, c := range n.w.clients {
		if c.params()["job"] == m.Params["job"] {
			answer = checkpoint.JobPlanned{Request: m.Request, Topology: c.job.Topology, Fingerprint: fingerprint}
		}
	}
	n.after(n.w.between(0, longestBuild), func() {
		if n.outbox == s && m.Term == n.fence.term {
			s.toCoordinator(answer)
		}
	})
}

// deploy starts an attempt, when everything of the one before it has ended.
func (n *node) deploy(m checkpoint.Deploy) {
	if !m.Assignment.Has(n.ref.ID, n.ref.Incarnation) {
		return
	}
	j := n.job(m.Job)
	if m.Attempt <= j.seen {
		return
	}
	before, previous := j.current, j.last
	if n.w.broken(TakesOverAnyExecution) {
		m = spoilKept(m, before)
	}
	a := newAttempt(n, m)
	j.seen, j.deployed = m.Attempt, max(j.deployed, m.Attempt)
	j.current, j.last = a, a
	a.takeOver(before)
	if before != nil {
		before.cancel()
	}
	a.startAfter(previous)
}

func (n *node) cancelAttempt(m checkpoint.CancelAttempt) {
	j := n.job(m.Job)
	if j.current != nil && j.current.number() > m.Attempt {
		return
	}
	n.w.check.cancels(n, m)
	j.seen = max(j.seen, m.Attempt)
	if a := j.current; a != nil {
		a.forget = true
		a.cancel()
		if a.over {
			j.current = nil
		}
	}
}
