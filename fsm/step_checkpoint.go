package fsm

import (
	"cmp"
	"fmt"
	"slices"

	"cairn/checkpoint"
)

func (s *State) beginCheckpoint(c BeginCheckpoint) (Result, error) {
	if err := c.validate(); err != nil {
		return Result{}, fmt.Errorf("%w: job %s: %w", ErrInvalid, c.Job, err)
	}
	j, err := s.running(c.Job, c.Attempt)
	if err != nil {
		return Result{}, err
	}
	if stopping, ok := j.pendingStop(); ok && c.Stop != checkpoint.StopNone {
		return Result{}, fmt.Errorf("%w: job %s: it is about to stop with savepoint %d (%s)",
			ErrWrongStatus, c.Job, stopping.ID, stopping.Stop)
	}
	j.LastID++ // the only place that hands out an ID: it is burnt whatever becomes of it (I1)
	j.Pending = appended(j.Pending, Pending{
		ID: j.LastID, Attempt: j.Attempt, Kind: c.Kind, TriggeredAt: c.At, BeganTerm: c.Term,
		Stop: c.Stop, Full: j.NeedsSource(), Manual: c.Manual, Aligned: c.Aligned,
	})
	s.put(j)
	return Result{Checkpoint: j.LastID}, nil
}

func (c BeginCheckpoint) validate() error {
	switch {
	case c.Kind != checkpoint.KindCheckpoint && c.Kind != checkpoint.KindSavepoint:
		return fmt.Errorf("beginning a checkpoint of %s", c.Kind)
	case c.Stop > checkpoint.StopDrain:
		return fmt.Errorf("beginning a savepoint with %s", c.Stop)
	case c.Stop != checkpoint.StopNone && c.Kind != checkpoint.KindSavepoint:
		return fmt.Errorf("a %s does not stop the job (%s): only a savepoint does", c.Kind, c.Stop)
	}
	return nil
}

// pendingStop returns the pending savepoint that the job is to end with.
func (j *Job) pendingStop() (Pending, bool) {
	for _, p := range j.Pending {
		if p.Stop != checkpoint.StopNone {
			return p, true
		}
	}
	return Pending{}, false
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
	if err := c.validate(); err != nil {
		return Result{}, fmt.Errorf("%w: job %s: completing checkpoint %d: %w", ErrInvalid, c.Job, c.Checkpoint, err)
	}
	j, p, err := s.pending(c.Job, c.Attempt, c.Checkpoint)
	if err != nil {
		return Result{}, err
	}
	var result Result
	if p.Kind == checkpoint.KindCheckpoint {
		result.Aborted = j.subsumePending(p.ID, c.Term, c.At)
	}
	o := p.outcome(OutcomeCompleted, c.Term, c.At)
	o.Sizes, o.NumSubtasks, o.NumAcknowledged, o.Detail = c.Sizes, c.NumSubtasks, c.NumSubtasks, c.Detail
	j.decide(o)
	entry := Completed{
		ID: p.ID, Attempt: p.Attempt, Kind: p.Kind, TriggeredAt: p.TriggeredAt, CompletedAt: c.At,
		Manifest: c.Manifest, StateSize: c.Sizes.State, NumSubtasks: c.NumSubtasks, Stop: p.Stop,
		Aligned: p.Aligned,
	}
	if p.Kind == checkpoint.KindSavepoint {
		j.keepSavepoint(entry)
	} else {
		j.Completed = appended(j.Completed, entry)
		result.Subsumed = j.trimLog()
	}
	s.put(j)
	return result, nil
}

func (c CompleteCheckpoint) validate() error {
	if c.Manifest.ID.IsZero() || c.Manifest.Size < 0 || c.NumSubtasks < 0 {
		return fmt.Errorf("manifest %s of %d bytes, %d subtasks", c.Manifest.ID, c.Manifest.Size, c.NumSubtasks)
	}
	return cmp.Or(c.Sizes.validate(), c.Detail.validate())
}

func (z Sizes) validate() error {
	if min(z.State, z.Checkpointed, z.AlignmentMillis, z.Processed, z.Persisted) < 0 {
		return fmt.Errorf("sizes %+v: none may be negative", z)
	}
	return nil
}

// validate keeps what is large out of the log and of the state.
func (d Detail) validate() error {
	switch {
	case len(d.Inline) > MaxInlineDetail:
		return fmt.Errorf("an inline detail of %d bytes, at most %d are allowed: it belongs in a chunk", len(d.Inline), MaxInlineDetail)
	case len(d.Inline) > 0 && d.Chunk != checkpoint.ChunkRef{}:
		return fmt.Errorf("a detail of %d bytes both inline and in chunk %s", len(d.Inline), d.Chunk.ID)
	case d.Chunk.Size < 0 || d.Chunk.ID.IsZero() && d.Chunk.Size != 0:
		return fmt.Errorf("a detail of %d bytes in chunk %s", d.Chunk.Size, d.Chunk.ID)
	}
	return nil
}

// keepSavepoint adds a savepoint in the order of IDs, in which they need not complete.
func (j *Job) keepSavepoint(c Completed) {
	at, _ := slices.BinarySearchFunc(j.Savepoints, c.ID, func(e Completed, id checkpoint.ID) int { return cmp.Compare(e.ID, id) })
	j.Savepoints = slices.Insert(slices.Clip(j.Savepoints), at, c)
}

// subsumePending aborts the pending checkpoints that are older than one that is completing. Savepoints
// survive: their owner asked for that very one.
func (j *Job) subsumePending(by checkpoint.ID, term checkpoint.Term, at checkpoint.Timestamp) []checkpoint.ID {
	message := fmt.Sprintf("checkpoint %d completed first", by)
	return j.abort(func(p Pending) bool { return p.ID < by && p.Kind == checkpoint.KindCheckpoint },
		checkpoint.ReasonSubsumed, message, term, at)
}

func (s *State) abortCheckpoint(c AbortCheckpoint) (Result, error) {
	if err := c.validate(); err != nil {
		return Result{}, fmt.Errorf("%w: job %s: aborting checkpoint %d: %w", ErrInvalid, c.Job, c.Checkpoint, err)
	}
	j, p, err := s.pending(c.Job, c.Attempt, c.Checkpoint)
	if err != nil {
		return Result{}, err
	}
	o := p.outcome(OutcomeFailed, c.Term, c.At)
	o.Reason, o.Message, o.NumAcknowledged = c.Reason, clip(c.Message), c.NumAcknowledged
	o.NumSubtasks, o.Sizes, o.Detail = j.Topology.NumSubtasks(), c.Sizes, c.Detail
	j.decide(o)
	s.put(j)
	return Result{Aborted: []checkpoint.ID{p.ID}}, nil
}

func (c AbortCheckpoint) validate() error {
	if c.Reason == 0 || c.NumAcknowledged < 0 {
		return fmt.Errorf("%s, %d acknowledged", c.Reason, c.NumAcknowledged)
	}
	return cmp.Or(c.Sizes.validate(), c.Detail.validate())
}
