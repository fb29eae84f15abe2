package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// maxRounds bounds how often the leader decides again at once. Each round's proposals change the state, so
// that a few rounds settle it; the rest waits for the next tick.
const maxRounds = 16

// errBusy says that the log did not take a proposal, which therefore surely has no effect: leadership is being
// handed over.
var errBusy = errors.New("the log takes no proposals while leadership is handed over")

// act decides and executes until nothing is left to do.
func (l *leader) act(ctx context.Context) error {
	for range maxRounds {
		l.refresh()
		actions := Decide(l.view, time.Now())
		if len(actions) == 0 {
			break
		}
		if err := l.execute(ctx, actions); errors.Is(err, errBusy) {
			break // decided again at the next tick
		} else if err != nil {
			return err
		}
	}
	l.answerTriggers()
	return nil
}

// execute starts all proposals of a round together, so that they share the log's round trips, and does the
// rest while they commit: everything else follows from state that is committed already.
func (l *leader) execute(ctx context.Context, actions []Action) error {
	var commands []fsm.Command
	for _, a := range actions {
		if p, ok := a.(Propose); ok {
			commands = append(commands, p.Command)
		}
	}
	during := func() {
		for _, a := range actions {
			l.perform(ctx, a)
		}
	}
	if len(commands) == 0 {
		during()
		return nil
	}
	responses, err := l.raft.propose(commands, during)
	if err != nil && !errors.Is(err, errBusy) {
		return err
	}
	l.refresh()
	for i, r := range responses {
		if !errors.Is(r.Err, errBusy) {
			l.proposed(commands[i], r)
		}
	}
	return err
}

func (l *leader) proposed(c fsm.Command, r fsm.Response) {
	if r.Err != nil {
		// Decided on a state that a command before it has changed; the next round sees the new one.
		l.log.Debug("proposal rejected", "command", fmt.Sprintf("%T", c), "cause", r.Err)
		l.view.OnRejected(c, r.Err)
		return
	}
	l.logCommand(c, r.Result)
	l.view.OnProposed(c, r.Result, time.Now())
}

// perform executes an action that is not a proposal.
func (l *leader) perform(ctx context.Context, a Action) {
	switch a := a.(type) {
	case Send:
		l.send(a.Node, a.Message)
	case WriteManifest:
		l.writeManifest(ctx, a)
	case WriteDetail:
		l.writeDetail(ctx, a)
	case LoadManifest:
		l.loadManifest(ctx, a)
	case AskPlan:
		l.askPlan(a)
	case Refuse:
		l.view.OnRefused(a)
	case AdvanceSweep:
		l.advanceSweep(a)
	case ListHoldings:
		l.listHoldings(ctx)
	case ListShared:
		l.listShared(a)
	case PlanSweep:
		l.planSweep(ctx)
	case ConfirmLeadership:
		l.confirmLeadership(ctx, a)
	}
}

func (l *leader) send(id checkpoint.NodeID, m checkpoint.ToNode) {
	o := l.sessions[id]
	if o == nil {
		return
	}
	if leading, ok := m.(checkpoint.Leading); ok {
		leading.Leader = l.id
		m = leading
	}
	if err := o.stream.Send(m); err != nil {
		l.log.Warn("sending failed; the session ends", "node", id, "message", m.String(), "cause", err)
		o.cancel()
		return
	}
	l.log.Debug("sent", "node", id, "message", m)
	l.view.OnSent(id, m)
}

// restartText says how much of a job that waits for its next attempt is to be restarted, as far as it is known.
func (l *leader) restartText(job checkpoint.JobID) string {
	j := l.view.byID[job]
	if j == nil {
		return ""
	}
	return (&decision{view: l.view, now: time.Now()}).restartText(j)
}

func (l *leader) logCommand(c fsm.Command, r fsm.Result) {
	switch c := c.(type) {
	case fsm.SubmitJob:
		l.log.Info("job submitted", "job", c.Job, "name", c.Name, "program", c.Program)
	case fsm.StartAttempt:
		l.log.Info("attempt started", "job", c.Job, "attempt", c.Attempt, "checkpoint", c.RestoreFrom,
			"deployed", len(c.Assignment.NodeOf)-len(c.Kept), "kept", len(c.Kept))
	case fsm.FailAttempt:
		l.log.Warn("attempt failed", "job", c.Job, "attempt", c.Attempt, "then", l.restartText(c.Job), "cause", c.Cause,
			"delay_ms", c.Restart.Delay)
	case fsm.RescaleJob:
		l.log.Info("attempt ended to change the parallelism", "job", c.Job, "attempt", c.Attempt, "checkpoint", c.Checkpoint)
	case fsm.MoveJob:
		l.log.Info("attempt ended to leave nodes", "job", c.Job, "attempt", c.Attempt, "checkpoint", c.Checkpoint, "cause", c.Cause)
	case fsm.DrainNode:
		l.log.Info("node drained", "node", c.Node)
	case fsm.UndrainNode:
		l.log.Info("node in service again", "node", c.Node)
	case fsm.GiveUpCheckpoint:
		l.log.Warn("checkpoint given up: the job goes back to the one before it", "job", c.Job, "checkpoint", c.Checkpoint, "cause", c.Cause)
	case fsm.EndJob:
		l.log.Info("job ended", "job", c.Job, "status", c.Status, "cause", c.Failure)
	case fsm.BeginCheckpoint:
		l.log.Debug("checkpoint begun", "job", c.Job, "checkpoint", r.Checkpoint)
	case fsm.CompleteCheckpoint:
		l.log.Debug("checkpoint completed", "job", c.Job, "checkpoint", c.Checkpoint, "bytes", c.Sizes.State)
	case fsm.AbortCheckpoint:
		l.log.Warn("checkpoint failed", "job", c.Job, "checkpoint", c.Checkpoint, "reason", c.Reason, "cause", c.Message)
	}
}
