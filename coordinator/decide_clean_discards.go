package coordinator

import (
	"time"

	"cairn/checkpoint"
	"cairn/fsm"
)

// Discarded is an entry of a job's discard list.
type Discarded struct {
	Job checkpoint.JobID
	fsm.Discard
}

func (d Discarded) key() discardKey { return discardKey{d.Job, d.ID} }

type discardKey struct {
	job checkpoint.JobID
	id  checkpoint.ID
}

// failedDiscard is a discard that could not be read, or not be deleted everywhere.
type failedDiscard struct {
	tries   int
	retryAt time.Time
}

// discardable returns the discards that a sweep at time now can take on, at most limit of them. It leaves out those
// on which a job depends, and those whose last try is too recent.
func (v *View) discardable(now time.Time, limit int) []Discarded {
	var found []Discarded
	v.eachDiscardable(func(j *fsm.Job, free []fsm.Discard) {
		for _, d := range free {
			if len(found) < limit && !now.Before(v.cleaning.failed[discardKey{j.ID, d.ID}].retryAt) {
				found = append(found, Discarded{Job: j.ID, Discard: d})
			}
		}
	})
	return found
}

// eachDiscardable calls f for each job with the discards that may be deleted, if there are any.
func (v *View) eachDiscardable(f func(j *fsm.Job, free []fsm.Discard)) {
	var holds fsm.Holds
	for _, j := range v.Jobs {
		if len(j.Discards) == 0 {
			continue
		}
		if holds == nil {
			holds = fsm.HoldsOf(v.Jobs)
		}
		if free := holds.Discardable(j); len(free) > 0 {
			f(j, free)
		}
	}
}

// giveUp counts a failed try of a discard and reports whether it was the last.
func (v *View) giveUp(k discardKey, now time.Time) bool {
	f := v.cleaning.failed[k]
	f.tries, f.retryAt = f.tries+1, now.Add(v.Timing.SweepRetry)
	v.cleaning.failed[k] = f
	return f.tries >= maxSweepTries
}
