package fsm

import (
	"fmt"

	"cairn/checkpoint"
)

func (s *State) giveUpCheckpoint(c GiveUpCheckpoint) error {
	j, err := s.living(c.Job)
	if err != nil {
		return err
	}
	if err := j.mayGiveUp(c.Checkpoint); err != nil {
		return fmt.Errorf("job %s: giving up checkpoint %d: %w", c.Job, c.Checkpoint, err)
	}
	last := len(j.Completed) - 1
	given, older := j.Completed[last], j.Completed[last-1]
	j.Completed = j.Completed[:last:last]
	j.discard(given)
	j.GivenUp = appended(j.GivenUp, GivenUp{ID: given.ID, Cause: clip(c.Cause), Term: c.Term, At: c.At})
	if beyond := len(j.GivenUp) - MaxGivenUp; beyond > 0 {
		j.GivenUp = j.GivenUp[beyond:]
	}
	j.Failure = clip(fmt.Sprintf("checkpoint %d was given up: %s", given.ID, c.Cause))
	j.Global = true // what went on is ahead of the older checkpoint
	if !older.Aligned && older.Kind != checkpoint.KindSavepoint {
		j.Next = nil // it may hold records in flight, which fit the shape that they were in flight in
	}
	s.put(j)
	return nil
}

// mayGiveUp says what keeps a checkpoint from being given up.
func (j *Job) mayGiveUp(id checkpoint.ID) error {
	latest, _ := j.LatestCompleted()
	switch {
	case j.Status != JobRestarting:
		return fmt.Errorf("%w: it is %s", ErrWrongStatus, j.Status)
	case !j.Config.RestoreFallback:
		return ErrFallback
	case latest.ID != id:
		return fmt.Errorf("%w: the newest is %d", ErrUnknownCheckpoint, latest.ID)
	case len(j.Completed) < 2:
		return fmt.Errorf("%w: there is none before it", ErrUnknownCheckpoint)
	}
	for _, savepoint := range j.Savepoints {
		if savepoint.Stop != checkpoint.StopNone && savepoint.ID > id {
			return fmt.Errorf("%w: the job would restart from savepoint %d", ErrUnknownCheckpoint, savepoint.ID)
		}
	}
	return nil
}
