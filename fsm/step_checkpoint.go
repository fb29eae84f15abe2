package fsm

import (
	"fmt"
	"slices"

	"cairn/checkpoint"
)

func (s *State) beginCheckpoint(c BeginCheckpoint) (Result, error) {
	if c.Kind != checkpoint.KindCheckpoint && c.Kind != checkpoint.KindSavepoint {
		return Result{}, fmt.Errorf("%w: job %s: beginning a checkpoint of %s", ErrInvalid, c.Job, c.Kind)
	}
	j, err := s.running(c.Job, c.Attempt)
	if err != nil {
		return Result{}, err
	}
	j.LastID++ // the only place that hands out an ID: it is burnt whatever becomes of it (I1)
	j.Pending = appended(j.Pending, Pending{
		ID: j.LastID, Attempt: j.Attempt, Kind: c.Kind, TriggeredAt: c.At, BeganTerm: c.Term,
	})
	s.put(j)
	return Result{Checkpoint: j.LastID}, nil
}

// pending returns the draft of a job and its pending checkpoint, which the caller is about to decide. That
// the outcome of a checkpoint removes it from the pending ones is what makes a second one impossible (I2).
func (s *State) pending(job checkpoint.JobID, attempt checkpoint.Attempt, id checkpoint.ID) (*Job, Pending, error) {
	j, err := s.attempt(job, attempt)
	if err != nil {
		return nil, Pending{}, err
	}
	p, ok := j.PendingByID(id)
	if !ok {
		return nil, Pending{}, fmt.Errorf("%w: job %s: checkpoint %d", ErrNotPending, job, id)
	}
	return j, p, nil
}

func (s *State) completeCheckpoint(c CompleteCheckpoint) (Result, error) {
	if c.Manifest.ID.IsZero() || c.Manifest.Size < 0 || c.Sizes.State < 0 || c.NumSubtasks < 0 {
		return Result{}, fmt.Errorf("%w: job %s: checkpoint %d: manifest %s of %d bytes, state of %d bytes, %d subtasks",
			ErrInvalid, c.Job, c.Checkpoint, c.Manifest.ID, c.Manifest.Size, c.Sizes.State, c.NumSubtasks)
	}
	j, p, err := s.pending(c.Job, c.Attempt, c.Checkpoint)
	if err != nil {
		return Result{}, err
	}
	var result Result
	if p.Kind == checkpoint.KindCheckpoint {
		result.Aborted = j.subsumePending(p.ID, c.Term, c.At)
	}
	if p.ID > j.lastSuccess() {
		j.ConsecutiveFailures = 0
	}
	o := p.outcome(OutcomeCompleted, c.Term, c.At)
	o.Sizes, o.NumSubtasks, o.NumAcknowledged = c.Sizes, c.NumSubtasks, c.NumSubtasks
	j.decide(o)
	if p.Kind == checkpoint.KindCheckpoint {
		result.Subsumed = j.retain(Completed{
			ID: p.ID, Attempt: p.Attempt, Kind: p.Kind, TriggeredAt: p.TriggeredAt, CompletedAt: c.At,
			Manifest: c.Manifest, StateSize: c.Sizes.State, NumSubtasks: c.NumSubtasks,
		})
	}
	s.put(j)
	return result, nil
}

// subsumePending aborts the pending checkpoints that are older than one that is completing. Savepoints
// survive: their owner asked for that very one.
func (j *Job) subsumePending(by checkpoint.ID, term checkpoint.Term, at checkpoint.Timestamp) []checkpoint.ID {
	message := fmt.Sprintf("checkpoint %d completed first", by)
	return j.abort(func(p Pending) bool { return p.ID < by && p.Kind == checkpoint.KindCheckpoint },
		checkpoint.ReasonSubsumed, message, term, at)
}

// retain adds a checkpoint to the log and moves those beyond Config.Retain to the discard list. It returns
// the IDs of the latter.
func (j *Job) retain(c Completed) []checkpoint.ID {
	j.Completed = appended(j.Completed, c)
	beyond := len(j.Completed) - j.Config.Retain
	if beyond <= 0 {
		return nil
	}
	left := j.Completed[:beyond]
	j.Completed = j.Completed[beyond:]
	j.discard(left...)
	ids := make([]checkpoint.ID, len(left))
	for i := range left {
		ids[i] = left[i].ID
	}
	return ids
}

