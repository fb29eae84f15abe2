package fsm

import (
	"fmt"
	"maps"
	"slices"

	"cairn/checkpoint"
)

func (s *State) rescaleJob(c RescaleJob) (Result, error) {
	j, err := s.endable(c.Job, c.Attempt, c.Checkpoint)
	if err != nil {
		return Result{}, err
	}
	next := Shape{c.Topology, c.Parallelism}
	if err := j.MayBecome(next); err != nil {
		return Result{}, fmt.Errorf("%w: job %s: %w", ErrInvalid, c.Job, err)
	}
	j.Next = &next
	return s.endEarly(j, "its parallelism is changed", c.Term, c.At), nil
}

func (s *State) moveJob(c MoveJob) (Result, error) {
	j, err := s.endable(c.Job, c.Attempt, c.Checkpoint)
	if err != nil {
		return Result{}, err
	}
	return s.endEarly(j, clip(c.Cause), c.Term, c.At), nil
}

// endable returns the draft of a job whose running attempt may end at a checkpoint: nothing has been published since
// it that going back to it would publish again, and it holds no records in flight, which only subtasks of the same
// parallelism could take up.
func (s *State) endable(id checkpoint.JobID, attempt checkpoint.Attempt, at checkpoint.ID) (*Job, error) {
	j, err := s.running(id, attempt)
	if err != nil {
		return nil, err
	}
	if stopping, ok := j.pendingStop(); ok {
		return nil, fmt.Errorf("%w: job %s: it is about to stop with savepoint %d (%s)", ErrWrongStatus, id, stopping.ID, stopping.Stop)
	}
	stopped := slices.ContainsFunc(j.Savepoints, func(c Completed) bool {
		return c.Attempt == attempt && c.Stop != checkpoint.StopNone
	})
	if stopped {
		return nil, fmt.Errorf("%w: job %s: it is ending with a savepoint", ErrWrongStatus, id)
	}
	latest, _ := j.LatestCompleted()
	if latest.ID != at || latest.Attempt != attempt || !latest.Aligned {
		return nil, fmt.Errorf("%w: job %s: attempt %d cannot end at checkpoint %d; the newest is %d, taken by attempt %d, aligned on request: %t",
			ErrUnknownCheckpoint, id, attempt, at, latest.ID, latest.Attempt, latest.Aligned)
	}
	return j, nil
}

// endEarly ends the running attempt of a draft, which has not failed, and publishes it.
func (s *State) endEarly(j *Job, why string, term checkpoint.Term, at checkpoint.Timestamp) Result {
	j.Status, j.Interrupted, j.Restart.NextAt = JobRestarting, why, at
	aborted := j.abortAll(checkpoint.ReasonCoordinatorShutdown, "the attempt was ended: "+why, term, at)
	s.put(j)
	return Result{Aborted: aborted}
}

// MayBecome says what keeps the job from taking another shape: its operators are the same, and so are their key groups
// (R5).
func (j *Job) MayBecome(next Shape) error {
	if err := next.validate(); err != nil {
		return err
	}
	was, is := maxParallelisms(j.Topology), maxParallelisms(next.Topology)
	for _, op := range slices.Sorted(maps.Keys(was)) {
		switch got, there := is[op]; {
		case !there:
			return fmt.Errorf("the new graph lacks the operator %s", op)
		case got != was[op]:
			return fmt.Errorf("operator %s has max parallelism %d, in the new graph %d: it never changes", op, was[op], got)
		}
	}
	if len(is) != len(was) {
		return fmt.Errorf("the new graph has %d operators, the job %d", len(is), len(was))
	}
	return nil
}

func maxParallelisms(t checkpoint.Topology) map[checkpoint.OperatorID]int {
	of := make(map[checkpoint.OperatorID]int)
	for _, v := range t.Vertices {
		for _, op := range v.Operators {
			of[op] = v.MaxParallelism
		}
	}
	return of
}

// validate returns an error unless the graph is well-formed and has the parallelism that was asked for.
func (x Shape) validate() error {
	if err := x.Topology.Validate(); err != nil {
		return err
	}
	has := make(map[checkpoint.OperatorID]int)
	for _, v := range x.Topology.Vertices {
		for _, op := range v.Operators {
			has[op] = v.Parallelism
		}
	}
	for _, op := range slices.Sorted(maps.Keys(x.Parallelism)) {
		if asked := x.Parallelism[op]; has[op] != asked {
			return fmt.Errorf("operator %s has parallelism %d, asked for was %d", op, has[op], asked)
		}
	}
	return nil
}

// takeShape gives a draft, whose next attempt begins, the shape that is due. The former one is remembered for as long
// as the history speaks of its subtasks.
func (j *Job) takeShape() {
	if j.Next == nil {
		return
	}
	oldest := j.Attempt + 1
	if len(j.History) > 0 {
		oldest = j.History[0].Attempt
	}
	j.Former = without(appended(j.Former, FormerTopology{Last: j.Attempt, Topology: j.Topology}), func(f FormerTopology) bool {
		return f.Last < oldest
	})
	j.Topology, j.Parallelism, j.Next = j.Next.Topology, j.Next.Parallelism, nil
}
