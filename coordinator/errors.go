package coordinator

import (
	"errors"

	"cairn/api"
	"cairn/fsm"
)

// toAPIError gives a rejection of the state machine the code that clients act on.
func toAPIError(err error) error {
	code := api.Conflict
	switch {
	case errors.Is(err, fsm.ErrUnknownJob), errors.Is(err, fsm.ErrUnknownCheckpoint):
		code = api.NotFound
	case errors.Is(err, fsm.ErrNameTaken), errors.Is(err, fsm.ErrJobExists), errors.Is(err, fsm.ErrSavepointExists):
		code = api.AlreadyExists
	case errors.Is(err, fsm.ErrInvalid):
		code = api.Invalid
	}
	return api.Errorf(code, "%v", err)
}
