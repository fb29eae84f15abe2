package coordinator

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// stops are the words of the client API for what becomes of the job.
var stops = map[api.Stop]checkpoint.Stop{
	api.StopNone: checkpoint.StopNone, api.StopSuspend: checkpoint.StopSuspend, api.StopDrain: checkpoint.StopDrain,
}

func (s service) TriggerSavepoint(ctx context.Context, ref string, stop api.Stop) (api.Savepoint, error) {
	how, known := stops[stop]
	if !known {
		return api.Savepoint{}, api.Errorf(api.Invalid, "stop %q: allowed are %q, %q and, to let the job go on, nothing",
			stop, api.StopSuspend, api.StopDrain)
	}
	return call[api.Savepoint]{
		local: func(ctx context.Context, l *leader) (api.Savepoint, error) {
			job, o, err := s.triggerHere(ctx, l, ref, checkpoint.KindSavepoint, how)
			if err != nil {
				return api.Savepoint{}, err
			}
			return s.savepointTaken(ctx, job, o)
		},
		remote: func(ctx context.Context, r api.Service) (api.Savepoint, error) {
			return r.TriggerSavepoint(ctx, ref, stop)
		},
	}.run(ctx, s.c)
}

// savepointTaken answers with a savepoint that has an outcome, once the job has ended where it is to end with it.
func (s service) savepointTaken(ctx context.Context, job checkpoint.JobID, o fsm.Outcome) (api.Savepoint, error) {
	machine := s.c.replica.machine
	j := machine.Job(job)
	switch {
	case j == nil:
		return api.Savepoint{}, api.Errorf(api.NotFound, "job %s is gone, and with it savepoint %d", job, o.ID)
	case o.Status == fsm.OutcomeFailed && o.Stop != checkpoint.StopNone:
		return api.Savepoint{}, api.Errorf(api.Conflict, "job %s was not stopped: savepoint %d failed: %s", j.Name, o.ID, failureText(o))
	case o.Status == fsm.OutcomeFailed:
		return api.Savepoint{}, api.Errorf(api.Conflict, "savepoint %d of job %s failed: %s", o.ID, j.Name, failureText(o))
	}
	c, kept := j.SavepointByID(o.ID)
	if !kept {
		return api.Savepoint{}, api.Errorf(api.NotFound, "savepoint %d of job %s completed, and was disposed of since", o.ID, j.Name)
	}
	if o.Stop != checkpoint.StopNone {
		if err := s.awaitEnd(ctx, j, o); err != nil {
			return api.Savepoint{}, err
		}
	}
	return savepointModel(j, c, fsm.HoldsOf(machine.Jobs())), nil
}

// awaitEnd waits for the end of a job that has been stopped with a savepoint, or until it is known not to come: a task
// that fails behind the savepoint has the job go on from it.
func (s service) awaitEnd(ctx context.Context, j *fsm.Job, savepoint fsm.Outcome) error {
	var last *fsm.Job
	err := s.await(ctx, j.ID, fmt.Sprintf("the end of job %s behind its savepoint %d, which has completed,", j.Name, savepoint.ID),
		func(j *fsm.Job) bool {
			last = j
			return j.Status.Terminal() || j.Status == fsm.JobRestarting || j.Attempt > savepoint.Attempt
		})
	if err != nil {
		return err
	}
	return endedWith(last, savepoint.ID)
}

// endedWith returns an error unless a job has ended as it should behind a savepoint.
func endedWith(j *fsm.Job, savepoint checkpoint.ID) error {
	switch {
	case j.Status == fsm.JobFinished:
		return nil
	case !j.Status.Terminal():
		return api.Errorf(api.Conflict, "savepoint %d completed, but job %s failed while it was stopping, and goes on from it: %s",
			savepoint, j.Name, j.Failure)
	}
	why := ""
	if j.Failure != "" {
		why = ": " + j.Failure
	}
	return api.Errorf(api.Conflict, "savepoint %d completed, but job %s is %s%s", savepoint, j.Name, j.Status, why)
}

