package coordinator

import (
	"cairn/checkpoint"
	"cairn/fsm"
)

// notify sends the newest completion of the attempt whose side effects are to be published to every assigned node whose
// session has not been sent it (I4), also when the attempt or the job is not to go on. It is derived from the committed
// state, so nothing is notified before it is committed (I3), and a new leader notifies again what an old one may not
// have.
func (d *decision) notify(j *fsm.Job, s *jobView) {
	c := &s.facts.committed
	if c.ID == 0 {
		return
	}
	for _, ref := range j.Assignment.Nodes {
		n := d.view.nodes[ref.ID]
		if n == nil || !n.reported || n.ref.Incarnation != ref.Incarnation || n.notified[j.ID] >= c.ID ||
			!n.holds[attemptKey{j.ID, j.Attempt}] {
			continue
		}
		d.send(ref.ID, checkpoint.NotifyComplete{
			Term: d.view.Term, Job: j.ID, Attempt: j.Attempt, Checkpoint: c.ID, Kind: c.Kind, Stop: c.Stop,
			Subsumed: s.facts.subsumed,
		})
	}
}

// notifyOutcomes tells the nodes of the attempt about checkpoints that failed, so that they release what
// they hold for them, and about savepoints that completed while the job goes on.
func (d *decision) notifyOutcomes(j *fsm.Job, s *jobView) {
	if len(s.notices) == 0 {
		return
	}
	var latest checkpoint.ID
	if c := latestCompleted(j); c != nil {
		latest = c.ID
	}
	for _, o := range s.notices {
		switch n := d.view.nodes[o.node]; {
		case n == nil || !n.connected:
		case o.completed:
			d.send(o.node, checkpoint.NotifyComplete{
				Term: d.view.Term, Job: j.ID, Attempt: j.Attempt, Checkpoint: o.checkpoint, Kind: checkpoint.KindSavepoint,
			})
		default:
			d.send(o.node, checkpoint.NotifyAborted{
				Term: d.view.Term, Job: j.ID, Attempt: j.Attempt, Checkpoint: o.checkpoint, LatestCompleted: latest,
			})
		}
	}
}

// settles reports whether telling a node of the committed completion settles its acks of the checkpoint too.
func (f *facts) settles(kind checkpoint.Kind, id checkpoint.ID) bool {
	if id == f.committed.ID {
		return true
	}
	return f.committed.Kind == checkpoint.KindCheckpoint && kind == checkpoint.KindCheckpoint && id < f.committed.ID
}

// outcomeNotice returns what a node has to be told that still holds an ack of a checkpoint with an outcome, which
// another leader may have decided, and reports whether there is anything beside the newest completion.
func (s *jobView) outcomeNotice(j *fsm.Job, id checkpoint.ID) (completed, needed bool) {
	if id == s.facts.committed.ID {
		return false, false
	}
	if c := completedAs(j, id); c != nil && c.Kind == checkpoint.KindSavepoint {
		return true, true
	}
	for i := len(j.History) - 1; i >= 0; i-- {
		if o := &j.History[i]; o.ID == id {
			return o.Status == fsm.OutcomeCompleted, !s.facts.settles(o.Kind, id)
		}
	}
	return false, id > s.facts.committed.ID // older ones are settled by the newest completion
}
