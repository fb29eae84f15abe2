package transport

import (
	"context"
	"io"

	"cairn/api"
)

var errPending = api.Errorf(api.Internal, "not built yet")

func (*Client) SetJob(context.Context, string, map[string]string) (api.JobDetail, error) {
	return api.JobDetail{}, errPending
}
func (*Client) CheckpointStatistics(context.Context, string) (api.CheckpointStatistics, error) {
	return api.CheckpointStatistics{}, errPending
}
func (*Client) TriggerSavepoint(context.Context, string, api.Stop) (api.Savepoint, error) {
	return api.Savepoint{}, errPending
}
func (*Client) ListSavepoints(context.Context, string) ([]api.Savepoint, error) {
	return nil, errPending
}
func (*Client) DisposeSavepoint(context.Context, string, uint64) error { return errPending }
func (*Client) RemovePeer(context.Context, string) error               { return errPending }
func (*Client) SaveSnapshot(context.Context, io.Writer) (api.SnapshotInfo, error) {
	return api.SnapshotInfo{}, errPending
}
func (*Client) RestoreSnapshot(context.Context, io.Reader) (api.SnapshotInfo, error) {
	return api.SnapshotInfo{}, errPending
}
