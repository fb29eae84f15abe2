package fsm

import (
	"fmt"
	"slices"

	"cairn/checkpoint"
)

// trimLog moves the oldest entries of the log that are beyond Config.Retain to the discard list, and returns
// their IDs.
func (j *Job) trimLog() []checkpoint.ID {
	beyond := len(j.Completed) - j.Config.Retain
	if beyond <= 0 {
		return nil
	}
	left := j.Completed[:beyond]
	j.Completed = j.Completed[beyond:]
	j.discard(left...)
	ids := make([]checkpoint.ID, len(left))
	for i := range left {
		ids[i] = left[i].ID
	}
	return ids
}

// discard puts checkpoints that have left the log on the discard list. Their chunks are deleted later, and
// FinishDiscards says when that is done: a leader that dies in between leaves the list to the next one.
func (j *Job) discard(left ...Completed) {
	j.Discards = appended(j.Discards)
	for _, c := range left {
		j.Discards = append(j.Discards, Discard{ID: c.ID, Manifest: c.Manifest})
	}
}

// finishDiscards ignores what is not on the list (any more): the command is repeated when its outcome was unknown.
// What a job depends on stays on the list even so (I5).
func (s *State) finishDiscards(c FinishDiscards) error {
	j, err := s.draft(c.Job)
	if err != nil {
		return err
	}
	free := s.Discardable(c.Job)
	j.Discards = without(j.Discards, func(d Discard) bool {
		return slices.Contains(c.Checkpoints, d.ID) && slices.Contains(free, d)
	})
	s.put(j)
	s.forgetEnded()
	return nil
}

func (s *State) disposeSavepoint(c DisposeSavepoint) error {
	j, err := s.draft(c.Job)
	if imported, ok := s.ImportByID(c.Job, c.Savepoint); ok && (err != nil || !j.hasSavepoint(c.Savepoint)) {
		return s.disposeImport(imported)
	}
	if err != nil {
		return err
	}
	savepoint, ok := j.SavepointByID(c.Savepoint)
	if !ok {
		return fmt.Errorf("%w: job %s has no savepoint %d", ErrUnknownCheckpoint, c.Job, c.Savepoint)
	}
	if why := s.inUse(c.Job, c.Savepoint); why != "" {
		return fmt.Errorf("%w: savepoint %d of job %s: %s", ErrInUse, c.Savepoint, c.Job, why)
	}
	j.Savepoints = without(j.Savepoints, func(e Completed) bool { return e.ID == c.Savepoint })
	j.discard(savepoint)
	s.put(j)
	return nil
}
