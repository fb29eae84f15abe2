package api

import (
	"errors"
	"fmt"
)

// Code classifies an Error, so that transports and clients can act on it without matching text.
type Code uint8

const (
	// Internal: a fault of Cairn's.
	Internal Code = iota
	// Invalid: the request can never succeed as it is.
	Invalid
	// NotFound: what the request names does not exist.
	NotFound
	// AlreadyExists: what the request would create exists.
	AlreadyExists
	// Conflict: the state of the job or the cluster forbids it now.
	Conflict
	// Unavailable: no leader, no quorum or no node; trying again later may succeed.
	Unavailable
	// NotLeader: a coordinator forwarded the call to one that does not lead. Coordinators try again; a
	// client does not see it.
	NotLeader
)

// Error is what every method of Service returns.
type Error struct {
	Code    Code
	Message string
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Errorf returns an *Error with a formatted message.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// CodeOf returns the code of the *Error in err's chain, or Internal when there is none.
func CodeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}
