package dataflow

import (
	"errors"

	"cairn/checkpoint"
	"cairn/dataflow/exchange"
)

// Permanent marks an error after which another attempt of the job would fail the same way, a missing input
// path for example: the job fails instead of restarting. It returns nil for nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &permanentError{err}
}

// FailureOf returns how a task's error is reported.
func FailureOf(err error) checkpoint.Failure {
	f := checkpoint.Failure{Message: err.Error()}
	var permanent *permanentError
	var channel *exchange.ChannelError
	f.Permanent, f.Secondary = errors.As(err, &permanent), errors.As(err, &channel)
	if chunk, lacking := unavailableChunk(err); lacking {
		f.Unavailable = chunk
	}
	return f
}

// unavailableChunk returns the chunk of which no good copy could be had, when that is what the error is about.
func unavailableChunk(err error) (chunk checkpoint.ChunkRef, lacking bool) {
	var unavailable interface{ Unavailable() checkpoint.ChunkRef }
	if lacking = errors.As(err, &unavailable); lacking {
		chunk = unavailable.Unavailable()
	}
	return chunk, lacking
}

type permanentError struct{ err error }

func (e *permanentError) Error() string { return e.err.Error() }
func (e *permanentError) Unwrap() error { return e.err }
