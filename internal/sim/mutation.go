package sim

import (
	"slices"
	"time"

	"cairn/checkpoint"
	"cairn/coordinator"
	"cairn/fsm"
)

// Mutation is a way in which a coordinator or a node is broken on purpose, to see that the checker notices.
type Mutation string

// The mutations. Sound is none.
const (
	Sound Mutation = ""
	// AllocatesOutsideTheLog triggers the next ID before the entry that hands it out is committed.
	AllocatesOutsideTheLog Mutation = "allocates IDs outside the log"
	// AbortsOutsideTheLog tells nodes of an abort before it is committed.
	AbortsOutsideTheLog Mutation = "aborts outside the log"
	// NotifiesBeforeCommit tells nodes of a completion when it is proposed.
	NotifiesBeforeCommit Mutation = "notifies before the commit"
	// NotifiesSomeNodes loses notifications and takes them for sent.
	NotifiesSomeNodes Mutation = "notifies only some nodes"
	// NotifiesOwnOnly makes a new leader leave alone what was completed before its term.
	NotifiesOwnOnly Mutation = "notifies only what its own term completed"
	// TrustsUnknownOutcomes takes a proposal whose outcome is unknown for committed.
	TrustsUnknownOutcomes Mutation = "trusts unknown outcomes"
	// LeadsWithoutBarrier leads before everything of earlier terms has been applied.
	LeadsWithoutBarrier Mutation = "leads without a barrier"
	// CountsAcksOfAnyAttempt takes an ack of an older attempt for one of the current.
	CountsAcksOfAnyAttempt Mutation = "counts acks of any attempt"
	// CountsAcksTwice takes a repeated ack for that of another subtask.
	CountsAcksTwice Mutation = "counts acks twice"
	// BelievesAnyAttempt takes a status of an older attempt for one of the current.
	BelievesAnyAttempt Mutation = "believes statuses of any attempt"
	// CommitsAlone makes a leader commit without a majority.
	CommitsAlone Mutation = "commits without a majority"
	// ForgetsItsLog makes a coordinator start with an empty disk.
	ForgetsItsLog Mutation = "forgets its log when it restarts"
	// StampsWhenApplying makes each replica read its own clock while it applies an entry.
	StampsWhenApplying Mutation = "stamps times when applying"
	// NodeIgnoresTerms makes nodes obey deposed leaders.
	NodeIgnoresTerms Mutation = "node ignores terms"
	// IgnoresAttempts makes channels take what tasks of older attempts still send.
	IgnoresAttempts Mutation = "channels ignore attempts"
	// ForgetsAcks leaves the unresolved acks out of reports.
	ForgetsAcks Mutation = "node forgets acks"
	// TrimsTooMuch makes a leader leave fewer copies than there should be.
	TrimsTooMuch Mutation = "trims too much"
	// DeletesWhatWasKept makes nodes delete what they were asked to keep after the mark.
	DeletesWhatWasKept Mutation = "deletes what was asked for after the mark"
	// SweepsWithoutWaiting plans a sweep while checkpoints are pending that began before the marks.
	SweepsWithoutWaiting Mutation = "sweeps without waiting for pending checkpoints"
	// SweepsWhatIsShared deletes the chunks of old checkpoints that newer ones name too.
	SweepsWhatIsShared Mutation = "sweeps what is shared"
	// SweepsUnconfirmed deletes without a proof that nobody else leads.
	SweepsUnconfirmed Mutation = "sweeps without confirming the leadership"
	// SharesWithTheSource makes tasks share chunks with a checkpoint that belongs to somebody else.
	SharesWithTheSource Mutation = "shares chunks with a source that it has not claimed"
	// TakesSavepointsForCheckpoints makes a savepoint an entry of the log that newer ones subsume.
	TakesSavepointsForCheckpoints Mutation = "takes savepoints for checkpoints"
	// SubsumesSavepoints gives a pending savepoint up when a newer checkpoint completes.
	SubsumesSavepoints Mutation = "subsumes savepoints"
	// ReusesIDs lets a job that was submitted from a checkpoint count from 1 again.
	ReusesIDs Mutation = "reuses IDs after a restore"
	// TakesOverAnyExecution makes nodes go on with what runs of a subtask that is to be restarted, also where they were
	// told to stop it.
	TakesOverAnyExecution Mutation = "node takes over any execution"
	// AcceptsAcksOfAborted makes what goes on acknowledge checkpoints that failed with an earlier attempt, and leaders take
	// that for the checkpoint of the moment.
	AcceptsAcksOfAborted Mutation = "accepts acks of aborted checkpoints"
	// KeepsEverything makes a leader keep subtasks that have failed or are lost.
	KeepsEverything Mutation = "keeps what is lost"
	// CancelsWhatGoesOn makes a leader cancel an earlier attempt in which subtasks go on.
	CancelsWhatGoesOn Mutation = "cancels what goes on"
	// KeepsItsIncarnation makes a restarted node pass for the process that died.
	KeepsItsIncarnation Mutation = "restarted node keeps its incarnation"
)

