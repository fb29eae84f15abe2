// Package pace spreads records evenly over time, for sources that have a rate. A Pacer has no clock of its own and
// never waits: it says when to go on. It belongs to one goroutine.
package pace

import "time"

// Pacer holds a rate.
type Pacer struct {
	perSecond float64   // 0 means no limit, and so does more than mostPerSecond
	next      time.Time // when the next record is due
}

// mostPerSecond is where records would be less than a nanosecond, the clock's step, apart.
const mostPerSecond = 1e9

// catchUp bounds how far a reader that was held up (by back pressure, say) may run ahead of the rate to make
// good for it.
const catchUp = 100 * time.Millisecond

// shortestWait makes fast streams wait once for many records instead of once for each.
const shortestWait = 2 * time.Millisecond

// longestGap keeps the slowest of rates from overflowing a time.
const longestGap = 365 * 24 * time.Hour

// New returns a pacer for a rate; 0 means no limit.
func New(perSecond float64) Pacer { return Pacer{perSecond: perSecond} }

func (p *Pacer) limited() bool { return 0 < p.perSecond && p.perSecond <= mostPerSecond }

// Allow returns how many records may be read at now, at most limit; when none, also the time at which the
// next is due.
func (p *Pacer) Allow(now time.Time, limit int) (records int, due time.Time) {
	if !p.limited() {
		return limit, time.Time{}
	}
	if earliest := now.Add(-catchUp); p.next.Before(earliest) {
		p.next = earliest
	}
	if p.next.After(now) {
		return 0, later(p.next, now.Add(shortestWait))
	}
	ready := 1 + now.Sub(p.next).Seconds()*p.perSecond
	return int(min(ready, float64(limit))), time.Time{}
}

// Spent tells the pacer that records have been read.
func (p *Pacer) Spent(records int) {
	if p.limited() {
		seconds := min(float64(records)/p.perSecond, longestGap.Seconds())
		p.next = p.next.Add(time.Duration(seconds * float64(time.Second)))
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
