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
			return askJob(ctx, l, ref, func(j *fsm.Job) ([]api.Checkpoint, error) {
				return checkpointModels(l.view, j, time.Now()), nil
			})
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
			return readCheckpoint(ctx, l, ref, checkpoint.ID(id))
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
	job, err := askJob(ctx, l, ref, func(j *fsm.Job) (checkpoint.JobID, error) {
		l.trigger(ctx, j, checkpoint.KindCheckpoint, checkpoint.StopNone, reply)
		return j.ID, nil
	})
	if err != nil {
		return api.Checkpoint{}, err
	}
	select {
	case r := <-reply:
		if r.err != nil {
			return api.Checkpoint{}, r.err
		}
		detail, err := readCheckpoint(ctx, l, job.String(), r.id)
		return detail.Checkpoint, err
	case <-ctx.Done():
		return api.Checkpoint{}, api.Errorf(api.Unavailable, "the checkpoint had no outcome in time: %v", context.Cause(ctx))
	}
}

func readCheckpoint(ctx context.Context, l *leader, ref string, id checkpoint.ID) (api.CheckpointDetail, error) {
	return askJob(ctx, l, ref, func(j *fsm.Job) (api.CheckpointDetail, error) {
		return checkpointDetailModel(l.view, j, id, time.Now())
	})
}