func (s service) ListSavepoints(ctx context.Context, ref string) ([]api.Savepoint, error) {
	list := func(r reading) ([]api.Savepoint, error) { return r.savepoints(ref) }
	return read(ctx, s.c, list, func(ctx context.Context, r api.Service) ([]api.Savepoint, error) {
		return r.ListSavepoints(ctx, ref)
	})
}

func (s service) DisposeSavepoint(ctx context.Context, ref string, id uint64) error {
	_, err := call[struct{}]{
		local: func(ctx context.Context, l *leader) (struct{}, error) {
			return ask(ctx, l, func() (struct{}, error) { return struct{}{}, l.dispose(ref, checkpoint.ID(id)) })
		},
		remote: func(ctx context.Context, r api.Service) (struct{}, error) {
			return struct{}{}, r.DisposeSavepoint(ctx, ref, id)
		},
	}.run(ctx, s.c)
	return err
}

func (l *leader) dispose(ref string, id checkpoint.ID) error {
	r := l.reading()
	k, err := r.kept(ref, id)
	if err != nil || !k.savepoint {
		return r.notKept(ref, checkpoint.KindSavepoint, id)
	}
	if users := fsm.HoldsOf(r.jobs)[k.manifest.ID]; len(users) > 0 {
		names := make([]string, len(users))
		for i, user := range users {
			names[i] = fmt.Sprintf("%s (%s)", l.view.byID[user].Name, user)
		}
		return api.Errorf(api.Conflict, "savepoint %d of job %s is in use: job %s was submitted from it and has not completed a "+
			"checkpoint of its own; wait for one, or cancel that job", id, k.jobName, strings.Join(names, ", "))
	}
	return l.proposeOne(fsm.DisposeSavepoint{Job: k.job, Savepoint: id, At: now()})
}

// noSuchCheckpoint says why a job's checkpoint or savepoint cannot be had, and which can.
func noSuchCheckpoint(j *fsm.Job, kind checkpoint.Kind, id checkpoint.ID) error {
	if p, pending := j.PendingByID(id); pending {
		return api.Errorf(api.Conflict, "%s %d of job %s is still in progress", p.Kind, id, j.Name)
	}
	same, other, otherKind := j.Completed, j.Savepoints, checkpoint.KindSavepoint
	if kind == checkpoint.KindSavepoint {
		same, other, otherKind = j.Savepoints, j.Completed, checkpoint.KindCheckpoint
	}
	if slices.ContainsFunc(other, func(c fsm.Completed) bool { return c.ID == id }) {
		return api.Errorf(api.Invalid, "%d of job %s is a %s, not a %s", id, j.Name, otherKind, kind)
	}
	why := ""
	for _, o := range j.History {
		switch {
		case o.ID != id:
		case o.Status == fsm.OutcomeFailed:
			why = ": that one failed"
		case o.Kind != kind:
		case kind == checkpoint.KindSavepoint:
			why = ": that one was disposed of, or claimed by another job"
		default:
			why = ": that one was discarded, or claimed by another job"
		}
	}
	if len(same) == 0 {
		return api.Errorf(api.NotFound, "job %s has no %s %d%s; it has none", j.Name, kind, id, why)
	}
	return api.Errorf(api.NotFound, "job %s has no %s %d%s; it has %s", j.Name, kind, id, why, listIDs(same))
}

// listIDs names the newest of a list, which is ascending.
func listIDs(list []fsm.Completed) string {
	const named = 10
	text := ""
	if more := len(list) - named; more > 0 {
		list, text = list[more:], fmt.Sprintf("%d older ones, ", more)
	}
	ids := make([]string, len(list))
	for i, c := range list {
		ids[i] = c.ID.String()
	}
	return text + strings.Join(ids, ", ")
}
