package fsm

import (
	"fmt"

	"cairn/checkpoint"
)

// check returns an error that names the first invariant of the state that does not hold. Step keeps them
// all; a snapshot from elsewhere has to prove that it does.
func (s *State) check() error {
	names := make(map[string]checkpoint.JobID, len(s.Jobs))
	for _, j := range s.SortedJobs() {
		if err := j.check(); err != nil {
			return fmt.Errorf("job %s: %w", j.ID, err)
		}
		if j.Status.Terminal() {
			continue
		}
		if other, taken := names[j.Name]; taken {
			return fmt.Errorf("jobs %s and %s are both named %q and have not ended", other, j.ID, j.Name)
		}
		names[j.Name] = j.ID
	}
	return nil
}

func (j *Job) check() error {
	if j.ID.IsZero() || j.Status < JobCreated || j.Status > JobCanceled {
		return fmt.Errorf("its ID is zero or its status %d is unknown", j.Status)
	}
	if err := j.Topology.Validate(); err != nil {
		return err
	}
	if j.Attempt > 0 {
		if err := checkAssignment(j.Assignment, j.Topology); err != nil {
			return fmt.Errorf("attempt %d: %w", j.Attempt, err)
		}
	}
	for _, check := range []func(*Job) error{(*Job).checkLog, (*Job).checkPending, (*Job).checkOutcomes, (*Job).checkCounters} {
		if err := check(j); err != nil {
			return err
		}
	}
	return nil
}

func (j *Job) checkLog() error {
	last := checkpoint.ID(0)
	inLog := make(map[checkpoint.ID]bool, len(j.Completed))
	for _, c := range j.Completed {
		if c.ID <= last || c.ID > j.LastID || c.Kind != checkpoint.KindCheckpoint {
			return fmt.Errorf("completed log: %s %d after %d, last ID %d", c.Kind, c.ID, last, j.LastID)
		}
		last, inLog[c.ID] = c.ID, true
	}
	if len(j.Completed) > max(j.Config.Retain, 0) {
		return fmt.Errorf("completed log: %d entries, %d are retained", len(j.Completed), j.Config.Retain)
	}
	for _, d := range j.Discards {
		if inLog[d.ID] {
			return fmt.Errorf("checkpoint %d is both retained and to be discarded, or to be discarded twice", d.ID)
		}
		inLog[d.ID] = true
	}
	return nil
}

func (j *Job) checkPending() error {
	if len(j.Pending) > 0 && j.Status != JobRunning {
		return fmt.Errorf("it is %s and has %d pending checkpoints", j.Status, len(j.Pending))
	}
	last := checkpoint.ID(0)
	latest, _ := j.LatestCompleted()
	for _, p := range j.Pending {
		switch {
		case p.ID <= last || p.ID > j.LastID:
			return fmt.Errorf("pending checkpoint %d after %d, last ID %d", p.ID, last, j.LastID)
		case p.Attempt != j.Attempt:
			return fmt.Errorf("pending checkpoint %d of attempt %d, current is %d", p.ID, p.Attempt, j.Attempt)
		case p.Kind != checkpoint.KindSavepoint && (p.Kind != checkpoint.KindCheckpoint || p.ID <= latest.ID):
			return fmt.Errorf("pending %s %d behind completed checkpoint %d", p.Kind, p.ID, latest.ID)
		}
		last = p.ID
	}
	return nil
}

// checkOutcomes looks for a second outcome of a checkpoint (I2).
func (j *Job) checkOutcomes() error {
	if len(j.History) > MaxHistory {
		return fmt.Errorf("history of %d entries, at most %d are kept", len(j.History), MaxHistory)
	}
	seen := make(map[checkpoint.ID]bool, len(j.History)+len(j.Pending))
	for _, p := range j.Pending {
		seen[p.ID] = true
	}
	for _, o := range j.History {
		if o.Status != OutcomeCompleted && o.Status != OutcomeFailed {
			return fmt.Errorf("checkpoint %d has the unknown outcome %d", o.ID, o.Status)
		}
		if seen[o.ID] || o.ID == 0 || o.ID > j.LastID {
			return fmt.Errorf("checkpoint %d has an outcome while it is pending, twice, or past the last ID %d", o.ID, j.LastID)
		}
		seen[o.ID] = true
	}
	return nil
}

// checkCounters demands that every ID that was handed out is accounted for exactly once (I1, I2).
func (j *Job) checkCounters() error {
	accounted := j.Counters.Completed + j.Counters.Failed + uint64(len(j.Pending))
	if accounted != uint64(j.LastID) || j.ConsecutiveFailures < 0 || uint64(j.ConsecutiveFailures) > j.Counters.Failed {
		return fmt.Errorf("last ID %d, but %d completed, %d failed (%d of them in a row) and %d pending",
			j.LastID, j.Counters.Completed, j.Counters.Failed, j.ConsecutiveFailures, len(j.Pending))
	}
	return nil
}
