package coordinator

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"slices"

	"cairn/checkpoint"
	"cairn/fsm"
)

// nextRestart asks the job's restart strategy what follows the failure of its attempt at time at: the strategy's new
// state, with the delay, or the reason why no restart is left.
func nextRestart(j *fsm.Job, at checkpoint.Timestamp) (fsm.Restart, string) {
	next := fsm.Restart{Count: j.Restart.Count + 1, LastFailureAt: at}
	refusal := ""
	switch c := j.Config.Restart; c.Strategy {
	case checkpoint.FixedDelay:
		next.Delay = c.Delay.Milliseconds()
		if next.Count > c.Attempts {
			refusal = fmt.Sprintf("restart.strategy %s allows %d restarts", c.Strategy, c.Attempts)
		}
	case checkpoint.FailureRate:
		next.Delay = c.Delay.Milliseconds()
		next.Failures = failuresWithin(j, at)
		if len(next.Failures) > c.MaxFailures {
			refusal = fmt.Sprintf("restart.strategy %s allows %d failures within %s", c.Strategy, c.MaxFailures, c.FailureInterval)
		}
	case checkpoint.NoRestart:
		refusal = fmt.Sprintf("restart.strategy is %s", c.Strategy)
	default:
		next.SinceReset = restartsSinceReset(j, at) + 1
		next.Delay = backoff(j, next)
		if c.MaxAttempts > 0 && next.SinceReset > c.MaxAttempts {
			refusal = fmt.Sprintf("restart.strategy %s allows %d restarts until an attempt has run for %s",
				checkpoint.ExponentialDelay, c.MaxAttempts, c.ResetBackoffThreshold)
		}
	}
	next.NextAt = at + checkpoint.Timestamp(next.Delay)
	return next, refusal
}

// restartsSinceReset returns how many restarts in a row the exponential delay counts: none when the attempt that has
// failed had run long enough.
func restartsSinceReset(j *fsm.Job, at checkpoint.Timestamp) int {
	if int64(at-j.AttemptStartedAt) >= j.Config.Restart.ResetBackoffThreshold.Milliseconds() {
		return 0
	}
	return j.Restart.SinceReset
}

// backoff returns the exponential delay in milliseconds: the first one multiplied for each restart in a row, spread by
// the jitter so that jobs which failed together do not all come back together, and bounded.
func backoff(j *fsm.Job, next fsm.Restart) int64 {
	c := j.Config.Restart
	longest := float64(c.MaxBackoff.Milliseconds())
	delay := float64(c.InitialBackoff.Milliseconds()) * math.Pow(c.BackoffMultiplier, float64(next.SinceReset-1))
	delay = min(delay, longest)
	delay += delay * c.JitterFactor * spread(j.ID, next.Count)
	return int64(min(delay, longest))
}

// spread returns a number between -1 and 1 that looks random and follows from the job and the number of its restart:
// deciding draws no random numbers.
func spread(job checkpoint.JobID, count int) float64 {
	h := fnv.New64a()
	h.Write(job[:])
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(count)))
	return 2*float64(mixed(h.Sum64())>>11)/(1<<53) - 1
}

// mixed spreads the difference between two similar hashes over all bits (the finalizer of SplitMix64).
func mixed(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// failuresWithin returns the times of the failures that the failure rate counts, with this one. A time that lies ahead
// was taken by another clock, and counts.
func failuresWithin(j *fsm.Job, at checkpoint.Timestamp) []checkpoint.Timestamp {
	interval := checkpoint.Timestamp(j.Config.Restart.FailureInterval.Milliseconds())
	times := []checkpoint.Timestamp{at}
	for _, t := range j.Restart.Failures {
		if at-t < interval {
			times = append(times, t)
		}
	}
	slices.Sort(times)
	return times
}
