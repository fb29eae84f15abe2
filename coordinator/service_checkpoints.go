package coordinator

import (
	"context"
	"fmt"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

func (s service) ListCheckpoints(ctx context.Context, ref string) ([]api.Checkpoint, error) {
	return read(ctx, s.c, of(ref, reading.checkpoints), func(ctx context.Context, r api.Service) ([]api.Checkpoint, error) {
		return r.ListCheckpoints(ctx, ref)
	})
}

func (s service) CheckpointStatistics(ctx context.Context, ref string) (api.CheckpointStatistics, error) {
	return read(ctx, s.c, of(ref, reading.statistics), func(ctx context.Context, r api.Service) (api.CheckpointStatistics, error) {
		return r.CheckpointStatistics(ctx, ref)
	})
}

func (s service) ShowCheckpoint(ctx context.Context, ref string, id uint64) (api.CheckpointDetail, error) {
	describe := of(ref, func(r reading, j *fsm.Job) (described, error) { return r.checkpointDetail(j, checkpoint.ID(id)) })
	d, err := read(ctx, s.c, describe, func(ctx context.Context, r api.Service) (described, error) {
		model, err := r.ShowCheckpoint(ctx, ref, id)
		return described{model: model}, err
	})
	if err != nil {
		return api.CheckpointDetail{}, err
	}
	return s.withBreakdown(ctx, d), nil
}

// withBreakdown reads a breakdown that is a chunk of the state store. It does so beside the leader loop.
func (s service) withBreakdown(ctx context.Context, d described) api.CheckpointDetail {
	if d.chunk.ID.IsZero() {
		return d.model
	}
	data, err := s.c.deps.Store.Get(ctx, d.chunk)
	if err != nil {
		d.model.DetailMissing = fmt.Sprintf("What was recorded of its subtasks could not be read: %v", err)
		return d.model
	}
	d.decode(data)
	return d.model
}

func (s service) TriggerCheckpoint(ctx context.Context, ref string) (api.Checkpoint, error) {
	return call[api.Checkpoint]{
		local: func(ctx context.Context, l *leader) (api.Checkpoint, error) {
			_, o, err := s.triggerHere(ctx, l, ref, checkpoint.KindCheckpoint, checkpoint.StopNone)
			return outcomeModel(o), err
		},
		remote: func(ctx context.Context, r api.Service) (api.Checkpoint, error) {
			return r.TriggerCheckpoint(ctx, ref)
		},
	}.run(ctx, s.c)
}

// triggerHere asks for a checkpoint or savepoint and waits for its outcome. Once it has begun it outlives this
// leadership: the next leader finishes it, and this coordinator reads of it in the log.
func (s service) triggerHere(ctx context.Context, l *leader, ref string, kind checkpoint.Kind, stop checkpoint.Stop) (checkpoint.JobID, fsm.Outcome, error) {
	reply := make(chan triggered, 1)
	job, err := askJob(ctx, l, ref, func(j *fsm.Job) (checkpoint.JobID, error) {
		l.trigger(ctx, j, kind, stop, reply)
		return j.ID, nil
	})
	if err != nil {
		return job, fsm.Outcome{}, err
	}
	select {
	case r := <-reply:
		if r.id == 0 {
			return job, fsm.Outcome{}, r.err
		}
		o, err := s.outcome(ctx, job, r.id)
		return job, o, err
	case <-ctx.Done():
		return job, fsm.Outcome{}, api.Errorf(api.Unavailable, "the %s had no outcome in time: %v", kind, context.Cause(ctx))
	}
}

// outcome waits until this coordinator's log says how a checkpoint ended.
func (s service) outcome(ctx context.Context, job checkpoint.JobID, id checkpoint.ID) (fsm.Outcome, error) {
	var found fsm.Outcome
	err := s.await(ctx, job, fmt.Sprintf("the outcome of checkpoint %d", id), func(j *fsm.Job) bool {
		for _, o := range j.History {
			if o.ID == id {
				found = o
				return true
			}
		}
		return false
	})
	return found, err
}

// await waits until done says so of the job as this coordinator knows it.
func (s service) await(ctx context.Context, id checkpoint.JobID, what string, done func(*fsm.Job) bool) error {
	machine := s.c.replica.machine
	for {
		changed := machine.Changed()
		j := machine.Job(id)
		switch {
		case j == nil:
			return api.Errorf(api.NotFound, "job %s is gone, and with it %s", id, what)
		case done(j):
			return nil
		}
		select {
		case <-changed:
		case <-s.c.stopped:
			return api.Errorf(api.Unavailable, "coordinator %s has stopped before it knew %s; ask another one", s.c.cfg.ID, what)
		case <-ctx.Done():
			return api.Errorf(api.Unavailable, "%s did not come in time: %v", what, context.Cause(ctx))
		}
	}
}
