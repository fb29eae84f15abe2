package fsm

import (
	"bytes"
	"cmp"
	"maps"
	"slices"

	"cairn/checkpoint"
)

// NewState returns the state before the first command.
func NewState() *State {
	return &State{Jobs: make(map[checkpoint.JobID]*Job), Drained: make(map[checkpoint.NodeID]checkpoint.Timestamp)}
}

// Clone returns a state that further steps of s do not change, nor its own steps s. It costs one pointer
// per job: the jobs themselves are immutable and shared.
func (s *State) Clone() *State {
	return &State{Jobs: maps.Clone(s.Jobs), Drained: s.Drained, Imports: s.Imports, LastIndex: s.LastIndex}
}

// SortedJobs returns all jobs in the order of their submission; ties are ordered by ID.
func (s *State) SortedJobs() []*Job {
	return slices.SortedFunc(maps.Values(s.Jobs), func(a, b *Job) int {
		return cmp.Or(cmp.Compare(a.SubmittedAt, b.SubmittedAt), bytes.Compare(a.ID[:], b.ID[:]))
	})
}

// JobByName returns the job of that name that has not ended; where there is none, the one that ended last;
// and nil when no job has that name.
func (s *State) JobByName(name string) *Job {
	var found *Job
	for _, j := range s.Jobs {
		if j.Name == name && (found == nil || endedAfter(j, found) < 0) {
			found = j
		}
	}
	return found
}

// endedAfter orders jobs by the end of their lives, latest first. A job that has not ended comes before all
// that have. It is a total order, so that which job comes first does not depend on where one looks first.
func endedAfter(a, b *Job) int {
	return cmp.Or(
		compareBools(a.Status.Terminal(), b.Status.Terminal()),
		cmp.Compare(b.EndedAt, a.EndedAt),
		cmp.Compare(b.SubmittedAt, a.SubmittedAt),
		bytes.Compare(a.ID[:], b.ID[:]),
	)
}

// compareBools orders false before true.
func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// NextShape returns the shape that the job's next attempt has.
func (j *Job) NextShape() Shape {
	if j.Next != nil {
		return *j.Next
	}
	return Shape{Topology: j.Topology, Parallelism: j.Parallelism}
}

// TopologyOf returns the graph that an attempt had, the current one's when it is not remembered.
func (j *Job) TopologyOf(attempt checkpoint.Attempt) checkpoint.Topology {
	for _, f := range j.Former {
		if attempt <= f.Last {
			return f.Topology
		}
	}
	return j.Topology
}

// LatestCompleted returns the newest entry of the completed-checkpoint log.
func (j *Job) LatestCompleted() (Completed, bool) {
	if len(j.Completed) == 0 {
		return Completed{}, false
	}
	return j.Completed[len(j.Completed)-1], true
}

// PendingByID returns the pending checkpoint of that ID.
func (j *Job) PendingByID(id checkpoint.ID) (Pending, bool) {
	i := slices.IndexFunc(j.Pending, func(p Pending) bool { return p.ID == id })
	if i < 0 {
		return Pending{}, false
	}
	return j.Pending[i], true
}

func (j *Job) hasSavepoint(id checkpoint.ID) bool {
	_, has := j.SavepointByID(id)
	return has
}

// SavepointByID returns the savepoint of that ID.
func (j *Job) SavepointByID(id checkpoint.ID) (Completed, bool) {
	i := slices.IndexFunc(j.Savepoints, func(c Completed) bool { return c.ID == id })
	if i < 0 {
		return Completed{}, false
	}
	return j.Savepoints[i], true
}
