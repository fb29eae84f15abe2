package faults

import (
	"context"
	"fmt"
	"time"

	"cairn/api"
)

// Whether an attempt has had the time for a checkpoint before the next fault of the deck strikes depends on more than the
// seed: on elections, whose timers are Raft's own, and on the order of goroutines. A run in which faults follow each other
// from the beginning may restart its job ten times, and restore it twice. So behind the deck there are faults that find
// something to restore.
const sureRestores = 6

// strikeRestores ends attempts, each behind a checkpoint that has completed since the last one was restored.
func (r *run) strikeRestores(ctx context.Context, s *striker) error {
	for i := range sureRestores {
		before, err := r.awaitStatistics(ctx, "a checkpoint", func(now, before api.CheckpointCounts) bool { return now.Completed > before.Completed })
		if err != nil {
			return err
		}
		f := []Fault{TaskPanic, NodeKill}[i%2]
		for misses := 0; !s.strike(f); r.pause() {
			r.timeline.note("%s: nothing to hit", f)
			if misses++; misses > missesAllowed {
				return fmt.Errorf("the fault %q finds nothing to hit", f)
			}
		}
		r.result.Happened[f]++
		if _, err = r.awaitStatistics(ctx, "a restore", func(now, _ api.CheckpointCounts) bool { return now.Restored > before.Restored }); err != nil {
			return err
		}
	}
	return nil
}

// awaitStatistics waits until the counts of checkpoints are as they should be, given what they were before, and returns
// them. It is an error when the job ends before that.
func (r *run) awaitStatistics(ctx context.Context, what string, done func(now, before api.CheckpointCounts) bool) (api.CheckpointCounts, error) {
	before, err := r.cluster.statistics(ctx, jobName)
	if err != nil {
		return api.CheckpointCounts{}, err
	}
	for until := time.Now().Add(clientPatience); ; time.Sleep(poll) { // virtual time
		now, err := r.cluster.statistics(ctx, jobName)
		if err != nil || done(now.Counts, before.Counts) {
			return now.Counts, err
		}
		ended, err := r.ended(ctx)
		if err != nil {
			return now.Counts, err
		}
		if ended || time.Now().After(until) {
			return now.Counts, fmt.Errorf("waiting for %s: the job is %s: %s", what, r.result.Job.State, r.result.Job.Reason)
		}
	}
}
