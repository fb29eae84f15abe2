package fsm

import (
	"cmp"
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
	return s.checkImports()
}

func (j *Job) check() error {
	if j.ID.IsZero() || j.Status < JobCreated || j.Status > JobCanceled {
		return fmt.Errorf("its ID is zero or its status %d is unknown", j.Status)
	}
	if err := cmp.Or(Shape{j.Topology, j.Parallelism}.validate(), j.checkShapes()); err != nil {
		return err
	}
	if neverStarted := j.Leapt > 0 && len(j.Assignment.NodeOf) == 0 && j.Status != JobRunning; j.Attempt > 0 && !neverStarted {
		if err := checkAssignment(j.Assignment, j.Topology); err != nil {
			return fmt.Errorf("attempt %d: %w", j.Attempt, err)
		}
	}
	return cmp.Or(j.checkSince(), j.checkSource(), j.checkNamed(), j.checkPending(), j.checkOutcomes(), j.checkCounters(), j.checkSummary())
}

// checkShapes looks at the shapes beside the present one.
func (j *Job) checkShapes() error {
	if (j.Next != nil || j.Interrupted != "") && j.Status != JobRestarting {
		return fmt.Errorf("it is %s and has a next shape, or was interrupted (%q)", j.Status, j.Interrupted)
	}
	if j.Next != nil {
		if err := j.MayBecome(*j.Next); err != nil {
			return fmt.Errorf("its next shape: %w", err)
		}
	}
	last := checkpoint.Attempt(0)
	for _, f := range j.Former {
		if f.Last <= last || f.Last >= j.Attempt {
			return fmt.Errorf("former shape of attempt %d after %d; the present attempt is %d", f.Last, last, j.Attempt)
		}
		if err := f.Topology.Validate(); err != nil {
			return fmt.Errorf("shape of attempt %d: %w", f.Last, err)
		}
		last = f.Last
	}
	return nil
}

// checkSource demands that the counter started where the source says.
func (j *Job) checkSource() error {
	if err := j.Source.validate(j.ID); err != nil {
		return err
	}
	if j.FirstID != j.Source.Checkpoint || j.LastID < j.FirstID {
		return fmt.Errorf("IDs from %d to %d, its source is checkpoint %d", j.FirstID, j.LastID, j.Source.Checkpoint)
	}
	return nil
}

// checkNamed looks at all that the job names: each checkpoint is in one place only.
func (j *Job) checkNamed() error {
	place := make(map[checkpoint.ID]string)
	put := func(where string, id checkpoint.ID) error {
		if other, twice := place[id]; twice || id == 0 || id > j.LastID {
			return fmt.Errorf("checkpoint %d is in the %s and before that %q; the last ID is %d", id, where, other, j.LastID)
		}
		place[id] = where
		return nil
	}
	for _, p := range j.Pending {
		if err := put("pending ones", p.ID); err != nil {
			return err
		}
	}
	for _, c := range j.Completed {
		if err := put("completed log", c.ID); err != nil {
			return err
		}
	}
	for _, c := range j.Savepoints {
		if err := put("savepoints", c.ID); err != nil {
			return err
		}
	}
	for _, d := range j.Discards {
		if err := put("discard list", d.ID); err != nil {
			return err
		}
	}
	return cmp.Or(j.checkLog(), j.checkSavepoints())
}

func (j *Job) checkLog() error {
	last := checkpoint.ID(0)
	for i, c := range j.Completed {
		claimed := i == 0 && j.Source.Claim && c.ID == j.FirstID && c.Manifest == j.Source.Manifest
		if c.ID <= last || c.ID <= j.FirstID && !claimed || c.Kind != checkpoint.KindCheckpoint && !(claimed && c.Kind == checkpoint.KindSavepoint) {
			return fmt.Errorf("completed log: %s %d after %d, first ID %d", c.Kind, c.ID, last, j.FirstID)
		}
		last = c.ID
	}
	if len(j.Completed) > max(j.Config.Retain, 0) {
		return fmt.Errorf("completed log: %d entries, %d are retained", len(j.Completed), j.Config.Retain)
	}
	if last > j.FirstID && last > j.LastSuccess || j.LastSuccess > j.LastID {
		return fmt.Errorf("last success %d, but checkpoint %d completed; the last ID is %d", j.LastSuccess, last, j.LastID)
	}
	return nil
}

