package coordinator

import (
	"context"
	"errors"

	"cairn/api"
	"cairn/fsm"
)

// requests are the client calls that wait for something to happen. They belong to the leader loop.
type requests struct {
	nextPlan uint64
	plans    map[uint64]*planRequest
	triggers map[uint64]*triggerRequest // by the request's name in the view
	rescales map[uint64]*rescaleRequest // by the number of the plan that began them
}

func newRequests() requests {
	return requests{
		plans: make(map[uint64]*planRequest), triggers: make(map[uint64]*triggerRequest), rescales: make(map[uint64]*rescaleRequest),
	}
}

// ask runs f on the leader loop and returns what it returns. It returns an Unavailable error when leadership ends,
// or ctx does, first: then f may still run, and its result goes nowhere.
func ask[T any](ctx context.Context, l *leader, f func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	var none T
	answers := make(chan answer, 1)
	if !l.inbox.post(func() {
		value, err := f()
		answers <- answer{value, err}
	}) {
		return none, errLeadershipEnded()
	}
	select {
	case a := <-answers:
		return a.value, a.err
	case <-l.ctx.Done():
		return none, errLeadershipEnded()
	case <-ctx.Done():
		return none, api.Errorf(api.Unavailable, "the leader did not answer in time: %v", context.Cause(ctx))
	}
}

// askJob runs f on the leader loop with the job that ref names.
func askJob[T any](ctx context.Context, l *leader, ref string, f func(*fsm.Job) (T, error)) (T, error) {
	return ask(ctx, l, func() (T, error) {
		l.refresh()
		j, err := findJob(l.view.Jobs, ref)
		if err != nil {
			var none T
			return none, err
		}
		return f(j)
	})
}

func errLeadershipEnded() error {
	return api.Errorf(api.Unavailable, "leadership ended while the call was under way")
}

// proposeOne commits a client's command. An unknown outcome is told as such: the client can look whether
// it took effect.
func (l *leader) proposeOne(c fsm.Command) error {
	responses, err := l.raft.propose([]fsm.Command{c}, func() {})
	if errors.Is(err, errBusy) {
		return api.Errorf(api.Unavailable, "nothing was changed, try again: %v", err)
	}
	if err != nil {
		return api.Errorf(api.Unavailable, "leadership changed during the call; whether it took effect is unknown: %v", err)
	}
	if err := responses[0].Err; err != nil {
		return toAPIError(err)
	}
	l.refresh()
	l.proposed(c, responses[0])
	return nil
}

// failRequests answers everybody who still waits when the loop ends.
func (l *leader) failRequests() {
	for _, p := range l.requests.plans {
		p.reply <- submitted{err: errLeadershipEnded()}
	}
	for id, t := range l.requests.triggers {
		l.answer(id, triggered{id: t.checkpoint, err: errLeadershipEnded()})
	}
	for request, r := range l.requests.rescales {
		l.endRescale(request, rescaled{err: l.abandoned(r)})
	}
}
