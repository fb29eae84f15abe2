package sim

import (
	"cairn/checkpoint"
	"cairn/coordinator"
	"cairn/fsm"
)

// act decides and executes until nothing is left to do, or until it has to wait for proposals; their outcome
// goes on with the next round.
func (l *leaderLoop) act(round int) {
	for ; round < maxRounds && !l.ended; round++ {
		l.view.SetJobs(l.c.raft.state.SortedJobs())
		actions := coordinator.Decide(l.view, l.c.clock())
		if len(actions) == 0 || !l.execute(actions, round) {
			break
		}
	}
	if !l.waiting && len(l.inbox) > 0 {
		l.wake()
	}
}

// execute proposes what is to be proposed and does the rest meanwhile. It reports whether the next round can
// follow at once.
func (l *leaderLoop) execute(actions []coordinator.Action, round int) bool {
	var commands []fsm.Command
	for _, a := range actions {
		if p, ok := a.(coordinator.Propose); ok {
			l.w.trace.add(l.w.now, "%s term %d: %s", l.c.id, l.term, p)
			l.w.check.proposing(l, p.Command)
			commands = append(commands, l.spoilStart(p.Command))
		}
	}
	taken := true
	if len(commands) > 0 {
		taken = l.c.raft.propose(commands, func(responses []fsm.Response, ok bool) { l.resume(commands, responses, ok, round) })
		l.waiting = taken
		l.spoilProposals(commands)
		for _, c := range commands {
			l.w.moment(Moment{Kind: Proposed, Coordinator: l.c.id, Command: c})
		}
	}
	for _, a := range actions {
		if l.ended {
			return false
		}
		l.perform(a)
	}
	return len(commands) == 0
}

// resume goes on when the outcome of a round's proposals is known, or known to be unknown: then the leadership
// ends, and nothing is concluded (I8).
func (l *leaderLoop) resume(commands []fsm.Command, responses []fsm.Response, ok bool, round int) {
	l.waiting = false
	if l.ended {
		return
	}
	if !ok {
		l.w.trace.add(l.w.now, "%s term %d: unknown outcome", l.c.id, l.term)
		l.w.stats.UnknownOutcomes++
		l.w.check.unknown(l)
		if !l.spoilUnknown(commands) {
			l.c.stopLeading()
		}
		return
	}
	l.view.SetJobs(l.c.raft.state.SortedJobs())
	for i, c := range commands {
		l.proposed(c, responses[i])
	}
	l.act(round + 1)
}

func (l *leaderLoop) proposed(c fsm.Command, r fsm.Response) {
	if r.Err != nil {
		l.view.OnRejected(c, r.Err)
		return
	}
	l.view.OnProposed(c, r.Result, l.c.clock())
	if start, ok := c.(fsm.StartAttempt); ok {
		l.cancelAnyway(start)
	}
}

func (l *leaderLoop) perform(a coordinator.Action) {
	switch a := a.(type) {
	case coordinator.Send:
		l.send(a.Node, a.Message)
	case coordinator.WriteManifest:
		l.writeManifest(a.Manifest)
	case coordinator.WriteDetail:
		l.view.OnDetailWriting(a)
		l.post(func() { l.view.OnDetailWritten(a.Job, a.Checkpoint, fsm.Detail{}) })
	case coordinator.LoadManifest:
		l.loadManifest(a)
	case coordinator.AskPlan:
		l.askPlan(a)
	case coordinator.Refuse:
		l.view.OnRefused(a)
	case coordinator.AdvanceSweep:
		l.advanceSweep(a)
	case coordinator.ListHoldings:
		l.listHoldings()
	case coordinator.PlanSweep:
		l.planSweep()
	case coordinator.ConfirmLeadership:
		l.confirmLeadership(a)
	}
}

// askPlan asks a node for its graph of a job.
func (l *leaderLoop) askPlan(a coordinator.AskPlan) {
	l.plans++
	l.view.OnPlanAsked(a, l.plans, l.c.clock())
	l.send(a.Node, checkpoint.PlanJob{Term: l.term, Request: l.plans, Program: a.Program, Params: a.Params})
}

func (l *leaderLoop) send(id checkpoint.NodeID, m checkpoint.ToNode) {
	s := l.sessions[id]
	if s == nil || !s.coordinatorOpen {
		return
	}
	if leading, ok := m.(checkpoint.Leading); ok {
		leading.Leader = l.c.id
		m = leading
	}
	if l.swallows(m) {
		l.view.OnSent(id, m)
		return
	}
	l.w.trace.add(l.w.now, "%s term %d -> %s: %s", l.c.id, l.term, id, m)
	l.w.check.sent(l, m)
	s.toNode(m)
	l.view.OnSent(id, m)
	l.w.moment(Moment{Kind: Sent, Coordinator: l.c.id, Node: id, Message: m})
}