func (j *Job) checkSavepoints() error {
	last := j.FirstID
	for _, c := range j.Savepoints {
		if c.ID <= last || c.Kind != checkpoint.KindSavepoint {
			return fmt.Errorf("savepoints: %s %d after %d", c.Kind, c.ID, last)
		}
		last = c.ID
	}
	if last > j.FirstID && last > j.LastSuccess {
		return fmt.Errorf("last success %d, but savepoint %d completed", j.LastSuccess, last)
	}
	return nil
}

func (j *Job) checkPending() error {
	if len(j.Pending) > 0 && j.Status != JobRunning {
		return fmt.Errorf("it is %s and has %d pending checkpoints", j.Status, len(j.Pending))
	}
	last, stops := checkpoint.ID(0), false
	latest, _ := j.LatestCompleted()
	for _, p := range j.Pending {
		switch {
		case p.ID <= last || p.ID <= j.FirstID:
			return fmt.Errorf("pending checkpoint %d after %d, first ID %d", p.ID, last, j.FirstID)
		case p.Attempt != j.Attempt:
			return fmt.Errorf("pending checkpoint %d of attempt %d, current is %d", p.ID, p.Attempt, j.Attempt)
		case p.Kind != checkpoint.KindSavepoint && (p.Kind != checkpoint.KindCheckpoint || p.ID <= latest.ID):
			return fmt.Errorf("pending %s %d behind completed checkpoint %d", p.Kind, p.ID, latest.ID)
		case p.Stop > checkpoint.StopDrain || p.Stop != checkpoint.StopNone && (p.Kind != checkpoint.KindSavepoint || stops):
			return fmt.Errorf("pending %s %d stops the job (%s), as a single savepoint may", p.Kind, p.ID, p.Stop)
		}
		last, stops = p.ID, stops || p.Stop != checkpoint.StopNone
	}
	return nil
}

// checkOutcomes looks for a second outcome of a checkpoint (I2).
func (j *Job) checkOutcomes() error {
	if len(j.GivenUp) > MaxGivenUp {
		return fmt.Errorf("%d checkpoints were given up, at most %d are kept", len(j.GivenUp), MaxGivenUp)
	}
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
		if seen[o.ID] || o.ID <= j.FirstID || o.ID > j.LastID {
			return fmt.Errorf("checkpoint %d has an outcome while it is pending, twice, or not between the IDs %d and %d", o.ID, j.FirstID, j.LastID)
		}
		if err := cmp.Or(o.Sizes.validate(), o.Detail.validate()); err != nil {
			return fmt.Errorf("checkpoint %d: %w", o.ID, err)
		}
		seen[o.ID] = true
	}
	return nil
}

// checkCounters demands that every ID that was handed out is accounted for exactly once (I1, I2).
func (j *Job) checkCounters() error {
	accounted := j.Counters.Completed + j.Counters.Failed + uint64(len(j.Pending)) + j.Leapt
	if accounted != uint64(j.LastID-j.FirstID) || j.ConsecutiveFailures < 0 || uint64(j.ConsecutiveFailures) > j.Counters.Failed {
		return fmt.Errorf("IDs from %d to %d, but %d completed, %d failed (%d of them in a row), %d pending and %d leapt over",
			j.FirstID, j.LastID, j.Counters.Completed, j.Counters.Failed, j.ConsecutiveFailures, len(j.Pending), j.Leapt)
	}
	return nil
}

// checkSummary demands that the distributions count the same checkpoints, none that has not completed.
func (j *Job) checkSummary() error {
	for _, d := range j.Summary.distributions() {
		if err := d.check(); err != nil {
			return fmt.Errorf("summary: %w", err)
		}
		if d.Count != j.Summary.Duration.Count || uint64(d.Count) > j.Counters.Completed {
			return fmt.Errorf("summary of %d checkpoints, %d completed", d.Count, j.Counters.Completed)
		}
	}
	if n := len(j.Restart.Failures); n > maxFailureTimes(j.Config.Restart) {
		return fmt.Errorf("the times of %d failures", n)
	}
	return nil
}
