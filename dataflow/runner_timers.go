package dataflow

import "time"

// timers lists the operators of the chain that may wait for processing time.
func (r *runner) timers() []timed {
	var all []timed
	for _, o := range r.operators {
		if t, is := o.(timed); is {
			all = append(all, t)
		}
	}
	return all
}

// nextTimer returns when the first timer in processing time is due, or the zero time when none waits. At the end of the
// input, and behind the barrier of a savepoint that the job ends with, none does.
func (r *runner) nextTimer() time.Time {
	var first time.Time
	if r.ended || r.suspended != 0 {
		return first
	}
	for _, o := range r.timed {
		if at, waits := o.nextProcessingTimer(); waits {
			first = earlier(first, at.Time())
		}
	}
	return first
}

// earlier returns the earlier of two times, of which the zero one means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// fireTimers fires the timers in processing time that are due. It looks at the clock only if some timer waits.
func (r *runner) fireTimers() error {
	next := r.nextTimer()
	if next.IsZero() {
		return nil
	}
	now := r.task.clock()
	if now.Before(next) {
		return nil
	}
	for _, o := range r.timed {
		o.fireProcessingTimers(EventTimeOf(now))
	}
	r.countOutput()
	r.armFlush()
	return r.chain.err
}