func (w *World) broken(m Mutation) bool { return w.cfg.Mutation == m && m != Sound }

// spoilProposals says to nodes at once what is true only when the proposals are committed.
func (l *leaderLoop) spoilProposals(commands []fsm.Command) {
	for _, c := range commands {
		switch c := c.(type) {
		case fsm.BeginCheckpoint:
			if j := l.c.raft.state.Jobs[c.Job]; j != nil && l.w.broken(AllocatesOutsideTheLog) {
				l.sendAll(j, checkpoint.Trigger{
					Term: l.term, Job: c.Job, Attempt: c.Attempt,
					Barrier: checkpoint.Barrier{ID: j.LastID + 1, Timestamp: c.At, Kind: c.Kind, Mode: j.Config.Mode},
				})
			}
		case fsm.AbortCheckpoint:
			if j := l.c.raft.state.Jobs[c.Job]; j != nil && l.w.broken(AbortsOutsideTheLog) {
				l.sendAll(j, checkpoint.NotifyAborted{Term: l.term, Job: c.Job, Attempt: c.Attempt, Checkpoint: c.Checkpoint})
			}
		case fsm.CompleteCheckpoint:
			if l.w.broken(NotifiesBeforeCommit) {
				l.notifyAnyway(c)
			}
		}
	}
}

// spoilUnknown reports whether the leader goes on although an outcome is unknown.
func (l *leaderLoop) spoilUnknown(commands []fsm.Command) bool {
	if !l.w.broken(TrustsUnknownOutcomes) {
		return false
	}
	for _, c := range commands {
		if complete, ok := c.(fsm.CompleteCheckpoint); ok {
			l.notifyAnyway(complete)
		}
	}
	return true
}

// spoilKept makes a node keep whatever runs of the subtasks that it is to restart.
func spoilKept(m checkpoint.Deploy, before *attempt) checkpoint.Deploy {
	if before == nil {
		return m
	}
	for _, t := range before.tasks {
		if kept := (checkpoint.KeptSubtask{Subtask: t.id, Since: t.deployed}); t.mayGoOn() && !slices.Contains(m.Kept, kept) {
			m.Kept = append(slices.Clone(m.Kept), kept)
		}
	}
	return m
}

// uploadTime is how long a task takes to get at its snapshot's bytes.
func (w *World) uploadTime() time.Duration {
	if w.broken(AcceptsAcksOfAborted) {
		return w.between(time.Millisecond, 400*time.Millisecond) // into the next attempt
	}
	return w.between(time.Millisecond, 60*time.Millisecond)
}

// spoilNode reports whether a node does not do as it is told, while a job waits for its next attempt.
func (n *node) spoilNode(m checkpoint.ToNode, by Mutation) bool {
	job, _ := attemptOf(m)
	j := n.w.check.state.Jobs[job]
	return j != nil && j.Status == fsm.JobRestarting && n.w.broken(by)
}

