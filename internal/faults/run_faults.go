package faults

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"cairn/api"
)

// missesAllowed is how often faults may find nothing to hit, because another one is at work. They are tried again then.
const missesAllowed = 20

// strikeAll lets all faults of the deck happen, and changes the parallelism meanwhile.
func (r *run) strikeAll(ctx context.Context) error {
	s := &striker{
		c: r.cluster, random: r.random, saboteur: r.saboteur, timeline: r.timeline, job: jobName, victims: r.victims,
	}
	faults := deck(r.random)
	var rescaling sync.WaitGroup
	defer rescaling.Wait()
	var failed error // of rescaling
	// Between two changes, and before the first one and behind the last, as many faults strike.
	parts := len(r.scenario.Rescale) + 1
	for i, to := range append(slices.Clone(r.scenario.Rescale), 0) {
		rest := len(faults) * (parts - 1 - i) / (parts - i)
		if err := r.strikeUntil(ctx, s, &faults, rest); err != nil {
			return err
		}
		if rescaling.Wait(); failed != nil {
			return failed
		}
		if to != 0 {
			rescaling.Go(func() { failed = r.rescale(ctx, to) })
		}
	}
	return r.strikeRestores(ctx, s)
}

// strikeUntil lets faults happen until so many are left.
func (r *run) strikeUntil(ctx context.Context, s *striker, faults *[]Fault, rest int) error {
	for misses := 0; len(*faults) > rest; {
		r.pause()
		f := (*faults)[0]
		*faults = (*faults)[1:]
		if s.strike(f) {
			r.result.Happened[f]++
			continue
		}
		r.timeline.note("%s: nothing to hit", f)
		if ended, err := r.ended(ctx); err != nil {
			return err
		} else if ended {
			return fmt.Errorf("the job has ended before all faults have struck, %d are left", len(*faults)+1)
		}
		if misses++; misses > missesAllowed {
			return fmt.Errorf("the fault %q finds nothing to hit", f)
		}
		*faults = slices.Insert(*faults, r.random.IntN(len(*faults)+1), f)
	}
	return nil
}

// rescale changes the parallelism of all operators. Faults may be the end of one try; a user would try again.
func (r *run) rescale(ctx context.Context, to int) error {
	r.timeline.note("parallelism %d is asked for", to)
	for until := time.Now().Add(clientPatience); ; time.Sleep(poll) { // virtual time
		done, err := ask(ctx, r.cluster, func(ctx context.Context, s api.Service) (api.Rescaled, error) {
			return s.RescaleJob(ctx, jobName, api.Parallelism{All: to})
		})
		switch {
		case err == nil:
			r.timeline.note("parallelism %d from checkpoint %d on", to, done.Checkpoint)
			for _, v := range done.Job.Vertices {
				if v.Parallelism != to {
					return fmt.Errorf("vertex %s has parallelism %d, was to have %d", v.ID, v.Parallelism, to)
				}
			}
			r.result.Rescaled = append(r.result.Rescaled, to)
			return nil
		case api.CodeOf(err) != api.Conflict || time.Now().After(until):
			return fmt.Errorf("changing the parallelism to %d: %w", to, err)
		}
		r.timeline.note("parallelism %d not yet: %s", to, err)
	}
}

// pause lets time pass between two faults: often next to none, so that one strikes amid what another has caused.
func (r *run) pause() {
	most := 600 * time.Millisecond
	if r.random.IntN(3) == 0 {
		most = 50 * time.Millisecond
	}
	time.Sleep(time.Duration(r.random.Int64N(int64(most)))) // virtual time
}
