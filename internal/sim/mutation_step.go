package sim

import (
	"slices"

	"cairn/checkpoint"
	"cairn/fsm"
)

// apply applies a command to a state, as all replicas of a broken cluster would: they agree with each other, and the
// checker has to see from the commands that what they agree on is wrong.
func (w *World) apply(s *fsm.State, index uint64, c fsm.Command) (fsm.Result, error) {
	if begin, ok := c.(fsm.BeginCheckpoint); ok && w.broken(TakesSavepointsForCheckpoints) {
		begin.Kind, begin.Stop = checkpoint.KindCheckpoint, checkpoint.StopNone
		c = begin
	}
	r, err := s.Step(index, c)
	if err != nil {
		return r, err
	}
	switch c := c.(type) {
	case fsm.SubmitJob:
		if !c.Source.IsZero() && w.broken(ReusesIDs) {
			j := *s.Jobs[c.Job]
			j.FirstID, j.LastID = 0, 0
			s.Jobs[c.Job] = &j
		}
	case fsm.CompleteCheckpoint:
		if w.broken(SubsumesSavepoints) {
			r.Aborted = append(r.Aborted, subsumeSavepoints(s, c)...)
		}
	}
	return r, nil
}

func subsumeSavepoints(s *fsm.State, c fsm.CompleteCheckpoint) []checkpoint.ID {
	j := *s.Jobs[c.Job]
	var aborted []checkpoint.ID
	j.Pending, j.History = slices.Clone(j.Pending), slices.Clone(j.History)
	j.Pending = slices.DeleteFunc(j.Pending, func(p fsm.Pending) bool {
		if p.ID > c.Checkpoint {
			return false
		}
		aborted = append(aborted, p.ID)
		j.Counters.Failed++
		j.History = append(j.History, fsm.Outcome{
			ID: p.ID, Attempt: p.Attempt, Kind: p.Kind, Status: fsm.OutcomeFailed, Stop: p.Stop,
			TriggeredAt: p.TriggeredAt, EndedAt: c.At, Reason: checkpoint.ReasonSubsumed, Term: c.Term, BeganTerm: p.BeganTerm,
		})
		return true
	})
	s.Jobs[c.Job] = &j
	return aborted
}