// discard puts checkpoints that have left the log on the discard list. Their chunks are deleted later, and
// FinishDiscards says when that is done: a leader that dies in between leaves the list to the next one.
func (j *Job) discard(left ...Completed) {
	j.Discards = appended(j.Discards)
	for _, c := range left {
		j.Discards = append(j.Discards, Discard{ID: c.ID, Manifest: c.Manifest})
	}
}

func (s *State) abortCheckpoint(c AbortCheckpoint) (Result, error) {
	if c.Reason == 0 || c.NumAcknowledged < 0 {
		return Result{}, fmt.Errorf("%w: job %s: aborting checkpoint %d: %s, %d acknowledged",
			ErrInvalid, c.Job, c.Checkpoint, c.Reason, c.NumAcknowledged)
	}
	j, p, err := s.pending(c.Job, c.Attempt, c.Checkpoint)
	if err != nil {
		return Result{}, err
	}
	o := p.outcome(OutcomeFailed, c.Term, c.At)
	o.Reason, o.Message, o.NumAcknowledged = c.Reason, clip(c.Message), c.NumAcknowledged
	o.NumSubtasks = j.Topology.NumSubtasks()
	j.decide(o)
	s.put(j)
	return Result{Aborted: []checkpoint.ID{p.ID}}, nil
}

// abortAll decides every pending checkpoint as failed, because of something that ends them all.
func (j *Job) abortAll(r checkpoint.Reason, message string, term checkpoint.Term, at checkpoint.Timestamp) []checkpoint.ID {
	return j.abort(func(Pending) bool { return true }, r, message, term, at)
}

func (j *Job) abort(which func(Pending) bool, r checkpoint.Reason, message string, term checkpoint.Term, at checkpoint.Timestamp) []checkpoint.ID {
	var aborted []checkpoint.ID
	for _, p := range j.Pending {
		if !which(p) {
			continue
		}
		o := p.outcome(OutcomeFailed, term, at)
		o.Reason, o.Message, o.NumSubtasks = r, message, j.Topology.NumSubtasks()
		j.decide(o)
		aborted = append(aborted, p.ID)
	}
	return aborted
}

func (p Pending) outcome(s OutcomeStatus, term checkpoint.Term, at checkpoint.Timestamp) Outcome {
	return Outcome{
		ID: p.ID, Attempt: p.Attempt, Kind: p.Kind, Status: s, TriggeredAt: p.TriggeredAt, EndedAt: at,
		Term: term, BeganTerm: p.BeganTerm,
	}
}

// decide is where a checkpoint gets its one outcome (I2): it is no longer pending, it is counted, and it
// enters the history.
func (j *Job) decide(o Outcome) {
	if o.Status == OutcomeCompleted {
		j.Counters.Completed++
	} else {
		j.Counters.Failed++
		if j.countsAsFailure(o) {
			j.ConsecutiveFailures++
		}
	}
	j.Pending = without(j.Pending, func(p Pending) bool { return p.ID == o.ID })
	j.History = appended(j.History, o)
	if beyond := len(j.History) - MaxHistory; beyond > 0 {
		j.History = j.History[beyond:]
	}
}

// countsAsFailure is the rule of Flink's CheckpointFailureManager. A failure that is older than a success
// says nothing about the present. Nor does a savepoint that the coordinator gave up, for a restart would not
// help it; one that a task declined counts like a checkpoint.
func (j *Job) countsAsFailure(o Outcome) bool {
	if o.Kind == checkpoint.KindSavepoint && o.Reason != checkpoint.ReasonDeclined {
		return false
	}
	return o.Reason.Counts() && o.ID > j.lastSuccess()
}

// finishDiscards ignores what is not on the list (any more): the command is repeated when its outcome was
// unknown.
func (s *State) finishDiscards(c FinishDiscards) error {
	j, err := s.draft(c.Job)
	if err != nil {
		return err
	}
	j.Discards = without(j.Discards, func(d Discard) bool { return slices.Contains(c.Checkpoints, d.ID) })
	s.put(j)
	s.forgetEnded()
	return nil
}
