package fsm

import (
	"errors"
	"fmt"
	"math"
)

// validate says what is wrong with an import by itself.
func (i Import) validate() error {
	switch {
	case i.Job.IsZero():
		return errors.New("it names no job")
	case i.Checkpoint == 0 || i.Checkpoint > math.MaxInt64: // the counter of a job that starts from it goes on from there
		return errors.New("no savepoint has that ID")
	case i.Manifest.ID.IsZero() || i.Manifest.Size < 0:
		return fmt.Errorf("its manifest is %s, of %d bytes", i.Manifest.ID, i.Manifest.Size)
	case i.StateSize < 0 || i.NumSubtasks < 0:
		return fmt.Errorf("it has %d bytes of state and %d subtasks", i.StateSize, i.NumSubtasks)
	case i.BegunAt <= 0 || i.FinishedAt < 0:
		return fmt.Errorf("its import began at %d and was finished at %d", i.BegunAt, i.FinishedAt)
	}
	return nil
}

func (s *State) beginImport(c BeginImport) error {
	i := Import{
		Job: c.Job, JobName: clip(c.JobName), Checkpoint: c.Checkpoint, Manifest: c.Manifest, TriggeredAt: c.TriggeredAt,
		StateSize: c.StateSize, NumSubtasks: c.NumSubtasks, BegunAt: c.At,
	}
	if err := i.validate(); err != nil {
		return fmt.Errorf("%w: savepoint %d of job %s: %w", ErrInvalid, c.Checkpoint, c.Job, err)
	}
	if owner := s.Jobs[c.Job]; owner != nil {
		if owner.keeps(c.Manifest.ID) {
			return nil // what is named needs no second name
		}
		if other, ok := owner.SavepointByID(c.Checkpoint); ok {
			return otherContent(c, other.Manifest.ID.String())
		}
	}
	if other, ok := s.findImport(func(i Import) bool { return i.Manifest.ID == c.Manifest.ID }); ok {
		if other.Job != c.Job || other.Checkpoint != c.Checkpoint {
			return fmt.Errorf("%w: savepoint %d of job %s: its manifest is that of savepoint %d of job %s",
				ErrInvalid, c.Checkpoint, c.Job, other.Checkpoint, other.Job)
		}
		return nil
	}
	if other, ok := s.ImportByID(c.Job, c.Checkpoint); ok {
		return otherContent(c, other.Manifest.ID.String())
	}
	s.Imports = appended(s.Imports, i)
	return nil
}

func otherContent(c BeginImport, manifest string) error {
	return fmt.Errorf("%w: savepoint %d of job %s has the manifest %s, not %s", ErrSavepointExists, c.Checkpoint, c.Job, manifest, c.Manifest.ID)
}

func (s *State) finishImport(c FinishImport) error {
	if c.At <= 0 {
		return fmt.Errorf("%w: import of savepoint %d of job %s finished at %d", ErrInvalid, c.Checkpoint, c.Job, c.At)
	}
	imports := appended(s.Imports)
	for n := range imports {
		i := &imports[n]
		if i.Job != c.Job || i.Checkpoint != c.Checkpoint || i.Manifest != c.Manifest {
			continue
		}
		if !i.Complete() {
			i.FinishedAt = c.At
			s.Imports = imports
		}
		return nil
	}
	if owner := s.Jobs[c.Job]; owner != nil && owner.keeps(c.Manifest.ID) {
		return nil
	}
	return fmt.Errorf("%w: savepoint %d of job %s, which is being imported", ErrUnknownCheckpoint, c.Checkpoint, c.Job)
}

func (s *State) disposeImport(i Import) error {
	if why := s.inUse(i.Job, i.Checkpoint); why != "" {
		return fmt.Errorf("%w: savepoint %d of job %s: %s", ErrInUse, i.Checkpoint, i.Job, why)
	}
	s.forgetImport(i.Manifest.ID)
	return nil
}
