package fsm

import (
	"fmt"
	"slices"

	"cairn/checkpoint"
)

// DeployedIn returns the attempt in which the present execution of a subtask, by its ordinal, was deployed. A subtask that
// went on when others were restarted was deployed in an earlier attempt than the job's.
func (j *Job) DeployedIn(ordinal int) checkpoint.Attempt {
	if j.Since == nil {
		return j.Attempt
	}
	return j.Since[ordinal]
}

// MayKeep reports whether subtasks of the last attempt may go on into the next one: the attempt has failed, not as a
// whole, and was not ended for another shape or other nodes.
func (j *Job) MayKeep() bool {
	return j.Status == JobRestarting && !j.Global && j.Interrupted == "" && j.Next == nil
}

// checkKept says what is wrong with the subtasks that are to go on into the next attempt.
func (j *Job) checkKept(c StartAttempt) error {
	if len(c.Kept) == 0 {
		return nil
	}
	if !j.MayKeep() {
		return fmt.Errorf("%d subtasks are to go on, but the job is %s, failed as a whole: %t, interrupted: %q",
			len(c.Kept), j.Status, j.Global, j.Interrupted)
	}
	kept := make([]bool, j.Topology.NumSubtasks())
	for i, ordinal := range c.Kept {
		if ordinal < 0 || ordinal >= len(kept) || i > 0 && c.Kept[i-1] >= ordinal {
			return fmt.Errorf("subtask %d of %d is to go on, at position %d: they must be ordered, each once", ordinal, len(kept), i)
		}
		kept[ordinal] = true
		was, is := j.Assignment.Node(ordinal), c.Assignment.Node(ordinal)
		if was.ID != is.ID || was.Incarnation != is.Incarnation {
			return fmt.Errorf("subtask %d is to go on, but is moved from node %s, incarnation %d, to %s, incarnation %d",
				ordinal, was.ID, was.Incarnation, is.ID, is.Incarnation)
		}
	}
	return eachRegion(j.Topology, kept, func(ordinal int, first, here bool) error {
		return fmt.Errorf("subtask %d goes on: %t, others of its region: %t", ordinal, here, first)
	})
}

// sinceWith returns Since as it is once the attempt has been started.
func (j *Job) sinceWith(c StartAttempt) []checkpoint.Attempt {
	if len(c.Kept) == 0 {
		return nil
	}
	since := make([]checkpoint.Attempt, len(c.Assignment.NodeOf))
	for ordinal := range since {
		since[ordinal] = c.Attempt
	}
	for _, ordinal := range c.Kept {
		since[ordinal] = j.DeployedIn(ordinal)
	}
	return since
}

// checkSince demands that all of a region was deployed in the same attempt, and that only what waits for its next attempt
// has failed as a whole.
func (j *Job) checkSince() error {
	if j.Global && j.Status != JobRestarting {
		return fmt.Errorf("it is %s, and has failed as a whole", j.Status)
	}
	if j.Since == nil {
		return nil
	}
	if len(j.Since) != j.Topology.NumSubtasks() {
		return fmt.Errorf("the attempts of %d subtasks, it has %d", len(j.Since), j.Topology.NumSubtasks())
	}
	for ordinal, a := range j.Since {
		if a < 1 || a > j.Attempt {
			return fmt.Errorf("subtask %d was deployed in attempt %d, the present one is %d", ordinal, a, j.Attempt)
		}
	}
	return eachRegion(j.Topology, j.Since, func(ordinal int, first, here checkpoint.Attempt) error {
		return fmt.Errorf("subtask %d was deployed in attempt %d, others of its region in %d", ordinal, here, first)
	})
}

// eachRegion returns the error for the first subtask whose value differs from that of its region's first one.
func eachRegion[T comparable](t checkpoint.Topology, values []T, differs func(ordinal int, first, here T) error) error {
	first := make(map[int]T)
	for ordinal, region := range t.Regions() {
		if v, known := first[region]; !known {
			first[region] = values[ordinal]
		} else if v != values[ordinal] {
			return differs(ordinal, v, values[ordinal])
		}
	}
	return nil
}

// wasToStop reports whether the running attempt was to end with a savepoint, whatever became of it. Tasks emit nothing
// behind its barrier, or have ended their input before it, and do not go on by themselves.
func (j *Job) wasToStop() bool {
	if _, pending := j.pendingStop(); pending {
		return true
	}
	return slices.ContainsFunc(j.Savepoints, func(c Completed) bool { return c.Attempt == j.Attempt && c.Stop != checkpoint.StopNone }) ||
		slices.ContainsFunc(j.History, func(o Outcome) bool { return o.Attempt == j.Attempt && o.Stop != checkpoint.StopNone })
}
