package coordinator

import (
	"context"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

func (s service) ListCheckpoints(ctx context.Context, ref string) ([]api.Checkpoint, error) {
	return call[[]api.Checkpoint]{
		local: func(ctx context.Context, l *leader) ([]api.Checkpoint, error) {
			var list []api.Checkpoint
			err := l.onJob(ctx, ref, func(j *fsm.Job) error { list = checkpointModels(l.view, j, time.Now()); return nil })
			return list, err
		},
		remote: func(ctx context.Context, r api.Service) ([]api.Checkpoint, error) {
			return r.ListCheckpoints(ctx, ref)
		},
		repeatable: true,
	}.run(ctx, s.c)
}

func (s service) ShowCheckpoint(ctx context.Context, ref string, id uint64) (api.CheckpointDetail, error) {
	return call[api.CheckpointDetail]{
		local: func(ctx context.Context, l *leader) (api.CheckpointDetail, error) {
			var detail api.CheckpointDetail
			err := l.onJob(ctx, ref, func(j *fsm.Job) (err error) {
				detail, err = checkpointDetailModel(l.view, j, checkpoint.ID(id), time.Now())
				return err
			})
			return detail, err
		},
		remote: func(ctx context.Context, r api.Service) (api.CheckpointDetail, error) {
			return r.ShowCheckpoint(ctx, ref, id)
		},
		repeatable: true,
	}.run(ctx, s.c)
}

func (s service) TriggerCheckpoint(ctx context.Context, ref string) (api.Checkpoint, error) {
	return call[api.Checkpoint]{
		local: func(ctx context.Context, l *leader) (api.Checkpoint, error) { return triggerHere(ctx, l, ref) },
		remote: func(ctx context.Context, r api.Service) (api.Checkpoint, error) {
			return r.TriggerCheckpoint(ctx, ref)
		},
	}.run(ctx, s.c)
}

func triggerHere(ctx context.Context, l *leader, ref string) (api.Checkpoint, error) {
	reply := make(chan triggered, 1)
	if err := l.onJob(ctx, ref, func(j *fsm.Job) error { l.trigger(j, reply); return nil }); err != nil {
		return api.Checkpoint{}, err
	}
	select {
	case r := <-reply:
		if r.err != nil {
			return api.Checkpoint{}, r.err
		}
		detail, err := readCheckpoint(ctx, l, ref, r.id)
		return detail.Checkpoint, err
	case <-ctx.Done():
		return api.Checkpoint{}, api.Errorf(api.Unavailable, "the checkpoint had no outcome in time: %v", context.Cause(ctx))
	}
}

func readCheckpoint(ctx context.Context, l *leader, ref string, id checkpoint.ID) (api.CheckpointDetail, error) {
	var detail api.CheckpointDetail
	err := l.onJob(ctx, ref, func(j *fsm.Job) (err error) {
		detail, err = checkpointDetailModel(l.view, j, id, time.Now())
		return err
	})
	return detail, err
}
