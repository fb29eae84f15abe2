package coordinator

import (
	"context"
	"maps"
	"slices"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

func (s service) RescaleJob(ctx context.Context, ref string, asked api.Parallelism) (api.Rescaled, error) {
	if err := checkParallelism(asked); err != nil {
		return api.Rescaled{}, err
	}
	if asked.All == 0 && len(asked.Operators) == 0 {
		return api.Rescaled{}, api.Errorf(api.Invalid, "nothing to change: no parallelism is given")
	}
	return call[api.Rescaled]{
		local: func(ctx context.Context, l *leader) (api.Rescaled, error) { return rescaleHere(ctx, l, ref, asked) },
		remote: func(ctx context.Context, r api.Service) (api.Rescaled, error) {
			return r.RescaleJob(ctx, ref, asked)
		},
	}.run(ctx, s.c)
}

// rescaleHere asks for another parallelism and waits until the job goes on in it, or is known not to.
func rescaleHere(ctx context.Context, l *leader, ref string, asked api.Parallelism) (api.Rescaled, error) {
	reply := make(chan rescaled, 1)
	job, err := askJob(ctx, l, ref, func(j *fsm.Job) (checkpoint.JobID, error) {
		l.rescale(ctx, j, asked, reply)
		return j.ID, nil
	})
	if err != nil {
		return api.Rescaled{}, err
	}
	select {
	case r := <-reply:
		if r.err != nil {
			return api.Rescaled{}, r.err
		}
		detail, err := ask(ctx, l, func() (api.JobDetail, error) { return of(job.String(), reading.jobDetail)(l.reading()) })
		return api.Rescaled{Job: detail, Checkpoint: uint64(r.from)}, err
	case <-ctx.Done():
		return api.Rescaled{}, api.Errorf(api.Unavailable, "the parallelism of job %s was not changed in time, and will not be unless that is "+
			"being committed: %v", ref, context.Cause(ctx))
	}
}

// checkParallelism refuses what no job could have.
func checkParallelism(asked api.Parallelism) error {
	if asked.All < 0 || asked.All > checkpoint.MaxMaxParallelism {
		return api.Errorf(api.Invalid, "parallelism %d: must be 1 to %d", asked.All, checkpoint.MaxMaxParallelism)
	}
	for _, op := range slices.Sorted(maps.Keys(asked.Operators)) {
		if n := asked.Operators[op]; n < 1 || n > checkpoint.MaxMaxParallelism {
			return api.Errorf(api.Invalid, "operator %s: parallelism %d, must be 1 to %d", op, n, checkpoint.MaxMaxParallelism)
		}
	}
	return nil
}

// overridesOf turns a client's wishes for a job that is being submitted into those for its graph.
func overridesOf(asked api.Parallelism) checkpoint.Overrides {
	o := checkpoint.Overrides{All: asked.All}
	for op, n := range asked.Operators {
		if o.Parallelism == nil {
			o.Parallelism = make(map[checkpoint.OperatorID]int, len(asked.Operators))
		}
		o.Parallelism[checkpoint.OperatorID(op)] = n
	}
	return o
}

// chosen returns the parallelism of the operators that a client has chosen one for, in the graph that came of it.
func chosen(asked api.Parallelism, t checkpoint.Topology) map[checkpoint.OperatorID]int {
	if asked.All != 0 {
		return t.ParallelismOf()
	}
	return overridesOf(asked).Parallelism
}
