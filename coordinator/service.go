package coordinator

import (
	"context"
	"slices"
	"strings"
	"time"

	"cairn/api"
	"cairn/checkpoint"
	"cairn/fsm"
)

// callTimeout bounds how long a call waits for a leader, so that a client learns the reason instead of
// hanging.
const callTimeout = 3 * time.Second

// service implements api.Service: on the leader by asking the leader loop, elsewhere by forwarding to it.
type service struct{ c *Coordinator }

var _ api.Service = service{}

// Service returns the client API of this coordinator.
func (c *Coordinator) Service() api.Service { return service{c} }

// waitUntil returns when to stop waiting for a leader: early enough for the reason to reach the client before it
// gives up by itself.
func waitUntil(ctx context.Context) time.Time {
	wait := callTimeout
	if deadline, bounded := ctx.Deadline(); bounded {
		wait = min(wait, time.Until(deadline)*4/5)
	}
	return time.Now().Add(wait)
}

// leaderPoll is how often a call looks whether a leader has appeared.
const leaderPoll = 50 * time.Millisecond

// call is one method of api.Service, made fit to run wherever the leader is.
type call[T any] struct {
	local  func(context.Context, *leader) (T, error)
	remote func(context.Context, api.Service) (T, error)
	// repeatable says that the call may be made again when its outcome is unknown.
	repeatable bool
}

// run makes the call on the leader, here or elsewhere, and waits for one up to callTimeout. A call that was
// forwarded to us is not forwarded again: its sender tries again with a fresher idea of who leads.
func (k call[T]) run(ctx context.Context, c *Coordinator) (T, error) {
	deadline := waitUntil(ctx)
	for {
		v, err := k.attempt(ctx, c)
		code := api.CodeOf(err)
		retry := code == api.NotLeader || code == api.Unavailable && k.repeatable
		if err == nil || !retry || c.deps.Forwarded(ctx) {
			return v, err
		}
		if code == api.NotLeader && c.bootstrap.waiting() != "" {
			return v, c.noLeader() // there will be none soon
		}
		select {
		case <-ctx.Done():
			return v, c.noLeader()
		case <-time.After(leaderPoll):
		}
		if time.Now().After(deadline) {
			if code == api.NotLeader {
				err = c.noLeader()
			}
			return v, err
		}
	}
}

func (k call[T]) attempt(ctx context.Context, c *Coordinator) (T, error) {
	if l := c.sessions.leading(); l != nil {
		return k.local(ctx, l)
	}
	id, address := c.replica.leader()
	if address == "" || id == c.cfg.ID || c.deps.Forwarded(ctx) {
		var none T
		return none, api.Errorf(api.NotLeader, "coordinator %s does not lead", c.cfg.ID)
	}
	return k.remote(ctx, c.deps.Forward(address))
}

// read answers a question about the replicated jobs: on the leader, once that has made sure that it leads, or from this
// coordinator's own copy when the caller is content with that.
func read[T any](ctx context.Context, c *Coordinator, f func(reading) (T, error), remote func(context.Context, api.Service) (T, error)) (T, error) {
	if api.Stale(ctx) {
		return f(reading{imports: c.replica.imports(), jobs: c.replica.jobs(), drained: c.replica.drained(), now: time.Now()})
	}
	return call[T]{
		local: func(ctx context.Context, l *leader) (T, error) {
			if err := l.readIndex(ctx); err != nil {
				var none T
				return none, err
			}
			return ask(ctx, l, func() (T, error) { return f(l.reading()) })
		},
		remote:     remote,
		repeatable: true,
	}.run(ctx, c)
}

// noLeader says why nobody can answer.
func (c *Coordinator) noLeader() error {
	if why := c.bootstrap.waiting(); why != "" {
		return api.Errorf(api.Unavailable, "no leader: %s", why)
	}
	return api.Errorf(api.Unavailable, "no leader: fewer than a majority of the %d coordinators reach each other", len(c.replica.voters()))
}

// findJob resolves a job's ID or name: a name means the job that has not ended, else the one that ended
// last.
func findJob(jobs []*fsm.Job, ref string) (*fsm.Job, error) {
	if id, err := checkpoint.ParseJobID(ref); err == nil {
		for _, j := range jobs {
			if j.ID == id {
				return j, nil
			}
		}
		return nil, api.Errorf(api.NotFound, "no job has the ID %s", ref)
	}
	var found *fsm.Job
	for _, j := range jobs { // oldest first
		if j.Name == ref && (found == nil || found.Status.Terminal()) {
			found = j
		}
	}
	if found == nil {
		return nil, api.Errorf(api.NotFound, "no job is named %q%s", ref, jobNames(jobs))
	}
	return found, nil
}

// namedJobs bounds the names that an error lists.
const namedJobs = 10

// jobNames lists the names of jobs, the newest first, in the form of a continuation.
func jobNames(jobs []*fsm.Job) string {
	var names []string
	for i := len(jobs) - 1; i >= 0 && len(names) < namedJobs; i-- {
		if !slices.Contains(names, jobs[i].Name) {
			names = append(names, jobs[i].Name)
		}
	}
	if len(names) == 0 {
		return ": none was submitted"
	}
	return "; there are " + strings.Join(names, ", ")
}
