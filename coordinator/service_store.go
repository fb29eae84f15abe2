package coordinator

import (
	"context"
	"slices"

	"cairn/api"
	"cairn/checkpoint"
)

func (s service) StoreStatus(ctx context.Context) (api.StoreStatus, error) {
	return call[api.StoreStatus]{
		local: func(ctx context.Context, l *leader) (api.StoreStatus, error) {
			if err := l.readIndex(ctx); err != nil {
				return api.StoreStatus{}, err
			}
			status, err := l.keeper.status(ctx)
			if err == nil {
				status.Problems, err = l.keeper.problems(ctx)
			}
			if err != nil {
				return api.StoreStatus{}, storeUnknown(err)
			}
			status.Problems = slices.Concat([]string{}, status.Problems, roomProblems(status))
			status.SweptAt, err = ask(ctx, l, func() (int64, error) { return sweptAt(l.view), nil })
			return status, err
		},
		remote:     func(ctx context.Context, r api.Service) (api.StoreStatus, error) { return r.StoreStatus(ctx) },
		repeatable: true,
	}.run(ctx, s.c)
}

func (s service) LocateCheckpoint(ctx context.Context, job string, id uint64) (api.CheckpointLocation, error) {
	locate := func(r reading) (api.CheckpointLocation, error) {
		k, err := r.kept(job, checkpoint.ID(id))
		if err != nil {
			return api.CheckpointLocation{}, r.neitherKept(job, checkpoint.ID(id))
		}
		return api.CheckpointLocation{
			Job: k.job.String(), JobName: k.jobName, ID: id, Kind: k.kind.String(), Manifest: k.manifest, Detail: k.detail,
			Replicas: s.c.cfg.Replicas, Incomplete: k.incomplete,
		}, nil
	}
	return read(ctx, s.c, locate, func(ctx context.Context, r api.Service) (api.CheckpointLocation, error) {
		return r.LocateCheckpoint(ctx, job, id)
	})
}

func (s service) LocateChunks(ctx context.Context, chunks []checkpoint.ChunkRef) (api.ChunkLocations, error) {
	if len(chunks) > api.MaxLocated {
		return api.ChunkLocations{}, api.Errorf(api.Invalid, "%d chunks to be located at once: at most %d are allowed", len(chunks), api.MaxLocated)
	}
	return call[api.ChunkLocations]{
		local: func(ctx context.Context, l *leader) (api.ChunkLocations, error) {
			found, err := l.keeper.locate(ctx, chunks)
			if err != nil {
				return api.ChunkLocations{}, storeUnknown(err)
			}
			return found, nil
		},
		remote: func(ctx context.Context, r api.Service) (api.ChunkLocations, error) {
			return r.LocateChunks(ctx, chunks)
		},
		repeatable: true,
	}.run(ctx, s.c)
}

func storeUnknown(err error) error {
	return api.Errorf(api.Unavailable, "the leader did not say what the nodes hold: %v", err)
}
