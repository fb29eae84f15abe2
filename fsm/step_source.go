package fsm

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"cairn/checkpoint"
)

// validate says what is wrong with the source of the given job by itself.
func (c Source) validate(of checkpoint.JobID) error {
	switch {
	case c == Source{}:
		return nil
	case c.IsZero():
		return errors.New("its source names no manifest")
	case c.Manifest.Size < 0:
		return fmt.Errorf("its source has a manifest of %d bytes", c.Manifest.Size)
	case c.Job.IsZero() || c.Job == of:
		return fmt.Errorf("its source is of job %s: it must be of another job", c.Job)
	case c.Checkpoint == 0 || c.Checkpoint > math.MaxInt64: // the counter goes on from it
		return fmt.Errorf("its source is checkpoint %d of job %s: no checkpoint has that ID", c.Checkpoint, c.Job)
	case c.Kind != checkpoint.KindCheckpoint && c.Kind != checkpoint.KindSavepoint:
		return fmt.Errorf("its source is a %s", c.Kind)
	}
	return nil
}

// take gives a new job its source, and returns the draft of the job that owned it where that has lost it.
func (s *State) take(j *Job) (owner *Job, err error) {
	source := j.Source
	if source.IsZero() {
		return nil, nil
	}
	j.FirstID, j.LastID = source.Checkpoint, source.Checkpoint // so that the next ID is larger (L1)
	entry, owner, err := s.find(source)
	if err != nil || !source.Claim {
		return nil, err
	}
	if owner != nil && owner.restartsFrom(entry) {
		return nil, fmt.Errorf("%w: savepoint %d: job %s has not ended, and would restart from it", ErrInUse, entry.ID, owner.ID)
	}
	if err := s.mayClaim(source, owner); err != nil {
		return nil, err
	}
	// It is not an attempt of the new job that took it: nobody is to be told of its completion.
	entry.Attempt, entry.Stop = 0, checkpoint.StopNone
	j.Completed = []Completed{entry}
	if owner != nil {
		taken := func(c Completed) bool { return c.ID == source.Checkpoint }
		owner.Completed, owner.Savepoints = without(owner.Completed, taken), without(owner.Savepoints, taken)
	}
	return owner, nil
}

// find returns the checkpoint or savepoint that a source names, and a draft of the job that owns it: nil for an
// imported one, of which no more is known than the source says.
func (s *State) find(source Source) (Completed, *Job, error) {
	owner, err := s.draft(source.Job)
	if errors.Is(err, ErrUnknownJob) {
		imported := Completed{ID: source.Checkpoint, Kind: source.Kind, Manifest: source.Manifest}
		return imported, nil, nil
	}
	among := owner.Completed
	if source.Kind == checkpoint.KindSavepoint {
		among = owner.Savepoints
	}
	i := slices.IndexFunc(among, func(c Completed) bool { return c.ID == source.Checkpoint })
	switch {
	case i < 0:
		return Completed{}, nil, fmt.Errorf("%w: job %s has no %s %d", ErrUnknownCheckpoint, owner.ID, source.Kind, source.Checkpoint)
	case among[i].Manifest != source.Manifest:
		return Completed{}, nil, fmt.Errorf("%w: %s %d of job %s has the manifest %s, not %s",
			ErrUnknownCheckpoint, source.Kind, source.Checkpoint, owner.ID, among[i].Manifest.ID, source.Manifest.ID)
	}
	return among[i], owner, nil
}

// mayClaim says why a source cannot change hands. The checkpoints of a job that goes on are what it would restart
// from; its savepoints are the user's to give away.
func (s *State) mayClaim(source Source, owner *Job) error {
	if owner != nil && !owner.Status.Terminal() && source.Kind == checkpoint.KindCheckpoint {
		return fmt.Errorf("%w: checkpoint %d belongs to job %s, which is %s: claim it when that has ended, or take a savepoint",
			ErrWrongStatus, source.Checkpoint, owner.ID, owner.Status)
	}
	if holders := HoldsOf(s.SortedJobs())[source.Manifest.ID]; len(holders) > 0 {
		return fmt.Errorf("%w: %s %d of job %s: job %s was submitted from it and has not completed a checkpoint of its own",
			ErrInUse, source.Kind, source.Checkpoint, source.Job, holders[0])
	}
	if owner != nil {
		return nil
	}
	for _, j := range s.SortedJobs() {
		if j.names(source.Manifest.ID) {
			return fmt.Errorf("%w: imported %s %d of job %s: job %s owns it",
				ErrInUse, source.Kind, source.Checkpoint, source.Job, j.ID)
		}
	}
	return nil
}

// names reports whether the job keeps the checkpoint with that manifest.
func (j *Job) names(manifest checkpoint.ChunkID) bool {
	is := func(c Completed) bool { return c.Manifest.ID == manifest }
	return slices.ContainsFunc(j.Completed, is) || slices.ContainsFunc(j.Savepoints, is)
}
