package coordinator

import (
	"context"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

func (s service) JobMetrics(ctx context.Context, ref, vertex string) (api.JobMetrics, error) {
	metrics := of(ref, func(r reading, j *fsm.Job) (api.JobMetrics, error) {
		return r.jobMetrics(j, checkpoint.VertexID(vertex))
	})
	return read(ctx, s.c, metrics, func(ctx context.Context, r api.Service) (api.JobMetrics, error) {
		return r.JobMetrics(ctx, ref, vertex)
	})
}
