package coordinator

import "time"

// bucket bounds a rate of bytes (a token bucket). It holds what a second brings; it may be overdrawn by one piece, which
// the next ones wait for.
type bucket struct {
	rate   float64 // bytes per second
	tokens float64 // bytes, at the time
	at     time.Time
}

func newBucket(rate int64, now time.Time) bucket {
	return bucket{rate: float64(rate), tokens: float64(rate), at: now}
}

// available returns how many bytes may be taken; none may while it is not positive.
func (b bucket) available(now time.Time) float64 {
	return min(b.rate, b.tokens+b.rate*max(0, now.Sub(b.at).Seconds()))
}

// take takes bytes out.
func (b *bucket) take(bytes int64, now time.Time) {
	b.tokens, b.at = b.available(now)-float64(bytes), now
}
