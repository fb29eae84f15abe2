package coordinator

import (
	"context"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// planTimeout bounds how long a node may take to build a job's graph.
const planTimeout = 10 * time.Second

func (s service) SubmitJob(ctx context.Context, req api.SubmitJobRequest) (api.Job, error) {
	if req.Name == "" {
		req.Name = req.Program
	}
	if err := checkName(req.Name); err != nil {
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
	ctx, cancel := context.WithTimeout(ctx, planTimeout)
	defer cancel()
	reply := make(chan submitted, 1)
	if err := l.do(ctx, func() { l.submit(req, config, reply) }); err != nil {
		return api.Job{}, err
	}
	select {
	case r := <-reply:
		if r.err != nil {
			return api.Job{}, r.err
		}
		return readJob(ctx, l, r.id.String())
	case <-ctx.Done():
		return api.Job{}, api.Errorf(api.Unavailable, "no node answered with the graph of job %q within %s", req.Program, planTimeout)
	}
}

func readJob(ctx context.Context, l *leader, ref string) (api.Job, error) {
	var job api.Job
	err := l.onJob(ctx, ref, func(j *fsm.Job) error { job = jobModel(l.view, j, time.Now()); return nil })
	return job, err
}

// onJob runs f on the leader loop with the job that ref names.
func (l *leader) onJob(ctx context.Context, ref string, f func(*fsm.Job) error) error {
	var err error
	if doErr := l.do(ctx, func() {
		l.view.SetJobs(l.raft.jobs())
		var j *fsm.Job
		if j, err = findJob(l.view.Jobs, ref); err == nil {
			err = f(j)
		}
	}); doErr != nil {
		return doErr
	}
	return err
}

func (s service) ListJobs(ctx context.Context) ([]api.Job, error) {
	return call[[]api.Job]{
		local: func(ctx context.Context, l *leader) ([]api.Job, error) {
			jobs := []api.Job{}
			return jobs, l.read(ctx, func() {
				for _, j := range l.view.Jobs {
					jobs = append(jobs, jobModel(l.view, j, time.Now()))
				}
			})
		},
		remote:     func(ctx context.Context, r api.Service) ([]api.Job, error) { return r.ListJobs(ctx) },
		repeatable: true,
	}.run(ctx, s.c)
}

// read runs f on the leader loop, with the view brought up to date.
func (l *leader) read(ctx context.Context, f func()) error {
	return l.do(ctx, func() {
		l.view.SetJobs(l.raft.jobs())
		f()
	})
}

func (s service) ShowJob(ctx context.Context, ref string) (api.JobDetail, error) {
	return call[api.JobDetail]{
		local: func(ctx context.Context, l *leader) (api.JobDetail, error) {
			var detail api.JobDetail
			err := l.onJob(ctx, ref, func(j *fsm.Job) error { detail = jobDetailModel(l.view, j, time.Now()); return nil })
			return detail, err
		},
		remote:     func(ctx context.Context, r api.Service) (api.JobDetail, error) { return r.ShowJob(ctx, ref) },
		repeatable: true,
	}.run(ctx, s.c)
}

func (s service) CancelJob(ctx context.Context, ref string) (api.Job, error) {
	return call[api.Job]{
		local: func(ctx context.Context, l *leader) (api.Job, error) {
			if err := l.onJob(ctx, ref, l.cancelJob); err != nil {
				return api.Job{}, err
			}
			return readJob(ctx, l, ref)
		},
		remote: func(ctx context.Context, r api.Service) (api.Job, error) { return r.CancelJob(ctx, ref) },
	}.run(ctx, s.c)
}

func (l *leader) cancelJob(j *fsm.Job) error {
	if j.Status.Terminal() {
		return api.Errorf(api.Conflict, "job %s is %s already", j.Name, j.Status)
	}
	return l.proposeOne(fsm.CancelJob{Job: j.ID, Term: l.term, At: checkpoint.Timestamp(time.Now().UnixMilli())})
}
