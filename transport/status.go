package transport

import (
	"context"
	"errors"
	"strings"
	"syscall"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cairn/transport/transportpb"
)

// remoteErrors pairs the sentinels that cross the network with their codes there. Where one wraps another,
// the first match counts.
var remoteErrors = []struct {
	sentinel error
	kind     transportpb.ErrorDetail_Kind
	code     codes.Code
}{
	{ErrUnknownAttempt, transportpb.ErrorDetail_KIND_UNKNOWN_ATTEMPT, codes.FailedPrecondition},
	{ErrStaleAttempt, transportpb.ErrorDetail_KIND_STALE_ATTEMPT, codes.FailedPrecondition},
	{ErrChunkNotFound, transportpb.ErrorDetail_KIND_CHUNK_NOT_FOUND, codes.NotFound},
	{ErrChunkCorrupt, transportpb.ErrorDetail_KIND_CHUNK_CORRUPT, codes.DataLoss},
	{ErrChunkTooLarge, transportpb.ErrorDetail_KIND_CHUNK_TOO_LARGE, codes.InvalidArgument},
	{ErrNoSpace, transportpb.ErrorDetail_KIND_NO_SPACE, codes.ResourceExhausted},
	{ErrMessageTooLarge, transportpb.ErrorDetail_KIND_MESSAGE_TOO_LARGE, codes.ResourceExhausted},
	{ErrOverflow, transportpb.ErrorDetail_KIND_OVERFLOW, codes.ResourceExhausted},
	{ErrShuttingDown, transportpb.ErrorDetail_KIND_SHUTTING_DOWN, codes.Unavailable},
}

// toStatus makes of a handler's error what gRPC sends. nil stays nil.
func toStatus(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, syscall.ENOSPC) && !errors.Is(err, ErrNoSpace) {
		err = &remoteError{text: err.Error(), sentinel: ErrNoSpace}
	}
	for _, r := range remoteErrors {
		if errors.Is(err, r.sentinel) {
			return detailed(r.code, err.Error(), &transportpb.ErrorDetail{Kind: r.kind})
		}
	}
	switch {
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, errorText(err.Error()))
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, errorText(err.Error()))
	case errors.Is(err, ErrMalformed):
		return status.Error(codes.InvalidArgument, errorText(err.Error()))
	}
	return status.Error(codes.Unknown, errorText(err.Error()))
}

func detailed(code codes.Code, text string, detail *transportpb.ErrorDetail) error {
	s, err := status.New(code, errorText(text)).WithDetails(detail)
	if err != nil { // only for codes.OK, and for a detail that cannot be marshalled
		return status.Error(code, errorText(text))
	}
	return s.Err()
}

// errorText makes text fit for a header: bounded, and valid UTF-8.
func errorText(text string) string {
	if len(text) > maxErrorText {
		text = text[:maxErrorText] + " …"
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

// remoteError is an error that the other side returned: its text, and the sentinel that it stands for here.
// The text names the sentinel already, so it is not repeated.
type remoteError struct {
	text     string
	sentinel error // nil when the error is none of this package's
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.sentinel }

// fromStatus makes of what gRPC returned the error that the other side meant. Errors of gRPC's own keep their
// text but not their form, so that nobody outside this package depends on it.
func fromStatus(err error) error {
	s, ok := status.FromError(err)
	if !ok {
		return err // never was gRPC's
	}
	switch s.Code() {
	case codes.OK:
		return nil
	case codes.Canceled:
		return &remoteError{text: s.Message(), sentinel: context.Canceled}
	case codes.DeadlineExceeded:
		return &remoteError{text: s.Message(), sentinel: context.DeadlineExceeded}
	}
	kind := detailOf(s).GetKind()
	for _, r := range remoteErrors {
		if r.kind == kind {
			return &remoteError{text: s.Message(), sentinel: r.sentinel}
		}
	}
	return &remoteError{text: s.Message()}
}

// detailOf returns the detail that this package put into a status, or nil: then the status is gRPC's own.
func detailOf(s *status.Status) *transportpb.ErrorDetail {
	for _, d := range s.Details() {
		if detail, ok := d.(*transportpb.ErrorDetail); ok {
			return detail
		}
	}
	return nil
}
