package fsm

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"cairn/checkpoint"
)

// MaxText bounds, in bytes, the failure texts that the state keeps. Longer ones are cut: an entry of the
// log may name ten thousand subtasks, a hundred entries of a history must not.
const MaxText = 4096

// Step applies the command that Raft committed at index and returns what it answers. It takes over what
// the command refers to (maps and slices): the caller does not change it afterwards.
//
// A rejected command returns one of the sentinel errors, wrapped, and changes nothing but LastIndex.
// Step panics when index does not increase or when the command is of no known type: the log or the program
// is broken then, and going on would make this replica differ from the others.
func (s *State) Step(index uint64, c Command) (Result, error) {
	if index <= s.LastIndex {
		panic(fmt.Sprintf("fsm: index %d of %T does not follow index %d", index, c, s.LastIndex))
	}
	s.LastIndex = index
	switch c := c.(type) {
	case SubmitJob:
		return Result{}, s.submitJob(c)
	case ConfigureJob:
		return s.configureJob(c)
	case StartAttempt:
		return Result{}, s.startAttempt(c)
	case FailAttempt:
		return s.failAttempt(c)
	case CancelJob:
		return s.cancelJob(c)
	case EndJob:
		return s.endJob(c)
	case BeginCheckpoint:
		return s.beginCheckpoint(c)
	case CompleteCheckpoint:
		return s.completeCheckpoint(c)
	case AbortCheckpoint:
		return s.abortCheckpoint(c)
	case FinishDiscards:
		return Result{}, s.finishDiscards(c)
	case DisposeSavepoint:
		return Result{}, s.disposeSavepoint(c)
	case BeginImport:
		return Result{}, s.beginImport(c)
	case FinishImport:
		return Result{}, s.finishImport(c)
	case RescaleJob:
		return s.rescaleJob(c)
	case MoveJob:
		return s.moveJob(c)
	case DrainNode:
		return Result{}, s.drainNode(c)
	case UndrainNode:
		return Result{}, s.undrainNode(c)
	case GiveUpCheckpoint:
		return Result{}, s.giveUpCheckpoint(c)
	}
	panic(fmt.Sprintf("fsm: index %d: unknown command type %T", index, c))
}

// draft returns a copy of the job for a command to modify and then to put back. Until then nothing has
// changed, so that a rejection needs no undoing. The slices of the copy are still shared with readers of
// the original: whoever modifies one replaces it (appended, without).
func (s *State) draft(id checkpoint.JobID) (*Job, error) {
	j := s.Jobs[id]
	if j == nil {
		return nil, fmt.Errorf("%w: %s", ErrUnknownJob, id)
	}
	next := *j
	return &next, nil
}

// living is draft for the commands that make no sense for a job that has ended.
func (s *State) living(id checkpoint.JobID) (*Job, error) {
	j, err := s.draft(id)
	if err == nil && j.Status.Terminal() {
		return nil, fmt.Errorf("%w: job %s is %s", ErrJobEnded, id, j.Status)
	}
	return j, err
}

// attempt is living for the commands that belong to the job's current attempt.
func (s *State) attempt(id checkpoint.JobID, attempt checkpoint.Attempt) (*Job, error) {
	j, err := s.living(id)
	if err == nil && j.Attempt != attempt {
		return nil, fmt.Errorf("%w: job %s: attempt %d, current is %d", ErrStaleAttempt, id, attempt, j.Attempt)
	}
	return j, err
}

// running is attempt for the commands that need it to be running.
func (s *State) running(id checkpoint.JobID, attempt checkpoint.Attempt) (*Job, error) {
	j, err := s.attempt(id, attempt)
	if err == nil && j.Status != JobRunning {
		return nil, fmt.Errorf("%w: job %s is %s", ErrNotRunning, id, j.Status)
	}
	return j, err
}

// put publishes a draft.
func (s *State) put(j *Job) { s.Jobs[j.ID] = j }

// appended returns a new slice: the elements of old, which readers may hold, and more.
func appended[T any](old []T, more ...T) []T {
	return append(old[:len(old):len(old)], more...)
}

// without returns a new slice: the elements of old, which readers may hold, that drop does not name.
func without[T any](old []T, drop func(T) bool) []T {
	var kept []T
	for _, e := range old {
		if !drop(e) {
			kept = append(kept, e)
		}
	}
	return kept
}

// clip cuts text to MaxText bytes between two characters.
func clip(text string) string {
	if len(text) <= MaxText {
		return text
	}
	const mark = "…"
	cut := MaxText - len(mark)
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return strings.Clone(text[:cut]) + mark
}
