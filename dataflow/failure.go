package dataflow

import (
	"errors"

	"cairn/checkpoint"
)

// Permanent marks an error after which another attempt of the job would fail the same way, a missing input
// path for example: the job fails instead of restarting. It returns nil for nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &markedError{err: err, permanent: true}
}

// secondary marks an error that follows from another one, which is likely to be known soon: a channel to a
// peer broke.
func secondary(err error) error { return &markedError{err: err, secondary: true} }

// FailureOf returns how a task's error is reported.
func FailureOf(err error) checkpoint.Failure {
	f := checkpoint.Failure{Message: err.Error()}
	var marked *markedError
	for cause := err; errors.As(cause, &marked); cause = marked.err {
		f.Permanent = f.Permanent || marked.permanent
		f.Secondary = f.Secondary || marked.secondary
	}
	return f
}

type markedError struct {
	err       error
	permanent bool
	secondary bool
}

func (e *markedError) Error() string { return e.err.Error() }
func (e *markedError) Unwrap() error { return e.err }
