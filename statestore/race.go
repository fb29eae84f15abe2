package statestore

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// errNotTried marks a peer whose turn did not come, or was over before it could be judged.
var errNotTried = errors.New("not tried")

// race makes attempts at the positions 0 to n-1, in this order, until want of them have succeeded. A failure is made up
// for by the next in order at once. So is an attempt that takes longer than slowAfter, but it may go on: whichever
// succeeds first counts. That is a hedged request (Dean and Barroso, The Tail at Scale, 2013).
type race struct {
	n, want   int
	slowAfter time.Duration
	try       func(ctx context.Context, i int) error

	entries []entry // of those that have begun
	missing int     // successes that are still wanted
	fresh   int     // attempts under way that are not slow
	running int
	ended   chan finish // capacity n: an attempt that ends never waits
}

// entry is an attempt.
type entry struct {
	slowAt time.Time
	over   bool
	slow   bool
}

// finish is how an attempt ended.
type finish struct {
	i   int
	err error
}

// run returns how each attempt ended. It returns when want have succeeded, none is left or ctx is done, and all that it
// started has ended. What was under way and not needed any more has failed if it was slow, and was not tried otherwise.
func (r *race) run(ctx context.Context) []error {
	results := make([]error, r.n)
	for i := range results {
		results[i] = errNotTried
	}
	r.missing, r.ended = min(r.want, r.n), make(chan finish, r.n)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	slow := time.NewTimer(r.slowAfter)
	defer slow.Stop()
	for {
		r.begin(ctx)
		if r.running == 0 {
			return results
		}
		r.watch(slow)
		select {
		case f := <-r.ended:
			if r.end(f, results); r.missing == 0 {
				cancel()
			}
		case <-slow.C:
			r.markSlow(time.Now())
		}
	}
}

// begin starts attempts until as many that are not slow are under way as successes are missing.
func (r *race) begin(ctx context.Context) {
	for r.fresh < r.missing && len(r.entries) < r.n && ctx.Err() == nil {
		i := len(r.entries)
		r.entries = append(r.entries, entry{slowAt: time.Now().Add(r.slowAfter)})
		r.fresh++
		r.running++
		go func() { r.ended <- finish{i, r.try(ctx, i)} }()
	}
}

// end records how an attempt ended.
func (r *race) end(f finish, results []error) {
	e := &r.entries[f.i]
	e.over = true
	r.running--
	if !e.slow {
		r.fresh--
	}
	switch {
	case f.err == nil:
		results[f.i] = nil
		r.missing = max(0, r.missing-1)
	case r.missing > 0:
		results[f.i] = f.err
	case e.slow: // it was called off, because others were faster
		results[f.i] = fmt.Errorf("%w within %s", errSlow, r.slowAfter)
	}
}

// errSlow says that a peer did not answer as fast as others.
var errSlow = errors.New("no answer")

// oldest returns the attempt that is slow next, nil when all are that are under way.
func (r *race) oldest() *entry {
	for i := range r.entries {
		if e := &r.entries[i]; !e.over && !e.slow {
			return e
		}
	}
	return nil
}

// watch sets the timer to when the next attempt is slow.
func (r *race) watch(timer *time.Timer) {
	if e := r.oldest(); e != nil {
		timer.Reset(time.Until(e.slowAt))
	} else {
		timer.Stop()
	}
}

// markSlow notes which attempts have become slow.
func (r *race) markSlow(now time.Time) {
	for e := r.oldest(); e != nil && !now.Before(e.slowAt); e = r.oldest() {
		e.slow = true
		r.fresh--
	}
}
