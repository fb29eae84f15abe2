package statestore

import (
	"context"
	"time"
)

// The rates in bytes per second that a scrub keeps to, whatever time is left: so slow that nobody minds, and so fast that
// a small store is soon done.
const (
	scrubMinRate = 64 << 10
	scrubMaxRate = 32 << 20
)

// scrubBurst is how much time that was not used may be made up for at once; waits are at least this long.
const scrubBurst = 50 * time.Millisecond

// ScrubRate returns how many bytes a second are to be read so that what is left is read in the time that is left.
func ScrubRate(left int64, timeLeft time.Duration) int64 {
	seconds := timeLeft.Seconds()
	if seconds <= 0 {
		return scrubMaxRate
	}
	return int64(min(scrubMaxRate, max(scrubMinRate, float64(left)/seconds)))
}

// pacer is a token bucket: it keeps reading to a rate.
type pacer struct {
	now   func() time.Time
	sleep func(context.Context, time.Duration) error
	ready time.Time // when what was read so far has been paid for
}

// wait waits until size bytes more may be read at a rate in bytes per second.
func (p *pacer) wait(ctx context.Context, size, rate int64) error {
	now := p.now()
	if earliest := now.Add(-scrubBurst); p.ready.Before(earliest) {
		p.ready = earliest
	}
	p.ready = p.ready.Add(time.Duration(float64(size) / float64(rate) * float64(time.Second)))
	if d := p.ready.Sub(now); d > scrubBurst {
		return p.sleep(ctx, d)
	}
	return ctx.Err()
}
