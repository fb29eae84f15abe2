package fsm

import (
	"fmt"
	"math"
	"slices"

	"cairn/checkpoint"
)

const (
	// IDLeap and AttemptLeap are how far the counters of a job leap when a snapshot brings it back to a cluster that
	// does not know it, or knows less of it than the snapshot does: further than the cluster that took the snapshot
	// can have counted since. At a hundred checkpoints a second that is four months.
	IDLeap      = 1_000_000_000
	AttemptLeap = 1_000_000
)

// After makes s, decoded from a snapshot, the state that follows present when the snapshot is restored: the jobs are
// those of the snapshot, but nothing is taken back that somebody outside may have acted on. present is used up.
//
//   - No checkpoint ID and no attempt is used twice (I1): the counters of a job that present knows go on from there,
//     and the others leap.
//   - No outcome is changed (I2, I7): of a job that present knows, the completed log, the savepoints, the discards and
//     the statistics stay what they are at present, and so does the parallelism that belongs to them. Only when it has given its whole log up (it has ended meanwhile)
//     does the snapshot's log come back, whose state may be deleted already.
//   - No task goes on unattended: a running job restarts with a new attempt, and a job that the snapshot does not know
//     ends as failed, which keeps its checkpoints.
//   - The nodes that are drained at present stay drained, and no others are.
//   - Imported savepoints of the snapshot come back beside the present ones.
//
// It returns an error, and s is of no use, when a counter is at its end.
func (s *State) After(present *State, term checkpoint.Term, at checkpoint.Timestamp) error {
	s.LastIndex = max(s.LastIndex, present.LastIndex)
	present.LastIndex = s.LastIndex
	for _, j := range present.SortedJobs() {
		if err := present.interrupt(j, term, at); err != nil {
			return err
		}
		if s.Jobs[j.ID] == nil && !j.Status.Terminal() {
			end := EndJob{Job: j.ID, Status: JobFailed, Failure: "a snapshot was restored that does not know this job", Term: term, At: at}
			if err := present.follow(end); err != nil {
				return err
			}
		}
	}
	for _, j := range s.SortedJobs() {
		if err := s.interrupt(j, term, at); err != nil {
			return err
		}
		next := *s.Jobs[j.ID]
		if known := present.Jobs[j.ID]; known != nil && known.LastID >= next.LastID && known.Attempt >= next.Attempt {
			next.goOnFrom(known)
		} else if err := next.leap(); err != nil {
			return err
		}
		next.Global = next.Status == JobRestarting // also where it had failed before: what goes on may not be what the log says
		s.put(&next)
	}
	for _, j := range present.SortedJobs() {
		if s.Jobs[j.ID] == nil {
			s.put(j)
		}
	}
	s.Drained = present.Drained // of the nodes of today
	s.Imports = mergeImports(present.Imports, s.Imports)
	s.LastIndex = max(s.LastIndex, present.LastIndex)
	return s.check()
}

// follow applies a command as the next entry.
func (s *State) follow(c Command) error {
	_, err := s.Step(s.LastIndex+1, c)
	return err
}

// interrupt ends the running attempt of a job, and with it its pending checkpoints.
func (s *State) interrupt(j *Job, term checkpoint.Term, at checkpoint.Timestamp) error {
	if j.Status != JobRunning {
		return nil
	}
	restart := j.Restart
	restart.NextAt = at
	return s.follow(FailAttempt{
		Job: j.ID, Attempt: j.Attempt, Cause: "a snapshot of the coordinators' state was restored", Global: true, Restart: restart, Term: term, At: at,
	})
}

// goOnFrom gives the job what must not be older than it is at present.
func (j *Job) goOnFrom(present *Job) {
	if present.Attempt > 0 && j.Status == JobCreated {
		j.Status = JobRestarting
	}
	j.Attempt, j.Assignment, j.AttemptStartedAt = present.Attempt, present.Assignment, present.AttemptStartedAt
	j.Since = present.Since
	j.Topology, j.Parallelism, j.Former = present.Topology, present.Parallelism, present.Former
	if j.Next, j.Interrupted = nil, ""; j.Status == JobRestarting {
		j.Next, j.Interrupted = present.Next, present.Interrupted
	}
	j.RestoredFrom, j.Source, j.FirstID = present.RestoredFrom, present.Source, present.FirstID
	j.LastID, j.Leapt, j.LastSuccess = present.LastID, present.Leapt, present.LastSuccess
	j.Counters, j.Summary, j.History = present.Counters, present.Summary, present.History
	j.ConsecutiveFailures, j.Savepoints, j.Discards = present.ConsecutiveFailures, present.Savepoints, present.Discards
	j.GivenUp = present.GivenUp
	if len(present.Completed) > 0 || j.Status.Terminal() {
		j.Completed = present.Completed
	}
	j.Discards = slices.DeleteFunc(slices.Clone(j.Discards), func(d Discard) bool {
		return slices.ContainsFunc(j.Completed, func(c Completed) bool { return c.ID == d.ID })
	})
	j.trimLog()
}

// leap moves the counters past all that may have been handed out since the snapshot was taken.
func (j *Job) leap() error {
	if j.Attempt > math.MaxUint32-AttemptLeap || j.LastID > math.MaxUint64-IDLeap {
		return fmt.Errorf("job %s: attempt %d and checkpoint %d are too near the end of their counters to leap", j.ID, j.Attempt, j.LastID)
	}
	j.LastID += IDLeap
	j.Leapt += IDLeap
	j.Attempt += AttemptLeap // also of a job that had no attempt yet: it may have had one since
	return nil
}