// spoilStart makes a leader keep all subtasks, where that is not refused at once.
func (l *leaderLoop) spoilStart(c fsm.Command) fsm.Command {
	start, ok := c.(fsm.StartAttempt)
	if !ok || !l.w.broken(KeepsEverything) {
		return c
	}
	j := l.c.raft.state.Jobs[start.Job]
	if j == nil || !j.MayKeep() {
		return c
	}
	start.Assignment, start.Kept = j.Assignment, nil
	for ordinal := range j.Assignment.NodeOf {
		start.Kept = append(start.Kept, ordinal)
	}
	return start
}

// cancelAnyway cancels the attempts before one in which something goes on.
func (l *leaderLoop) cancelAnyway(c fsm.StartAttempt) {
	if j := l.c.raft.state.Jobs[c.Job]; j != nil && len(c.Kept) > 0 && l.w.broken(CancelsWhatGoesOn) {
		l.sendAll(j, checkpoint.CancelAttempt{Term: l.term, Job: c.Job, Attempt: c.Attempt - 1})
	}
}

func (l *leaderLoop) notifyAnyway(c fsm.CompleteCheckpoint) {
	if j := l.c.raft.state.Jobs[c.Job]; j != nil {
		l.sendAll(j, checkpoint.NotifyComplete{Term: l.term, Job: c.Job, Attempt: c.Attempt, Checkpoint: c.Checkpoint})
	}
}

func (l *leaderLoop) sendAll(j *fsm.Job, m checkpoint.ToNode) {
	for _, ref := range j.Assignment.Nodes {
		l.perform(coordinator.Send{Node: ref.ID, Message: m})
	}
}

// swallows reports whether a message is taken for sent without having been.
func (l *leaderLoop) swallows(m checkpoint.ToNode) bool {
	n, ok := m.(checkpoint.NotifyComplete)
	if !ok {
		return false
	}
	switch {
	case l.w.broken(NotifiesOwnOnly):
		return l.w.check.decidedBefore(n.Job, n.Checkpoint, l.term)
	case l.w.broken(NotifiesSomeNodes):
		return l.w.chance(0.5)
	}
	return false
}

func (l *leaderLoop) spoilReport(r checkpoint.Report) checkpoint.Report {
	for i, a := range r.Attempts {
		j := l.c.raft.state.Jobs[a.Job]
		if j == nil {
			continue
		}
		if l.w.broken(BelievesAnyAttempt) {
			r.Attempts[i].Attempt = j.Attempt
		}
		for k, ack := range a.Acks {
			r.Attempts[i].Acks[k] = l.spoilAck(ack)
		}
	}
	return r
}

func (l *leaderLoop) spoilStatus(m checkpoint.StatusChange) checkpoint.StatusChange {
	if j := l.c.raft.state.Jobs[m.Job]; j != nil && l.w.broken(BelievesAnyAttempt) {
		m.Attempt = j.Attempt
	}
	return m
}

func (l *leaderLoop) spoilAck(ack checkpoint.Ack) checkpoint.Ack {
	j := l.c.raft.state.Jobs[ack.Job]
	if j == nil || len(j.Pending) == 0 {
		return ack
	}
	earlier := l.w.check.begun[checkpointKey{ack.Job, ack.Checkpoint}].attempt < j.Attempt
	switch newest := j.Pending[len(j.Pending)-1]; {
	case l.w.broken(AcceptsAcksOfAborted) && earlier && ack.Attempt == j.Attempt:
		ack.Checkpoint = newest.ID
	case l.w.broken(CountsAcksOfAnyAttempt):
		ack.Attempt, ack.Checkpoint = newest.Attempt, newest.ID
	case l.w.broken(CountsAcksTwice) && l.w.chance(0.2):
		// For that of a neighbour on the same node: one that the gate lets through.
		for ordinal, s := range j.Topology.Subtasks() {
			if s != ack.State.Subtask && j.Assignment.Node(ordinal) == j.Assignment.Node(j.Topology.Ordinal(ack.State.Subtask)) {
				ack.State.Subtask = s
				return ack
			}
		}
	}
	return ack
}
