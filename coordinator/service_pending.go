package coordinator

import (
	"context"

	"cairn/api"
)

var errPending = api.Errorf(api.Internal, "not built yet")

func (service) SetJob(context.Context, string, map[string]string) (api.JobDetail, error) {
	return api.JobDetail{}, errPending
}
func (service) CheckpointStatistics(context.Context, string) (api.CheckpointStatistics, error) {
	return api.CheckpointStatistics{}, errPending
}
func (service) TriggerSavepoint(context.Context, string, api.Stop) (api.Savepoint, error) {
	return api.Savepoint{}, errPending
}
func (service) ListSavepoints(context.Context, string) ([]api.Savepoint, error) {
	return nil, errPending
}
func (service) DisposeSavepoint(context.Context, string, uint64) error { return errPending }
