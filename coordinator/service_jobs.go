package coordinator

import (
	"cmp"
	"context"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// planTimeout bounds how long a node may take to build a job's graph, and sourceTimeout how long it may take in all
// when the nodes are also asked for the state that the job starts from.
const (
	planTimeout   = 10 * time.Second
	sourceTimeout = 2 * time.Minute
)

func (s service) SubmitJob(ctx context.Context, req api.SubmitJobRequest) (api.Job, error) {
	if req.Name == "" {
		req.Name = req.Program
	}
	if err := checkName(req.Name); err != nil {
		return api.Job{}, err
	}
	if err := cmp.Or(checkSource(req.Source), checkParallelism(req.Parallelism)); err != nil {
		return api.Job{}, err
	}
	config, err := checkpoint.ParseConfig(req.Config)
	if err != nil {
		return api.Job{}, api.Errorf(api.Invalid, "%v", err)
	}
	return call[api.Job]{
		local: func(ctx context.Context, l *leader) (api.Job, error) {
			return submitHere(ctx, l, req, config)
		},
		remote: func(ctx context.Context, r api.Service) (api.Job, error) { return r.SubmitJob(ctx, req) },
	}.run(ctx, s.c)
}

// maxNameLength keeps names readable in tables; a job's ID could otherwise be taken for a name.
const maxNameLength = 128

func checkName(name string) error {
	if _, err := checkpoint.ParseJobID(name); err == nil {
		return api.Errorf(api.Invalid, "job name %q looks like a job ID; choose another", name)
	}
	if name == "" || len(name) > maxNameLength {
		return api.Errorf(api.Invalid, "job name of %d characters: must be 1 to %d", len(name), maxNameLength)
	}
	return nil
}

func submitHere(ctx context.Context, l *leader, req api.SubmitJobRequest, config checkpoint.Config) (api.Job, error) {
	limit, late := planTimeout, api.Errorf(api.Unavailable, "no node answered with the graph of job %q in time", req.Program)
	if req.Source != nil {
		limit, late = sourceTimeout, api.Errorf(api.Unavailable, "the nodes did not answer in time with the graph of job %q and the state of %s %d",
			req.Program, req.Source.Kind, req.Source.Checkpoint)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	reply := make(chan submitted, 1)
	if _, err := ask(ctx, l, func() (struct{}, error) { l.submit(req, config, reply); return struct{}{}, nil }); err != nil {
		return api.Job{}, err
	}
	select {
	case r := <-reply:
		if r.err != nil {
			return api.Job{}, r.err
		}
		return readJob(ctx, l, r.id.String())
	case <-ctx.Done():
		l.inbox.post(func() { l.withdrawPlan(reply, late) })
		return api.Job{}, late
	}
}

// readJob returns a job as it is after a change to it.
func readJob(ctx context.Context, l *leader, id string) (api.Job, error) {
	return ask(ctx, l, func() (api.Job, error) {
		return of(id, func(r reading, j *fsm.Job) (api.Job, error) { return r.jobModel(j), nil })(l.reading())
	})
}

func (s service) ListJobs(ctx context.Context) ([]api.Job, error) {
	return read(ctx, s.c, reading.jobModels, func(ctx context.Context, r api.Service) ([]api.Job, error) { return r.ListJobs(ctx) })
}

func (s service) ShowJob(ctx context.Context, ref string) (api.JobDetail, error) {
	return read(ctx, s.c, of(ref, reading.jobDetail), func(ctx context.Context, r api.Service) (api.JobDetail, error) {
		return r.ShowJob(ctx, ref)
	})
}

func (s service) SetJob(ctx context.Context, ref string, config map[string]string) (api.JobDetail, error) {
	return call[api.JobDetail]{
		local: func(ctx context.Context, l *leader) (api.JobDetail, error) {
			return askJob(ctx, l, ref, func(j *fsm.Job) (api.JobDetail, error) {
				if err := l.configure(j, config); err != nil {
					return api.JobDetail{}, err
				}
				return of(j.ID.String(), reading.jobDetail)(l.reading())
			})
		},
		remote: func(ctx context.Context, r api.Service) (api.JobDetail, error) { return r.SetJob(ctx, ref, config) },
	}.run(ctx, s.c)
}

// configure changes the given keys of a job's configuration, all or none.
func (l *leader) configure(j *fsm.Job, values map[string]string) error {
	if len(values) == 0 {
		return api.Errorf(api.Invalid, "nothing to change: name at least one key of the configuration")
	}
	next, err := j.Config.With(values)
	if err == nil {
		err = j.Config.Mutable(next)
	}
	switch {
	case err != nil:
		return api.Errorf(api.Invalid, "job %s: %v", j.Name, err)
	case j.Status.Terminal():
		return api.Errorf(api.Conflict, "job %s is %s: its configuration does not change any more", j.Name, j.Status)
	case next == j.Config:
		return nil
	}
	return l.proposeOne(fsm.ConfigureJob{Job: j.ID, Config: next, At: now()})
}

// now is the leader's clock, as commands carry it.
func now() checkpoint.Timestamp { return checkpoint.Timestamp(time.Now().UnixMilli()) }

func (s service) CancelJob(ctx context.Context, ref string) (api.Job, error) {
	return call[api.Job]{
		local: func(ctx context.Context, l *leader) (api.Job, error) {
			id, err := askJob(ctx, l, ref, func(j *fsm.Job) (checkpoint.JobID, error) { return j.ID, l.cancelJob(j) })
			if err != nil {
				return api.Job{}, err
			}
			return readJob(ctx, l, id.String())
		},
		remote: func(ctx context.Context, r api.Service) (api.Job, error) { return r.CancelJob(ctx, ref) },
	}.run(ctx, s.c)
}

func (l *leader) cancelJob(j *fsm.Job) error {
	if j.Status.Terminal() {
		return api.Errorf(api.Conflict, "job %s is %s already", j.Name, j.Status)
	}
	return l.proposeOne(fsm.CancelJob{Job: j.ID, Term: l.term, At: now()})
}
