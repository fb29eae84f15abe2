package transport

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"cairn/api"
	"cairn/transport/transportpb"
)

// apiCodes pairs the codes of the client API with gRPC's. The receiver of an error goes by the detail that
// travels with it; gRPC's code is for other tools.
var apiCodes = map[api.Code]codes.Code{
	api.Internal:      codes.Internal,
	api.Invalid:       codes.InvalidArgument,
	api.NotFound:      codes.NotFound,
	api.AlreadyExists: codes.AlreadyExists,
	api.Conflict:      codes.FailedPrecondition,
	api.Unavailable:   codes.Unavailable,
	api.NotLeader:     codes.Aborted,
}

// apiToStatus makes of an error of api.Service what gRPC sends. nil stays nil.
func apiToStatus(err error) error {
	if err == nil {
		return nil
	}
	code := api.CodeOf(err)
	if e := (*api.Error)(nil); !errors.As(err, &e) && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		code = api.Unavailable // the caller's time was up before there was an answer
	}
	return detailed(apiCodes[code], err.Error(), &transportpb.ErrorDetail{
		Kind: transportpb.ErrorDetail_KIND_API, ApiCode: uint32(code),
	})
}

// apiFromStatus returns the error of api.Service that a coordinator answered with, or nil when err is none: the
// coordinator was not reached, or the answer was lost.
func apiFromStatus(err error) *api.Error {
	s := status.Convert(err)
	detail := detailOf(s)
	if detail.GetKind() != transportpb.ErrorDetail_KIND_API {
		return nil
	}
	code := api.Code(detail.GetApiCode())
	if _, known := apiCodes[code]; !known || detail.GetApiCode() > 0xff {
		code = api.Internal
	}
	return &api.Error{Code: code, Message: s.Message()}
}

// apiUnanswered is the error for a call that a coordinator was reached for but did not answer.
func apiUnanswered(method, address string, err error) *api.Error {
	s := status.Convert(err)
	switch s.Code() {
	case codes.Unimplemented:
		return api.Errorf(api.Invalid, "%s: %s is not a coordinator, or of another version: %s", method, address, s.Message())
	case codes.ResourceExhausted:
		return api.Errorf(api.Invalid, "%s at %s: over a size limit: %s", method, address, s.Message())
	case codes.DeadlineExceeded:
		return api.Errorf(api.Unavailable, "%s: the coordinator at %s did not answer in time", method, address)
	case codes.Canceled:
		return api.Errorf(api.Unavailable, "%s: canceled", method)
	case codes.Unavailable:
		return api.Errorf(api.Unavailable, "%s: the connection to the coordinator at %s broke: %s", method, address, s.Message())
	}
	return api.Errorf(api.Internal, "%s at %s: %s", method, address, fmt.Sprintf("%s: %s", s.Code(), s.Message()))
}
