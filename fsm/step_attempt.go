package fsm

import (
	"fmt"
	"slices"

	"cairn/checkpoint"
)

func (s *State) startAttempt(c StartAttempt) error {
	j, err := s.living(c.Job)
	if err != nil {
		return err
	}
	switch {
	case j.Status != JobCreated && j.Status != JobRestarting:
		return fmt.Errorf("%w: job %s is %s: no attempt is due", ErrWrongStatus, c.Job, j.Status)
	case c.Attempt != j.Attempt+1:
		return fmt.Errorf("%w: job %s: attempt %d, the next is %d", ErrStaleAttempt, c.Job, c.Attempt, j.Attempt+1)
	case !j.mayRestoreFrom(c.RestoreFrom):
		return fmt.Errorf("%w: job %s: attempt %d from checkpoint %d", ErrUnknownCheckpoint, c.Job, c.Attempt, c.RestoreFrom)
	}
	if err := checkAssignment(c.Assignment, j.NextShape().Topology); err != nil {
		return fmt.Errorf("%w: job %s: attempt %d: %w", ErrInvalid, c.Job, c.Attempt, err)
	}
	if err := j.checkKept(c); err != nil {
		return fmt.Errorf("%w: job %s: attempt %d: %w", ErrInvalid, c.Job, c.Attempt, err)
	}
	j.Since = j.sinceWith(c)
	j.takeShape()
	j.Status, j.Attempt, j.Assignment = JobRunning, c.Attempt, c.Assignment
	j.AttemptStartedAt, j.RestoredFrom, j.Interrupted, j.Global = c.At, c.RestoreFrom, "", false
	if c.RestoreFrom != 0 {
		j.Counters.Restored++
	}
	s.put(j)
	return nil
}

// mayRestoreFrom reports whether an attempt may start from the checkpoint, 0 for none: from what the log holds; from
// what the job was submitted from, while the log is empty; or from a savepoint that the job was to end with, for its
// completion has published side effects that an older checkpoint would publish again.
func (j *Job) mayRestoreFrom(id checkpoint.ID) bool {
	if id == 0 || len(j.Completed) == 0 && !j.Source.IsZero() && id == j.Source.Checkpoint {
		return true
	}
	savepoint, ok := j.SavepointByID(id)
	return ok && savepoint.Stop != checkpoint.StopNone ||
		slices.ContainsFunc(j.Completed, func(c Completed) bool { return c.ID == id })
}

// checkAssignment says what keeps a from placing every subtask of t on one node of an ordered list.
func checkAssignment(a checkpoint.Assignment, t checkpoint.Topology) error {
	if len(a.NodeOf) != t.NumSubtasks() {
		return fmt.Errorf("it assigns %d subtasks of %d", len(a.NodeOf), t.NumSubtasks())
	}
	for i, n := range a.Nodes {
		if n.ID == "" || i > 0 && a.Nodes[i-1].ID >= n.ID {
			return fmt.Errorf("node %q at position %d: the nodes must be named and ordered by ID, each once", n.ID, i)
		}
	}
	for ordinal, n := range a.NodeOf {
		if n < 0 || n >= len(a.Nodes) {
			return fmt.Errorf("subtask %d is on node %d of %d", ordinal, n, len(a.Nodes))
		}
	}
	return nil
}

func (s *State) failAttempt(c FailAttempt) (Result, error) {
	j, err := s.running(c.Job, c.Attempt)
	if err != nil {
		return Result{}, err
	}
	j.Global = c.Global || j.ConsecutiveFailures > j.Config.TolerableFailures || j.wasToStop()
	j.Status, j.Failure, j.Restart = JobRestarting, clip(c.Cause), c.Restart.bounded(j.Config.Restart)
	aborted := j.abortAll(checkpoint.ReasonTaskFailure, j.Failure, c.Term, c.At)
	if j.ConsecutiveFailures > j.Config.TolerableFailures {
		// The failures have had their effect. Counted on, they would end the next attempt before it has
		// taken its first checkpoint, and every one after it.
		j.ConsecutiveFailures = 0
	}
	s.put(j)
	return Result{Aborted: aborted}, nil
}

// bounded returns r without the oldest failures that the strategy no longer needs to tell whether there were too many.
func (r Restart) bounded(c checkpoint.RestartConfig) Restart {
	beyond := len(r.Failures) - maxFailureTimes(c)
	if beyond > 0 {
		r.Failures = r.Failures[beyond:]
	}
	return r
}

// maxFailureTimes bounds Restart.Failures.
func maxFailureTimes(c checkpoint.RestartConfig) int { return max(c.MaxFailures, 0) + 1 }
