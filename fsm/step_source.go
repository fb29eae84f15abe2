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

// take gives a new job its source, and returns the draft of the job that owned it where that has lost it. unregistered is
// SubmitJob's.
func (s *State) take(j *Job, unregistered bool) (owner *Job, err error) {
	source := j.Source
	if source.IsZero() {
		return nil, nil
	}
	j.FirstID, j.LastID = source.Checkpoint, source.Checkpoint // so that the next ID is larger (L1)
	entry, owner, err := s.find(source, unregistered)
	if err != nil || !source.Claim {
		return nil, err
	}
	if owner != nil || !unregistered {
		if err := s.mayClaim(source, owner); err != nil {
			return nil, err
		}
	}
	// It is not an attempt of the new job that took it: nobody is to be told of its completion.
	entry.Attempt, entry.Stop = 0, checkpoint.StopNone
	j.Completed = []Completed{entry}
	if owner != nil {
		taken := func(c Completed) bool { return c.ID == source.Checkpoint }
		owner.Completed, owner.Savepoints = without(owner.Completed, taken), without(owner.Savepoints, taken)
	} else {
		s.forgetImport(source.Manifest.ID)
	}
	return owner, nil
}

// find returns the checkpoint or savepoint that a source names, and a draft of the job that owns it: nil for one that was
// imported.
func (s *State) find(source Source, unregistered bool) (Completed, *Job, error) {
	owner, err := s.draft(source.Job)
	if imported, ok := s.importOf(source); ok && (err != nil || !owner.keeps(source.Manifest.ID)) {
		return imported.entry(), nil, imported.mayStart()
	}
	if err != nil && unregistered {
		entry := Completed{ID: source.Checkpoint, Kind: source.Kind, Manifest: source.Manifest}
		return entry, nil, s.mayImport(source)
	}
	if err != nil {
		return Completed{}, nil, fmt.Errorf("%w: no %s %d of job %s is here", ErrUnknownCheckpoint, source.Kind, source.Checkpoint, source.Job)
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
// from; its savepoints are the user's to give away, and so are those without an owner here, which were imported.
func (s *State) mayClaim(source Source, owner *Job) error {
	if owner != nil && !owner.Status.Terminal() && source.Kind == checkpoint.KindCheckpoint {
		return fmt.Errorf("%w: checkpoint %d belongs to job %s, which is %s: claim it when that has ended, or take a savepoint",
			ErrWrongStatus, source.Checkpoint, owner.ID, owner.Status)
	}
	if why := s.inUse(source.Job, source.Checkpoint); why != "" {
		return fmt.Errorf("%w: %s %d of job %s: %s", ErrInUse, source.Kind, source.Checkpoint, source.Job, why)
	}
	return nil
}

// mayImport says why an unregistered source of a job that is not known here cannot be used: its manifest has an owner all
// the same, for that job was known once. What is being discarded nobody comes to depend on any more.
func (s *State) mayImport(source Source) error {
	manifest := source.Manifest.ID
	for _, j := range s.SortedJobs() {
		depends := j.keeps(manifest) || j.NeedsSource() && j.Source.Manifest.ID == manifest
		switch {
		case source.Claim && depends:
			return fmt.Errorf("%w: imported %s %d of job %s: job %s depends on it",
				ErrInUse, source.Kind, source.Checkpoint, source.Job, j.ID)
		case j.discards(manifest):
			return fmt.Errorf("%w: imported %s %d of job %s: job %s has discarded it, and its chunks are being deleted: submit again later",
				ErrInUse, source.Kind, source.Checkpoint, source.Job, j.ID)
		}
	}
	return nil
}

// keeps reports whether the job has the checkpoint with that manifest in its log or among its savepoints.
func (j *Job) keeps(manifest checkpoint.ChunkID) bool {
	is := func(c Completed) bool { return c.Manifest.ID == manifest }
	return slices.ContainsFunc(j.Completed, is) || slices.ContainsFunc(j.Savepoints, is)
}

// discards reports whether the checkpoint with that manifest is on the job's discard list.
func (j *Job) discards(manifest checkpoint.ChunkID) bool {
	return slices.ContainsFunc(j.Discards, func(d Discard) bool { return d.Manifest.ID == manifest })
}
