package fsm

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"cairn/checkpoint"
)

// MaxEndedJobs bounds how many ended jobs are remembered for the sake of their history alone.
const MaxEndedJobs = 100

func (s *State) submitJob(c SubmitJob) error {
	if err := c.validate(); err != nil {
		return fmt.Errorf("%w: job %q: %w", ErrInvalid, c.Name, err)
	}
	if s.Jobs[c.Job] != nil {
		return fmt.Errorf("%w: %s", ErrJobExists, c.Job)
	}
	if j := s.JobByName(c.Name); j != nil && !j.Status.Terminal() {
		return fmt.Errorf("%w: job %s named %q is %s", ErrNameTaken, j.ID, j.Name, j.Status)
	}
	j := &Job{
		ID: c.Job, Name: c.Name, Program: c.Program, Params: c.Params, Topology: c.Topology, Parallelism: c.Parallelism,
		Fingerprint: c.Fingerprint, Config: c.Config, Source: c.Source, SubmittedAt: c.At, Status: JobCreated,
	}
	owner, err := s.take(j, c.Unregistered)
	if err != nil {
		return fmt.Errorf("job %q: %w", c.Name, err)
	}
	s.put(j)
	if owner != nil {
		s.put(owner)
		s.forgetEnded() // it may have been all that the owner was remembered for
	}
	return nil
}

func (c SubmitJob) validate() error {
	switch {
	case c.Job.IsZero():
		return errors.New("it has no ID")
	case c.Name == "":
		return errors.New("it has no name")
	case c.Program == "":
		return errors.New("it names no program")
	}
	shape := Shape{c.Topology, c.Parallelism}
	return cmp.Or(shape.validate(), c.Config.Validate(), c.Source.validate(c.Job))
}

func (s *State) configureJob(c ConfigureJob) (Result, error) {
	j, err := s.living(c.Job)
	if err != nil {
		return Result{}, err
	}
	if err := c.Config.Validate(); err != nil {
		return Result{}, fmt.Errorf("%w: job %s: %w", ErrInvalid, c.Job, err)
	}
	if err := j.Config.Mutable(c.Config); err != nil {
		return Result{}, fmt.Errorf("%w: job %s: %w", ErrInvalid, c.Job, err)
	}
	j.Config = c.Config
	subsumed := j.trimLog()
	s.put(j)
	return Result{Subsumed: subsumed}, nil
}

// cancelJob accepts a job that is being cancelled already, so that a client whose call was cut off can
// repeat it.
func (s *State) cancelJob(c CancelJob) (Result, error) {
	j, err := s.living(c.Job)
	if err != nil {
		return Result{}, err
	}
	j.Status, j.Next, j.Interrupted, j.Global = JobCancelling, nil, "", false
	aborted := j.abortAll(checkpoint.ReasonCoordinatorShutdown, "the job is being cancelled", c.Term, c.At)
	s.put(j)
	return Result{Aborted: aborted}, nil
}

func (s *State) endJob(c EndJob) (Result, error) {
	j, err := s.living(c.Job)
	if err != nil {
		return Result{}, err
	}
	if err := j.mayEnd(c.Status); err != nil {
		return Result{}, err
	}
	aborted := j.abortAll(checkpoint.ReasonCoordinatorShutdown, fmt.Sprintf("the job is %s", c.Status), c.Term, c.At)
	j.Status, j.EndedAt, j.Next, j.Interrupted, j.Global = c.Status, c.At, nil, "", false
	if c.Status == JobFailed || c.Failure != "" {
		j.Failure = clip(c.Failure)
	}
	if j.discardsAtEnd() {
		j.discard(j.Completed...)
		j.Completed = nil
	}
	s.put(j)
	s.forgetEnded()
	return Result{Aborted: aborted}, nil
}

// mayEnd checks the step from the job's status to a terminal one.
func (j *Job) mayEnd(to JobStatus) error {
	from := map[JobStatus][]JobStatus{
		JobFinished: {JobRunning},
		JobFailed:   {JobCreated, JobRunning, JobRestarting, JobCancelling},
		JobCanceled: {JobCancelling},
	}[to]
	switch {
	case !to.Terminal():
		return fmt.Errorf("%w: job %s: %s is not a status in which jobs end", ErrInvalid, j.ID, to)
	case !slices.Contains(from, j.Status):
		return fmt.Errorf("%w: job %s: from %s to %s", ErrWrongStatus, j.ID, j.Status, to)
	}
	return nil
}

// discardsAtEnd reports whether the checkpoints of a job that has just ended are of no more use: a finished
// job has nothing to resume; a canceled one only if its owner said so; a failed one always may.
func (j *Job) discardsAtEnd() bool {
	return j.Status == JobFinished || j.Status == JobCanceled && !j.Config.RetainOnCancel
}

// forgetEnded drops the ended jobs beyond the MaxEndedJobs that ended last. A job that names state, either
// retained or still to be discarded, stays whatever its age: forgetting it would hand chunks that somebody
// may restore from to the garbage collector (I5), or leave the collector without their names.
func (s *State) forgetEnded() {
	var ended []*Job
	for _, j := range s.Jobs {
		if j.Status.Terminal() {
			ended = append(ended, j)
		}
	}
	if len(ended) <= MaxEndedJobs {
		return
	}
	slices.SortFunc(ended, endedAfter)
	for _, j := range ended[MaxEndedJobs:] {
		if len(j.Completed) == 0 && len(j.Savepoints) == 0 && len(j.Discards) == 0 {
			delete(s.Jobs, j.ID)
		}
	}
}
